// The store of this host for the command line.

import {
  exportAction,
  exportBlob,
  type StoreReport,
  type StoreStats,
  statStore,
  verifyStore,
} from "../cas/maintenance.ts";
import { openStore } from "../cas/open-store.ts";
import { type Digest, parseDigestKey } from "../core/digest.ts";
import { MeshError } from "../core/error.ts";

/** What people do with a store. */
export interface StoreTools {
  stats(): StoreStats;
  verify(repair: boolean, onProgress: (checked: number) => void): Promise<StoreReport>;
  /** Evicts until `bytes` are stored at most, sparing what was used within `ageMs`. */
  shrink(bytes: number, ageMs: number): number;
  exportBlob(digest: string, to: string): Promise<void>;
  exportAction(instance: string, digest: string, to: string): Promise<number>;
  close(): Promise<void>;
}

/** Opens the store in `folder`. */
export function openHostStore(folder: string, now: () => number): StoreTools {
  const store = openStore({ now }, { folder, bytesMax: Number.MAX_SAFE_INTEGER });
  return {
    stats: () => statStore(store),
    verify: (repair, onProgress) => verifyStore(store, folder, { repair, onProgress }),
    shrink: (bytes, ageMs) => store.blobs.shrink(bytes, now() - ageMs),
    exportBlob: (digest, to) => exportBlob(store, readDigest(digest), to),
    exportAction: (instance, digest, to) =>
      exportAction(store, { instance, action: readDigest(digest) }, to),
    close: () => store.close(),
  };
}

function readDigest(text: string): Digest {
  const digest = parseDigestKey(text.includes(":") ? text : `sha256:${text}`);
  if (digest !== undefined) return digest;
  throw new MeshError(
    "INVALID_ARGUMENT",
    `${JSON.stringify(text.slice(0, 200))} is no digest. It wants HASH/SIZE or FUNCTION:HASH/SIZE.`,
  );
}
