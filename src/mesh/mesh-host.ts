// The node as a libp2p peer: TCP, Noise, yamux, one protocol. Only members get a link; everything
// above sees peers that appear, speak bytes and disappear.

import { privateKeyFromProtobuf } from "@libp2p/crypto/keys";
import type { Connection, Stream } from "@libp2p/interface";
import { noise } from "@libp2p/noise";
import { tcp } from "@libp2p/tcp";
import { yamux } from "@libp2p/yamux";
import { multiaddr } from "@multiformats/multiaddr";
import { createLibp2p } from "libp2p";
import type { PeerId } from "../core/action.ts";
import { failureOf, MeshError, wrap } from "../core/error.ts";
import type { Log } from "../telemetry/logger.ts";
import { verifyCertificate } from "./identity.ts";
import { abort, type Link, type LinkOptions, startLink } from "./link.ts";
import { createMemberStreams } from "./member-streams.ts";

/** The protocol of proto/builder/mesh/v1/mesh.proto. */
export const meshProtocol = "/builder/mesh/1.0.0";

/** Who this host is and where it listens. */
export interface MeshHostOptions extends LinkOptions {
  /** The node's private key, serialised. */
  readonly key: Uint8Array;
  readonly certificate: Uint8Array;
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
  /** Hands over the streams that linked peers open for a protocol. Nobody else gets one. */
  serveProtocol(protocol: string, onStream: (peer: PeerId, stream: Stream) => void): Promise<void>;
  /** Opens a stream to a linked peer; it ends with the link. UNAVAILABLE where there is none. */
  openStream(peer: PeerId, protocol: string): Promise<Stream>;
  /** Ends the link with a peer that breaks the protocol. */
  disconnect(peer: PeerId, why: string): void;
  stop(): Promise<void>;
}

const redialMs = { first: 100, max: 5000 };

interface HeldLink {
  readonly link: Link;
  /** The peer that dialled; decides which of two simultaneous links stays. */
  readonly initiator: PeerId;
  readonly connection: Connection;
}

/** Starts listening and speaking. */
export async function startMeshHost(
  deps: { readonly events: MeshHostEvents; readonly log: Log; readonly now: () => number },
  options: MeshHostOptions,
): Promise<MeshHost> {
  const node = await createLibp2p({
    privateKey: privateKeyFromProtobuf(options.key),
    addresses: { listen: [...options.listen] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux({ enableKeepAlive: false })],
    // Links have their own heartbeat. libp2p's gives up within seconds on a node that is only busy,
    // and throws where nobody can catch it when the connection is gone already.
    connectionMonitor: { enabled: false },
    connectionManager: { maxIncomingPendingConnections: 32, inboundConnectionThreshold: 100 },
  });
  const self = node.peerId.toString();
  const heldByPeer = new Map<PeerId, HeldLink>();
  const streams = createMemberStreams({ waitMs: options.helloMs });
  let stopped = false;

  function open(stream: Stream, connection: Connection, initiator: PeerId): Promise<void> {
    const peer = connection.remotePeer.toString();
    const { promise, resolve } = Promise.withResolvers<void>();
    const link = startLink(
      stream,
      options,
      {
        verify: async (certificate) => {
          const expected = { meshId: options.meshId, peerId: peer, nowMs: deps.now() };
          await verifyCertificate(certificate, expected);
        },
        opened: () => hold(peer, { link, initiator, connection }),
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
      streams.linked(peer);
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
    streams.unlinked(peer);
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

  return {
    peerId: self,
    addresses: () => node.getMultiaddrs().map(String),
    keepLinked: (address) => {
      dialUntilStopped(address).catch((error: unknown) => {
        deps.log("error", `Dialling ${address} ended: ${failureOf(error).message}`);
      });
    },
    send: (peer, bytes) => heldByPeer.get(peer)?.link.send(bytes) ?? false,
    serveProtocol: (protocol, onStream) =>
      node.handle(
        protocol,
        (stream, { remotePeer }) => streams.admit(remotePeer.toString(), stream, onStream),
        { maxInboundStreams: 4, maxOutboundStreams: 4 },
      ),
    openStream: async (peer, protocol) => {
      const connection = heldByPeer.get(peer)?.connection;
      if (connection === undefined) {
        throw new MeshError("UNAVAILABLE", `Peer ${peer} is not linked. Try again.`);
      }
      const stream = await connection.newStream(protocol);
      streams.keep(peer, stream);
      return stream;
    },
    disconnect: (peer, why) => heldByPeer.get(peer)?.link.close(why),
    stop: async () => {
      stopped = true;
      for (const { link } of [...heldByPeer.values()]) link.close("this node stops");
      await node.stop();
    },
  };
}
