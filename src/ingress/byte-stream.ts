// ByteStream over the blob store: the bulk way in and out (google.bytestream, REAPI resource
// names).

import type { ServerReadableStream, sendUnaryData } from "@grpc/grpc-js";
import type { BlobStore } from "../cas/blob-store.ts";
import { MeshError } from "../core/error.ts";
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
import { type Send, serverStream, signalOf, toServiceError, unary } from "./handlers.ts";

/** The service's handlers. */
export function byteStreamHandlers(deps: { readonly store: BlobStore; readonly log: Log }) {
  const { store, log } = deps;
  return {
    read: serverStream(log, (request: ReadRequest, call, send: Send<ReadResponse>) =>
      read(store, request, call.signal, send),
    ),
    write: (
      call: ServerReadableStream<WriteRequest, WriteResponse>,
      respond: sendUnaryData<WriteResponse>,
    ) => {
      write(store, call, signalOf(call)).then(
        (response) => respond(null, response),
        (error: unknown) => {
          log("debug", `ByteStream.Write failed: ${String(error)}`);
          respond(toServiceError(error));
        },
      );
    },
    queryWriteStatus: unary(log, (request: QueryWriteStatusRequest) => queryStatus(store, request)),
  };
}

async function read(
  store: BlobStore,
  request: ReadRequest,
  signal: AbortSignal,
  send: Send<ReadResponse>,
): Promise<void> {
  const { digest } = plainResource(request.resourceName, "read");
  const range = { offset: request.readOffset, limit: request.readLimit };
  for await (const chunk of store.read(digest, range)) {
    if (signal.aborted) return;
    await send({ data: chunk });
  }
}

async function write(
  store: BlobStore,
  call: AsyncIterable<WriteRequest>,
  signal: AbortSignal,
): Promise<WriteResponse> {
  const messages = call[Symbol.asyncIterator]();
  const first = await messages.next();
  if (first.done === true) throw new MeshError("INVALID_ARGUMENT", "The write holds no message.");
  const { digest } = plainResource(first.value.resourceName, "write");
  if (first.value.writeOffset !== 0) {
    throw new MeshError(
      "INVALID_ARGUMENT",
      `write_offset ${first.value.writeOffset}: nothing of this upload is kept; start at 0.`,
    );
  }
  // A blob that is there ends the call early and successfully (REAPI, ByteStream uploads).
  await store.write(digest, writtenBytes(first.value, messages, signal));
  return { committedSize: digest.sizeBytes };
}

/** The data of a write, with offsets and the end checked. */
async function* writtenBytes(
  first: WriteRequest,
  rest: AsyncIterator<WriteRequest>,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  let offset = 0;
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

/** Uploads are not kept in part: either all is there or the client starts again at 0. */
async function queryStatus(
  store: BlobStore,
  request: QueryWriteStatusRequest,
): Promise<QueryWriteStatusResponse> {
  const { digest } = plainResource(request.resourceName, "write");
  const complete = (await store.missing([digest])).length === 0;
  return { committedSize: complete ? digest.sizeBytes : 0, complete };
}

function plainResource(name: string, kind: BlobResource["kind"]): BlobResource {
  const resource = parseBlobResource(name);
  if (resource.kind !== kind) {
    throw new MeshError(
      "INVALID_ARGUMENT",
      `resource_name ${JSON.stringify(name.slice(0, 200))} is not one to ${kind}.`,
    );
  }
  if (resource.compressor !== "identity") {
    throw new MeshError(
      "UNIMPLEMENTED",
      `Compression ${resource.compressor} is not served; GetCapabilities says so.`,
    );
  }
  return resource;
}
