// TCP connections from a port that the caller picks, as either end. What two NATs let through
// starts at both ends at once: neither listened, so they must agree on who is as if it had.

import { createServer } from "node:net";
import type { Connection, Transport, Upgrader } from "@libp2p/interface";
import type { Multiaddr } from "@multiformats/multiaddr";

/** A dial from a certain port. */
export interface PortDial {
  /** The local port; 1 to 65,535. */
  readonly fromPort: number;
  /** True to take the part of the end that listened. */
  readonly asListener: boolean;
  /** How long it may take, in ms. */
  readonly dialMs: number;
}

/** Dials an address with a peer id; rejects where nobody answers, or somebody else. */
export type PortDialer = (to: Multiaddr, dial: PortDial) => Promise<Connection>;

/** A dialler over this TCP transport, beside the library's queue, which knows no ports. */
export function createPortDialer(transport: Transport, upgrader: Upgrader): PortDialer {
  return async (to, { fromPort: localPort, asListener, dialMs }) => {
    const upgradeOutbound: Upgrader["upgradeOutbound"] = (socket, options) => {
      if (!asListener) return upgrader.upgradeOutbound(socket, options);
      // The multiplexer numbers its streams by it: two diallers would both take the odd numbers.
      socket.direction = "inbound";
      return upgrader.upgradeOutbound(socket, { ...options, initiator: false });
    };
    // The socket listens to the signal for all its life: it must not fire once the dial is over.
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(new Error("Nobody answered in time.")), dialMs);
    const options = {
      ...{ localPort, signal: late.signal },
      upgrader: {
        upgradeOutbound,
        upgradeInbound: upgrader.upgradeInbound.bind(upgrader),
        createInboundAbortSignal: upgrader.createInboundAbortSignal.bind(upgrader),
        getConnectionEncrypters: upgrader.getConnectionEncrypters.bind(upgrader),
        getStreamMuxers: upgrader.getStreamMuxers.bind(upgrader),
      },
    };
    try {
      return await transport.dial(to, options);
    } finally {
      clearTimeout(timer);
    }
  };
}

/** A port that nobody listens on now. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, resolve);
  });
  const address = server.address();
  await new Promise<void>((resolve) => server.close(() => resolve()));
  if (address === null || typeof address === "string") throw new Error("The system gave no port.");
  return address.port;
}
