// REAPI ContentAddressableStorage over the blob store: existence and batches, plain or as zstd.

import type { BlobStore } from "../cas/blob-store.ts";
import type { Digest } from "../core/digest.ts";
import { failureOf, MeshError } from "../core/error.ts";
import type { Log } from "../telemetry/logger.ts";
import {
  type BatchReadBlobsRequest,
  type BatchReadBlobsResponse,
  BatchReadBlobsResponse_Response,
  type BatchUpdateBlobsRequest,
  type BatchUpdateBlobsRequest_Request,
  type BatchUpdateBlobsResponse,
  Compressor_Value,
  type FindMissingBlobsRequest,
  type FindMissingBlobsResponse,
  type GetTreeRequest,
  type GetTreeResponse,
  type SpliceBlobRequest,
  type SplitBlobRequest,
} from "../wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import { fromWireDigest, fromWireFunction, toWireDigest } from "../wire/reapi.ts";
import { toStatus } from "../wire/status.ts";
import { fromZstdFrame, zstdFrame } from "../wire/zstd-frame.ts";
import type { IngressBounds } from "./bounds.ts";
import { type Call, type Handlers, type Send, serverStream, unary } from "./handlers.ts";
import { checkInstance } from "./instance-name.ts";
import type { LostBlobs } from "./lost-blobs.ts";
import { spliceBlob, splitBlob } from "./split-splice.ts";
import { sendTree } from "./tree-pages.ts";
import type { Uploads } from "./uploads.ts";

const ok = { code: 0, message: "", details: [] };

/** The service's handlers. */
export function contentStoreHandlers(
  deps: {
    readonly store: BlobStore;
    readonly uploads: Uploads;
    readonly lost: Pick<LostBlobs, "recover">;
    readonly log: Log;
  },
  bounds: IngressBounds,
): Handlers {
  const { store, uploads, log } = deps;
  return {
    findMissingBlobs: unary(log, (request: FindMissingBlobsRequest, call) =>
      findMissing(deps, request, call),
    ),
    batchUpdateBlobs: unary(log, (request: BatchUpdateBlobsRequest) =>
      batchUpdate(store, uploads, bounds, request),
    ),
    batchReadBlobs: unary(log, (request: BatchReadBlobsRequest, call) =>
      batchRead(deps, bounds, request, call),
    ),
    getTree: serverStream(log, (request: GetTreeRequest, call, send: Send<GetTreeResponse>) =>
      sendTree(store, bounds, request, call.signal, send),
    ),
    splitBlob: unary(log, (request: SplitBlobRequest) => splitBlob(store, bounds, request)),
    spliceBlob: unary(log, (request: SpliceBlobRequest) => spliceBlob(store, bounds, request)),
  };
}

/** What the handlers that read work with. */
interface ReadDeps {
  readonly store: BlobStore;
  readonly lost: Pick<LostBlobs, "recover">;
}

/** Clients that build without the bytes could not send what earlier actions made. */
async function findMissing(
  { store, lost }: ReadDeps,
  request: FindMissingBlobsRequest,
  call: Call,
): Promise<FindMissingBlobsResponse> {
  checkInstance(request.instanceName);
  const fn = fromWireFunction(request.digestFunction, request.blobDigests[0]);
  const digests = request.blobDigests.map((digest, at) =>
    fromWireDigest(digest, fn, `blob_digests[${at}]`),
  );
  const missing = await store.missing(digests);
  const isLess = missing.length > 0 && (await lost.recover(missing, call));
  return { missingBlobDigests: isLess ? await store.missing(digests) : missing };
}

async function batchUpdate(
  store: BlobStore,
  uploads: Uploads,
  bounds: IngressBounds,
  request: BatchUpdateBlobsRequest,
): Promise<BatchUpdateBlobsResponse> {
  checkInstance(request.instanceName);
  const { requests } = request;
  const fn = fromWireFunction(request.digestFunction, requests[0]?.digest);
  checkBatch(requests.length, sum(requests.map(({ data }) => data.length)), bounds);
  const responses = await mapAtOnce(requests, bounds.batchFilesMax, async (blob, at) => {
    try {
      const digest = fromWireDigest(blob.digest, fn, `requests[${at}].digest`);
      await store.write(digest, once(await plainBytes(blob, digest, bounds)));
      uploads.arrived(digest);
      return { digest: blob.digest, status: ok };
    } catch (error) {
      return { digest: blob.digest, status: toStatus(error) };
    }
  });
  return { responses };
}

async function plainBytes(
  { compressor, data }: BatchUpdateBlobsRequest_Request,
  digest: Digest,
  bounds: IngressBounds,
): Promise<Uint8Array> {
  if (compressor === Compressor_Value.IDENTITY) return data;
  if (compressor !== Compressor_Value.ZSTD) {
    throw new MeshError("INVALID_ARGUMENT", `Compressor ${compressor} is not served. Use ZSTD.`);
  }
  if (digest.sizeBytes > bounds.batchBytesMax) {
    throw new MeshError(
      "INVALID_ARGUMENT",
      `A blob of ${digest.sizeBytes} bytes is over ${bounds.batchBytesMax}. Use ByteStream.`,
    );
  }
  return fromZstdFrame(data, digest.sizeBytes);
}

async function batchRead(
  { store, lost }: ReadDeps,
  bounds: IngressBounds,
  request: BatchReadBlobsRequest,
  call: Call,
): Promise<BatchReadBlobsResponse> {
  checkInstance(request.instanceName);
  const fn = fromWireFunction(request.digestFunction, request.digests[0]);
  const digests = request.digests.map((digest, at) => fromWireDigest(digest, fn, `digests[${at}]`));
  checkBatch(digests.length, sum(digests.map((digest) => digest.sizeBytes)), bounds);
  const zstd = request.acceptableCompressors.includes(Compressor_Value.ZSTD);
  const responses = await mapAtOnce(digests, bounds.batchFilesMax, async (digest) => {
    try {
      const get = () => store.get(digest, bounds.batchBytesMax);
      const bytes = await get().catch(async (error: unknown) => {
        if (failureOf(error).code === "NOT_FOUND" && (await lost.recover([digest], call))) {
          return get();
        }
        throw error;
      });
      return { digest: toWireDigest(digest), ...(await packed(bytes, zstd)), status: ok };
    } catch (error) {
      const status = toStatus(error);
      return BatchReadBlobsResponse_Response.fromPartial({ digest: toWireDigest(digest), status });
    }
  });
  return { responses };
}

/** Compressed where the client takes that and it pays; so no answer is larger than the batch. */
async function packed(bytes: Uint8Array, zstd: boolean) {
  const frame = zstd ? await zstdFrame(bytes) : bytes;
  return zstd && frame.length < bytes.length
    ? { data: frame, compressor: Compressor_Value.ZSTD }
    : { data: bytes, compressor: Compressor_Value.IDENTITY };
}

function checkBatch(blobs: number, bytes: number, bounds: IngressBounds): void {
  if (bytes <= bounds.batchBytesMax && blobs <= bounds.batchBlobsMax) return;
  throw new MeshError(
    "INVALID_ARGUMENT",
    `The batch holds ${blobs} blobs of ${bytes} bytes; at most ${bounds.batchBlobsMax} blobs and ` +
      `${bounds.batchBytesMax} bytes are taken. Use ByteStream.`,
  );
}

/** Like `Promise.all` over a map, but with at most `limit` under way. */
async function mapAtOnce<T, U>(
  items: readonly T[],
  limit: number,
  work: (item: T, at: number) => Promise<U>,
): Promise<U[]> {
  const made: U[] = [];
  const rest = items.entries();
  const lane = async () => {
    for (const [at, item] of rest) made[at] = await work(item, at);
  };
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, lane));
  return made;
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
