// The blobs of a mesh, as an ingress sees them: this host's store first, then those of the others.
// What is written gets a second copy; what is read from elsewhere stays here.

import type { Digest, DigestFunction } from "../core/digest.ts";
import { failureOf, MeshError } from "../core/error.ts";
import type { BlobRange, BlobStore, HashLookup, Holds, LocalFiles } from "./blob-store.ts";
import { isEmptyBlob } from "./hash.ts";
import { missingEverywhere } from "./peer-ask.ts";
import type { PeerBlobs } from "./peer-blobs.ts";
import { createPeerFetch, type PeerFetchDeps, type SourceCounts } from "./peer-fetch.ts";
import { createReplicator, type ReplicateCounts } from "./replicate.ts";

/** What an ingress wants of a store. */
export type IngressStore = BlobStore & Holds & HashLookup & Pick<LocalFiles, "adopt">;

/** How a mesh keeps blobs. */
export interface MeshBlobStoreOptions {
  /** `owner`: a write is done when a second live host has it too; `none`: at once. */
  readonly replicate: "owner" | "none";
  /** A host that makes no progress for so long, in ms, gets no second copy. */
  readonly replicateMs: number;
  /** A host that does not answer whether it has blobs for so long, in ms, counts as without. */
  readonly askMs: number;
}

/** For hosts on a LAN. */
export const meshBlobDefaults: MeshBlobStoreOptions = {
  replicate: "owner",
  replicateMs: 2000,
  askMs: 1000,
};

/** A store that spans the hosts of a mesh. */
export interface MeshBlobStore extends IngressStore {
  counts(): ReplicateCounts & SourceCounts;
}

/**
 * Wraps this host's store. Where no other host lives, every call goes straight to it. `peers` must
 * serve others from `store` alone, or questions would travel in circles.
 */
export function createMeshBlobStore(
  deps: Omit<PeerFetchDeps, "store"> & { readonly peers: PeerBlobs; readonly store: IngressStore },
  options: MeshBlobStoreOptions = meshBlobDefaults,
): MeshBlobStore {
  const { store, self } = deps;
  const fetcher = createPeerFetch(deps);
  const replicator = createReplicator(deps, { patienceMs: options.replicateMs });
  let readHere = 0;
  const alone = () => deps.hosts().every((peer) => peer === self);

  /** Copies a blob here if any host has it. UNAVAILABLE where one that may have it is silent. */
  async function bring(digest: Digest): Promise<void> {
    const { missing, failures } = await fetcher.fetch([digest]);
    const [failure] = failures;
    if (missing.length === 0 || failure === undefined) return;
    throw new MeshError(
      "UNAVAILABLE",
      `Blob ${digest.hash} is not here, and not all hosts could be asked: ${failure.message}`,
    );
  }

  async function missing(digests: readonly Digest[]): Promise<Digest[]> {
    const lacking = await store.missing(digests);
    if (lacking.length === 0 || alone()) return lacking;
    return missingEverywhere(deps, lacking, options.askMs);
  }

  async function* readAnywhere(digest: Digest, range?: BlobRange): AsyncGenerator<Uint8Array> {
    if ((await store.missing([digest])).length > 0) await bring(digest);
    else readHere += 1;
    yield* store.read(digest, range);
  }

  async function getAnywhere(digest: Digest, bytesMax: number): Promise<Uint8Array> {
    try {
      const bytes = await store.get(digest, bytesMax);
      readHere += 1;
      return bytes;
    } catch (error) {
      if (failureOf(error).code !== "NOT_FOUND") throw error;
      await bring(digest);
      return store.get(digest, bytesMax);
    }
  }

  /** The second copy of what was just written. */
  async function copied(digest: Digest): Promise<Digest> {
    const copies = options.replicate === "owner" && !isEmptyBlob(digest) && !alone();
    if (copies) await replicator.copy(digest);
    return digest;
  }

  return {
    missing,
    read: (digest, range) => (alone() ? store.read(digest, range) : readAnywhere(digest, range)),
    get: (digest, bytesMax) =>
      alone() ? store.get(digest, bytesMax) : getAnywhere(digest, bytesMax),
    write: async (digest: Digest, chunks: AsyncIterable<Uint8Array>) => {
      await store.write(digest, chunks);
      await copied(digest);
    },
    put: async (bytes: Uint8Array, fn: DigestFunction) => copied(await store.put(bytes, fn)),
    adopt: async (path: string, fn: DigestFunction) => copied(await store.adopt(path, fn)),
    hold: (sinceMs) => store.hold(sinceMs),
    findByHash: (fn, hash) => store.findByHash(fn, hash),
    counts: () => {
      const fetched = fetcher.counts();
      return { ...replicator.counts(), ...fetched, here: fetched.here + readHere };
    },
  };
}
