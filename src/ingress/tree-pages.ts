// REAPI GetTree: a whole input tree in pages, folders in a fixed order, each folder once.

import type { BlobStore } from "../cas/blob-store.ts";
import { type Digest, digestKey } from "../core/digest.ts";
import { failureOf, MeshError } from "../core/error.ts";
import {
  Directory,
  type GetTreeRequest,
  type GetTreeResponse,
} from "../wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import { fromWireDigest, fromWireFunction } from "../wire/reapi.ts";
import type { IngressBounds } from "./bounds.ts";
import type { Send } from "./handlers.ts";
import { checkInstance } from "./instance-name.ts";

/** What a walk is bounded by. */
export type TreeBounds = Pick<
  IngressBounds,
  "messageBytesMax" | "batchBytesMax" | "treeFoldersMax" | "treePageMax"
>;

/**
 * Sends the tree breadth first. A page's token is the number of folders before the next page, so a
 * client that lost the stream goes on where it was. Folders that are missing are left out, as REAPI
 * asks; a missing root is NOT_FOUND.
 */
export async function sendTree(
  store: BlobStore,
  bounds: TreeBounds,
  request: GetTreeRequest,
  signal: AbortSignal,
  send: Send<GetTreeResponse>,
): Promise<void> {
  checkInstance(request.instanceName);
  const skipped = readToken(request.pageToken);
  const wished = request.pageSize > 0 ? request.pageSize : bounds.treePageMax;
  const foldersMax = Math.min(wished, bounds.treePageMax);
  let page: Directory[] = [];
  let pageBytes = 0;
  let count = 0;
  for await (const { directory, bytes } of walk(store, bounds, request)) {
    if (signal.aborted) return;
    count += 1;
    if (count <= skipped) continue;
    const full = page.length >= foldersMax || pageBytes + bytes > bounds.batchBytesMax;
    if (page.length > 0 && full) {
      await send({ directories: page, nextPageToken: `${count - 1}` });
      page = [];
      pageBytes = 0;
    }
    page.push(directory);
    pageBytes += bytes;
  }
  if (skipped > count) throw badToken(request.pageToken);
  await send({ directories: page, nextPageToken: "" });
}

async function* walk(
  store: BlobStore,
  bounds: TreeBounds,
  request: GetTreeRequest,
): AsyncGenerator<{ readonly directory: Directory; readonly bytes: number }> {
  const fn = fromWireFunction(request.digestFunction, request.rootDigest);
  const queue: Digest[] = [fromWireDigest(request.rootDigest, fn, "root_digest")];
  const seen = new Set(queue.map(digestKey));
  // The queue is read by index: taking from the front of an array copies the rest.
  for (let at = 0; at < queue.length; at += 1) {
    const digest = queue[at];
    if (digest === undefined) return;
    const bytes = await store.get(digest, bounds.messageBytesMax).catch((error: unknown) => {
      if (at === 0 || failureOf(error).code !== "NOT_FOUND") throw error;
      return undefined;
    });
    if (bytes === undefined) continue;
    const directory = decodeDirectory(bytes, digest);
    for (const { name, digest: named } of directory.directories) {
      const child = fromWireDigest(named, fn, `The digest of ${JSON.stringify(name.slice(0, 80))}`);
      if (seen.has(digestKey(child))) continue;
      seen.add(digestKey(child));
      if (seen.size > bounds.treeFoldersMax) throw tooLarge(bounds);
      queue.push(child);
    }
    yield { directory, bytes: bytes.length };
  }
}

function decodeDirectory(bytes: Uint8Array, digest: Digest): Directory {
  try {
    return Directory.decode(bytes);
  } catch (cause) {
    throw new MeshError("INVALID_ARGUMENT", `Blob ${digest.hash} is no Directory message.`, {
      cause,
    });
  }
}

function readToken(token: string): number {
  if (token === "") return 0;
  if (!/^[1-9][0-9]{0,6}$/.test(token)) throw badToken(token);
  return Number(token);
}

function badToken(token: string): MeshError {
  const shown = JSON.stringify(token.slice(0, 80));
  return new MeshError("INVALID_ARGUMENT", `page_token ${shown} is none that this tree gave.`);
}

function tooLarge(bounds: TreeBounds): MeshError {
  return new MeshError("RESOURCE_EXHAUSTED", `The tree has over ${bounds.treeFoldersMax} folders.`);
}
