// A libp2p peer as this project uses it: TCP, Noise, yamux, and, for nodes that cannot be dialled,
// a way through nodes that can (circuit relay v2).

import { circuitRelayServer, circuitRelayTransport } from "@libp2p/circuit-relay-v2";
import { privateKeyFromProtobuf } from "@libp2p/crypto/keys";
import { type Identify, identify } from "@libp2p/identify";
import type { Connection, Upgrader } from "@libp2p/interface";
import { noise } from "@libp2p/noise";
import { type TCPComponents, tcp } from "@libp2p/tcp";
import { yamux } from "@libp2p/yamux";
import { createLibp2p, type Libp2p } from "libp2p";
import type { PeerId } from "../core/action.ts";
import { joinedWrites } from "./joined-writes.ts";
import { createPortDialer, type PortDialer } from "./port-dialer.ts";
import { quickLengths } from "./quick-lengths.ts";

/** A running peer. */
export type Peer = Libp2p<{ identify: Identify; dialFrom: PortDialer }>;

/** The address to listen on for a node that only others can be dialled for. */
export const throughOthers = "/p2p-circuit";

/** Whether what passes over a connection passes through another node. */
export function isRelayed({ remoteAddr }: Pick<Connection, "remoteAddr">): boolean {
  return remoteAddr.toString().includes(throughOthers);
}

/** Bound: bytes of one stream on their way to a node; 40 MiB/s over 100 ms there and back. */
export const windowBytesMax = 4 << 20;

/** Nodes that may be dialled through this one at once. */
const relayedMax = 128;

/** Questions of one connection at once. */
const identifyStreams = { maxInboundStreams: 2, maxOutboundStreams: 2 };

/**
 * Starts a peer with a serialised private key. `listen` are multiaddrs; none to only dial out.
 * `mayRelay` says who may be dialled, and may dial, through this node; undefined: nobody.
 */
export function createPeer(
  key: Uint8Array,
  listen: readonly string[],
  mayRelay?: (peer: PeerId) => Promise<boolean>,
): Promise<Peer> {
  const isMet = mayRelay !== undefined || listen.includes(throughOthers);
  const deny = async (peer: { toString(): string }) => !(await mayRelay?.(peer.toString()));
  return createLibp2p({
    privateKey: privateKeyFromProtobuf(key),
    addresses: { listen: [...listen] },
    transports: [tcp(), circuitRelayTransport()],
    connectionEncrypters: [joinedWrites(quickLengths(noise()))],
    streamMuxers: [
      yamux({
        enableKeepAlive: false,
        streamOptions: { maxStreamWindowSize: windowBytesMax },
      }),
    ],
    // Links have their own heartbeat. libp2p's gives up within seconds on a node that is only busy,
    // and throws where nobody can catch it when the connection is gone already.
    connectionMonitor: { enabled: false },
    connectionManager: { maxIncomingPendingConnections: 32, inboundConnectionThreshold: 100 },
    connectionGater: {
      denyInboundRelayReservation: deny,
      denyOutboundRelayedConnection: deny,
      // Private addresses are as good as any here.
      denyDialMultiaddr: () => false,
    },
    services: {
      // By it, who cannot be dialled learns who relays; the others only answer.
      // Beside that question a peer may ask once more, where a connection comes from.
      identify: identify({ runOnConnectionOpen: isMet, ...identifyStreams }),
      dialFrom: (parts: TCPComponents & { readonly upgrader: Upgrader }) =>
        createPortDialer(tcp()(parts), parts.upgrader),
      ...(mayRelay === undefined ? {} : { relay: relayServer() }),
    },
  });
}

function relayServer() {
  // Links are for good and carry blobs: the usual limits, of 128 KiB and 2 minutes, would end them.
  return circuitRelayServer({
    reservations: { applyDefaultLimit: false, maxReservations: relayedMax },
  });
}
