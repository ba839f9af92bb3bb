// Blobs that this host lacks, from whichever host has them: first who is named, then the owners,
// then everybody. Slow ones are overtaken, liars and dead ones passed over.

import type { PeerId } from "../core/action.ts";
import { ownersAmong, ownersOfBlob } from "../core/blob-owners.ts";
import { type Digest, digestKey } from "../core/digest.ts";
import { type Failure, failureOf } from "../core/error.ts";
import type { BlobStore } from "./blob-store.ts";
import type { PeerBlobs } from "./peer-blobs.ts";

/** Whom a host may ask. */
export interface PeerFetchDeps {
  readonly peers: PeerBlobs;
  /** This host's own store. */
  readonly store: BlobStore;
  /** Peer id of the node that serves on this host. */
  readonly self: PeerId;
  /** Every live host that serves, this one included; the same everywhere, as far as known. */
  readonly hosts: () => readonly PeerId[];
}

/** Where blobs may come from. */
export interface FetchCall {
  /** Asked first. */
  readonly from?: PeerId | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What could not be had. */
export interface FetchEnd {
  readonly missing: readonly Digest[];
  /** Peers that failed to answer; without any, nobody has what is missing. */
  readonly failures: readonly Failure[];
}

/** Blobs that were wanted, by where they were. */
export interface SourceCounts {
  /** In this host's store already. */
  readonly here: number;
  readonly peer: number;
  readonly nowhere: number;
}

/** Fetches for one host. Equal blobs that are wanted at once come once. */
export interface PeerFetch {
  /** Copies blobs that the store lacks into it. Rejects only where this host's store fails. */
  fetch(digests: readonly Digest[], call?: FetchCall): Promise<FetchEnd>;
  /** Since the start. */
  counts(): SourceCounts;
}

/** Bound: hosts beyond the owners that are asked for a blob. */
export const othersAskedMax = 16;

/** Failures that are a peer's; any other is this host's own. */
const peerFailures: ReadonlySet<string> = new Set([
  "UNAVAILABLE",
  "DEADLINE_EXCEEDED",
  "DATA_LOSS",
  "CANCELLED",
]);

/** Whom a round asks for a digest; undefined where this round asks nobody for it. */
type Round = (digest: Digest) => PeerId | undefined;

/** A fetch of its own flights. */
export function createPeerFetch(deps: PeerFetchDeps): PeerFetch {
  const { peers, store, self } = deps;
  const flights = new Map<string, Promise<unknown>>();
  const counts = { here: 0, peer: 0, nowhere: 0 };

  /** Whom to ask, one after the other; with few hosts, in the end, everybody. */
  function roundsOf(from: PeerId | undefined): Round[] {
    const hosts = deps.hosts();
    const others = hosts.filter((peer) => peer !== self && peer !== from);
    const rest = others.length > othersAskedMax ? [] : others;
    const orderOf = (digest: Digest) => {
      const owners = ownersAmong(digest, hosts).filter((peer) => peer !== self && peer !== from);
      return [...new Set([...owners, ...rest])];
    };
    const rounds = Array.from({ length: Math.max(rest.length, ownersOfBlob) }, (_, rank) => {
      return (digest: Digest) => orderOf(digest)[rank];
    });
    return [...(from === undefined ? [] : [() => from]), ...(others.length === 0 ? [] : rounds)];
  }

  async function run(
    rounds: readonly Round[],
    wanted: readonly Digest[],
    signal: AbortSignal | undefined,
    failures: Failure[],
  ): Promise<readonly Digest[]> {
    const [round, ...rest] = rounds;
    if (round === undefined || wanted.length === 0) return wanted;
    const groups = new Map<PeerId | undefined, Digest[]>();
    const skipped = new Set<string>();
    for (const digest of wanted) {
      const peer = round(digest);
      const usable = peer !== undefined && peers.usable(peer) ? peer : undefined;
      if (usable !== peer) skipped.add(`Peer ${peer} is left alone for a while.`);
      const group = groups.get(usable) ?? [];
      groups.set(usable, group);
      group.push(digest);
    }
    for (const message of skipped) failures.push({ code: "UNAVAILABLE", message });
    const left = await Promise.all(
      [...groups].map(async ([peer, group]) =>
        peer === undefined ? run(rest, group, signal, failures) : from(peer, group),
      ),
    );
    return left.flat();

    /** What is left of a group after its peer and all that come behind it. */
    async function from(peer: PeerId, group: readonly Digest[]): Promise<readonly Digest[]> {
      const own = new AbortController();
      const both = signal === undefined ? own.signal : AbortSignal.any([signal, own.signal]);
      const stalled = Promise.withResolvers<undefined>();
      const first = peers
        .fetch(peer, group, { signal: both, onStall: () => stalled.resolve(undefined) })
        .catch(async (error: unknown) => {
          const failure = failureOf(error);
          if (!peerFailures.has(failure.code)) throw error;
          if (failure.code !== "CANCELLED") failures.push(failure);
          return store.missing(group);
        });
      const found = await Promise.race([first, stalled.promise]);
      if (found !== undefined) return run(rest, found, signal, failures);
      // Slow: the next ones are asked besides, and whoever is done first has won.
      const behind = store.missing(group).then((lacking) => run(rest, lacking, both, failures));
      await Promise.race([first, behind].map((either) => either.catch(() => undefined)));
      if ((await store.missing(group)).length > 0) await Promise.all([first, behind]);
      own.abort();
      await Promise.allSettled([first, behind]);
      return store.missing(group);
    }
  }

  async function fetch(digests: readonly Digest[], call: FetchCall = {}): Promise<FetchEnd> {
    const failures: Failure[] = [];
    let missing: readonly Digest[] = await store.missing(digests);
    const away = missing.length;
    counts.here += digests.length - away;
    const rounds = missing.length === 0 ? [] : roundsOf(call.from);
    if (rounds.length === 0) return ended();
    const awaited = missing.flatMap((digest) => flights.get(digestKey(digest)) ?? []);
    if (awaited.length > 0) {
      const fresh = missing.filter((digest) => !flights.has(digestKey(digest)));
      await Promise.all([start(fresh, rounds, call, failures), ...new Set(awaited)]);
      // Those who flew for somebody else may have been called off by him.
      missing = await store.missing(missing);
    }
    missing = await start(missing, rounds, call, failures);
    return ended();

    function ended(): FetchEnd {
      counts.peer += away - missing.length;
      counts.nowhere += missing.length;
      return { missing, failures };
    }
  }

  async function start(
    wanted: readonly Digest[],
    rounds: readonly Round[],
    call: FetchCall,
    failures: Failure[],
  ): Promise<readonly Digest[]> {
    const flight = run(rounds, wanted, call.signal, failures);
    const settled = flight.catch(() => undefined);
    const keys = wanted.map(digestKey);
    for (const key of keys) flights.set(key, settled);
    try {
      return await flight;
    } finally {
      for (const key of keys) if (flights.get(key) === settled) flights.delete(key);
    }
  }

  return { fetch, counts: () => ({ ...counts }) };
}
