// The blobs of a node as a client reaches them: over gRPC, or in the store of this machine where
// the node has the same one. A blob of this host is never sent through a socket then.

import { randomBytes, randomUUID } from "node:crypto";
import { createReadStream } from "node:fs";
import { readFile } from "node:fs/promises";
import type { Store } from "../cas/open-store.ts";
import { verified } from "../cas/verify.ts";
import type { Digest } from "../core/digest.ts";
import { failureOf, MeshError } from "../core/error.ts";
import { ContentAddressableStorageDefinition } from "../wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import { ByteStreamDefinition } from "../wire/gen/google/bytestream/bytestream.ts";
import { grpcDefinition } from "../wire/grpc-definition.ts";
import { formatReadResource, formatWriteResource, toWireDigest } from "../wire/reapi.ts";
import { codeOf } from "../wire/status.ts";
import { type Endpoint, isThisMachine } from "./endpoint.ts";
import type { PreparedBlob } from "./prepared-action.ts";
import type { CallOptions, ReapiClient } from "./reapi-client.ts";
import { storeMissing } from "./store-blobs.ts";

/** What a node has and takes. */
export interface NodeBlobs {
  /** Sends the blobs that the node lacks; the bytes sent. */
  send(blobs: readonly PreparedBlob[], call: CallOptions): Promise<number>;
  /** A blob's bytes, verified. NOT_FOUND. */
  read(digest: Digest): AsyncIterable<Uint8Array>;
  close(): Promise<void>;
}

const cas = grpcDefinition(ContentAddressableStorageDefinition);
const byteStream = grpcDefinition(ByteStreamDefinition);

/** Bounds well inside what REAPI servers take. */
const bounds = {
  batchBytes: 3 << 20,
  batchBlobs: 1000,
  chunkBytes: 1 << 20,
  findAtOnce: 10_000,
};

/** Finds out how this node's blobs are reached. */
export async function openNodeBlobs(
  client: ReapiClient,
  endpoint: Endpoint,
  openStore: () => Promise<Store | undefined>,
): Promise<NodeBlobs> {
  const remote: NodeBlobs = {
    send: (blobs, call) => sendOver(client, blobs, call),
    read: (digest) => readOver(client, digest),
    close: async () => {},
  };
  if (!isThisMachine(endpoint.address)) return remote;
  const store = await openStore();
  if (store === undefined) return remote;
  if (await isOfNode(store, client)) return sharedBlobs(store, remote);
  await store.close();
  return remote;
}

/** A node that knows a blob which nobody but this store was given has this store. */
async function isOfNode({ blobs }: Store, client: ReapiClient): Promise<boolean> {
  const probe = await blobs.put(randomBytes(16), "sha256");
  const blobDigests = [toWireDigest(probe)];
  const request = { instanceName: "", blobDigests, digestFunction: 1 as const };
  const { missingBlobDigests } = await client.call(cas.findMissingBlobs, request, {});
  return missingBlobDigests.length === 0;
}

function sharedBlobs({ blobs, close }: Store, remote: NodeBlobs): NodeBlobs {
  return {
    send: (prepared) => storeMissing(blobs, prepared),
    read: async function* (digest) {
      try {
        yield* blobs.read(digest);
      } catch (error) {
        // Another machine of the mesh may have it.
        if (failureOf(error).code !== "NOT_FOUND") throw error;
        yield* remote.read(digest);
      }
    },
    close,
  };
}

async function sendOver(
  client: ReapiClient,
  blobs: readonly PreparedBlob[],
  call: CallOptions,
): Promise<number> {
  const blobByHash = new Map(blobs.map((blob) => [blob.digest.hash, blob]));
  const missing: PreparedBlob[] = [];
  for (let at = 0; at < blobs.length; at += bounds.findAtOnce) {
    const asked = blobs.slice(at, at + bounds.findAtOnce);
    const blobDigests = asked.map(({ digest }) => toWireDigest(digest));
    const request = { instanceName: "", blobDigests, digestFunction: 1 as const };
    const answer = await client.call(cas.findMissingBlobs, request, call);
    for (const { hash } of answer.missingBlobDigests) {
      const blob = blobByHash.get(hash);
      if (blob !== undefined) missing.push(blob);
    }
  }
  const small = missing.filter(({ digest }) => digest.sizeBytes <= bounds.chunkBytes);
  const large = missing.filter(({ digest }) => digest.sizeBytes > bounds.chunkBytes);
  for (const batch of batches(small)) await sendBatch(client, batch, call);
  for (const blob of large) await sendStream(client, blob, call);
  return missing.reduce((total, { digest }) => total + digest.sizeBytes, 0);
}

function* batches(blobs: readonly PreparedBlob[]): Iterable<PreparedBlob[]> {
  let batch: PreparedBlob[] = [];
  let bytes = 0;
  for (const blob of blobs) {
    const full = bytes + blob.digest.sizeBytes > bounds.batchBytes;
    if (batch.length > 0 && (full || batch.length >= bounds.batchBlobs)) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(blob);
    bytes += blob.digest.sizeBytes;
  }
  if (batch.length > 0) yield batch;
}

async function sendBatch(
  client: ReapiClient,
  batch: readonly PreparedBlob[],
  call: CallOptions,
): Promise<void> {
  const requests = await Promise.all(
    batch.map(async (blob) => ({
      digest: toWireDigest(blob.digest),
      data: "bytes" in blob ? blob.bytes : await readFile(blob.file),
      compressor: 0 as const,
    })),
  );
  const request = { instanceName: "", requests, digestFunction: 1 as const };
  const { responses } = await client.call(cas.batchUpdateBlobs, request, call);
  for (const [at, { status }] of responses.entries()) {
    if (status === undefined || status.code === 0) continue;
    const blob = batch[at];
    const from = blob !== undefined && "file" in blob ? ` (${blob.file})` : "";
    throw new MeshError(codeOf(status.code), `An upload was refused${from}: ${status.message}`);
  }
}

async function sendStream(client: ReapiClient, blob: PreparedBlob, call: CallOptions) {
  const resourceName = formatWriteResource("", randomUUID(), blob.digest);
  async function* requests() {
    let offset = 0;
    const chunks =
      "bytes" in blob
        ? slices(blob.bytes)
        : createReadStream(blob.file, { highWaterMark: bounds.chunkBytes });
    for await (const chunk of chunks) {
      const data: Uint8Array = chunk;
      const writeOffset = offset;
      offset += data.length;
      const finishWrite = offset >= blob.digest.sizeBytes;
      yield { resourceName, writeOffset, finishWrite, data };
    }
  }
  await client.upload(byteStream.write, requests(), call);
}

function* slices(bytes: Uint8Array): Iterable<Uint8Array> {
  for (let at = 0; at < bytes.length; at += bounds.chunkBytes) {
    yield bytes.subarray(at, at + bounds.chunkBytes);
  }
}

/** Verified as it arrives: a node may lie. */
async function* readOver(client: ReapiClient, digest: Digest): AsyncGenerator<Uint8Array> {
  if (digest.sizeBytes === 0) return;
  const request = { resourceName: formatReadResource("", digest), readOffset: 0, readLimit: 0 };
  async function* pieces() {
    for await (const { data } of client.stream(byteStream.read, request, {})) yield data;
  }
  yield* verified(digest, pieces());
}
