// REAPI SplitBlob and SpliceBlob: large blobs cross the network as the chunks that changed. Chunks
// are blobs like any other; the whole stays a blob too, so existence never depends on a list.

import type { BlobStore } from "../cas/blob-store.ts";
import { createChunker, reapiChunks } from "../cas/fast-cdc.ts";
import { type Digest, type DigestFunction, digestKey } from "../core/digest.ts";
import { MeshError } from "../core/error.ts";
import {
  ChunkingFunction_Value,
  type SpliceBlobRequest,
  type SpliceBlobResponse,
  type SplitBlobRequest,
  type SplitBlobResponse,
} from "../wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import { fromWireDigest, fromWireFunction, toWireDigest } from "../wire/reapi.ts";
import type { IngressBounds } from "./bounds.ts";
import { checkInstance } from "./instance-name.ts";

/** What the calls are bounded by. */
export type ChunkBounds = Pick<IngressBounds, "chunksMax">;

const chunker = createChunker(reapiChunks);

/** Cuts a blob and stores its chunks. NOT_FOUND where the blob is not there. */
export async function splitBlob(
  store: BlobStore,
  bounds: ChunkBounds,
  request: SplitBlobRequest,
): Promise<SplitBlobResponse> {
  checkInstance(request.instanceName);
  const fn = fromWireFunction(request.digestFunction, request.blobDigest);
  const blob = fromWireDigest(request.blobDigest, fn, "blob_digest");
  checkFunction(request.chunkingFunction);
  if (blob.sizeBytes / reapiChunks.minBytes > bounds.chunksMax) throw tooMany(bounds);
  const chunks: Digest[] = [];
  for await (const bytes of cutBlob(store.read(blob))) chunks.push(await store.put(bytes, fn));
  // Reading does not extend a life; being asked for does.
  await store.missing([blob]);
  return {
    chunkDigests: chunks.map(toWireDigest),
    chunkingFunction: ChunkingFunction_Value.FAST_CDC_2020,
  };
}

/** Makes a blob of chunks that are there; the whole is verified like any upload. */
export async function spliceBlob(
  store: BlobStore,
  bounds: ChunkBounds,
  request: SpliceBlobRequest,
): Promise<SpliceBlobResponse> {
  checkInstance(request.instanceName);
  const fn = fromWireFunction(request.digestFunction, request.blobDigest);
  const blob = fromWireDigest(request.blobDigest, fn, "blob_digest");
  if (request.chunkingFunction !== ChunkingFunction_Value.REP_MAX_CDC) {
    checkFunction(request.chunkingFunction);
  }
  const chunks = checkChunks(request, blob, fn, bounds);
  // Also where the blob is there: its chunks live on for being named.
  const missing = await store.missing(chunks);
  if ((await store.missing([blob])).length > 0) {
    if (missing.length > 0) throw absentChunks(missing);
    await store.write(blob, concatenated(store, chunks));
  }
  return { blobDigest: toWireDigest(blob) };
}

function checkChunks(
  request: SpliceBlobRequest,
  blob: Digest,
  fn: DigestFunction,
  bounds: ChunkBounds,
): Digest[] {
  if (request.chunkDigests.length > bounds.chunksMax) throw tooMany(bounds);
  const chunks = request.chunkDigests.map((digest, at) =>
    fromWireDigest(digest, fn, `chunk_digests[${at}]`),
  );
  const bytes = chunks.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  if (bytes === blob.sizeBytes) return chunks;
  throw new MeshError(
    "INVALID_ARGUMENT",
    `The chunks have ${bytes} bytes together, the blob ${blob.sizeBytes}.`,
  );
}

/** The chunks of a stream, with at most two of the largest in memory. */
async function* cutBlob(blob: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let rest = Buffer.alloc(0);
  for await (const bytes of blob) {
    rest = Buffer.concat([rest, bytes]);
    while (rest.length >= reapiChunks.maxBytes) {
      const length = chunker.cut(rest);
      yield rest.subarray(0, length);
      rest = rest.subarray(length);
    }
  }
  while (rest.length > 0) {
    const length = chunker.cut(rest);
    yield rest.subarray(0, length);
    rest = rest.subarray(length);
  }
}

async function* concatenated(
  store: BlobStore,
  chunks: readonly Digest[],
): AsyncGenerator<Uint8Array> {
  for (const chunk of chunks) yield* store.read(chunk);
}

function checkFunction(value: number): void {
  const served: readonly number[] = [
    ChunkingFunction_Value.UNKNOWN,
    ChunkingFunction_Value.FAST_CDC_2020,
  ];
  if (served.includes(value)) return;
  throw new MeshError(
    "INVALID_ARGUMENT",
    `Chunking function ${value} is not served here. Use FAST_CDC_2020 or none.`,
  );
}

function tooMany({ chunksMax }: ChunkBounds): MeshError {
  return new MeshError("INVALID_ARGUMENT", `A blob has at most ${chunksMax} chunks here.`);
}

function absentChunks(missing: readonly Digest[]): MeshError {
  const [first] = missing;
  return new MeshError(
    "NOT_FOUND",
    `${missing.length} chunks are not in the store, ${first && digestKey(first)} for one. ` +
      "Upload them first.",
    { missing },
  );
}
