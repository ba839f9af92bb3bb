// Executes actions at a node over REAPI: upload what is missing, Execute, wait through broken
// streams, download what is wanted.

import { randomUUID } from "node:crypto";
import { createReadStream } from "node:fs";
import { readFile } from "node:fs/promises";
import { Metadata } from "@grpc/grpc-js";
import { verified } from "../cas/verify.ts";
import { type Digest, digestKey } from "../core/digest.ts";
import { codes, failureOf, isRetryable, MeshError } from "../core/error.ts";
import {
  ContentAddressableStorageDefinition,
  ExecuteResponse,
  ExecutionDefinition,
  RequestMetadata,
} from "../wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import { ByteStreamDefinition } from "../wire/gen/google/bytestream/bytestream.ts";
import type { Operation } from "../wire/gen/google/longrunning/operations.ts";
import { grpcDefinition } from "../wire/grpc-definition.ts";
import { formatReadResource, formatWriteResource, toWireDigest } from "../wire/reapi.ts";
import { numberByCode } from "../wire/status.ts";
import type { Endpoint } from "./endpoint.ts";
import { placeFile, readExecuteResponse } from "./executed-action.ts";
import type { ActionExecutor, ExecutedAction } from "./executor.ts";
import type { PreparedAction, PreparedBlob } from "./prepared-action.ts";
import { type CallOptions, connect, pause, type ReapiClient } from "./reapi-client.ts";

const cas = grpcDefinition(ContentAddressableStorageDefinition);
const byteStream = grpcDefinition(ByteStreamDefinition);
const execution = grpcDefinition(ExecutionDefinition);

/** Bounds well inside what REAPI servers take. */
const bounds = {
  batchBytes: 3 << 20,
  batchBlobs: 1000,
  chunkBytes: 1 << 20,
  findAtOnce: 10_000,
  executeAttempts: 5,
  streamsAtOnce: 8,
};

/** An executor at this node. Blobs known to be there are asked about only once. */
export function createRemoteExecutor(endpoint: Endpoint, software: string): ActionExecutor {
  const client = connect(endpoint);
  const presentKeys = new Set<string>();
  const uploads = new Map<string, Promise<void>>();

  return {
    execute: async (action, { invocation, signal, events }) => {
      const call = { signal, metadata: metadataFor(action, invocation, software) };
      for (let attempt = 1; ; attempt += 1) {
        const sent = await upload(client, action, presentKeys, uploads, call);
        if (sent > 0) events.uploaded(sent);
        try {
          return await execute(client, action, call);
        } catch (error) {
          const missing = missingOf(error);
          for (const digest of missing) presentKeys.delete(digestKey(digest));
          const ours = missing.every((digest) => action.blobByKey.has(digestKey(digest)));
          if (missing.length === 0 || !ours || attempt >= 3) throw error;
        }
      }
    },
    get: async (digest) => {
      if (digest.sizeBytes === 0) return new Uint8Array();
      const pieces: Uint8Array[] = [];
      for await (const piece of download(client, digest)) pieces.push(piece);
      return Buffer.concat(pieces);
    },
    download: (digest, path, file) => placeFile(path, download(client, digest), file),
    close: async () => client.close(),
  };
}

function metadataFor(action: PreparedAction, invocation: string, software: string): Metadata {
  const [toolName = "", toolVersion = ""] = software.split("/");
  const message = RequestMetadata.fromPartial({
    toolDetails: { toolName, toolVersion },
    actionId: action.digest.hash,
    toolInvocationId: invocation,
    actionMnemonic: action.build.mnemonic,
    targetId: action.build.target,
  });
  const metadata = new Metadata();
  const value = Buffer.from(RequestMetadata.encode(message).finish());
  metadata.set("build.bazel.remote.execution.v2.requestmetadata-bin", value);
  return metadata;
}

/** Uploads the blobs that the node lacks; the bytes sent. Concurrent actions share work. */
async function upload(
  client: ReapiClient,
  action: PreparedAction,
  presentKeys: Set<string>,
  uploads: Map<string, Promise<void>>,
  call: CallOptions,
): Promise<number> {
  const unknown = [...action.blobByKey].filter(
    ([key, blob]) => !presentKeys.has(key) && blob.digest.sizeBytes > 0,
  );
  const others = unknown.flatMap(([key]) => uploads.get(key) ?? []);
  const mine = unknown.filter(([key]) => !uploads.has(key)).map(([, blob]) => blob);
  const sending = send(client, mine, call);
  const done = sending.then(
    () => undefined,
    () => undefined,
  );
  for (const blob of mine) uploads.set(digestKey(blob.digest), done);
  try {
    const sent = await sending;
    await Promise.all(others);
    for (const blob of mine) presentKeys.add(digestKey(blob.digest));
    return sent;
  } finally {
    for (const blob of mine) uploads.delete(digestKey(blob.digest));
  }
}

async function send(
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
async function* download(client: ReapiClient, digest: Digest): AsyncGenerator<Uint8Array> {
  if (digest.sizeBytes === 0) return;
  const request = { resourceName: formatReadResource("", digest), readOffset: 0, readLimit: 0 };
  async function* pieces() {
    for await (const { data } of client.stream(byteStream.read, request, {})) yield data;
  }
  yield* verified(digest, pieces());
}

async function execute(
  client: ReapiClient,
  action: PreparedAction,
  call: CallOptions,
): Promise<ExecutedAction> {
  const request = {
    instanceName: "",
    skipCacheLookup: !action.build.cache,
    actionDigest: toWireDigest(action.digest),
    executionPolicy: { priority: action.build.priority },
    resultsCachePolicy: undefined,
    digestFunction: 1 as const,
    inlineStdout: false,
    inlineStderr: false,
    inlineOutputFiles: [],
  };
  let name: string | undefined;
  for (let attempt = 1; ; attempt += 1) {
    try {
      const operations: AsyncIterable<Operation> =
        name === undefined
          ? client.stream(execution.execute, request, call)
          : client.stream(execution.waitExecution, { name }, call);
      for await (const operation of operations) {
        name = operation.name;
        if (operation.done) return readOperation(operation);
      }
      throw new MeshError("UNAVAILABLE", "The node ended the wait before the action had ended.");
    } catch (error) {
      const { code } = failureOf(error);
      const again = isRetryable(code) || (code === "NOT_FOUND" && name !== undefined);
      if (!again || attempt >= bounds.executeAttempts || call.signal?.aborted) throw error;
      if (code === "NOT_FOUND") name = undefined;
    }
    await pause(attempt);
  }
}

function readOperation({ result }: Operation): ExecutedAction {
  if (result?.$case !== "response") {
    throw new MeshError("INTERNAL", "The node ended the operation without a response.");
  }
  return readExecuteResponse(ExecuteResponse.decode(result.value.value));
}

function missingOf(error: unknown): Digest[] {
  if (!(error instanceof MeshError) || !Array.isArray(error.context["missing"])) return [];
  return error.context["missing"];
}

function codeOf(number: number) {
  return codes.find((name) => numberByCode[name] === number) ?? "INTERNAL";
}
