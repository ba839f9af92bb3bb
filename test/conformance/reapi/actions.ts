// Actions for cases: described in a few words, uploaded, executed, and their ends read.

import type { ServiceError } from "@grpc/grpc-js";
import type { DigestFunction } from "../../../src/core/digest.ts";
import {
  Action,
  type ActionResult,
  Command,
  type Digest,
  ExecuteOperationMetadata,
  ExecuteRequest,
  ExecuteResponse,
  GetActionResultRequest,
} from "../../../src/wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import type { Operation } from "../../../src/wire/gen/google/longrunning/operations.ts";
import type { Any } from "../../../src/wire/gen/google/protobuf/any.ts";
import { PreconditionFailure } from "../../../src/wire/gen/google/rpc/error_details.ts";
import { Status } from "../../../src/wire/gen/google/rpc/status.ts";
import { toDuration, toWireFunction } from "../../../src/wire/reapi.ts";
import { actionCache, type Calls, execution } from "./calls.ts";
import { type Folder, fetchBlob, put, putTree, unique } from "./content.ts";
import { check, isServiceError, Mismatch, nameOfCode, present } from "./expectations.ts";
import type { Target } from "./target.ts";

/** An action in few words; every one is new to the server unless `salt` is given. */
export interface ActionSpec {
  /** A shell script, or the whole command line. */
  readonly run: string | readonly string[];
  readonly inputs?: Folder;
  /** Instead of `inputs`. */
  readonly inputRoot?: Digest;
  readonly env?: Readonly<Record<string, string>>;
  readonly command?: Parameters<typeof Command.fromPartial>[0];
  readonly action?: Parameters<typeof Action.fromPartial>[0];
  readonly timeoutMs?: number;
  readonly salt?: Buffer;
  readonly fn?: DigestFunction;
}

const path = { PATH: "/usr/local/bin:/usr/bin:/bin" };

/** Uploads all messages and inputs of an action. */
export async function putAction(target: Target, spec: ActionSpec): Promise<Digest> {
  const { fn = "sha256" } = spec;
  const command = await put(target, Command.encode(commandOf(target, spec)).finish(), fn);
  const root = spec.inputRoot ?? (await putTree(target, spec.inputs ?? {}, fn));
  return put(target, Action.encode(actionOf(target, spec, command, root)).finish(), fn);
}

/** The Command message of an action. */
export function commandOf(target: Target, spec: ActionSpec): Command {
  const line = typeof spec.run === "string" ? ["/bin/sh", "-c", spec.run] : [...spec.run];
  const environmentVariables = Object.entries(spec.env ?? path)
    .map(([name, value]) => ({ name, value }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  const properties = [...target.endpoint.platform];
  return Command.fromPartial({
    arguments: line,
    environmentVariables,
    platform: { properties },
    ...spec.command,
  });
}

/** The Action message of an action. */
export function actionOf(
  target: Target,
  spec: ActionSpec,
  commandDigest: Digest,
  inputRootDigest: Digest,
): Action {
  return Action.fromPartial({
    commandDigest,
    inputRootDigest,
    salt: spec.salt ?? unique(16),
    platform: { properties: [...target.endpoint.platform] },
    ...(spec.timeoutMs === undefined ? {} : { timeout: toDuration(spec.timeoutMs) }),
    ...spec.action,
  });
}

/** How an execution ended: refused as a call, or with a response. */
export interface Ending {
  /** Of the call or of the response; 0 is OK. */
  readonly code: number;
  readonly message: string;
  readonly details: readonly Any[];
  readonly response: ExecuteResponse | undefined;
  readonly operations: readonly Operation[];
}

/** How an action is executed. */
export type ExecuteOptions = Parameters<typeof ExecuteRequest.fromPartial>[0] & {
  readonly fn?: DigestFunction;
  readonly calls?: Calls;
  readonly requestMetadata?: Buffer;
};

/** The request that executes an action. */
export function executeRequest(
  target: Target,
  actionDigest: Digest,
  { fn = "sha256", calls: _, requestMetadata: __, ...fields }: ExecuteOptions = {},
): ExecuteRequest {
  return ExecuteRequest.fromPartial({
    instanceName: target.instance,
    actionDigest,
    digestFunction: toWireFunction(fn),
    ...fields,
  });
}

/** Executes an uploaded action to whatever end. */
export async function executeToEnd(
  target: Target,
  digest: Digest,
  options: ExecuteOptions = {},
): Promise<Ending> {
  const request = executeRequest(target, digest, options);
  const { calls = target.calls, requestMetadata } = options;
  const how = requestMetadata === undefined ? {} : { requestMetadata };
  return endingOf(calls.collect(execution.execute, request, how));
}

/** The end of an Execute or WaitExecution stream. */
export async function endingOf(stream: Promise<Operation[]>): Promise<Ending> {
  try {
    const seen = await stream;
    const response = responseOf(seen);
    const { code = 0, message = "", details = [] } = response.status ?? {};
    return { code, message, details, response, operations: seen };
  } catch (error) {
    if (!isServiceError(error)) throw error;
    const details = detailsOf(error);
    const { code, details: message } = error;
    return { code, message, details, response: undefined, operations: [] };
  }
}

/** The typed details of a refusal. */
export function detailsOf(error: ServiceError): Any[] {
  const [bytes] = error.metadata.get("grpc-status-details-bin");
  return bytes instanceof Buffer ? Status.decode(bytes).details : [];
}

/** The response that ends a stream of operations. */
export function responseOf(seen: readonly Operation[]): ExecuteResponse {
  const last = seen.at(-1);
  if (last === undefined) throw new Mismatch("the stream ended without a message");
  check(last.done, "the stream ended before the operation was done");
  if (last.result?.$case !== "response") {
    throw new Mismatch(`the finished operation has ${last.result?.$case ?? "no result"}`);
  }
  return ExecuteResponse.decode(last.result.value.value);
}

/** The stages that a stream told. */
export function stagesOf(seen: readonly Operation[]): number[] {
  return seen.map((operation) => metadataOf(operation).stage);
}

/** An operation's metadata. */
export function metadataOf({ metadata }: Operation): ExecuteOperationMetadata {
  return ExecuteOperationMetadata.decode(present(metadata, "Operation.metadata").value);
}

/** A run that must end with an OK status, with its result. */
export interface Ran extends Ending {
  readonly result: ActionResult;
  readonly action: Digest;
}

/** Uploads and executes an action that must end with an OK status. */
export async function ran(
  target: Target,
  spec: ActionSpec,
  options: ExecuteOptions = {},
): Promise<Ran> {
  const { fn = "sha256" } = spec;
  const action = await putAction(target, spec);
  return { ...(await ranAgain(target, action, { fn, ...options })), action };
}

/** Executes an uploaded action that must end with an OK status. */
export async function ranAgain(
  target: Target,
  action: Digest,
  options: ExecuteOptions = {},
): Promise<Ran> {
  const ending = await executeToEnd(target, action, options);
  check(
    ending.code === 0,
    `the action ended with ${nameOfCode(ending.code)} (${ending.message}), not OK`,
  );
  const result = present(ending.response?.result, "ExecuteResponse.result");
  return { ...ending, result, action };
}

/** What an action wrote to stdout, inlined or not. */
export async function stdoutOf(
  target: Target,
  result: ActionResult,
  fn: DigestFunction = "sha256",
): Promise<string> {
  if (result.stdoutRaw.length > 0) return Buffer.from(result.stdoutRaw).toString();
  if (result.stdoutDigest === undefined) return "";
  return (await fetchBlob(target, result.stdoutDigest, fn)).toString();
}

/** The blobs that a refusal names as missing, by its violations; a wrong form is a mismatch. */
export function violationsOf(details: readonly Any[]): string[] {
  return details.flatMap(({ typeUrl, value }) => {
    if (!typeUrl.endsWith("/google.rpc.PreconditionFailure")) return [];
    return PreconditionFailure.decode(value).violations.map(({ type, subject }) => {
      check(type === "MISSING", `a violation has the type ${type}, not MISSING`);
      return subject;
    });
  });
}

/** The cached result of an action; rejects with NOT_FOUND where there is none. */
export function cachedResult(
  target: Target,
  actionDigest: Digest,
  wishes: Parameters<typeof GetActionResultRequest.fromPartial>[0] = {},
): Promise<ActionResult> {
  const request = { instanceName: target.instance, actionDigest, digestFunction: 1 as const };
  return target.calls.unary(
    actionCache.getActionResult,
    GetActionResultRequest.fromPartial({ ...request, ...wishes }),
  );
}
