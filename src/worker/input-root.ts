// Lays an action's input tree out on disk: folders, links from the store, symlinks.

import { chmodSync, mkdirSync, symlinkSync, utimesSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { BlobStore, LocalFiles } from "../cas/blob-store.ts";
import { type FileProperties, readTree, type TreeEntry } from "../cas/merkle.ts";
import type { Digest } from "../core/digest.ts";
import { MeshError } from "../core/error.ts";

/** Bound: files materialized at the same time per action. */
const filesAtOnce = 32;

/**
 * Makes the folder `execRoot` hold the tree `root`. FAILED_PRECONDITION with the missing digests
 * where blobs are absent, INVALID_ARGUMENT where the tree breaks REAPI's rules.
 */
export async function layInputRoot(
  store: BlobStore & LocalFiles,
  root: Digest,
  execRoot: string,
): Promise<void> {
  // Each of these takes microseconds; a trip through the thread pool takes ten times as long.
  mkdirSync(execRoot, { recursive: true });
  const entries = await readTree(store, root);
  for (const folder of foldersOf(entries)) mkdirSync(join(execRoot, folder), { mode: 0o777 });
  const missing: Digest[] = [];
  await forEachAtOnce(entries, filesAtOnce, async (entry) => {
    const path = join(execRoot, entry.path);
    if (entry.kind === "symlink") symlinkSync(entry.target, path);
    if (entry.kind !== "file") return;
    try {
      if (entry.properties === undefined) {
        await store.materialize(entry.digest, path, { executable: entry.executable });
      } else await copyWith(store, entry, entry.properties, path);
    } catch (error) {
      if (!(error instanceof MeshError) || error.code !== "NOT_FOUND") throw error;
      missing.push(entry.digest);
    }
  });
  if (missing.length > 0) {
    throw new MeshError(
      "FAILED_PRECONDITION",
      `${missing.length} input blobs are missing. Upload them and run the action again.`,
      { missing },
    );
  }
}

/** A file with a mode or time of its own cannot be a link to what others share. */
async function copyWith(
  store: BlobStore,
  { digest, executable }: Extract<TreeEntry, { kind: "file" }>,
  { mtimeMs, unixMode }: FileProperties,
  path: string,
): Promise<void> {
  await writeFile(path, store.read(digest), { flag: "wx" });
  chmodSync(path, unixMode === undefined ? (executable ? 0o555 : 0o444) : unixMode & 0o777);
  if (mtimeMs !== undefined) utimesSync(path, mtimeMs / 1000, mtimeMs / 1000);
}

/** Every folder of the tree, parents first. */
function foldersOf(entries: readonly TreeEntry[]): string[] {
  const folders = new Set<string>();
  for (const entry of entries) {
    const own = entry.kind === "directory" ? entry.path : dirname(entry.path);
    for (let folder = own; folder !== "." && folder !== ""; folder = dirname(folder)) {
      if (folders.has(folder)) break;
      folders.add(folder);
    }
  }
  return [...folders].sort();
}

async function forEachAtOnce<T>(
  items: readonly T[],
  limit: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const rest = items.values();
  const lane = async () => {
    for (const item of rest) await work(item);
  };
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, lane));
}
