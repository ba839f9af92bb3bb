// Reading a tree of folders from outside without being drowned by it: every different folder once,
// everything counted before anything is written out.

import { type Digest, type DigestFunction, digestKey } from "../core/digest.ts";
import { MeshError } from "../core/error.ts";
import type { Directory } from "../wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import { fromWireDigest } from "../wire/reapi.ts";

/** Bounds of trees from outside. */
export const treeBounds = {
  entriesMax: 1_000_000,
  depthMax: 256,
  directoryBytesMax: 16 << 20,
  /** All different Directory messages of one tree. */
  messageBytesMax: 256 << 20,
};

/** Bound: Directory messages read at the same time. */
const readsAtOnce = 16;

/** Every different folder below a root. */
export interface LoadedFolders {
  readonly folders: readonly Directory[];
  /** Folders that are named but cannot be had. */
  readonly missing: readonly Digest[];
  /** The folders directly in one, by name, as far as they were found. */
  childrenOf(folder: Directory): readonly { readonly name: string; readonly folder: Directory }[];
}

/**
 * Reads every different folder below `root` once, level by level. `read` answers undefined for what
 * is missing. INVALID_ARGUMENT for bad digests and trees beyond the bounds.
 */
export async function loadFolders(
  root: Directory,
  fn: DigestFunction,
  read: (digest: Digest, path: string) => Promise<Directory | undefined>,
): Promise<LoadedFolders> {
  const folderByKey = new Map<string, Directory>();
  const missing: Digest[] = [];
  const seen = new Set<string>();
  let messageBytes = 0;
  let level: { digest: Digest; path: string }[] = [];
  const enter = (folder: Directory, path: string, below: typeof level) => {
    for (const child of folder.directories) {
      const childPath = path === "" ? child.name : `${path}/${child.name}`;
      const digest = fromWireDigest(child.digest, fn, `The digest of ${childPath}`);
      if (seen.has(digestKey(digest))) continue;
      seen.add(digestKey(digest));
      messageBytes += digest.sizeBytes;
      if (seen.size > treeBounds.entriesMax) throw tooMany("entries", childPath);
      if (messageBytes > treeBounds.messageBytesMax) throw tooMany("bytes of folders", childPath);
      below.push({ digest, path: childPath });
    }
  };
  enter(root, "", level);
  for (let depth = 1; level.length > 0; depth += 1) {
    if (depth > treeBounds.depthMax) throw tooDeep();
    const below: typeof level = [];
    for (let at = 0; at < level.length; at += readsAtOnce) {
      const batch = level.slice(at, at + readsAtOnce);
      const found = await Promise.all(batch.map(({ digest, path }) => read(digest, path)));
      for (const [index, { digest, path }] of batch.entries()) {
        const folder = found[index];
        if (folder === undefined) {
          missing.push(digest);
          continue;
        }
        folderByKey.set(digestKey(digest), folder);
        enter(folder, path, below);
      }
    }
    level = below;
  }
  const childrenOf = (folder: Directory) =>
    folder.directories.flatMap(({ name, digest }) => {
      const found = folderByKey.get(digestKey(fromWireDigest(digest, fn, name)));
      return found === undefined ? [] : [{ name, folder: found }];
    });
  return { folders: [...folderByKey.values()], missing, childrenOf };
}

/**
 * INVALID_ARGUMENT for too many entries or levels. Counts without writing anything out, as a small
 * tree that reuses its folders may stand for more entries than any memory holds.
 */
export function checkSize(root: Directory, loaded: LoadedFolders): void {
  const sizeByFolder = new Map<Directory, { entries: number; height: number }>();
  const measure = (folder: Directory, depth: number): { entries: number; height: number } => {
    const known = sizeByFolder.get(folder);
    if (depth + (known?.height ?? 0) > treeBounds.depthMax) throw tooDeep();
    if (known !== undefined) return known;
    const size = { entries: folder.files.length + folder.symlinks.length, height: 0 };
    for (const child of loaded.childrenOf(folder)) {
      const below = measure(child.folder, depth + 1);
      size.entries += 1 + below.entries;
      size.height = Math.max(size.height, below.height + 1);
    }
    if (size.entries > treeBounds.entriesMax) throw tooMany("entries", "");
    sizeByFolder.set(folder, size);
    return size;
  };
  measure(root, 0);
}

const limitByThing = {
  entries: treeBounds.entriesMax,
  "bytes in a folder": treeBounds.directoryBytesMax,
  "bytes of folders": treeBounds.messageBytesMax,
};

/** The refusal of a tree with too many of something at `path`. */
export function tooMany(what: keyof typeof limitByThing, path: string): MeshError {
  const limit = limitByThing[what];
  const place = path === "" ? "" : ` at ${JSON.stringify(path.slice(0, 200))}`;
  return new MeshError("INVALID_ARGUMENT", `A tree of over ${limit} ${what}${place}. Split it.`);
}

function tooDeep(): MeshError {
  return new MeshError("INVALID_ARGUMENT", `Folders nest over ${treeBounds.depthMax} deep.`);
}
