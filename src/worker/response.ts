// The ExecuteResponse of an attempt: honest metadata, every limit by name, refusals with details.

import { constants } from "node:os";
import type { BlobStore } from "../cas/blob-store.ts";
import type { Outcome } from "../core/action.ts";
import type { Digest, DigestFunction } from "../core/digest.ts";
import type { SandboxLimits, SandboxResult } from "../sandbox/sandbox.ts";
import { encodeBytes } from "../wire/encode.ts";
import { toWireReport } from "../wire/execution-report.ts";
import {
  ActionResult,
  ExecutedActionMetadata,
  ExecuteResponse,
} from "../wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import { toDuration, toTimestamp, toWireDigest } from "../wire/reapi.ts";
import { numberByCode, toStatus } from "../wire/status.ts";
import { describePassedLimit } from "./limit-text.ts";
import type { CollectedOutputs } from "./output-files.ts";

/** When each phase of an attempt ended, Unix ms. */
export interface Phases {
  readonly startMs: number;
  /** The inputs are on this host; they are laid out next. */
  fetchedMs: number;
  inputsMs: number;
  ranMs: number;
  endMs: number;
}

/** What a finished run is described from. */
export interface FinishedRun {
  readonly worker: string;
  readonly isolation: string;
  readonly outputs: CollectedOutputs;
  readonly stdout: Digest;
  readonly stderr: Digest;
  readonly ran: SandboxResult;
  readonly limits: SandboxLimits;
  readonly phases: Phases;
  /** Whether a persistent worker did it. */
  readonly isPersistent: boolean;
}

/**
 * The response to a command that ran. A time-out is DEADLINE_EXCEEDED with the partial result and
 * exactly this text, which siso compares. A success whose outputs cannot be kept is
 * FAILED_PRECONDITION, with what can be. Any other ending is OK with an exit code.
 */
export function resultOf(run: FinishedRun): ExecuteResponse {
  const { ran, outputs } = run;
  const result = ActionResult.fromPartial({
    outputFiles: outputs.files,
    outputDirectories: outputs.directories,
    outputSymlinks: outputs.symlinks,
    outputFileSymlinks: outputs.fileSymlinks,
    outputDirectorySymlinks: outputs.directorySymlinks,
    exitCode: ran.exitCode,
    stdoutDigest: toWireDigest(run.stdout),
    stderrDigest: toWireDigest(run.stderr),
    executionMetadata: metadataOf(run),
  });
  const problems = outputs.problems.join(" ");
  return ExecuteResponse.fromPartial({
    result,
    message: [endingMessage(ran, run.limits), problems].filter((text) => text !== "").join(" "),
    ...statusOf(ran, problems),
  });
}

/** A failing command's own words matter more than the outputs it spoilt; those are in `message`. */
function statusOf(ran: SandboxResult, problems: string): Pick<ExecuteResponse, "status"> | object {
  if (ran.limit === "timeout") {
    const message = "execution timeout exceeded";
    return { status: { code: numberByCode.DEADLINE_EXCEEDED, message } };
  }
  if (problems === "" || ran.exitCode !== 0) return {};
  return { status: { code: numberByCode.FAILED_PRECONDITION, message: problems } };
}

/** The response to an action that no worker could run as it is. */
export function refusal(error: unknown): ExecuteResponse {
  return ExecuteResponse.fromPartial({ status: toStatus(error) });
}

/** Stores a response and names it in an outcome. */
export async function storeResponse(
  store: BlobStore,
  fn: DigestFunction,
  response: ExecuteResponse,
  ran: Pick<Extract<Outcome, { kind: "result" }>, "runMs" | "exitCode" | "spans">,
): Promise<Outcome> {
  const digest = await store.put(encodeBytes(ExecuteResponse, response), fn);
  return { kind: "result", response: digest, ...ran };
}

function endingMessage(ran: SandboxResult, limits: SandboxLimits): string {
  return ran.limit === undefined ? signalMessage(ran.exitCode) : describePassedLimit(ran, limits);
}

/** Exit codes of 128 and a signal are also what a shell makes of a child that died by one. */
function signalMessage(exitCode: number): string {
  const found = Object.entries(constants.signals).find(([, number]) => 128 + number === exitCode);
  return found === undefined ? "" : `Ended by signal ${found[0]} (exit code ${exitCode}).`;
}

function metadataOf(run: FinishedRun): ExecutedActionMetadata {
  const { phases, ran } = run;
  const report = toWireReport({
    isolation: run.isolation,
    userCpuMs: Math.round(ran.usage.userCpuMs),
    systemCpuMs: Math.round(ran.usage.systemCpuMs),
    memoryPeakBytes: ran.usage.memoryPeakBytes,
    ...(ran.usage.io === undefined ? {} : { io: ran.usage.io }),
    limit: ran.limit ?? "",
    ...(run.isPersistent && { persistentWorker: true }),
  });
  return ExecutedActionMetadata.fromPartial({
    worker: run.worker,
    queuedTimestamp: toTimestamp(phases.startMs),
    workerStartTimestamp: toTimestamp(phases.startMs),
    inputFetchStartTimestamp: toTimestamp(phases.startMs),
    inputFetchCompletedTimestamp: toTimestamp(phases.fetchedMs),
    executionStartTimestamp: toTimestamp(phases.inputsMs),
    executionCompletedTimestamp: toTimestamp(phases.ranMs),
    virtualExecutionDuration: toDuration(ran.usage.wallMs),
    outputUploadStartTimestamp: toTimestamp(phases.ranMs),
    outputUploadCompletedTimestamp: toTimestamp(phases.endMs),
    workerCompletedTimestamp: toTimestamp(phases.endMs),
    auxiliaryMetadata: [report],
  });
}
