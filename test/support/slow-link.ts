// A bad network between two hosts: a TCP proxy that hands everything on late, and now and then
// holds it back as long as a lost segment that is sent again would.

import { connect, createServer, type Socket } from "node:net";
import { createRng } from "../../src/core/rng.ts";

/** How bad it is. */
export interface BadNetwork {
  /** One way, in ms. */
  readonly delayMs: number;
  /** Of a thousand chunks so many are held back. */
  readonly lossPerMille: number;
  /** By so much longer, in ms: what it takes to notice a loss and send again. */
  readonly resendMs: number;
}

/** A running proxy. */
export interface SlowLink {
  /** A multiaddr that leads through it. */
  readonly address: string;
  /** Chunks that were held back. */
  lost(): number;
  /** From now on it takes so many ms one way. */
  delay(ms: number): void;
  stop(): Promise<void>;
}

/**
 * Starts a proxy to a multiaddr, on a port of this machine or on the one that is wanted. Seeded:
 * the same chunks are lost each time.
 */
export async function startSlowLink(
  to: string,
  network: BadNetwork,
  at: { readonly host: string; readonly port: number } = { host: "127.0.0.1", port: 0 },
): Promise<SlowLink> {
  const [, host = "127.0.0.1"] = /\/ip4\/([\d.]+)/.exec(to) ?? [];
  const port = Number(/\/tcp\/(\d+)/.exec(to)?.[1]);
  const rng = createRng(5);
  const sockets = new Set<Socket>();
  let lost = 0;
  let { delayMs } = network;

  function forward(from: Socket, into: Socket): void {
    let freeAtMs = 0;
    /** Timers that are due at once fire in any order; what they hand on must not. */
    const underWay: (Buffer | string)[] = [];
    from.on("data", (chunk) => {
      const isLost = rng.below(1000) < network.lossPerMille;
      if (isLost) lost += 1;
      const lateMs = delayMs + (isLost ? network.resendMs : 0);
      // What comes behind a lost segment waits for it: TCP keeps order.
      freeAtMs = Math.max(freeAtMs, performance.now() + lateMs);
      underWay.push(chunk);
      setTimeout(() => into.write(underWay.shift() ?? ""), freeAtMs - performance.now());
    });
    from.on("close", () => into.destroy());
    from.on("error", () => into.destroy());
  }

  const server = createServer((near) => {
    const far = connect(port, host);
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on("close", () => sockets.delete(socket));
    }
    forward(near, far);
    forward(far, near);
  });
  await new Promise<void>((resolve) => server.listen(at.port, at.host, resolve));
  const own = server.address();
  if (own === null || typeof own === "string") throw new Error("the proxy has no port");
  return {
    address: `/ip4/${at.host}/tcp/${own.port}`,
    lost: () => lost,
    delay: (ms) => {
      delayMs = ms;
    },
    stop: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
