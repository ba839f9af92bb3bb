// REAPI ContentAddressableStorage over the blob store: existence, batches, trees.

import type { BlobStore } from "../cas/blob-store.ts";
import type { Digest, DigestFunction } from "../core/digest.ts";
import { digestKey } from "../core/digest.ts";
import { MeshError } from "../core/error.ts";
import type { Log } from "../telemetry/logger.ts";
import {
  type BatchReadBlobsRequest,
  type BatchReadBlobsResponse,
  BatchReadBlobsResponse_Response,
  type BatchUpdateBlobsRequest,
  type BatchUpdateBlobsResponse,
  Compressor_Value,
  Directory,
  type FindMissingBlobsRequest,
  type FindMissingBlobsResponse,
  type GetTreeRequest,
  type GetTreeResponse,
} from "../wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import { fromWireDigest, fromWireFunction, toWireDigest } from "../wire/reapi.ts";
import { toStatus } from "../wire/status.ts";
import { type Handlers, type Send, serverStream, unary } from "./handlers.ts";

/** Bounds of the batch calls. */
export interface ContentStoreOptions {
  /** Bytes of all blobs in one batch; advertised to clients. */
  readonly batchBytesMax: number;
  /** Folders one GetTree call walks. */
  readonly treeFoldersMax: number;
}

const directoryBytesMax = 4 << 20;
const ok = { code: 0, message: "", details: [] };

/** The service's handlers. */
export function contentStoreHandlers(
  deps: { readonly store: BlobStore; readonly log: Log },
  options: ContentStoreOptions,
): Handlers {
  const { store, log } = deps;
  return {
    findMissingBlobs: unary(log, (request: FindMissingBlobsRequest) => findMissing(store, request)),
    batchUpdateBlobs: unary(log, (request: BatchUpdateBlobsRequest) =>
      batchUpdate(store, options, request),
    ),
    batchReadBlobs: unary(log, (request: BatchReadBlobsRequest) =>
      batchRead(store, options, request),
    ),
    getTree: serverStream(log, (request: GetTreeRequest, _, send: Send<GetTreeResponse>) =>
      getTree(store, options, request, send),
    ),
    splitBlob: unary(log, unserved("SplitBlob")),
    spliceBlob: unary(log, unserved("SpliceBlob")),
  };
}

async function findMissing(
  store: BlobStore,
  request: FindMissingBlobsRequest,
): Promise<FindMissingBlobsResponse> {
  const fn = fromWireFunction(request.digestFunction, request.blobDigests[0]);
  const digests = request.blobDigests.map((digest, at) =>
    fromWireDigest(digest, fn, `blob_digests[${at}]`),
  );
  return { missingBlobDigests: (await store.missing(digests)).map(toWireDigest) };
}

async function batchUpdate(
  store: BlobStore,
  options: ContentStoreOptions,
  request: BatchUpdateBlobsRequest,
): Promise<BatchUpdateBlobsResponse> {
  const fn = fromWireFunction(request.digestFunction, request.requests[0]?.digest);
  checkBatch(sum(request.requests.map((blob) => blob.data.length)), options);
  const responses = request.requests.map(async (blob, at) => {
    try {
      if (blob.compressor !== Compressor_Value.IDENTITY) throw notCompressed();
      const digest = fromWireDigest(blob.digest, fn, `requests[${at}].digest`);
      await store.write(digest, once(blob.data));
      return { digest: blob.digest, status: ok };
    } catch (error) {
      return { digest: blob.digest, status: toStatus(error) };
    }
  });
  return { responses: await Promise.all(responses) };
}

async function batchRead(
  store: BlobStore,
  options: ContentStoreOptions,
  request: BatchReadBlobsRequest,
): Promise<BatchReadBlobsResponse> {
  const fn = fromWireFunction(request.digestFunction, request.digests[0]);
  const digests = request.digests.map((digest, at) => fromWireDigest(digest, fn, `digests[${at}]`));
  checkBatch(sum(digests.map((digest) => digest.sizeBytes)), options);
  const responses = digests.map(async (digest) => {
    try {
      const data = await store.get(digest, options.batchBytesMax);
      return BatchReadBlobsResponse_Response.fromPartial({
        digest: toWireDigest(digest),
        data,
        status: ok,
      });
    } catch (error) {
      const status = toStatus(error);
      return BatchReadBlobsResponse_Response.fromPartial({ digest: toWireDigest(digest), status });
    }
  });
  return { responses: await Promise.all(responses) };
}

/** Pages below the batch size; each folder once, however often it occurs (REAPI, GetTree). */
async function getTree(
  store: BlobStore,
  options: ContentStoreOptions,
  request: GetTreeRequest,
  send: Send<GetTreeResponse>,
): Promise<void> {
  if (request.pageToken !== "") {
    throw new MeshError("INVALID_ARGUMENT", "page_token: this server sends all pages in one call.");
  }
  const fn: DigestFunction = fromWireFunction(request.digestFunction, request.rootDigest);
  const queue: Digest[] = [fromWireDigest(request.rootDigest, fn, "root_digest")];
  const seen = new Set<string>();
  let page: Directory[] = [];
  let pageBytes = 0;
  for (let digest = queue.shift(); digest !== undefined; digest = queue.shift()) {
    if (seen.has(digestKey(digest))) continue;
    seen.add(digestKey(digest));
    if (seen.size > options.treeFoldersMax) {
      throw new MeshError(
        "RESOURCE_EXHAUSTED",
        `The tree has over ${options.treeFoldersMax} folders.`,
      );
    }
    const bytes = await store.get(digest, directoryBytesMax);
    const directory = decodeDirectory(bytes, digest);
    if (page.length > 0 && pageBytes + bytes.length > options.batchBytesMax) {
      await send({ directories: page, nextPageToken: "" });
      page = [];
      pageBytes = 0;
    }
    page.push(directory);
    pageBytes += bytes.length;
    for (const child of directory.directories) {
      queue.push(fromWireDigest(child.digest, fn, `The digest of ${child.name}`));
    }
  }
  await send({ directories: page, nextPageToken: "" });
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

function checkBatch(bytes: number, options: ContentStoreOptions): void {
  if (bytes <= options.batchBytesMax) return;
  throw new MeshError(
    "INVALID_ARGUMENT",
    `The batch holds ${bytes} bytes; at most ${options.batchBytesMax} are taken. Use ByteStream.`,
  );
}

function notCompressed(): MeshError {
  return new MeshError("INVALID_ARGUMENT", "Compressed batches are not served; send IDENTITY.");
}

function unserved(method: string) {
  return async (): Promise<never> => {
    throw new MeshError("UNIMPLEMENTED", `${method} is not served; GetCapabilities says so.`);
  };
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
