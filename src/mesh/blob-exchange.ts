// Blobs and results between this host's store and those of linked peers: one stream a peer for what
// this host asks, one for what it is asked. The mesh's side of `PeerBlobs`.

import type { Stream } from "@libp2p/interface";
import type { ActionCache } from "../cas/action-cache.ts";
import { isEmptyBlob } from "../cas/hash.ts";
import type { PeerBlobs, PeerCall } from "../cas/peer-blobs.ts";
import type { PeerId } from "../core/action.ts";
import type { Digest, DigestFunction } from "../core/digest.ts";
import { failureOf, MeshError } from "../core/error.ts";
import type { Log } from "../telemetry/logger.ts";
import { blobBounds } from "../wire/blob-codec.ts";
import { type AnswerOptions, startBlobAnswers } from "./blob-answers.ts";
import { type BlobRequests, type RequestOptions, startBlobRequests } from "./blob-requests.ts";
import { blobProtocol } from "./blob-stream.ts";
import type { MeshHost } from "./mesh-host.ts";
import type { ServedStore } from "./pack-parts.ts";
import { createPeerScores } from "./peer-scores.ts";

/** Bounds and times of the exchange with each peer. */
export interface BlobExchangeOptions extends RequestOptions, AnswerOptions {}

/** For hosts on a LAN; `blobBytesMax` is the store's bound. */
export const lanBlobOptions: Omit<BlobExchangeOptions, "blobBytesMax"> = {
  requestsAtOnce: 32,
  stallMs: 2000,
  giveUpMs: 10_000,
  unstoredBytesMax: 8 << 20,
};

/** What was counted since the start. */
export interface BlobExchangeCounts {
  readonly blobsFetched: number;
  readonly bytesFetched: number;
  readonly blobsPut: number;
  readonly bytesPut: number;
  /** Peers caught lying, each time. */
  readonly lies: number;
  /** Requests given up for slowness. */
  readonly timeouts: number;
}

/** A running exchange. */
export interface BlobExchange extends PeerBlobs {
  counts(): BlobExchangeCounts;
  close(): void;
}

/** Serves the protocol on `mesh` and asks others over it. Where `serves` is false it only asks. */
export async function startBlobExchange(
  deps: {
    readonly mesh: Pick<MeshHost, "serveProtocol" | "openStream" | "pulseOf">;
    /** The host's own store: never one that asks peers, or questions would travel in circles. */
    readonly store: ServedStore;
    readonly actions: ActionCache;
    readonly log: Log;
    readonly now: () => number;
  },
  options: BlobExchangeOptions & { readonly serves: boolean },
): Promise<BlobExchange> {
  const { mesh, store, log } = deps;
  const scores = createPeerScores(deps.now);
  const requestsByPeer = new Map<PeerId, Promise<BlobRequests>>();
  const answering = new Set<{ close(why: string): void }>();
  const counts = {
    ...{ blobsFetched: 0, bytesFetched: 0, blobsPut: 0, bytesPut: 0 },
    ...{ lies: 0, timeouts: 0 },
  };

  function ended(peer: PeerId, why: string, lied: boolean): void {
    if (!lied) return;
    counts.lies += 1;
    const spanMs = scores.lied(peer);
    log("warn", `Peer ${peer} is not asked for blobs for ${spanMs / 1000} s: ${why}`);
  }

  function answer(peer: PeerId, stream: Stream): void {
    const closed = (why: string, lied: boolean) => {
      answering.delete(answers);
      ended(peer, why, lied);
    };
    const { actions } = deps;
    const rttMs = () => mesh.pulseOf(peer)?.rttMs;
    const answers = startBlobAnswers({ stream, store, actions, rttMs, closed }, options);
    answering.add(answers);
  }

  function requestsTo(peer: PeerId): Promise<BlobRequests> {
    const known = requestsByPeer.get(peer);
    if (known !== undefined) return known;
    const forget = () => {
      if (requestsByPeer.get(peer) === opened) requestsByPeer.delete(peer);
    };
    const opened: Promise<BlobRequests> = mesh
      .openStream(peer, blobProtocol)
      .then((stream) => {
        const closed = (why: string, lied: boolean) => {
          forget();
          ended(peer, why, lied);
        };
        const rttMs = () => mesh.pulseOf(peer)?.rttMs;
        return startBlobRequests({ peer, stream, store, rttMs, closed }, options);
      })
      .catch((error: unknown) => {
        forget();
        const { message } = failureOf(error);
        throw new MeshError("UNAVAILABLE", `Peer ${peer} cannot be asked for blobs: ${message}`);
      });
    requestsByPeer.set(peer, opened);
    return opened;
  }

  /** A stream that was idle may have ended unnoticed, so what broke off is tried once more. */
  async function withPeer<T>(
    peer: PeerId,
    call: PeerCall,
    what: string,
    ask: (of: BlobRequests) => Promise<T>,
  ): Promise<T> {
    log("debug", `To ${peer}: ${what}`);
    if (!scores.usable(peer)) {
      throw new MeshError("UNAVAILABLE", `Peer ${peer} is left alone for a while. Ask another.`);
    }
    for (let attempt = 0; ; attempt += 1) {
      try {
        const found = await ask(await inTime(peer, requestsTo(peer), call, options));
        scores.answered(peer);
        return found;
      } catch (error) {
        const { code } = failureOf(error);
        if (code === "DEADLINE_EXCEEDED") {
          counts.timeouts += 1;
          scores.slow(peer);
        }
        if (code !== "UNAVAILABLE" || attempt > 0) throw error;
      }
    }
  }

  async function inBatches(
    peer: PeerId,
    what: "want" | "ask" | "put",
    digests: readonly Digest[],
    call: PeerCall,
    ask: (of: BlobRequests, batch: readonly Digest[]) => Promise<readonly Digest[]>,
  ): Promise<Digest[]> {
    const left: Digest[] = [];
    for (const batch of batchesOf(digests)) {
      const some = `${what} ${batch.length}`;
      left.push(...(await withPeer(peer, call, some, (requests) => ask(requests, batch))));
    }
    return left;
  }

  async function put(peer: PeerId, digests: readonly Digest[], call: PeerCall): Promise<void> {
    await inBatches(peer, "put", digests, call, async (requests, batch) => {
      await requests.put(batch, call);
      counts.blobsPut += batch.length;
      counts.bytesPut += bytesOf(batch);
      return [];
    });
  }

  async function fetch(peer: PeerId, digests: readonly Digest[], call: PeerCall) {
    return inBatches(peer, "want", digests, call, async (requests, batch) => {
      const missing = await requests.fetch(batch, call);
      counts.blobsFetched += batch.length - missing.length;
      counts.bytesFetched += bytesOf(batch) - bytesOf(missing);
      return missing;
    });
  }

  if (options.serves) await mesh.serveProtocol(blobProtocol, answer);
  return {
    usable: (peer) => scores.usable(peer),
    fetch: (peer, digests, call = {}) => fetch(peer, digests, call),
    ask: (peer, digests, call = {}) =>
      inBatches(peer, "ask", digests, call, (requests, batch) => requests.ask(batch, call)),
    put: (peer, digests, call = {}) => put(peer, digests, call),
    getResult: (peer, key, call = {}) =>
      withPeer(peer, call, "getResult", (of) => of.getResult(key, call)),
    putResult: (peer, key, bytes, call = {}) =>
      withPeer(peer, call, "putResult", (of) => of.putResult(key, bytes, call)),
    counts: () => ({ ...counts }),
    close: () => {
      for (const answers of answering) answers.close("this node stops");
      for (const opened of requestsByPeer.values()) {
        opened.then((requests) => requests.close("this node stops")).catch(() => undefined);
      }
    },
  };
}

/** A peer that is frozen does not even open a stream: for that too it has only so long. */
function inTime<T>(
  peer: PeerId,
  work: Promise<T>,
  { signal, patienceMs, onStall }: PeerCall,
  options: RequestOptions,
): Promise<T> {
  const waitMs = patienceMs ?? options.giveUpMs;
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  const stop = () => reject(new MeshError("CANCELLED", "Nobody waits any more."));
  const stall = setTimeout(() => onStall?.(), options.stallMs);
  const late = setTimeout(() => {
    reject(new MeshError("DEADLINE_EXCEEDED", `Peer ${peer} opened no stream in ${waitMs} ms.`));
  }, waitMs);
  signal?.addEventListener("abort", stop);
  work.then(resolve, reject);
  return promise.finally(() => {
    clearTimeout(stall);
    clearTimeout(late);
    signal?.removeEventListener("abort", stop);
  });
}

/** Requests are of one function each, and bounded. The empty blob is everywhere. */
function* batchesOf(digests: readonly Digest[]): Generator<readonly Digest[]> {
  const byFunction = new Map<DigestFunction, Digest[]>();
  for (const digest of digests) {
    if (isEmptyBlob(digest)) continue;
    const same = byFunction.get(digest.fn) ?? [];
    byFunction.set(digest.fn, same);
    same.push(digest);
  }
  for (const same of byFunction.values()) {
    for (let at = 0; at < same.length; at += blobBounds.digestsMax) {
      yield same.slice(at, at + blobBounds.digestsMax);
    }
  }
}

function bytesOf(digests: readonly Digest[]): number {
  return digests.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}
