// From an action's digest to its stored result: fetch, lay out, run, collect, store. Faults of this
// machine are told apart from results of the action: only faults are tried elsewhere.

import { lstatSync, statfsSync } from "node:fs";
import { constants } from "node:os";
import { dirname, join } from "node:path";
import type { ActionCache } from "../cas/action-cache.ts";
import type { BlobStore, LocalFiles } from "../cas/blob-store.ts";
import type { ActionRequest, Outcome, Spans } from "../core/action.ts";
import type { Digest, DigestFunction } from "../core/digest.ts";
import { failureOf, MeshError } from "../core/error.ts";
import type { Sandbox, SandboxLimits, SandboxResult, SandboxRun } from "../sandbox/sandbox.ts";
import { encodeBytes } from "../wire/encode.ts";
import {
  ActionResult,
  type ExecuteResponse,
} from "../wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import { fromDuration } from "../wire/reapi.ts";
import { type LimitOptions, readActionLimits } from "./action-limits.ts";
import { normalizeExecPath } from "./exec-path.ts";
import { type InputLayout, layInputRoot } from "./input-root.ts";
import type { LaidRoots, LaidTree } from "./laid-roots.ts";
import { type OutputPart, tailOutput } from "./live-output.ts";
import { type LoadedAction, loadAction } from "./load-action.ts";
import { collectOutputs, type DeclaredOutput } from "./output-files.ts";
import { adoptFile } from "./output-tree.ts";
import type { KeptEnding, PersistentWorkers } from "./persistent-workers.ts";
import { type Phases, refusal, resultOf, storeResponse } from "./response.ts";
import type { ScratchPool } from "./scratch.ts";

/** What an executor works with. */
export interface ExecutorDeps {
  readonly store: BlobStore & LocalFiles;
  readonly actionCache: ActionCache;
  readonly sandbox: Sandbox;
  /** Where exec roots are; on the store's file system, so that inputs can be linked. */
  readonly scratch: ScratchPool;
  /** Exec roots to use again, where the sandbox ends all that an action started. */
  readonly laidRoots?: LaidRoots | undefined;
  /** Compilers that stay, for actions that ask for one; undefined: every action starts its own. */
  readonly persistentWorkers?: PersistentWorkers | undefined;
  readonly now: () => number;
  /** True where the system's tools are no longer those that this worker is known to have. */
  readonly toolsChanged?: () => boolean;
}

/** How this worker runs actions. */
export interface ExecutorOptions {
  /** Name for people, recorded in every result. */
  readonly worker: string;
  readonly limits: LimitOptions;
  /** Bound: bytes of an Action or Command message. */
  readonly messageBytesMax: number;
  /**
   * Free bytes on the scratch folder's disk below which no action is begun and no ending of one
   * counts: it is a fault of this worker. 32 MiB unless given.
   */
  readonly diskFreeBytesMin?: number;
}

const diskFreeBytesMinDefault = 32 << 20;

/** Runs one action. Never rejects: every ending is an outcome. */
export type Executor = (
  request: ActionRequest,
  call: {
    readonly signal: AbortSignal;
    /** Told what the command writes while it runs. */
    readonly onOutput?: (part: OutputPart) => void;
    /** When the work for it began, Unix ms: bringing its inputs here counts. Else now. */
    readonly begunMs?: number;
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
      return await storeResponse(deps.store, request.action.fn, refusal(error), nothingRan);
    }
  };
}

const nothingRan = { runMs: 0, exitCode: undefined };

async function execute(
  deps: ExecutorDeps,
  options: ExecutorOptions,
  request: ActionRequest,
  { signal, onOutput, begunMs }: Parameters<Executor>[1],
): Promise<Outcome> {
  const now = steady(deps.now);
  const startMs = Math.min(begunMs ?? Number.POSITIVE_INFINITY, now());
  const phases: Phases = { startMs, fetchedMs: 0, inputsMs: 0, ranMs: 0, endMs: 0 };
  const loaded = await loadAction(deps.store, request.action, options.messageBytesMax);
  phases.fetchedMs = now();
  const scratch = deps.scratch.take();
  try {
    checkDisk(scratch, options);
    const attempt = { request, loaded, scratch, signal, onOutput };
    const onLaid = () => {
      phases.inputsMs = now();
    };
    const done = await runAction(deps, options, attempt, onLaid);
    const { run, laid, ended } = done;
    phases.ranMs = now();
    if (ended.cancelled) throw new MeshError("CANCELLED", "The action was cancelled.");
    // What ran on a full disk proves nothing: it failed for that alone, or did not even notice.
    checkDisk(scratch, options);
    // Its result would be kept as made by tools that may not have made it.
    if (deps.toolsChanged?.()) {
      throw new MeshError("UNAVAILABLE", "The system's tools changed while the action ran.");
    }
    const collected = await collectOutputs(
      deps.store,
      run.execRoot,
      loaded.outputs,
      loaded.collecting,
    );
    const ran = withinOutput(ended, collected.bytes, run.limits);
    const { fn } = request.action;
    const stdout = await adoptLog(deps.store, run.stdoutPath, fn);
    const stderr = await adoptLog(deps.store, run.stderrPath, fn);
    if (laid !== undefined) await deps.laidRoots?.keep(run.execRoot, laid, phases.inputsMs);
    phases.endMs = now();
    const response = resultOf({
      worker: options.worker,
      isolation: deps.sandbox.isolation,
      outputs: collected,
      stdout,
      stderr,
      ran,
      limits: run.limits,
      phases,
      isPersistent: done.isPersistent,
    });
    const outcome = await finish(deps, request, loaded, ran, response);
    return outcome.kind === "fault" ? outcome : { ...outcome, spans: spansOf(phases, now()) };
  } finally {
    await deps.scratch.give(scratch);
  }
}

/** A run that ended, its files where they would be collected from. */
interface DoneRun extends PreparedRun {
  readonly ended: SandboxResult;
  readonly isPersistent: boolean;
}

/** Has a persistent worker do it where the action asks for one and that works, else runs it. */
async function runAction(
  deps: ExecutorDeps,
  options: ExecutorOptions,
  attempt: {
    readonly request: ActionRequest;
    readonly loaded: LoadedAction;
    readonly scratch: string;
    readonly signal: AbortSignal;
    readonly onOutput: ((part: OutputPart) => void) | undefined;
  },
  onLaid: () => void,
): Promise<DoneRun> {
  const { request, loaded, scratch, signal, onOutput } = attempt;
  let spentMs = 0;
  if (deps.persistentWorkers !== undefined) {
    const described = describeRun(deps, options, loaded, scratch);
    const work = { request, loaded, ...described };
    const kept: KeptEnding = await deps.persistentWorkers.run(work, { signal, onLaid });
    if (kept.kind === "ended") {
      return { run: described.run, laid: undefined, ended: kept.ended, isPersistent: true };
    }
    spentMs = kept.spentMs;
  }
  const prepared = await prepareRun(deps, options, loaded, scratch);
  onLaid();
  const { laid } = prepared;
  const run = spentMs === 0 ? prepared.run : withLess(prepared.run, spentMs);
  const tail = onOutput && tailOutput(run, onOutput);
  const ended = await deps.sandbox.run(run, { signal }).finally(() => tail?.stop());
  return { run, laid, ended, isPersistent: false };
}

/** What a persistent worker took of the action's time without an answer is gone. */
function withLess(run: SandboxRun, spentMs: number): SandboxRun {
  const wallMs = Math.max(1, Math.ceil(run.limits.wallMs - spentMs));
  return { ...run, limits: { ...run.limits, wallMs } };
}

function spansOf({ startMs, fetchedMs, inputsMs, ranMs }: Phases, endMs: number): Spans {
  const [fetchMs, setUpMs] = [fetchedMs - startMs, inputsMs - fetchedMs];
  return { fetchMs, setUpMs, storeMs: endMs - ranMs };
}

/** The sandbox looks at what an action writes now and then; here is the sum of its outputs. */
function withinOutput(ran: SandboxResult, bytes: number, limits: SandboxLimits): SandboxResult {
  if (ran.limit !== undefined || bytes <= limits.outputBytes) return ran;
  return { ...ran, exitCode: 128 + constants.signals.SIGKILL, limit: "outputBytes" };
}

/** A clock that stands still while the machine's is set back. */
function steady(now: () => number): () => number {
  let latest = Number.NEGATIVE_INFINITY;
  return () => {
    latest = Math.max(latest, now());
    return latest;
  };
}

/** RESOURCE_EXHAUSTED where the scratch folder's disk is all but full. */
function checkDisk(scratch: string, options: ExecutorOptions): void {
  const diskFreeBytesMin = options.diskFreeBytesMin ?? diskFreeBytesMinDefault;
  const { bavail, bsize } = statfsSync(scratch);
  if (bavail * bsize >= diskFreeBytesMin) return;
  throw new MeshError(
    "RESOURCE_EXHAUSTED",
    `The disk of ${dirname(scratch)} has ${bavail * bsize} bytes left, too few to run actions. Free space ` +
      "or lower --store-max.",
  );
}

function adoptLog(store: LocalFiles, path: string, fn: DigestFunction): Promise<Digest> {
  return adoptFile(store, path, lstatSync(path), fn);
}

/** A run whose inputs are laid out. */
export interface PreparedRun {
  readonly run: SandboxRun;
  /** What lies in its exec root, where that may be kept. */
  readonly laid: LaidTree | undefined;
}

/** An action as it is to be run; its inputs are not laid out yet. */
export interface DescribedRun {
  readonly run: SandboxRun;
  readonly layout: InputLayout;
  /** Platform properties, name → value. */
  readonly properties: ReadonlyMap<string, string>;
}

/** Lays an action out in a scratch folder. INVALID_ARGUMENT where it cannot be run as it is. */
export async function prepareRun(
  deps: ExecutorDeps,
  options: ExecutorOptions,
  loaded: LoadedAction,
  scratch: string,
): Promise<PreparedRun> {
  const { run, layout } = describeRun(deps, options, loaded, scratch);
  // Without namespaces a process could outlive its action, and write to what is kept.
  const endsAll = deps.sandbox.isolation.startsWith("namespaces");
  const laidRoots = endsAll ? deps.laidRoots : undefined;
  const { laid, ...inputs } = await layInputRoot(deps.store, loaded.inputRoot, layout, laidRoots);
  return { run: { ...run, inputs }, laid };
}

function describeRun(
  deps: ExecutorDeps,
  options: ExecutorOptions,
  { action, command, outputs }: LoadedAction,
  scratch: string,
): DescribedRun {
  const [program, ...rest] = command.arguments;
  if (program === undefined) throw new MeshError("INVALID_ARGUMENT", "Command has no arguments.");
  const workingDirectory = normalizeExecPath(command.workingDirectory, "working_directory");
  const platform = action.platform ?? command.platform;
  const properties = new Map(platform?.properties.map(({ name, value }) => [name, value]));
  const timeoutMs = fromDuration(action.timeout);
  const execRoot = join(scratch, "root");
  const limits = readActionLimits(properties, timeoutMs || undefined, options.limits);
  const layout = {
    execRoot,
    scratch,
    // REAPI wants the working directory among the inputs. recc and others name one that only
    // outputs will be in, and an empty folder is the same wherever it is named.
    folders: [workingDirectory, ...outputs.map(parentOf)],
    // An input that the action declares as an output as well is there to be overwritten.
    writable: new Set(outputs.filter(({ form }) => form !== "directory").map(({ path }) => path)),
    ownerId: deps.sandbox.ownerId,
  };
  const run = {
    execRoot,
    workingDirectory,
    argv: [program, ...rest] as const,
    env: Object.fromEntries(command.environmentVariables.map(({ name, value }) => [name, value])),
    stdoutPath: join(scratch, "stdout"),
    stderrPath: join(scratch, "stderr"),
    scratch,
    ...limits,
  };
  return { run, layout, properties };
}

/** The folder that an output is in. Not an output folder itself: the action may make a symlink. */
function parentOf({ path }: DeclaredOutput): string {
  const parent = dirname(path);
  return parent === "." ? "" : parent;
}

/** Caches a success and stores the response. */
async function finish(
  { store, actionCache }: ExecutorDeps,
  request: ActionRequest,
  { action }: LoadedAction,
  ran: SandboxResult,
  response: ExecuteResponse,
): Promise<Outcome> {
  const succeeded = ran.exitCode === 0 && ran.limit === undefined && response.status === undefined;
  if (succeeded && !action.doNotCache && response.result !== undefined) {
    const bytes = encodeBytes(ActionResult, response.result);
    await actionCache.put({ instance: request.instance, action: request.action }, bytes);
  }
  const exitCode = response.status === undefined ? ran.exitCode : undefined;
  const runMs = Math.round(ran.usage.wallMs);
  return await storeResponse(store, request.action.fn, response, { runMs, exitCode });
}
