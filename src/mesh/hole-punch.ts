// Past the relay (proto/builder/mesh/v1/punch.proto): two members whose link goes through a third
// connect at the same moment, so that the NAT of each takes the other's packets for answers. Where
// NATs give every connection another port that fails, and the link stays as it is.

import type { Connection, Stream } from "@libp2p/interface";
import { type Multiaddr, multiaddr } from "@multiformats/multiaddr";
import type { PeerId } from "../core/action.ts";
import { MeshError, wrap } from "../core/error.ts";
import type { Log } from "../telemetry/logger.ts";
import { encodeFrame } from "../wire/frame.ts";
import { Punch } from "../wire/gen/builder/mesh/v1/punch.ts";
import { firstFrame } from "./first-frame.ts";
import { abort } from "./link.ts";
import { freePort, type PortDialer } from "./port-dialer.ts";
import { isRelayed, throughOthers } from "./transport.ts";
import { createTries } from "./tries.ts";

/** The protocol of proto/builder/mesh/v1/punch.proto. */
export const punchProtocol = "/builder/punch/1.0.0";

/** Bounds and times of getting past a relay. */
export const punchBounds = {
  frameBytesMax: 64,
  /** Attempts for each link, each from another port. */
  attempts: 3,
  /** Between two of them, in ms. */
  pauseMs: 2000,
  /** Either end waits this long for a frame of the other, in ms. */
  answerMs: 10_000,
  /** Both ends knock on each other's NAT this long, in ms: lost packets are sent again. */
  dialMs: 8000,
  /** Attempts within a minute that one peer may ask of this node. */
  askedPerMinute: 6,
  /** Peers remembered for that. */
  peersMax: 1024,
};

/** Gets links past relays. */
export interface HolePuncher {
  /** Tries it, as the end that dialled, until it went or was tried often enough. */
  start(peer: PeerId, relayed: Connection): void;
  /** Takes part in one attempt of the end that dialled. */
  answer(peer: PeerId, relayed: Connection, stream: Stream): void;
}

/** What it works with. */
export interface HolePunchDeps {
  /** Dials from a certain port. */
  readonly dial: PortDialer;
  /** Where the other end of a connection sees this node. */
  readonly seenFrom: (
    connection: Connection,
    signal: AbortSignal,
  ) => Promise<Multiaddr | undefined>;
  /** Whether a link still goes through this connection. */
  readonly isNeeded: (peer: PeerId, relayed: Connection) => boolean;
  /** A direct connection, at the end that dialled. */
  readonly punched: (peer: PeerId, relayed: Connection, direct: Connection) => void;
  readonly log: Log;
  readonly now: () => number;
}

/** A puncher for one node. */
export function createHolePuncher(deps: HolePunchDeps): HolePuncher {
  const { answerMs, attempts, pauseMs, askedPerMinute, peersMax } = punchBounds;
  const asked = createTries({ perMinute: askedPerMinute, addressesMax: peersMax });
  const busyPeers = new Set<PeerId>();

  async function attempt(peer: PeerId, relayed: Connection): Promise<void> {
    await withPort(deps, relayed, async (port, own) => {
      const stream = await relayed.newStream(punchProtocol, {
        signal: AbortSignal.timeout(answerMs),
      });
      try {
        const theirs = readPunch(await ask(stream, Punch.encode({ address: own.bytes }).finish()));
        const startedAtMs = performance.now();
        await ask(stream, nothing);
        const rttMs = performance.now() - startedAtMs;
        stream.send(encodeFrame(nothing));
        await sleep(Math.min(rttMs / 2, answerMs));
        const direct = await knock(deps, peer, theirs, port, false);
        deps.punched(peer, relayed, direct);
      } finally {
        abort(stream, "the attempt is over");
      }
    });
  }

  async function takePart(peer: PeerId, relayed: Connection, stream: Stream): Promise<void> {
    const theirs = readPunch(await frame(stream));
    await withPort(deps, relayed, async (port, own) => {
      await ask(stream, Punch.encode({ address: own.bytes }).finish());
      await ask(stream, nothing);
      await knock(deps, peer, theirs, port, true);
    });
  }

  async function tryAll(peer: PeerId, relayed: Connection): Promise<void> {
    for (let tried = 0; tried < attempts && deps.isNeeded(peer, relayed); tried += 1) {
      if (tried > 0) await sleep(pauseMs);
      try {
        return await attempt(peer, relayed);
      } catch (error) {
        deps.log("debug", wrap(error, `While getting past the relay to ${peer}`).message);
      }
    }
  }

  /** One at a time with each peer. */
  function alone(peer: PeerId, work: () => Promise<void>): void {
    busyPeers.add(peer);
    work()
      .catch((error: unknown) => {
        deps.log("debug", wrap(error, `While ${peer} got past the relay`).message);
      })
      .finally(() => busyPeers.delete(peer));
  }

  return {
    start: (peer, relayed) => {
      if (!busyPeers.has(peer)) alone(peer, () => tryAll(peer, relayed));
    },
    answer: (peer, relayed, stream) => {
      if (busyPeers.has(peer) || !isRelayed(relayed) || !asked.allow(peer, deps.now())) {
        abort(stream, "not now");
        return;
      }
      alone(peer, () =>
        takePart(peer, relayed, stream).finally(() => abort(stream, "the attempt is over")),
      );
    },
  };
}

/** Where the other end connects from. INVALID_ARGUMENT where that is no plain address of TCP. */
export function readPunch(frame: Uint8Array): Multiaddr {
  try {
    const address = multiaddr(Punch.decode(frame).address);
    // Names and further relays would make this node look things up for others.
    if (/^\/ip[46]\/[^/]+\/tcp\/\d+$/.test(address.toString())) return address;
  } catch {
    // As bad as any other.
  }
  throw new MeshError("INVALID_ARGUMENT", "A peer sent a Punch that is no address of TCP.");
}

const nothing = new Uint8Array();

/**
 * Opens a way out through this host's NAT and learns from the relay where it ends. The connection
 * to the relay keeps the way open meanwhile.
 */
async function withPort(
  { dial, seenFrom }: Pick<HolePunchDeps, "dial" | "seenFrom">,
  relayed: Connection,
  use: (port: number, own: Multiaddr) => Promise<void>,
): Promise<void> {
  const [relay = ""] = relayed.remoteAddr.toString().split(throughOthers);
  const { answerMs: dialMs } = punchBounds;
  const port = await freePort();
  const way = await dial(multiaddr(relay), { fromPort: port, asListener: false, dialMs });
  try {
    const own = await seenFrom(way, AbortSignal.timeout(dialMs));
    if (own === undefined)
      throw new MeshError("UNAVAILABLE", "The relay does not tell who we are.");
    await use(port, multiaddr(own.toString().replace(/\/p2p\/[^/]+$/, "")));
  } finally {
    abort(way, "the attempt is over");
  }
}

/** Both ends do this at once, and retransmission of TCP makes up for the rest. */
function knock(
  { dial }: Pick<HolePunchDeps, "dial">,
  peer: PeerId,
  theirs: Multiaddr,
  fromPort: number,
  asListener: boolean,
): Promise<Connection> {
  const to = multiaddr(`${theirs}/p2p/${peer}`);
  return dial(to, { fromPort, asListener, dialMs: punchBounds.dialMs });
}

/** Listens before it speaks, so that no answer is missed. */
async function ask(stream: Stream, question: Uint8Array): Promise<Uint8Array> {
  const answer = frame(stream);
  try {
    stream.send(encodeFrame(question));
  } catch (error) {
    // Its stream is gone, and so is the answer.
    answer.catch(() => undefined);
    throw error;
  }
  return await answer;
}

function frame(stream: Stream): Promise<Uint8Array> {
  return firstFrame(stream, punchBounds.frameBytesMax, punchBounds.answerMs);
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms).unref());
}
