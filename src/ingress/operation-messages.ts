// What REAPI says of an operation: its stage as metadata, its end as an ExecuteResponse.

import type { BlobStore } from "../cas/blob-store.ts";
import { type Token, tokenKey } from "../core/action.ts";
import type { Digest } from "../core/digest.ts";
import { type Failure, MeshError } from "../core/error.ts";
import type { Stage } from "../core/machine.ts";
import { encodeBytes } from "../wire/encode.ts";
import {
  ExecutedActionMetadata,
  ExecuteOperationMetadata,
  ExecuteResponse,
  ExecutionStage_Value,
} from "../wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import { Operation } from "../wire/gen/google/longrunning/operations.ts";
import { toTimestamp, toWireDigest, toWireFunction } from "../wire/reapi.ts";
import { toStatus } from "../wire/status.ts";
import { type InlineWishes, inlined, inlineRoom } from "./action-results.ts";
import type { IngressBounds } from "./bounds.ts";
import type { LostBlobs } from "./lost-blobs.ts";
import type { OperationRecord } from "./operations.ts";

const responseTypeUrl =
  "type.googleapis.com/build.bazel.remote.execution.v2.ExecuteResponse" as const;
const metadataTypeUrl =
  "type.googleapis.com/build.bazel.remote.execution.v2.ExecuteOperationMetadata" as const;
/** What the messages are made with. */
export interface MessageDeps {
  readonly store: BlobStore;
  readonly lost: Pick<LostBlobs, "toldResult">;
  readonly bounds: IngressBounds;
}

/** Where one operation is now. */
export async function describeOperation(
  deps: MessageDeps,
  record: OperationRecord,
  wishes: InlineWishes,
): Promise<Operation> {
  const { stage } = record;
  switch (stage.kind) {
    case "queued":
      return pending(record, ExecutionStage_Value.QUEUED, {});
    case "executing":
      return pending(record, ExecutionStage_Value.EXECUTING, {
        stdoutStreamName: outputStreamName(stage.token, "stdout"),
        stderrStreamName: outputStreamName(stage.token, "stderr"),
      });
    case "failed":
      return finishedOperation(record, failed(stage.failure, stage.missing));
    case "completed":
      return finishedOperation(record, await responseOf(deps, record, stage, wishes));
  }
}

/** The end of an operation. REAPI: failures are inside the response, never `Operation.error`. */
export function finishedOperation(
  record: Pick<OperationRecord, "name" | "action">,
  response: ExecuteResponse,
): Operation {
  const value = encodeBytes(ExecuteResponse, response);
  return Operation.fromPartial({
    name: record.name,
    metadata: metadataAny(record, ExecutionStage_Value.COMPLETED, {
      partialExecutionMetadata: response.result?.executionMetadata,
    }),
    done: true,
    result: { $case: "response", value: { typeUrl: responseTypeUrl, value } },
  });
}

/** The name under which the live output of an attempt can be read (ByteStream.Read). */
export function outputStreamName(token: Token, which: "stdout" | "stderr"): string {
  return `logstreams/${tokenKey(token).replaceAll("/", ".")}/${which}`;
}

function failed({ code, message }: Failure, missing: readonly Digest[] = []) {
  const status = toStatus(new MeshError(code, message, { missing }));
  return ExecuteResponse.fromPartial({ status });
}

async function responseOf(
  deps: MessageDeps,
  record: OperationRecord,
  { outcome }: Extract<Stage, { kind: "completed" }>,
  wishes: InlineWishes,
): Promise<ExecuteResponse> {
  if (outcome.kind === "fault") return failed(outcome.failure);
  const bytes = await deps.store.get(outcome.response, deps.bounds.responseBytesMax);
  const response = ExecuteResponse.decode(bytes);
  if (response.result === undefined) return response;
  await deps.lost.toldResult(record.by, record, response.result);
  if (response.result.executionMetadata !== undefined) {
    // Only the ingress knows when the client began to wait.
    response.result.executionMetadata.queuedTimestamp = toTimestamp(record.acceptedAtMs);
  }
  const whole = bytes.length < deps.bounds.answerBytesMax;
  if (!whole) return failed(tooLarge(bytes.length));
  const { fn } = record.action;
  const room = inlineRoom(deps.bounds, bytes.length);
  const result = await inlined(deps.store, room, response.result, fn, wishes);
  return { ...response, result };
}

function tooLarge(bytes: number): MeshError {
  return new MeshError(
    "RESOURCE_EXHAUSTED",
    `The action ran, but its result takes ${bytes} bytes, more than gRPC clients accept. Declare ` +
      "the folder that holds its many outputs instead of each of them.",
  );
}

type Details = Parameters<typeof ExecuteOperationMetadata.fromPartial>[0];

function pending(
  record: OperationRecord,
  stage: ExecutionStage_Value,
  details: Details,
): Operation {
  const worker = record.stage.kind === "executing" ? record.stage.worker : "";
  const partialExecutionMetadata = ExecutedActionMetadata.fromPartial({
    worker,
    queuedTimestamp: toTimestamp(record.acceptedAtMs),
    ...(worker === "" ? {} : { workerStartTimestamp: toTimestamp(record.stageAtMs) }),
  });
  return Operation.fromPartial({
    name: record.name,
    metadata: metadataAny(record, stage, { ...details, partialExecutionMetadata }),
    done: false,
  });
}

function metadataAny(
  { action }: Pick<OperationRecord, "action">,
  stage: ExecutionStage_Value,
  details: Details,
) {
  const metadata = ExecuteOperationMetadata.fromPartial({
    ...details,
    stage,
    actionDigest: toWireDigest(action),
    digestFunction: toWireFunction(action.fn),
  });
  return { typeUrl: metadataTypeUrl, value: encodeBytes(ExecuteOperationMetadata, metadata) };
}
