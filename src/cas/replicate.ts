// A second copy of what is written here, at one other host, before the writer is told that it is
// kept. Writes of one moment travel together.

import type { PeerId } from "../core/action.ts";
import { ownersAmong } from "../core/blob-owners.ts";
import { type Digest, digestKey } from "../core/digest.ts";
import type { PeerFetchDeps } from "./peer-fetch.ts";
import { putLacking } from "./put-lacking.ts";

/** How second copies are made. */
export interface ReplicateOptions {
  /** A host that makes no progress for so long, in ms, is given up: one copy has to do. */
  readonly patienceMs: number;
}

/** How often writes ended with two copies, and with one although other hosts live. */
export interface ReplicateCounts {
  readonly copied: number;
  readonly single: number;
}

/** Makes second copies. */
export interface Replicator {
  /** Resolves when another host has the blob, or when none takes it in time. Never rejects. */
  copy(digest: Digest): Promise<void>;
  counts(): ReplicateCounts;
}

/** Bound: blobs in one batch. */
const batchBlobsMax = 1000;
/** Bound: batches on their way to one host; meanwhile the next one gathers. */
const batchesAtOnce = 4;

interface Waiting {
  readonly digest: Digest;
  done(): void;
}

interface Lane {
  queue: Waiting[];
  underWay: number;
  scheduled: boolean;
}

/** A replicator of this host's blobs. */
export function createReplicator(deps: PeerFetchDeps, options: ReplicateOptions): Replicator {
  const { peers, self } = deps;
  const laneByPeer = new Map<PeerId, Lane>();
  const counts = { copied: 0, single: 0 };

  /** The first owner that can be asked, or else anybody. */
  function targetOf(digest: Digest): PeerId | undefined {
    const others = deps.hosts().filter((peer) => peer === self || peers.usable(peer));
    return ownersAmong(digest, others).find((peer) => peer !== self);
  }

  function schedule(peer: PeerId, lane: Lane): void {
    if (lane.scheduled || lane.underWay >= batchesAtOnce || lane.queue.length === 0) return;
    lane.scheduled = true;
    setImmediate(() => {
      lane.scheduled = false;
      const batch = lane.queue.splice(0, batchBlobsMax);
      lane.underWay += 1;
      send(peer, batch)
        .then(
          () => {
            counts.copied += batch.length;
          },
          () => {
            counts.single += batch.length;
          },
        )
        .finally(() => {
          for (const { done } of batch) done();
          lane.underWay -= 1;
          if (lane.underWay === 0 && lane.queue.length === 0) laneByPeer.delete(peer);
          schedule(peer, lane);
        });
      schedule(peer, lane);
    });
  }

  async function send(peer: PeerId, batch: readonly Waiting[]): Promise<void> {
    const digestByKey = new Map(batch.map(({ digest }) => [digestKey(digest), digest]));
    await putLacking(peers, peer, [...digestByKey.values()], options);
  }

  return {
    copy: (digest) => {
      const peer = targetOf(digest);
      if (peer === undefined) {
        counts.single += 1;
        return Promise.resolve();
      }
      const lane = laneByPeer.get(peer) ?? { queue: [], underWay: 0, scheduled: false };
      laneByPeer.set(peer, lane);
      const { promise, resolve } = Promise.withResolvers<void>();
      lane.queue.push({ digest, done: resolve });
      schedule(peer, lane);
      return promise;
    },
    counts: () => ({ ...counts }),
  };
}
