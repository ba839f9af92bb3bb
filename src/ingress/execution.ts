// REAPI Execution: accept, answer from the cache or hand to the core, tell every waiter.

import type { CompleteResult } from "../cas/completeness.ts";
import type { ActionRequest } from "../core/action.ts";
import { failureOf, MeshError } from "../core/error.ts";
import type { Log } from "../telemetry/logger.ts";
import {
  type ExecuteRequest,
  ExecuteResponse,
  type WaitExecutionRequest,
} from "../wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import type { Operation } from "../wire/gen/google/longrunning/operations.ts";
import { fromWireDigest, fromWireFunction } from "../wire/reapi.ts";
import { checkAction, invocationOf, toActionRequest } from "./action-request.ts";
import { type InlineWishes, inlined, inlineRoom, noWishes } from "./action-results.ts";
import { createCallTurns } from "./call-turns.ts";
import { type Call, type Handlers, type Send, serverStream } from "./handlers.ts";
import { checkInstance } from "./instance-name.ts";
import type { LostBlobs } from "./lost-blobs.ts";
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
import { type LookUpDeps, lookUp, scopesOf } from "./toolchain-scope.ts";

/** The core, as the ingress sees it. */
export interface Scheduler {
  /**
   * Every stage is told to `Ingress.onStage`, the last one exactly once, unless the operation is
   * abandoned before.
   */
  submit(operation: string, request: ActionRequest): void;
  /** Nobody waits for the operation any more. An action that others wait for too goes on. */
  abandon(operation: string): void;
}

/** What the service works with. */
export interface ExecutionDeps extends MessageDeps, LookUpDeps {
  readonly scheduler: Scheduler;
  readonly operations: Operations;
  readonly lost: Pick<LostBlobs, "told" | "toldResult">;
  /** True once the node takes no new actions. */
  readonly draining: () => boolean;
  readonly node: string;
  /** Told of calls that were answered from the cache. */
  readonly onCached?: ((operation: string, request: ActionRequest) => void) | undefined;
  /** This node's toolchain, for actions that name none; empty where it has none. */
  readonly toolchain: () => string;
  readonly log: Log;
}

/** Bound: calls of `Execute` that begin in one turn, some ms of work. */
const callsPerTurn = 16;

/** The service's handlers. */
export function executionHandlers(deps: ExecutionDeps): Handlers {
  const turn = createCallTurns(callsPerTurn);
  return {
    execute: serverStream(
      deps.log,
      async (request: ExecuteRequest, call, send: Send<Operation>) => {
        await turn();
        return tell(deps, await accept(deps, request, call), request, call, send);
      },
    ),
    waitExecution: serverStream(
      deps.log,
      (request: WaitExecutionRequest, call, send: Send<Operation>) =>
        adopt(deps, request, call).then((answer) => tell(deps, answer, noWishes, call, send)),
    ),
  };
}

/** What a call waits for, or what answers it at once. */
type Answer = { readonly record: OperationRecord } | { readonly finished: Operation };

// A hundred thousand calls may wait at once: what is left of one while it waits is its record and
// the little that `watch` holds. So its messages are read in functions that have returned by then.

async function accept(deps: ExecutionDeps, request: ExecuteRequest, call: Call): Promise<Answer> {
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
  const how = { ...call, instance, priority, skipCacheLookup, toolchain: deps.toolchain() };
  const scheduled = toActionRequest(action, checked, how);
  if (!scheduled.skipCacheLookup) {
    const kept = await lookUp(deps, action, [scheduled.instance], scheduled.invocation);
    const hit = await cachedOperation(deps, name, subject, kept, request);
    if (kept !== undefined && hit !== undefined) {
      deps.lost.told(scheduled, subject, kept.named);
      deps.onCached?.(name, scheduled);
      return { finished: hit };
    }
  }
  return run(deps, name, subject, scheduled);
}

/** A name this node does not know is adopted: answered from the cache, or run (again). */
async function adopt(
  deps: ExecutionDeps,
  { name }: WaitExecutionRequest,
  call: Call,
): Promise<Answer> {
  const known = deps.operations.find(name);
  if (known !== undefined) return { record: known };
  const subject = parseOperationName(name);
  if (subject === undefined) throw unknownOperation(name);
  checkInstance(subject.instance);
  const toolchain = deps.toolchain();
  const scopes = scopesOf(subject.instance, toolchain);
  const kept = await lookUp(deps, subject.action, scopes, invocationOf(call));
  const hit = await cachedOperation(deps, name, subject, kept, noWishes);
  if (hit !== undefined) return { finished: hit };
  const checked = await checkAction(deps.store, subject.action, deps.bounds).catch((error) => {
    // Without its messages nothing can be adopted; a client that hears NOT_FOUND executes again.
    const lost = ["FAILED_PRECONDITION", "INVALID_ARGUMENT"].includes(failureOf(error).code);
    throw lost ? unknownOperation(name) : error;
  });
  const how = { instance: subject.instance, priority: 0, skipCacheLookup: false, toolchain };
  const request = toActionRequest(subject.action, checked, { ...call, ...how });
  return run(deps, name, subject, request);
}

function run(
  deps: ExecutionDeps,
  name: string,
  subject: OperationSubject,
  request: ActionRequest,
): Answer {
  // Two clients may have adopted the same name while its messages were read.
  const known = deps.operations.find(name);
  if (known !== undefined) return { record: known };
  const record = deps.operations.create(name, subject, request);
  deps.scheduler.submit(name, request);
  return { record };
}

function tell(
  deps: ExecutionDeps,
  answer: Answer,
  wishes: InlineWishes,
  call: Call,
  send: Send<Operation>,
): Promise<void> {
  if ("finished" in answer) return send(answer.finished);
  return watch(deps, answer.record, wishes, call.signal, send);
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
    await sendPresent(deps, record, wishes, signal, send);
    if (isLast(stage)) return;
    if (record.stage === stage) {
      await deps.operations.changed(record.name, deps.bounds.keepAliveMs, signal);
    }
    if (signal.aborted) return;
  }
}

async function sendPresent(
  deps: ExecutionDeps,
  record: OperationRecord,
  wishes: InlineWishes,
  signal: AbortSignal,
  send: Send<Operation>,
): Promise<void> {
  const operation = await describeOperation(deps, record, wishes);
  if (!signal.aborted) await send(operation);
}

async function cachedOperation(
  deps: ExecutionDeps,
  name: string,
  subject: OperationSubject,
  found: CompleteResult | undefined,
  wishes: InlineWishes,
): Promise<Operation | undefined> {
  if (found === undefined || found.bytes.length > deps.bounds.answerBytesMax) return undefined;
  const room = inlineRoom(deps.bounds, found.bytes.length);
  const result = await inlined(deps.store, room, found.result, subject.action.fn, wishes);
  const response = ExecuteResponse.fromPartial({ result, cachedResult: true });
  return finishedOperation({ name, ...subject }, response);
}
