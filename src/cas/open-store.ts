// Opens a host's store: blobs, results and their index in one folder.

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { ActionCache } from "./action-cache.ts";
import { DiskBlobStore, type DiskBlobStoreOptions } from "./disk-blob-store.ts";
import { openStoreIndex } from "./file-records.ts";
import { actionKeyText } from "./memory-blob-store.ts";

/** An opened store. */
export interface Store {
  readonly blobs: DiskBlobStore;
  /** Results as stored; wrap it in `CompletenessCheckingActionCache` before serving them. */
  readonly actions: ActionCache;
  /** Bytes on disk by the index's count. */
  totalBytes(): number;
  close(): Promise<void>;
}

/** Blobs used within the last five minutes are not evicted: longer than any gap inside a build. */
const protectMsDefault = 300_000;

/** Opens or creates the store in `folder`. Other processes may have it open too. */
export function openStore(
  deps: { readonly now: () => number },
  options: Pick<DiskBlobStoreOptions, "folder" | "bytesMax"> & Partial<DiskBlobStoreOptions>,
): Store {
  mkdirSync(options.folder, { recursive: true, mode: 0o755 });
  const index = openStoreIndex(join(options.folder, "index"), deps);
  const blobs = new DiskBlobStore(
    { index, now: deps.now },
    {
      protectMs: protectMsDefault,
      // A root node runs actions as another user, who cannot alter root's read-only files.
      shareBy: process.getuid?.() === 0 ? "link" : "copy",
      ...options,
    },
  );
  return {
    blobs,
    actions: {
      get: async (key) => index.getResult(actionKeyText(key)),
      put: (key, bytes) => index.putResult(actionKeyText(key), { bytes, storedAtMs: deps.now() }),
    },
    totalBytes: () => index.totalBytes(),
    close: () => index.close(),
  };
}
