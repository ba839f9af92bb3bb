// From an action's digest to its stored result: fetch, lay out, run, collect, store. Faults of this
// machine are told apart from results of the action: only faults are tried elsewhere.

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { ActionCache } from "../cas/action-cache.ts";
import type { BlobStore, LocalFiles } from "../cas/blob-store.ts";
import type { ActionRequest, Outcome } from "../core/action.ts";
import type { Digest } from "../core/digest.ts";
import { failureOf, MeshError } from "../core/error.ts";
import type { Sandbox, SandboxResult, SandboxRun } from "../sandbox/sandbox.ts";
import {
  Action,
  ActionResult,
  Command,
  type ExecuteResponse,
} from "../wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import { fromDuration, fromWireDigest } from "../wire/reapi.ts";
import { type LimitOptions, readActionLimits } from "./action-limits.ts";
import { normalizeExecPath } from "./exec-path.ts";
import { layInputRoot } from "./input-root.ts";
import { type OutputPart, tailOutput } from "./live-output.ts";
import { collectOutputs, declaredOutputs } from "./output-files.ts";
import { type Phases, refusal, resultOf, storeResponse } from "./response.ts";
import type { ScratchPool } from "./scratch.ts";

/** What an executor works with. */
export interface ExecutorDeps {
  readonly store: BlobStore & LocalFiles;
  readonly actionCache: ActionCache;
  readonly sandbox: Sandbox;
  /** Where exec roots are; on the store's file system, so that inputs can be linked. */
  readonly scratch: ScratchPool;
  readonly now: () => number;
}

/** How this worker runs actions. */
export interface ExecutorOptions {
  /** Name for people, recorded in every result. */
  readonly worker: string;
  readonly limits: LimitOptions;
  /** Bound: bytes of an Action or Command message. */
  readonly messageBytesMax: number;
}

/** Runs one action. Never rejects: every ending is an outcome. */
export type Executor = (
  request: ActionRequest,
  call: {
    readonly signal: AbortSignal;
    /** Told what the command writes while it runs. */
    readonly onOutput?: (part: OutputPart) => void;
  },
) => Promise<Outcome>;

/** Makes the executor of one worker. */
export function createExecutor(deps: ExecutorDeps, options: ExecutorOptions): Executor {
  return async (request, call) => {
    try {
      return await execute(deps, options, request, call);
    } catch (error) {
      const failure = failureOf(error);
      // The action, not this machine: no other worker would do better.
      const ownFault = ["FAILED_PRECONDITION", "INVALID_ARGUMENT"].includes(failure.code);
      if (!ownFault) return { kind: "fault", failure };
      return await storeResponse(deps.store, request.action.fn, refusal(error), 0, undefined);
    }
  };
}

/** An action's messages, decoded. */
interface LoadedAction {
  readonly action: Action;
  readonly command: Command;
  readonly inputRoot: Digest;
}

async function execute(
  deps: ExecutorDeps,
  options: ExecutorOptions,
  request: ActionRequest,
  { signal, onOutput }: Parameters<Executor>[1],
): Promise<Outcome> {
  const startMs = deps.now();
  const phases: Phases = { startMs, inputsMs: startMs, ranMs: startMs, endMs: startMs };
  const loaded = await loadAction(deps.store, request.action, options.messageBytesMax);
  const scratch = deps.scratch.take();
  try {
    const run = await prepare(deps.store, options, loaded, scratch);
    phases.inputsMs = deps.now();
    const tail = onOutput && tailOutput(run, onOutput);
    const ran = await deps.sandbox.run(run, { signal }).finally(() => tail?.stop());
    phases.ranMs = deps.now();
    if (ran.cancelled) throw new MeshError("CANCELLED", "The action was cancelled.");
    return await finish(deps, options, request, loaded, run, ran, phases);
  } finally {
    await deps.scratch.give(scratch);
  }
}

async function loadAction(
  store: BlobStore,
  digest: Digest,
  bytesMax: number,
): Promise<LoadedAction> {
  const action = await decode(store, digest, bytesMax, "Action", Action);
  const commandDigest = fromWireDigest(action.commandDigest, digest.fn, "Action.command_digest");
  const inputRoot = fromWireDigest(action.inputRootDigest, digest.fn, "Action.input_root_digest");
  const command = await decode(store, commandDigest, bytesMax, "Command", Command);
  return { action, command, inputRoot };
}

async function decode<T>(
  store: BlobStore,
  digest: Digest,
  bytesMax: number,
  name: string,
  type: { decode(bytes: Uint8Array): T },
): Promise<T> {
  const bytes = await store.get(digest, bytesMax).catch((error: unknown) => {
    if (failureOf(error).code !== "NOT_FOUND") throw error;
    throw new MeshError("FAILED_PRECONDITION", `The ${name} blob is missing. Upload it again.`, {
      missing: [digest],
    });
  });
  try {
    return type.decode(bytes);
  } catch (cause) {
    throw new MeshError("INVALID_ARGUMENT", `The ${name} blob is not a ${name} message.`, {
      cause,
    });
  }
}

async function prepare(
  store: BlobStore & LocalFiles,
  options: ExecutorOptions,
  { action, command, inputRoot }: LoadedAction,
  scratch: string,
): Promise<SandboxRun> {
  const [program, ...rest] = command.arguments;
  if (program === undefined) throw new MeshError("INVALID_ARGUMENT", "Command has no arguments.");
  const workingDirectory = normalizeExecPath(command.workingDirectory, "working_directory");
  const platform = action.platform ?? command.platform;
  const properties = new Map(platform?.properties.map(({ name, value }) => [name, value]));
  const timeoutMs = fromDuration(action.timeout);
  const execRoot = join(scratch, "root");
  await layInputRoot(store, inputRoot, execRoot);
  for (const output of declaredOutputs(command)) {
    // Not an output folder itself: the action may want a symlink there (REAPI, Command).
    makeFolder(execRoot, join(output.path, ".."), `The folder of output ${output.declared}`);
  }
  // REAPI wants it among the inputs; recc and others name one that only outputs will be in.
  makeFolder(execRoot, workingDirectory, "working_directory");
  return {
    execRoot,
    workingDirectory,
    argv: [program, ...rest],
    env: Object.fromEntries(command.environmentVariables.map(({ name, value }) => [name, value])),
    stdoutPath: join(scratch, "stdout"),
    stderrPath: join(scratch, "stderr"),
    scratch,
    ...readActionLimits(properties, timeoutMs || undefined, options.limits),
  };
}

/** A folder of the action, made where it is not there. INVALID_ARGUMENT where a file is. */
function makeFolder(execRoot: string, path: string, field: string): void {
  if (path === "" || path === ".") return;
  try {
    mkdirSync(join(execRoot, path), { recursive: true });
  } catch (cause) {
    const taken = ["EEXIST", "ENOTDIR"].some((code) => String(cause).includes(code));
    if (!taken) throw cause;
    const message = `${field}: ${JSON.stringify(path)} leads through an input that is no folder.`;
    throw new MeshError("INVALID_ARGUMENT", message, { cause });
  }
}

async function finish(
  deps: ExecutorDeps,
  options: ExecutorOptions,
  request: ActionRequest,
  { action, command }: LoadedAction,
  run: SandboxRun,
  ran: SandboxResult,
  phases: Phases,
): Promise<Outcome> {
  const { fn } = request.action;
  const outputs = await collectOutputs(deps.store, run.execRoot, command, fn);
  const stdout = await deps.store.adopt(run.stdoutPath, fn);
  const stderr = await deps.store.adopt(run.stderrPath, fn);
  phases.endMs = deps.now();
  const isolation = deps.sandbox.isolation;
  const response: ExecuteResponse = resultOf({
    worker: options.worker,
    isolation,
    outputs,
    stdout,
    stderr,
    ran,
    limits: run.limits,
    phases,
  });
  const cacheable = ran.exitCode === 0 && ran.limit === undefined && !action.doNotCache;
  if (cacheable && response.result !== undefined) {
    const bytes = ActionResult.encode(response.result).finish();
    await deps.actionCache.put({ instance: request.instance, action: request.action }, bytes);
  }
  const exitCode = response.status === undefined ? ran.exitCode : undefined;
  return await storeResponse(deps.store, fn, response, ran.usage.wallMs, exitCode);
}
