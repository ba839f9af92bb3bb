// REAPI Execution: accept, answer from the cache or hand to the core, tell every waiter.

import type { ActionCache } from "../cas/action-cache.ts";
import type { ActionRequest } from "../core/action.ts";
import { failureOf, MeshError } from "../core/error.ts";
import type { Stage } from "../core/machine.ts";
import type { Log } from "../telemetry/logger.ts";
import {
  ActionResult,
  type ExecuteRequest,
  ExecuteResponse,
  type WaitExecutionRequest,
} from "../wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import type { Operation } from "../wire/gen/google/longrunning/operations.ts";
import { fromWireDigest, fromWireFunction } from "../wire/reapi.ts";
import { checkAction, toActionRequest } from "./action-request.ts";
import { type InlineWishes, inlined, inlineRoom, noWishes } from "./action-results.ts";
import { type Call, type Handlers, type Send, serverStream } from "./handlers.ts";
import { checkInstance } from "./instance-name.ts";
import { describeOperation, finishedOperation, type MessageDeps } from "./operation-messages.ts";
import {
  isLast,
  nameOperation,
  type OperationRecord,
  type OperationSubject,
  type Operations,
  parseOperationName,
  unknownOperation,
} from "./operations.ts";

/** The core, as the ingress sees it. */
export interface Scheduler {
  /** Reports every stage, the last one exactly once, unless the operation is abandoned before. */
  submit(operation: string, request: ActionRequest, onStage: (stage: Stage) => void): void;
  /** Nobody waits for the operation any more. An action that others wait for too goes on. */
  abandon(operation: string): void;
}

/** What the service works with. */
export interface ExecutionDeps extends MessageDeps {
  readonly actionCache: ActionCache;
  readonly scheduler: Scheduler;
  readonly operations: Operations;
  /** True once the node takes no new actions. */
  readonly draining: () => boolean;
  readonly node: string;
  readonly log: Log;
}

/** The service's handlers. */
export function executionHandlers(deps: ExecutionDeps): Handlers {
  return {
    execute: serverStream(deps.log, (request: ExecuteRequest, call, send: Send<Operation>) =>
      execute(deps, request, call, send),
    ),
    waitExecution: serverStream(
      deps.log,
      (request: WaitExecutionRequest, call, send: Send<Operation>) =>
        waitExecution(deps, request, call, send),
    ),
  };
}

async function execute(
  deps: ExecutionDeps,
  request: ExecuteRequest,
  call: Call,
  send: Send<Operation>,
): Promise<void> {
  if (deps.draining()) {
    throw new MeshError("UNAVAILABLE", "This node is draining. Try another one, or again later.");
  }
  const instance = checkInstance(request.instanceName);
  const fn = fromWireFunction(request.digestFunction, request.actionDigest);
  const action = fromWireDigest(request.actionDigest, fn, "action_digest");
  const subject = { instance, action };
  const name = nameOperation(subject, deps.node);
  const checked = await checkAction(deps.store, action, deps.bounds);
  const priority = request.executionPolicy?.priority ?? 0;
  const { skipCacheLookup } = request;
  const how = { ...call, instance, priority, skipCacheLookup };
  const scheduled = toActionRequest(action, checked, how);
  if (!scheduled.skipCacheLookup) {
    const hit = await cachedOperation(deps, name, subject, request);
    if (hit !== undefined) return send(hit);
  }
  await runAndWatch(deps, name, subject, scheduled, request, call, send);
}

/** A name this node does not know is adopted: answered from the cache, or run (again). */
async function waitExecution(
  deps: ExecutionDeps,
  { name }: WaitExecutionRequest,
  call: Call,
  send: Send<Operation>,
): Promise<void> {
  const known = deps.operations.find(name);
  if (known !== undefined) return watch(deps, known, noWishes, call.signal, send);
  const subject = parseOperationName(name);
  if (subject === undefined) throw unknownOperation(name);
  checkInstance(subject.instance);
  const hit = await cachedOperation(deps, name, subject, noWishes);
  if (hit !== undefined) return send(hit);
  const checked = await checkAction(deps.store, subject.action, deps.bounds).catch((error) => {
    // Without its messages nothing can be adopted; a client that hears NOT_FOUND executes again.
    const lost = ["FAILED_PRECONDITION", "INVALID_ARGUMENT"].includes(failureOf(error).code);
    throw lost ? unknownOperation(name) : error;
  });
  const how = { instance: subject.instance, priority: 0, skipCacheLookup: false };
  const request = toActionRequest(subject.action, checked, { ...call, ...how });
  await runAndWatch(deps, name, subject, request, noWishes, call, send);
}

async function runAndWatch(
  deps: ExecutionDeps,
  name: string,
  subject: OperationSubject,
  request: ActionRequest,
  wishes: InlineWishes,
  call: Call,
  send: Send<Operation>,
): Promise<void> {
  // Two clients may have adopted the same name while its messages were read.
  const known = deps.operations.find(name);
  const record = known ?? deps.operations.create(name, subject);
  if (known === undefined) {
    deps.scheduler.submit(name, request, (stage) => deps.operations.update(name, stage));
  }
  await watch(deps, record, wishes, call.signal, send);
}

/** Streams an operation's stages until its end. A client that vanishes only stops watching. */
async function watch(
  deps: ExecutionDeps,
  record: OperationRecord,
  wishes: InlineWishes,
  signal: AbortSignal,
  send: Send<Operation>,
): Promise<void> {
  for (;;) {
    const { stage } = record;
    const operation = await describeOperation(deps, record, wishes);
    if (signal.aborted) return;
    await send(operation);
    if (isLast(stage)) return;
    if (record.stage === stage) {
      await deps.operations.changed(record.name, deps.bounds.keepAliveMs, signal);
    }
    if (signal.aborted) return;
  }
}

async function cachedOperation(
  deps: ExecutionDeps,
  name: string,
  subject: OperationSubject,
  wishes: InlineWishes,
): Promise<Operation | undefined> {
  const found = await deps.actionCache.get(subject);
  if (found === undefined || found.bytes.length > deps.bounds.answerBytesMax) return undefined;
  const stored = ActionResult.decode(found.bytes);
  const room = inlineRoom(deps.bounds, found.bytes.length);
  const result = await inlined(deps.store, room, stored, subject.action.fn, wishes);
  const response = ExecuteResponse.fromPartial({ result, cachedResult: true });
  return finishedOperation({ name, ...subject }, response);
}
