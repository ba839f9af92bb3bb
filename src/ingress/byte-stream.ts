// ByteStream over the blob store: the bulk way in and out (google.bytestream, REAPI resource
// names), plain or as zstd, from any offset.

import type { ServerReadableStream, sendUnaryData } from "@grpc/grpc-js";
import type { BlobStore } from "../cas/blob-store.ts";
import { failureOf, MeshError } from "../core/error.ts";
import type { Log } from "../telemetry/logger.ts";
import type {
  QueryWriteStatusRequest,
  QueryWriteStatusResponse,
  ReadRequest,
  ReadResponse,
  WriteRequest,
  WriteResponse,
} from "../wire/gen/google/bytestream/bytestream.ts";
import { type BlobResource, parseBlobResource } from "../wire/reapi.ts";
import { fromZstdStream, zstdStream } from "./compression.ts";
import {
  type Call,
  type Handlers,
  type Send,
  serverStream,
  signalOf,
  toServiceError,
  unary,
} from "./handlers.ts";
import { checkInstance } from "./instance-name.ts";
import type { LogStream, LogStreams } from "./log-streams.ts";
import type { LostBlobs } from "./lost-blobs.ts";
import type { Upload, Uploads } from "./uploads.ts";

/** What the service works with. */
export interface ByteStreamDeps {
  readonly store: BlobStore;
  readonly uploads: Uploads;
  readonly logStreams: LogStreams;
  readonly lost: Pick<LostBlobs, "recover">;
  readonly log: Log;
}

/** The service's handlers. */
export function byteStreamHandlers(deps: ByteStreamDeps): Handlers {
  const { log } = deps;
  return {
    read: serverStream(log, (request: ReadRequest, call, send: Send<ReadResponse>) =>
      read(deps, request, call, send),
    ),
    write: (
      call: ServerReadableStream<WriteRequest, WriteResponse>,
      respond: sendUnaryData<WriteResponse>,
    ) => {
      write(deps, call, signalOf(call)).then(
        (response) => respond(null, response),
        (error: unknown) => {
          log("debug", `ByteStream.Write failed: ${String(error)}`);
          respond(toServiceError(error));
        },
      );
    },
    queryWriteStatus: unary(log, (request: QueryWriteStatusRequest) => queryStatus(deps, request)),
  };
}

async function read(
  { store, logStreams, lost }: ByteStreamDeps,
  request: ReadRequest,
  call: Call,
  send: Send<ReadResponse>,
): Promise<void> {
  const { readOffset: offset, readLimit: limit, resourceName } = request;
  const { signal } = call;
  const live = logStreams.find(resourceName);
  if (live !== undefined) {
    for await (const data of live.read(offset, limit, signal)) await send({ data });
    return;
  }
  const resource = checkResource(resourceName, "read");
  const zstd = resource.compressor === "zstd";
  if (zstd && limit !== 0) {
    throw new MeshError("INVALID_ARGUMENT", "read_limit must be 0 where a blob is read as zstd.");
  }
  let isBegun = false;
  const sendOn = (data: Uint8Array) => {
    isBegun = true;
    return send({ data });
  };
  const readOn = () => {
    const plain = store.read(resource.digest, { offset, limit });
    return sendAhead(zstd ? zstdStream(plain) : plain, signal, sendOn);
  };
  await readOn().catch(async (error: unknown) => {
    const isLost = failureOf(error).code === "NOT_FOUND" && !isBegun;
    if (!isLost || !(await lost.recover([resource.digest], call))) throw error;
    await readOn();
  });
}

/** Sends chunks, the next one being read while the last one is on its way. */
async function sendAhead(
  chunks: AsyncGenerator<Uint8Array>,
  signal: AbortSignal,
  send: (chunk: Uint8Array) => Promise<void>,
): Promise<void> {
  let next = chunks.next();
  try {
    for (;;) {
      const { done, value } = await next;
      if (done || signal.aborted) return;
      next = chunks.next();
      // Whoever awaits it next hears of a failure.
      next.catch(() => undefined);
      await send(value);
    }
  } finally {
    await next.catch(() => undefined);
    await chunks.return(undefined);
  }
}

async function write(
  { store, uploads, logStreams }: ByteStreamDeps,
  call: AsyncIterable<WriteRequest>,
  signal: AbortSignal,
): Promise<WriteResponse> {
  const messages = call[Symbol.asyncIterator]();
  const next = await messages.next();
  if (next.done === true) throw new MeshError("INVALID_ARGUMENT", "The write holds no message.");
  const first = next.value;
  const log = logStreams.findWritable(first.resourceName);
  if (log !== undefined) return appendToLog(log, first, messages);
  const resource = checkResource(first.resourceName, "write");
  const { digest } = resource;
  // REAPI: where a client compresses, nobody but itself knows how many bytes it has to send.
  const committedSize = resource.compressor === "zstd" ? -1 : digest.sizeBytes;
  if ((await store.missing([digest])).length === 0) return { committedSize };
  if (isWhole(first, resource)) {
    await store.write(digest, once(first.data));
    uploads.arrived(digest);
    return { committedSize };
  }
  const upload = uploads.open(first.resourceName, digest, first.writeOffset);
  const fed = feed(upload, resource, sentBytes(first, messages, signal));
  // A blob that comes by another way ends the call early and successfully (REAPI, uploads).
  fed.catch(() => undefined);
  await Promise.race([fed, upload.elsewhere]);
  return { committedSize };
}

/** A log may be written by many calls; only `finish_write` ends it (REAPI, LogStream). */
async function appendToLog(
  log: LogStream,
  first: WriteRequest,
  rest: AsyncIterator<WriteRequest>,
): Promise<WriteResponse> {
  for (let message = first; ; ) {
    log.append(message.writeOffset, message.data);
    if (message.finishWrite) log.close();
    const next = await rest.next();
    if (next.done === true || log.finished) return { committedSize: log.size };
    message = next.value;
  }
}

/** True for a whole blob in one message, as most uploads are. */
function isWhole(
  { data, finishWrite, writeOffset }: WriteRequest,
  resource: BlobResource,
): boolean {
  const { compressor, digest } = resource;
  const complete = finishWrite && writeOffset === 0 && data.length === digest.sizeBytes;
  return complete && compressor === "identity";
}

async function feed(
  upload: Upload,
  { compressor, digest }: BlobResource,
  sent: AsyncIterable<Uint8Array>,
): Promise<void> {
  try {
    const plain = compressor === "zstd" ? fromZstdStream(sent) : sent;
    for await (const bytes of plain) {
      await upload.push(bytes);
      if (upload.committed > digest.sizeBytes) break;
    }
  } catch (error) {
    // What came is kept: a client that was cut off goes on from there.
    upload.pause();
    throw error;
  }
  await upload.finish();
}

/** The data of a write, with offsets and the end checked. */
async function* sentBytes(
  first: WriteRequest,
  rest: AsyncIterator<WriteRequest>,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  let offset = first.writeOffset;
  for (let message = first; ; ) {
    if (message.resourceName !== "" && message.resourceName !== first.resourceName) {
      throw new MeshError("INVALID_ARGUMENT", "resource_name changed within one write.");
    }
    if (message.writeOffset !== offset) {
      throw new MeshError(
        "INVALID_ARGUMENT",
        `write_offset is ${message.writeOffset} where ${offset} comes next.`,
      );
    }
    offset += message.data.length;
    if (message.data.length > 0) yield message.data;
    if (message.finishWrite) return;
    const next = await rest.next();
    if (signal.aborted) throw new MeshError("CANCELLED", "The client gave the write up.");
    if (next.done === true) {
      throw new MeshError("INVALID_ARGUMENT", "The write ended without finish_write.");
    }
    message = next.value;
  }
}

/** Exact: Bazel goes on from `committed_size`, and fails where it was never there. */
async function queryStatus(
  { store, uploads, logStreams }: ByteStreamDeps,
  { resourceName }: QueryWriteStatusRequest,
): Promise<QueryWriteStatusResponse> {
  const log = logStreams.findWritable(resourceName);
  if (log !== undefined) return { committedSize: log.size, complete: log.finished };
  const { digest } = checkResource(resourceName, "write");
  const complete = (await store.missing([digest])).length === 0;
  const committedSize = complete ? digest.sizeBytes : uploads.committed(resourceName);
  return { committedSize, complete };
}

function checkResource(name: string, kind: BlobResource["kind"]): BlobResource {
  const resource = parseBlobResource(name);
  if (resource.kind !== kind) {
    throw new MeshError(
      "INVALID_ARGUMENT",
      `resource_name ${JSON.stringify(name.slice(0, 200))} is not one to ${kind}.`,
    );
  }
  checkInstance(resource.instance);
  if (!["identity", "zstd"].includes(resource.compressor)) {
    throw new MeshError(
      "INVALID_ARGUMENT",
      `Compression ${JSON.stringify(resource.compressor.slice(0, 80))} is not served here. Use zstd.`,
    );
  }
  return resource;
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
