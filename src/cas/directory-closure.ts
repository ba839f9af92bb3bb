// All that a Directory stands for: itself, the folders below it and their files, each once.

import { type Digest, digestKey } from "../core/digest.ts";
import { failureOf, MeshError } from "../core/error.ts";
import { Directory } from "../wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import { fromWireDigest } from "../wire/reapi.ts";
import type { BlobStore } from "./blob-store.ts";

/** What lies below a root, as far as it can be read. */
export interface DirectoryClosure {
  /** Folders that are there, and the files they name (there or not). */
  readonly named: readonly Digest[];
  /** Folders that are not there; what is below them is unknown. */
  readonly absent: readonly Digest[];
}

/** Bound: bytes of one Directory message. */
const directoryBytesMax = 64 << 20;
/** Bound: folders below one root. */
const foldersMax = 100_000;

/**
 * Walks a tree by digest: a folder that occurs often is read once. INVALID_ARGUMENT where a blob is
 * no Directory, a digest is malformed, or there are over 100 000 folders.
 */
export async function directoryClosure(store: BlobStore, root: Digest): Promise<DirectoryClosure> {
  const named = new Map<string, Digest>();
  const absent: Digest[] = [];
  const seen = new Set<string>();
  const queue = [root];
  for (let digest = queue.pop(); digest !== undefined; digest = queue.pop()) {
    const key = digestKey(digest);
    if (seen.has(key)) continue;
    seen.add(key);
    if (seen.size > foldersMax) {
      throw new MeshError("INVALID_ARGUMENT", `A folder holds over ${foldersMax} folders.`);
    }
    const bytes = await readIfThere(store, digest);
    if (bytes === undefined) {
      absent.push(digest);
      continue;
    }
    named.set(key, digest);
    const { files, directories } = decodeDirectory(bytes, digest);
    for (const file of files) {
      const content = fromWireDigest(file.digest, digest.fn, file.name);
      named.set(digestKey(content), content);
    }
    for (const child of directories) {
      queue.push(fromWireDigest(child.digest, digest.fn, child.name));
    }
  }
  return { named: [...named.values()], absent };
}

function readIfThere(store: BlobStore, digest: Digest): Promise<Uint8Array | undefined> {
  return store.get(digest, directoryBytesMax).catch((error: unknown) => {
    if (failureOf(error).code === "NOT_FOUND") return undefined;
    throw error;
  });
}

function decodeDirectory(bytes: Uint8Array, { hash }: Digest): Directory {
  try {
    return Directory.decode(bytes);
  } catch (cause) {
    throw new MeshError("INVALID_ARGUMENT", `Blob ${hash} is no Directory message.`, { cause });
  }
}
