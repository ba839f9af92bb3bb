// The node as a libp2p peer: TCP, Noise, yamux, one protocol. Only members get a link; everything
// above sees peers that appear, speak bytes and disappear.

import type { Connection, Stream } from "@libp2p/interface";
import { type Multiaddr, multiaddr } from "@multiformats/multiaddr";
import type { PeerId } from "../core/action.ts";
import { MeshError, wrap } from "../core/error.ts";
import type { Log } from "../telemetry/logger.ts";
import { type Admit, serveJoins } from "./enrolment.ts";
import { createHeldLinks, type HeldLink } from "./held-links.ts";
import { createHolePuncher, punchProtocol } from "./hole-punch.ts";
import { type Expected, type Member, verifyCertificate } from "./identity.ts";
import type { KnockDoor } from "./knock-door.ts";
import { abort, type LinkOptions, startLink } from "./link.ts";
import { createMemberStreams } from "./member-streams.ts";
import { createPeerScores } from "./peer-scores.ts";
import type { LinkPulse } from "./pulse.ts";
import { createPeer, isRelayed, throughOthers } from "./transport.ts";

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
  /** Whether members that nobody can dial are dialled through this one. */
  readonly relays?: boolean;
  /** Program and version, for the other end's logs. */
  readonly software: string;
}

/** Times and bounds for links on one host or a LAN. */
export const lanLinkOptions: LinkOptions = {
  messageBytesMax: 1 << 20,
  outboxBytesMax: 16 << 20,
  helloMs: 5000,
  heartbeatMs: 4000,
  silenceMs: 10_000,
};

/** What the host tells. `linked` and `unlinked` strictly alternate for each peer. */
export interface MeshHostEvents {
  linked(peer: PeerId): void;
  unlinked(peer: PeerId): void;
  /** A dial ended without a link. */
  undialled(peer: PeerId): void;
  /** What `addresses` answers is not what it was. */
  addressesChanged?(): void;
  message(peer: PeerId, bytes: Uint8Array): void;
}

/** What a host works with. */
export interface MeshHostDeps {
  readonly events: MeshHostEvents;
  readonly log: Log;
  readonly now: () => number;
  /** Whether the mesh put a member out that was let in at `issuedAtMs`. */
  readonly isRevoked?: Expected["isRevoked"];
  /** Lets newcomers in; undefined where this node cannot. */
  readonly admit?: Admit | undefined;
  /** Where machines without an invitation knock; undefined where they cannot. */
  readonly door?: KnockDoor | undefined;
}

/** A running host. */
export interface MeshHost {
  readonly peerId: PeerId;
  /** Multiaddrs that others can dial; loopback only where there is nothing else. */
  addresses(): string[];
  /** Dials a peer once, unless it is linked; `linked` or `undialled` tells how it went. */
  dial(peer: PeerId, addresses: readonly string[]): void;
  /** False where the peer is not linked or too slow: the message is dropped. */
  send(peer: PeerId, bytes: Uint8Array): boolean;
  /** Hands over the streams that linked peers open for a protocol. Nobody else gets one. */
  serveProtocol(protocol: string, onStream: OnStream): Promise<void>;
  /** Opens a stream to a linked peer; it ends with the link. UNAVAILABLE where there is none. */
  openStream(peer: PeerId, protocol: string): Promise<Stream>;
  /** Who is linked. */
  peers(): PeerId[];
  /** What a linked peer's certificate says; undefined while it is not linked. */
  memberOf(peer: PeerId): Member | undefined;
  /** How good the link to a peer is; undefined while it is not linked. */
  pulseOf(peer: PeerId): LinkPulse | undefined;
  /** Looks at the certificates of linked peers again: somebody was put out. */
  recheck(): void;
  /** Ends the link with a peer that breaks the protocol; it is not let in for a while. */
  disconnect(peer: PeerId, why: string): void;
  stop(): Promise<void>;
}

type OnStream = (peer: PeerId, stream: Stream) => void;

/** A peer that does not answer for this long, in ms, cannot be dialled now. */
const dialMs = 10_000;

/** Where there is a way through others, the direct one is tried for this long, in ms. */
const directMs = 3000;
/** How often to look whether a peer that wants a relay is linked now, in ms. */
const relayLookMs = 50;

/** Streams of one protocol on one connection at once. */
const streamBounds = { maxInboundStreams: 4, maxOutboundStreams: 4 };

/** Certificates of open links are looked at again this often, in ms. */
const recheckMs = 3_600_000;

/** Starts listening and speaking. */
export async function startMeshHost(
  deps: MeshHostDeps,
  options: MeshHostOptions,
): Promise<MeshHost> {
  const mayRelay = options.relays === true ? isLinkedSoon : undefined;
  const node = await createPeer(options.key, options.listen, mayRelay);
  const self = node.peerId.toString();
  const [streams, bars] = [createMemberStreams({ waitMs: options.helloMs }), createBars(deps)];
  const links = createHeldLinks({
    log: deps.log,
    linked: (peer) => {
      streams.linked(peer);
      deps.events.linked(peer);
    },
    unlinked: (peer) => {
      streams.unlinked(peer);
      deps.events.unlinked(peer);
    },
  });
  let stopped = false;

  /** Resolves when the link has ended: true where it was open before. */
  function open(stream: Stream, connection: Connection, initiator: PeerId): Promise<boolean> {
    const peer = connection.remotePeer.toString();
    const { promise, resolve } = Promise.withResolvers<boolean>();
    let opened = false;
    let member: Member | undefined;
    const link = startLink(
      stream,
      options,
      {
        verify: async (certificate, sponsor) => {
          bars.check(peer);
          member = await verifyCertificate(certificate, sponsor, expectedOf(deps, options, peer));
        },
        opened: () => {
          opened = true;
          if (member !== undefined) hold(peer, { link, initiator, connection, member });
        },
        message: (bytes) => {
          if (links.hears(peer, link)) deps.events.message(peer, bytes);
        },
        closed: (why, broke) => {
          resolve(opened);
          if (broke && opened) bars.put(peer, why);
          links.release(peer, link, why);
          // One connection carries one link: without it there is nothing to stay connected for.
          const isAlone = links.of(peer) === undefined;
          if (isAlone) abort(connection, why);
          if (isAlone && !opened && !stopped) {
            deps.log("warn", `Peer ${peer} was not let in: ${why}`);
          }
        },
      },
      options,
    );
    return promise;
  }

  function hold(peer: PeerId, held: HeldLink): void {
    const isOurs = links.hold(peer, held) && held.initiator === self;
    if (isOurs && isRelayed(held.connection)) puncher.start(peer, held.connection);
  }

  const { identify, dialFrom } = node.services;
  const puncher = createHolePuncher({
    ...{ log: deps.log, now: deps.now, dial: dialFrom },
    seenFrom: async (at, signal) => (await identify.identify(at, { signal })).observedAddr,
    isNeeded: (peer, relayed) => !stopped && links.of(peer)?.connection === relayed,
    punched: (peer, relayed, direct) => void move(peer, relayed, direct),
  });

  /** A new link on a direct connection, in place of the relayed one. */
  async function move(peer: PeerId, relayed: Connection, direct: Connection): Promise<void> {
    try {
      if (stopped || links.of(peer)?.connection !== relayed) throw new Error("not needed");
      const signal = AbortSignal.timeout(dialMs);
      await open(await direct.newStream(meshProtocol, { signal }), direct, self);
    } catch (error) {
      abort(direct, wrap(error, "While moving to a direct link").message);
    }
  }

  /** A member asks for a relay at once, perhaps before its certificate was looked at. */
  async function isLinkedSoon(peer: PeerId): Promise<boolean> {
    const endMs = performance.now() + options.helloMs;
    while (links.of(peer) === undefined && performance.now() < endMs) {
      await new Promise((resolve) => setTimeout(resolve, relayLookMs));
    }
    return links.of(peer) !== undefined;
  }

  function recheck(): void {
    for (const peer of links.peers()) links.of(peer)?.link.recheck();
  }

  // Memberships end while links are open, too.
  const rechecking = setInterval(recheck, recheckMs).unref();

  /** Directly where that goes; an address behind NAT may swallow a dial until its end. */
  async function connect(targets: readonly Multiaddr[]): Promise<Connection> {
    const isRelayed = (target: Multiaddr) => target.toString().includes(throughOthers);
    const [relayed, direct] = [targets.filter(isRelayed), targets.filter((to) => !isRelayed(to))];
    if (relayed.length > 0 && direct.length > 0) {
      try {
        return await node.dial(direct, { signal: AbortSignal.timeout(directMs) });
      } catch {
        // Then through others.
      }
    }
    const rest = relayed.length > 0 ? relayed : direct;
    return await node.dial(rest, { signal: AbortSignal.timeout(dialMs) });
  }

  /** Dials once. What a peer says of another's addresses is a hint, so bad ones are left out. */
  async function dial(peer: PeerId, addresses: readonly string[]): Promise<void> {
    try {
      const targets = addresses.flatMap((address) => parseAddress(address, peer));
      const connection = await connect(targets);
      const signal = AbortSignal.timeout(dialMs);
      const stream = await connection.newStream(meshProtocol, { signal });
      if (await open(stream, connection, self)) return;
    } catch (error) {
      deps.log("debug", wrap(error, `While dialling ${peer}`).message);
    }
    if (!stopped && links.of(peer) === undefined) deps.events.undialled(peer);
  }

  async function serveProtocol(protocol: string, onStream: OnStream): Promise<void> {
    await node.handle(
      protocol,
      (stream, { remotePeer }) => streams.admit(remotePeer.toString(), stream, onStream),
      streamBounds,
    );
  }

  async function serve(): Promise<void> {
    await node.handle(
      meshProtocol,
      (stream, connection) => void open(stream, connection, connection.remotePeer.toString()),
      streamBounds,
    );
    await serveProtocol(punchProtocol, (peer, stream) => {
      const relayed = links.of(peer)?.connection;
      if (relayed !== undefined) puncher.answer(peer, relayed, stream);
    });
    const { admit } = deps;
    if (admit !== undefined) await serveJoins(node, { ...deps, admit, software: options.software });
    await deps.door?.serve(node);
  }

  await serve();
  node.addEventListener("self:peer:update", () => deps.events.addressesChanged?.());
  return {
    peerId: self,
    addresses: () => reachable(node.getMultiaddrs().map(String)),
    dial: (peer, addresses) => {
      if (!stopped && links.of(peer) === undefined) void dial(peer, addresses);
    },
    send: (peer, bytes) => links.of(peer)?.link.send(bytes) ?? false,
    serveProtocol,
    openStream: async (peer, protocol) => {
      const connection = links.of(peer)?.connection;
      if (connection === undefined) {
        throw new MeshError("UNAVAILABLE", `Peer ${peer} is not linked. Try again.`);
      }
      const stream = await connection.newStream(protocol);
      streams.keep(peer, stream);
      return stream;
    },
    peers: links.peers,
    memberOf: (peer) => links.of(peer)?.member,
    pulseOf: (peer) => links.of(peer)?.link.pulse(),
    recheck,
    disconnect: (peer, why) => links.of(peer)?.link.close(why, true),
    stop: async () => {
      stopped = true;
      clearInterval(rechecking);
      for (const peer of links.peers()) links.of(peer)?.link.close("this node stops");
      await node.stop();
    },
  };
}

/** What a peer's certificate must be now. */
function expectedOf(
  of: { readonly now: () => number; readonly isRevoked?: Expected["isRevoked"] },
  { meshId }: Pick<MeshHostOptions, "meshId">,
  peerId: PeerId,
): Expected {
  const { isRevoked = () => false } = of;
  return { meshId, peerId, nowMs: of.now(), isRevoked };
}

/** A member that breaks the protocol is named, and not let in for a while; longer each time. */
function createBars({ log, now }: { readonly log: Log; readonly now: () => number }) {
  const scores = createPeerScores(now);
  return {
    put: (peer: PeerId, why: string) => {
      const spanMs = scores.slow(peer);
      log("warn", `Peer ${peer} is not let in for ${spanMs / 1000} s: ${why}`);
    },
    check: (peer: PeerId) => {
      if (scores.usable(peer)) return;
      const why = "It broke the protocol a while ago and may come back later.";
      throw new MeshError("UNAVAILABLE", why);
    },
  };
}

/** None where it is no address at all; the peer's name is added, so that nobody else answers. */
function parseAddress(address: string, peer: PeerId): Multiaddr[] {
  try {
    return [multiaddr(address.includes("/p2p/") ? address : `${address}/p2p/${peer}`)];
  } catch {
    return [];
  }
}

function reachable(addresses: readonly string[]): string[] {
  const others = addresses.filter((address) => !/^\/ip4\/127\.|^\/ip6\/::1\//.test(address));
  return others.length > 0 ? others : [...addresses];
}
