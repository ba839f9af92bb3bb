// Opens a host's store: blobs, results and their index in one folder.

import * as fs from "node:fs";
import { join } from "node:path";
import { type ActionCache, actionKeyText } from "./action-cache.ts";
import { DiskBlobStore, type DiskBlobStoreOptions } from "./disk-blob-store.ts";
import { markOpen } from "./open-marks.ts";
import { makePrivate } from "./private-folder.ts";
import { openStoreIndex, type StoreIndex } from "./store-records.ts";

/** An opened store. */
export interface Store {
  readonly blobs: DiskBlobStore;
  /** Results as stored; wrap it in `CompletenessCheckingActionCache` before serving them. */
  readonly actions: ActionCache;
  readonly index: StoreIndex;
  /** Bytes on disk by the index's count. */
  totalBytes(): number;
  close(): Promise<void>;
}

/** Blobs used within the last five minutes are not evicted: longer than any gap inside a build. */
const protectMsDefault = 300_000;

/**
 * Opens or creates the store in `folder`. Other processes may have it open too, of the same user:
 * its content is closed to others.
 */
export function openStore(
  deps: { readonly now: () => number },
  options: Pick<DiskBlobStoreOptions, "folder" | "bytesMax"> & Partial<DiskBlobStoreOptions>,
): Store {
  const { folder } = options;
  fs.mkdirSync(folder, { recursive: true, mode: 0o700 });
  makePrivate(join(folder, "open"));
  const mark = markOpen(join(folder, "open"), join(folder, "index", "data.mdb"));
  if (mark.wasInterrupted) fs.rmSync(join(folder, "index"), { recursive: true, force: true });
  for (const name of ["blobs", "index", "tmp"]) makePrivate(join(folder, name));
  const index = openStoreIndex(join(folder, "index"), deps);
  const blobs = new DiskBlobStore(
    { index, now: deps.now },
    {
      protectMs: protectMsDefault,
      // A root node runs actions as another user, who cannot alter root's read-only files.
      shareBy: process.getuid?.() === 0 ? "link" : "copy",
      ...options,
    },
  );
  sweepTmp(join(folder, "tmp"));
  if (mark.wasInterrupted) recount(folder, blobs);
  return {
    blobs,
    actions: {
      get: async (key) => index.getResult(actionKeyText(key)),
      put: (key, bytes) => index.putResult(actionKeyText(key), { bytes, storedAtMs: deps.now() }),
    },
    index,
    totalBytes: () => index.totalBytes(),
    close: async () => {
      await index.close();
      mark.remove();
    },
  };
}

/** Files written so shortly before the machine went down may be on disk in name only, in ms. */
const unsureMs = 60_000;

/** After a power failure: counts what is whole, removes what may not be. */
function recount(folder: string, blobs: DiskBlobStore): void {
  const found = [...storedFiles(folder)].map(({ key, size }) => {
    const path = join(folder, "blobs", key);
    const stat = fs.statSync(path);
    return { key, size, path, whole: stat.size === size, mtimeMs: stat.mtimeMs };
  });
  const newestMs = found.reduce((newest, { mtimeMs }) => Math.max(newest, mtimeMs), 0);
  for (const { key, size, path, whole, mtimeMs } of found) {
    if (whole && mtimeMs < newestMs - unsureMs) blobs.count(key, size);
    else fs.rmSync(path, { force: true });
  }
}

/** Every file below `blobs` with the size its name tells, without looking at it. */
export function* storedFiles(folder: string): Generator<{ key: string; size: number }> {
  const blobs = join(folder, "blobs");
  for (const fn of namesIn(blobs)) {
    for (const prefix of namesIn(join(blobs, fn))) {
      for (const name of namesIn(join(blobs, fn, prefix))) {
        const size = /^[0-9a-f]+-(\d+)(-[fx])?$/.exec(name)?.[1];
        if (size !== undefined) yield { key: `${fn}/${prefix}/${name}`, size: Number(size) };
      }
    }
  }
}

/** Unfinished files of processes that no longer exist. */
function sweepTmp(folder: string): void {
  for (const name of namesIn(folder)) {
    const pid = /^(\d+)\./.exec(name)?.[1];
    if (pid !== undefined && fs.existsSync(`/proc/${pid}`)) continue;
    fs.rmSync(join(folder, name), { force: true });
  }
}

function namesIn(folder: string): string[] {
  try {
    return fs.readdirSync(folder);
  } catch {
    return [];
  }
}
