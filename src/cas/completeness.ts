// A cached result is served only if everything it names can be had now; otherwise it is a miss.
//
// Clients that build without the bytes trust a hit for hours. A hit that names a lost blob is the
// most reported failure of remote caches, so the whole of it is checked, folders included.

import type { Digest, DigestFunction } from "../core/digest.ts";
import { failureOf, MeshError } from "../core/error.ts";
import { ActionResult } from "../wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import { fromWireDigest } from "../wire/reapi.ts";
import type { ActionCache, ActionKey, CachedResult } from "./action-cache.ts";
import type { BlobStore } from "./blob-store.ts";
import { directoryClosure } from "./directory-closure.ts";
import { readTreeMessage } from "./merkle.ts";

/** Bound: bytes of a Tree message that is looked into. */
const treeBytesMax = 64 << 20;

/** A result with everything it names. */
export interface CompleteResult extends CachedResult {
  /** What the bytes say. */
  readonly result: ActionResult;
  /** Every blob that it names, files inside its folders included. */
  readonly named: readonly Digest[];
}

/** An action cache whose hits are complete. */
export interface CompleteActionCache extends ActionCache {
  get(key: ActionKey): Promise<CompleteResult | undefined>;
}

/** Wraps an action cache; what it serves is complete, and its blobs live on for being served. */
export class CompletenessCheckingActionCache implements CompleteActionCache {
  readonly #base: ActionCache;
  readonly #store: BlobStore;

  constructor(deps: { readonly base: ActionCache; readonly store: BlobStore }) {
    this.#base = deps.base;
    this.#store = deps.store;
  }

  async get(key: ActionKey): Promise<CompleteResult | undefined> {
    const found = await this.#base.get(key);
    if (found === undefined) return undefined;
    const result = ActionResult.decode(found.bytes);
    const named = await namedBlobs(this.#store, result, key.action.fn).catch(() => undefined);
    if (named === undefined || (await this.#store.missing(named)).length > 0) return undefined;
    return { ...found, result, named };
  }

  put(key: ActionKey, bytes: Uint8Array): Promise<void> {
    return this.#base.put(key, bytes);
  }
}

/**
 * Every blob that a result names, files inside its folders included; undefined where a folder is
 * gone. INVALID_ARGUMENT for malformed digests.
 */
export async function namedBlobs(
  store: BlobStore,
  result: ActionResult,
  fn: DigestFunction,
): Promise<Digest[] | undefined> {
  const named = result.outputFiles.map((file) => {
    return fromWireDigest(file.digest, fn, `The digest of output ${file.path}`);
  });
  if (result.stdoutDigest) named.push(fromWireDigest(result.stdoutDigest, fn, "stdout_digest"));
  if (result.stderrDigest) named.push(fromWireDigest(result.stderrDigest, fn, "stderr_digest"));
  for (const { path, treeDigest, rootDirectoryDigest } of result.outputDirectories) {
    if (treeDigest === undefined && rootDirectoryDigest === undefined) {
      throw new MeshError("INVALID_ARGUMENT", `Output folder ${path} has no digest.`);
    }
    if (treeDigest !== undefined) {
      const tree = fromWireDigest(treeDigest, fn, `The tree of ${path}`);
      const bytes = await readIfThere(store, tree, treeBytesMax);
      if (bytes === undefined) return undefined;
      named.push(tree);
      for (const entry of await readTreeMessage(bytes, fn)) {
        if (entry.kind === "file") named.push(entry.digest);
      }
    }
    if (rootDirectoryDigest !== undefined) {
      const root = fromWireDigest(rootDirectoryDigest, fn, `The root of ${path}`);
      const below = await directoryClosure(store, root);
      if (below.absent.length > 0) return undefined;
      for (const digest of below.named) named.push(digest);
    }
  }
  return named;
}

function readIfThere(
  store: BlobStore,
  digest: Digest,
  bytesMax: number,
): Promise<Uint8Array | undefined> {
  return store.get(digest, bytesMax).catch((error: unknown) => {
    if (failureOf(error).code === "NOT_FOUND") return undefined;
    throw error;
  });
}
