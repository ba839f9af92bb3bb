// Executes actions at a node over REAPI: upload what is missing, Execute, wait through broken
// streams, download what is wanted.

import { Metadata } from "@grpc/grpc-js";
import type { Store } from "../cas/open-store.ts";
import { digestKey } from "../core/digest.ts";
import { failureOf, isRetryable, MeshError } from "../core/error.ts";
import {
  ExecuteOperationMetadata,
  ExecuteResponse,
  ExecutionDefinition,
  ExecutionStage_Value,
  RequestMetadata,
} from "../wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import type { Operation } from "../wire/gen/google/longrunning/operations.ts";
import { grpcDefinition } from "../wire/grpc-definition.ts";
import { toWireDigest } from "../wire/reapi.ts";
import { missingOf } from "../wire/status.ts";
import type { Endpoint } from "./endpoint.ts";
import { readExecuteResponse } from "./executed-action.ts";
import type { ActionExecutor, ExecutedAction } from "./executor.ts";
import { type NodeBlobs, openNodeBlobs } from "./node-blobs.ts";
import { placeFile } from "./place-file.ts";
import type { PreparedAction } from "./prepared-action.ts";
import { type CallOptions, connect, pause, type ReapiClient } from "./reapi-client.ts";

const execution = grpcDefinition(ExecutionDefinition);

/** Times that a broken wait is taken up again. */
const executeAttempts = 5;

/**
 * An executor at this node. Blobs known to be there are asked about only once. `openStore` opens
 * this machine's store, if there is one: a node of this machine that has the same gets its blobs
 * there.
 */
export function createRemoteExecutor(
  endpoint: Endpoint,
  software: string,
  openStore: () => Promise<Store | undefined>,
): ActionExecutor {
  const client = connect(endpoint);
  let opened: Promise<NodeBlobs> | undefined;
  const blobs = () => {
    opened ??= openNodeBlobs(client, endpoint, openStore);
    return opened;
  };
  const presentKeys = new Set<string>();
  const uploads = new Map<string, Promise<void>>();

  return {
    execute: async (action, { invocation, signal, events }) => {
      const call = { signal, metadata: metadataFor(action, invocation, software) };
      for (let attempt = 1; ; attempt += 1) {
        const sent = await upload(await blobs(), action, presentKeys, uploads, call);
        if (sent > 0) events.uploaded(sent);
        try {
          return await execute(client, action, { ...call, started: events.started });
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
      for await (const piece of (await blobs()).read(digest)) pieces.push(piece);
      return Buffer.concat(pieces);
    },
    download: async (digest, path, file) => placeFile(path, (await blobs()).read(digest), file),
    close: async () => {
      await (await opened)?.close();
      client.close();
    },
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
  blobs: NodeBlobs,
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
  const sending = blobs.send(mine, call);
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

async function execute(
  client: ReapiClient,
  action: PreparedAction,
  call: CallOptions & { readonly started: () => void },
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
        if (isExecuting(operation)) call.started();
      }
      throw new MeshError("UNAVAILABLE", "The node ended the wait before the action had ended.");
    } catch (error) {
      const { code } = failureOf(error);
      const again = isRetryable(code) || (code === "NOT_FOUND" && name !== undefined);
      if (!again || attempt >= executeAttempts || call.signal?.aborted) throw error;
      if (code === "NOT_FOUND") name = undefined;
    }
    await pause(attempt);
  }
}

function isExecuting({ metadata }: Operation): boolean {
  if (metadata === undefined || !metadata.typeUrl.endsWith(".ExecuteOperationMetadata"))
    return false;
  return ExecuteOperationMetadata.decode(metadata.value).stage === ExecutionStage_Value.EXECUTING;
}

function readOperation({ result }: Operation): ExecutedAction {
  if (result?.$case !== "response") {
    throw new MeshError("INTERNAL", "The node ended the operation without a response.");
  }
  return readExecuteResponse(ExecuteResponse.decode(result.value.value));
}
