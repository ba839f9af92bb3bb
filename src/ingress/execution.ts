// REAPI Execution: accept, answer from the cache or hand to the core, tell every waiter.

import type { ActionCache } from "../cas/action-cache.ts";
import type { BlobStore } from "../cas/blob-store.ts";
import type { ActionRequest } from "../core/action.ts";
import type { Digest } from "../core/digest.ts";
import { MeshError } from "../core/error.ts";
import type { Stage } from "../core/machine.ts";
import type { Log } from "../telemetry/logger.ts";
import {
  ActionResult,
  ExecuteOperationMetadata,
  type ExecuteRequest,
  ExecuteResponse,
  ExecutionStage_Value,
  type WaitExecutionRequest,
} from "../wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import { Operation } from "../wire/gen/google/longrunning/operations.ts";
import {
  fromWireDigest,
  fromWireFunction,
  toTimestamp,
  toWireDigest,
  toWireFunction,
} from "../wire/reapi.ts";
import { toStatus } from "../wire/status.ts";
import { type ActionBounds, checkAction, toActionRequest } from "./action-request.ts";
import { type InlineWishes, inlined } from "./action-results.ts";
import { type Call, type Handlers, type Send, serverStream } from "./handlers.ts";
import {
  isLast,
  nameOperation,
  type OperationRecord,
  type OperationSubject,
  type Operations,
  parseOperationName,
} from "./operations.ts";

/** The core, as the ingress sees it. */
export interface Scheduler {
  /** Reports every stage, the last one exactly once. */
  submit(operation: string, request: ActionRequest, onStage: (stage: Stage) => void): void;
}

/** What the service works with. */
export interface ExecutionDeps {
  readonly store: BlobStore;
  readonly actionCache: ActionCache;
  readonly scheduler: Scheduler;
  readonly operations: Operations;
  /** True once the node takes no new actions. */
  readonly draining: () => boolean;
  readonly node: string;
  readonly log: Log;
}

/** Bounds and times of the service. */
export interface ExecutionOptions extends ActionBounds {
  /** A stream gets an update at least this often, in ms, so that no client gives it up. */
  readonly keepAliveMs: number;
}

const responseTypeUrl =
  "type.googleapis.com/build.bazel.remote.execution.v2.ExecuteResponse" as const;
const metadataTypeUrl =
  "type.googleapis.com/build.bazel.remote.execution.v2.ExecuteOperationMetadata" as const;
const responseBytesMax = 64 << 20;
const noWishes: InlineWishes = { inlineStdout: false, inlineStderr: false, inlineOutputFiles: [] };

/** The service's handlers. */
export function executionHandlers(deps: ExecutionDeps, options: ExecutionOptions): Handlers {
  return {
    execute: serverStream(deps.log, (request: ExecuteRequest, call, send: Send<Operation>) =>
      execute(deps, options, request, call, send),
    ),
    waitExecution: serverStream(
      deps.log,
      (request: WaitExecutionRequest, call, send: Send<Operation>) =>
        waitExecution(deps, options, request, call, send),
    ),
  };
}

async function execute(
  deps: ExecutionDeps,
  options: ExecutionOptions,
  request: ExecuteRequest,
  call: Call,
  send: Send<Operation>,
): Promise<void> {
  if (deps.draining()) {
    throw new MeshError("UNAVAILABLE", "This node is draining. Try another one, or again later.");
  }
  const fn = fromWireFunction(request.digestFunction, request.actionDigest);
  const action = fromWireDigest(request.actionDigest, fn, "action_digest");
  const subject = { instance: request.instanceName, action };
  const name = nameOperation(subject, deps.node);
  const checked = await checkAction(deps.store, action, options);
  const priority = request.executionPolicy?.priority ?? 0;
  const { instanceName: instance, skipCacheLookup } = request;
  const scheduled = toActionRequest(action, checked, {
    ...call,
    instance,
    priority,
    skipCacheLookup,
  });
  if (!scheduled.skipCacheLookup) {
    const hit = await cachedOperation(deps, name, subject, request);
    if (hit !== undefined) return send(hit);
  }
  const record = deps.operations.create(name, subject);
  deps.scheduler.submit(name, scheduled, (stage) => deps.operations.update(name, stage));
  await watch(deps, options, record, request, call.signal, send);
}

/** A name this node does not know is adopted: answered from the cache, or run (again). */
async function waitExecution(
  deps: ExecutionDeps,
  options: ExecutionOptions,
  { name }: WaitExecutionRequest,
  call: Call,
  send: Send<Operation>,
): Promise<void> {
  const known = deps.operations.find(name);
  if (known !== undefined) return watch(deps, options, known, noWishes, call.signal, send);
  const subject = parseOperationName(name);
  if (subject === undefined) throw unknownOperation(name);
  const hit = await cachedOperation(deps, name, subject, noWishes);
  if (hit !== undefined) return send(hit);
  const checked = await checkAction(deps.store, subject.action, options).catch(() => {
    throw unknownOperation(name);
  });
  const how = { instance: subject.instance, priority: 0, skipCacheLookup: false };
  const request = toActionRequest(subject.action, checked, { ...call, ...how });
  const record = deps.operations.create(name, subject);
  deps.scheduler.submit(name, request, (stage) => deps.operations.update(name, stage));
  await watch(deps, options, record, noWishes, call.signal, send);
}

/** Streams an operation's stages until its end. A client that vanishes only stops watching. */
async function watch(
  deps: ExecutionDeps,
  options: ExecutionOptions,
  record: OperationRecord,
  wishes: InlineWishes,
  signal: AbortSignal,
  send: Send<Operation>,
): Promise<void> {
  for (;;) {
    const { stage } = record;
    const operation = await describe(deps, record, stage, wishes);
    if (signal.aborted) return;
    await send(operation);
    if (isLast(stage)) return;
    if (record.stage === stage) {
      await deps.operations.changed(record.name, options.keepAliveMs, signal);
    }
    if (signal.aborted) return;
  }
}

async function describe(
  deps: ExecutionDeps,
  record: OperationRecord,
  stage: Stage,
  wishes: InlineWishes,
): Promise<Operation> {
  switch (stage.kind) {
    case "queued":
      return pending(record, ExecutionStage_Value.QUEUED);
    case "executing":
      return pending(record, ExecutionStage_Value.EXECUTING);
    case "failed":
      return finished(record, ExecuteResponse.fromPartial({ status: toStatus(stageError(stage)) }));
    case "completed":
      return finished(record, await responseOf(deps, record, stage, wishes));
  }
}

function stageError({ failure }: Extract<Stage, { kind: "failed" }>): MeshError {
  return new MeshError(failure.code, failure.message);
}

async function responseOf(
  deps: ExecutionDeps,
  record: OperationRecord,
  { outcome }: Extract<Stage, { kind: "completed" }>,
  wishes: InlineWishes,
): Promise<ExecuteResponse> {
  if (outcome.kind === "fault") {
    const { code, message } = outcome.failure;
    return ExecuteResponse.fromPartial({ status: toStatus(new MeshError(code, message)) });
  }
  const bytes = await deps.store.get(outcome.response, responseBytesMax);
  const response = ExecuteResponse.decode(bytes);
  if (response.result === undefined) return response;
  if (response.result.executionMetadata !== undefined) {
    // Only the ingress knows when the client began to wait.
    response.result.executionMetadata.queuedTimestamp = toTimestamp(record.acceptedAtMs);
  }
  const result = await inlined(deps.store, response.result, record.action.fn, wishes);
  return { ...response, result };
}

async function cachedOperation(
  deps: ExecutionDeps,
  name: string,
  subject: OperationSubject,
  wishes: InlineWishes,
): Promise<Operation | undefined> {
  const found = await deps.actionCache.get(subject);
  if (found === undefined) return undefined;
  const stored = ActionResult.decode(found.bytes);
  const result = await inlined(deps.store, stored, subject.action.fn, wishes);
  const response = ExecuteResponse.fromPartial({ result, cachedResult: true });
  return finished({ name, ...subject }, response);
}

type Named = Pick<OperationRecord, "name" | "action">;

function pending(named: Named, stage: ExecutionStage_Value): Operation {
  return Operation.fromPartial({
    name: named.name,
    metadata: metadataAny(stage, named.action),
    done: false,
  });
}

function finished(named: Named, response: ExecuteResponse): Operation {
  const value = ExecuteResponse.encode(response).finish();
  return Operation.fromPartial({
    name: named.name,
    metadata: metadataAny(ExecutionStage_Value.COMPLETED, named.action),
    done: true,
    result: { $case: "response", value: { typeUrl: responseTypeUrl, value } },
  });
}

function metadataAny(stage: ExecutionStage_Value, action: Digest) {
  const metadata = ExecuteOperationMetadata.fromPartial({
    stage,
    actionDigest: toWireDigest(action),
    digestFunction: toWireFunction(action.fn),
  });
  return { typeUrl: metadataTypeUrl, value: ExecuteOperationMetadata.encode(metadata).finish() };
}

function unknownOperation(name: string): MeshError {
  return new MeshError(
    "NOT_FOUND",
    `Operation ${JSON.stringify(name.slice(0, 200))} is not known here. Execute the action again.`,
  );
}
