// Executes actions at a node over REAPI: upload what is missing, Execute, wait through broken
// streams, download what is wanted.

import { Metadata } from "@grpc/grpc-js";
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
import type { ActionExecutor, ExecutedAction, ExecutorEvents } from "./executor.ts";
import { placeFile } from "./place-file.ts";
import type { PreparedAction } from "./prepared-action.ts";
import {
  createReachableNodes,
  type ReachableDeps,
  type ReachableNode,
  type ReachableNodes,
} from "./reachable-nodes.ts";
import { type CallOptions, pause, type ReapiClient } from "./reapi-client.ts";

const execution = grpcDefinition(ExecutionDefinition);

/** Times that blobs of an action that a node lost are sent again. */
const gapsMax = 2;

/**
 * An executor at these nodes: at one of them until it is gone, then at the next. Blobs known to be
 * there are asked about only once.
 */
export function createRemoteExecutor(
  deps: ReachableDeps,
  endpoints: readonly Endpoint[],
  software: string,
): ActionExecutor {
  const nodes = createReachableNodes(deps, endpoints);
  return {
    execute: (action, { invocation, signal, fresh, events }) =>
      executeAnywhere(nodes, action, {
        signal,
        fresh,
        metadata: metadataFor(action, invocation, software),
        events,
      }),
    get: async (digest) => {
      if (digest.sizeBytes === 0) return new Uint8Array();
      return nodes.read(async (blobs) => {
        const pieces: Uint8Array[] = [];
        for await (const piece of blobs.read(digest)) pieces.push(piece);
        return Buffer.concat(pieces);
      });
    },
    download: (digest, path, file) =>
      nodes.read((blobs) => placeFile(path, blobs.read(digest), file)),
    close: () => nodes.close(),
  };
}

type ActionCall = CallOptions & {
  readonly signal: AbortSignal;
  readonly fresh: boolean;
  readonly events: ExecutorEvents;
};

/**
 * Goes on wherever it can: with the wait at the same node, or at another one, which adopts the
 * operation by its name once it has the action's blobs.
 */
async function executeAnywhere(
  nodes: ReachableNodes,
  action: PreparedAction,
  call: ActionCall,
): Promise<ExecutedAction> {
  const operation: { name: string | undefined } = { name: undefined };
  let gaps = 0;
  for (let attempt = 1; ; attempt += 1) {
    const node = nodes.current;
    let isSent = false;
    try {
      const sent = await upload(node, action, call);
      isSent = true;
      if (sent > 0) call.events.uploaded(sent);
      return await execute(node.client, action, operation, call);
    } catch (error) {
      if (call.signal.aborted) throw error;
      const missing = missingOf(error);
      for (const digest of missing) node.presentKeys.delete(digestKey(digest));
      if (missing.length > 0) {
        const ours = missing.every((digest) => action.blobByKey.has(digestKey(digest)));
        gaps += 1;
        if (!ours || gaps > gapsMax) throw error;
        continue;
      }
      const { code } = failureOf(error);
      const isForgotten = code === "NOT_FOUND" && operation.name !== undefined;
      // The only node was tried often enough already, unless it answered before: it may come back.
      const mayComeBack = isSent || nodes.isSeveral || node.hasAnswered;
      const canRetry = isRetryable(code) && mayComeBack;
      if (!(isForgotten || canRetry) || attempt >= nodes.attemptsMax) throw error;
      if (isForgotten) operation.name = undefined;
      if (code === "UNAVAILABLE") nodes.leave(node);
    }
    await pause(attempt);
  }
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
  node: ReachableNode,
  action: PreparedAction,
  call: CallOptions,
): Promise<number> {
  const { presentKeys, uploads } = node;
  const blobs = await node.blobs();
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

/** Executes, or goes on with the wait for `operation`, whose name is kept there. */
async function execute(
  client: ReapiClient,
  action: PreparedAction,
  operation: { name: string | undefined },
  call: ActionCall,
): Promise<ExecutedAction> {
  const request = {
    instanceName: "",
    skipCacheLookup: call.fresh || !action.build.cache,
    actionDigest: toWireDigest(action.digest),
    executionPolicy: { priority: action.build.priority },
    resultsCachePolicy: undefined,
    digestFunction: 1 as const,
    inlineStdout: false,
    inlineStderr: false,
    inlineOutputFiles: [],
  };
  const { name } = operation;
  const told: AsyncIterable<Operation> =
    name === undefined
      ? client.stream(execution.execute, request, call)
      : client.stream(execution.waitExecution, { name }, call);
  for await (const next of told) {
    operation.name = next.name;
    if (next.done) return readOperation(next);
    if (isExecuting(next)) call.events.started();
  }
  throw new MeshError("UNAVAILABLE", "The node ended the wait before the action had ended.");
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
