// Associations as they may be served: only when all that they stand for can be had now. A reference
// to content that is gone is worse than none, for its client stops looking.

import type { AssetKey, AssetRecords, Association } from "../cas/asset-records.ts";
import type { BlobStore } from "../cas/blob-store.ts";
import { directoryClosure } from "../cas/directory-closure.ts";
import type { Digest } from "../core/digest.ts";
import { MeshError } from "../core/error.ts";
import type { AssetName, AssetPush, AssetRequest } from "./remote-asset-requests.ts";

/** Content in the store and the URI that led to it. */
export interface Found {
  readonly digest: Digest;
  readonly uri: string;
}

/** What was pushed and fetched, checked against the store. */
export interface Associations {
  /** The first URI's that is young enough and whole; its blobs live on for being served. */
  find(kind: AssetKey["kind"], asked: AssetRequest): Promise<Found | undefined>;
  /**
   * Keeps what a client says. FAILED_PRECONDITION with `missing` unless all of it is in the store;
   * INVALID_ARGUMENT where the digest contradicts the checksum beside it.
   */
  keepPushed(kind: AssetKey["kind"], push: AssetPush, digest: Digest): Promise<void>;
  /** Keeps what the `at`th URI gave. */
  keepFetched(asked: AssetRequest, at: number, digest: Digest, startedAtMs: number): Promise<void>;
}

type Content = Pick<Association, "digest" | "blobs" | "directories">;

/** Creates the view of `records`. */
export function createAssociations(deps: {
  readonly store: BlobStore;
  readonly records: AssetRecords;
  readonly now: () => number;
}): Associations {
  const { store, records, now } = deps;
  return {
    find: async (kind, asked) => {
      for (const [at, uri] of asked.uris.entries()) {
        const known = records.find(keyOf(kind, asked, at));
        if (known === undefined || known.storedAtMs < (asked.oldestMs ?? 0)) continue;
        // A folder that has become unreadable is as good as gone.
        const missing = await missingOf(store, kind, known).catch(() => [known.digest]);
        if (missing.length === 0) return { digest: known.digest, uri };
      }
      return undefined;
    },
    keepPushed: async (kind, push, digest) => {
      const { integrity } = push.qualifiers;
      if (kind === "blob" && integrity?.algorithm === digest.fn)
        checkSame(integrity.hashes, digest);
      const { blobs, directories, expireAtMs, uris } = push;
      const missing = await missingOf(store, kind, { digest, blobs, directories });
      if (missing.length > 0) throw notUploaded(missing);
      const keys = uris.map((_, at) => keyOf(kind, push, at));
      await records.put(keys, { digest, blobs, directories, expireAtMs, storedAtMs: now() });
    },
    keepFetched: (asked, at, digest, storedAtMs) =>
      records.put([keyOf("blob", asked, at)], {
        digest,
        blobs: [],
        directories: [],
        expireAtMs: undefined,
        storedAtMs,
      }),
  };
}

function keyOf(kind: AssetKey["kind"], name: AssetName, at: number): AssetKey {
  const { instance, fn, uris, qualifiers } = name;
  return { instance, kind, fn, uri: uris[at] ?? "", qualifiers: qualifiers.keyOf(at) };
}

/** Which blobs cannot be had, folders walked; extends the life of those that can. */
async function missingOf(
  store: BlobStore,
  kind: AssetKey["kind"],
  { digest, blobs, directories }: Content,
): Promise<Digest[]> {
  const missing: Digest[] = [];
  const named = kind === "blob" ? [digest, ...blobs] : [...blobs];
  for (const root of kind === "blob" ? directories : [digest, ...directories]) {
    const below = await directoryClosure(store, root);
    missing.push(...below.absent);
    for (const one of below.named) named.push(one);
  }
  for (const one of await store.missing(named)) missing.push(one);
  return missing;
}

function checkSame(hashes: readonly string[], { hash }: Digest): void {
  if (hashes.includes(hash)) return;
  throw new MeshError("INVALID_ARGUMENT", `checksum.sri is not that of blob ${hash}. Correct one.`);
}

function notUploaded(missing: readonly Digest[]): MeshError {
  return new MeshError(
    "FAILED_PRECONDITION",
    `${missing.length} blobs of this asset are not in the store. Upload them, then push again.`,
    { missing },
  );
}
