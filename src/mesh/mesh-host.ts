// The node as a libp2p peer: TCP, Noise, yamux, one protocol. Only members get a link; everything
// above sees peers that appear, speak bytes and disappear.

import type { Connection, Stream } from "@libp2p/interface";
import { multiaddr } from "@multiformats/multiaddr";
import type { PeerId } from "../core/action.ts";
import { failureOf, wrap } from "../core/error.ts";
import type { Log } from "../telemetry/logger.ts";
import { type Admit, serveJoins } from "./enrolment.ts";
import { type Expected, verifyCertificate } from "./identity.ts";
import { abort, type Link, type LinkOptions, startLink } from "./link.ts";
import { createPeer } from "./transport.ts";

/** The protocol of proto/builder/mesh/v1/mesh.proto. */
export const meshProtocol = "/builder/mesh/1.0.0";

/** Who this host is and where it listens. */
export interface MeshHostOptions extends LinkOptions {
  /** The node's private key, serialised. */
  readonly key: Uint8Array;
  readonly certificate: Uint8Array;
  /** The certificate of the host that vouches for this node; undefined: the authority does. */
  readonly sponsor?: Uint8Array;
  readonly meshId: Uint8Array;
  /** Multiaddrs; none for a node that only dials out. */
  readonly listen: readonly string[];
  /** Program and version, for the other end's logs. */
  readonly software: string;
}

/** Times and bounds for links on one host or a LAN. */
export const lanLinkOptions: LinkOptions = {
  messageBytesMax: 1 << 20,
  outboxBytesMax: 16 << 20,
  helloMs: 5000,
  heartbeatMs: 2000,
  silenceMs: 10_000,
};

/** What the host tells. `linked` and `unlinked` strictly alternate for each peer. */
export interface MeshHostEvents {
  linked(peer: PeerId): void;
  unlinked(peer: PeerId): void;
  message(peer: PeerId, bytes: Uint8Array): void;
}

/** A running host. */
export interface MeshHost {
  readonly peerId: PeerId;
  /** Multiaddrs that others can dial. */
  addresses(): string[];
  /** Dials, and dials again with a growing pause whenever the link drops, until `stop`. */
  keepLinked(address: string): void;
  /** False where the peer is not linked or too slow: the message is dropped. */
  send(peer: PeerId, bytes: Uint8Array): boolean;
  /** Ends the link with a peer that breaks the protocol. */
  disconnect(peer: PeerId, why: string): void;
  stop(): Promise<void>;
}

const redialMs = { first: 100, max: 5000 };

interface HeldLink {
  readonly link: Link;
  /** The peer that dialled; decides which of two simultaneous links stays. */
  readonly initiator: PeerId;
}

/** Starts listening and speaking. */
export async function startMeshHost(
  deps: {
    readonly events: MeshHostEvents;
    readonly log: Log;
    readonly now: () => number;
    /** Whether the mesh put a member out that was let in at `issuedAtMs`. */
    readonly isRevoked?: Expected["isRevoked"];
    /** Lets newcomers in; undefined where this node cannot. */
    readonly admit?: Admit | undefined;
  },
  options: MeshHostOptions,
): Promise<MeshHost> {
  const node = await createPeer(options.key, options.listen);
  const self = node.peerId.toString();
  const heldByPeer = new Map<PeerId, HeldLink>();
  let stopped = false;

  function open(stream: Stream, connection: Connection, initiator: PeerId): Promise<void> {
    const peer = connection.remotePeer.toString();
    const { promise, resolve } = Promise.withResolvers<void>();
    const link = startLink(
      stream,
      options,
      {
        verify: async (certificate, sponsor) => {
          const { isRevoked = () => false } = deps;
          const expected = { meshId: options.meshId, peerId: peer, nowMs: deps.now(), isRevoked };
          await verifyCertificate(certificate, sponsor, expected);
        },
        opened: () => hold(peer, { link, initiator }),
        message: (bytes) => {
          if (heldByPeer.get(peer)?.link === link) deps.events.message(peer, bytes);
        },
        closed: (why) => {
          resolve();
          release(peer, link, why);
          // One connection carries one link: without it there is nothing to stay connected for.
          if (!heldByPeer.has(peer)) abort(connection, why);
        },
      },
      options,
    );
    return promise;
  }

  function hold(peer: PeerId, held: HeldLink): void {
    const other = heldByPeer.get(peer);
    if (other === undefined) {
      heldByPeer.set(peer, held);
      deps.events.linked(peer);
    } else if (other.initiator === held.initiator || held.initiator < other.initiator) {
      // A newer dial of the same end replaces its older one; of two crossing dials one stays.
      heldByPeer.set(peer, held);
      other.link.close("replaced by a newer link");
    } else {
      held.link.close("another link is kept");
    }
  }

  function release(peer: PeerId, link: Link, why: string): void {
    if (heldByPeer.get(peer)?.link !== link) {
      if (!stopped && !heldByPeer.has(peer)) {
        deps.log("warn", `Peer ${peer} was not let in: ${why}`);
      }
      return;
    }
    heldByPeer.delete(peer);
    deps.log("debug", `The link to ${peer} ended: ${why}`);
    deps.events.unlinked(peer);
  }

  async function dialUntilStopped(address: string): Promise<void> {
    let pauseMs = redialMs.first;
    while (!stopped) {
      try {
        const connection = await node.dial(multiaddr(address));
        const stream = await connection.newStream(meshProtocol);
        const startedAt = performance.now();
        await open(stream, connection, self);
        if (performance.now() - startedAt > redialMs.max) pauseMs = redialMs.first;
      } catch (error) {
        deps.log("debug", wrap(error, `While dialling ${address}`).message);
      }
      if (stopped) return;
      // Jitter, so that the workers of a restarted node do not come back in step.
      await new Promise((resolve) => setTimeout(resolve, pauseMs * (0.5 + Math.random())));
      pauseMs = Math.min(pauseMs * 2, redialMs.max);
    }
  }

  await node.handle(
    meshProtocol,
    (stream, connection) => void open(stream, connection, connection.remotePeer.toString()),
    { maxInboundStreams: 4, maxOutboundStreams: 4 },
  );
  if (deps.admit !== undefined) await serveJoins(node, { ...deps, admit: deps.admit });

  return {
    peerId: self,
    addresses: () => node.getMultiaddrs().map(String),
    keepLinked: (address) => {
      dialUntilStopped(address).catch((error: unknown) => {
        deps.log("error", `Dialling ${address} ended: ${failureOf(error).message}`);
      });
    },
    send: (peer, bytes) => heldByPeer.get(peer)?.link.send(bytes) ?? false,
    disconnect: (peer, why) => heldByPeer.get(peer)?.link.close(why),
    stop: async () => {
      stopped = true;
      for (const { link } of [...heldByPeer.values()]) link.close("this node stops");
      await node.stop();
    },
  };
}
