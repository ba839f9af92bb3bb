// One action of a build: inputs to digests, known result or execution, outputs to digests.

import { createHash } from "node:crypto";
import { join, posix } from "node:path";
import { readTreeMessage, type TreeEntry } from "../cas/merkle.ts";
import { type Digest, digestKey } from "../core/digest.ts";
import { type Failure, failureOf, MeshError } from "../core/error.ts";
import type { ActionInput, BuildAction } from "../rules/build-action.ts";
import { missingTool } from "../rules/languages.ts";
import { coveredBy } from "../rules/rule.ts";
import { fromWireReport } from "../wire/execution-report.ts";
import { fitTimes, phaseMs, readExecutionTimes } from "../wire/execution-times.ts";
import { ActionResult } from "../wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import { fromTimestamp, fromWireDigest } from "../wire/reapi.ts";
import { statOf } from "../workspace/look.ts";
import { type ActionHistory, type ActionRecord, recordOfAction } from "./action-history.ts";
import type { ActionTimes, BuildEvent } from "./build-event.ts";
import type { ActionExecutor, Place } from "./executor.ts";
import {
  type MadeFile,
  type PreparedAction,
  type PreparedBlob,
  prepareAction,
} from "./prepared-action.ts";
import type { BuildState, KeptResult } from "./state.ts";
import type { Toolchain } from "./toolchain.ts";
import type { Explain } from "./why-ran.ts";

/** What running an action takes. */
export interface ActionRunnerDeps {
  readonly root: string;
  readonly state: BuildState;
  readonly toolchain: Toolchain;
  readonly history: ActionHistory;
  /** Source files as inputs, by path: many actions share a header, which is looked at once. */
  readonly sourceInputs: Map<string, InputFile>;
  readonly executorFor: (place: Place) => Promise<ActionExecutor>;
  readonly emit: (event: BuildEvent) => void;
  readonly now: () => number;
  /** Says why what ran was no hit; undefined: nobody asks. */
  readonly explain?: Explain | undefined;
}

/** How an action of the build ended. */
export interface FinishedAction {
  readonly ok: boolean;
  readonly how: "kept" | "cached" | "ran";
  readonly made: readonly MadeFile[];
  readonly storedAtMs: number;
}

interface Ended {
  readonly result: ActionResult;
  readonly how: FinishedAction["how"];
  readonly failure: Failure | undefined;
  readonly message: string;
  readonly storedAtMs: number;
  /** What it made, where that is known without looking. */
  readonly made: readonly MadeFile[] | undefined;
}

/** What a run of an action is part of. */
export interface RunCall {
  readonly invocation: string;
  readonly signal: AbortSignal;
  /** True to run it even where its result is known. */
  readonly fresh: boolean;
  /** Counts from 1. */
  readonly attempt: number;
  /** True where a failure is not the last word. */
  readonly mayTryAgain: boolean;
}

/** Where blobs wait that one executor made and another needs, below the workspace. */
export const movedFolder = `.builder/moved/${process.pid}`;

const streamBytesMax = 4 << 20;

/** Runs one action whose inputs are made. Rejects with `missing` where a made input is gone. */
export async function runAction(
  deps: ActionRunnerDeps,
  build: BuildAction,
  madeBy: ReadonlyMap<BuildAction, readonly MadeFile[]>,
  call: RunCall,
): Promise<FinishedAction> {
  const { inputs, prepared, key } = await prepare(deps, build, madeBy);
  const startedAtMs = deps.now();
  const known = call.fresh || !build.cache ? undefined : keptResult(deps.state.result(key));
  const ended = known ?? (await execute(deps, prepared, inputs, call));
  const doneMs = deps.now();
  const ms = doneMs - startedAtMs;
  const ok = ended.failure === undefined && ended.result.exitCode === 0;
  const made = ok ? (ended.made ?? (await madeFiles(deps, build, ended.result))) : [];
  const lacking = ok ? missingOutput(build, made) : undefined;
  if (ok && lacking === undefined && ended.how !== "kept" && build.cache) {
    deps.state.keepResult(key, {
      bytes: ActionResult.encode(ended.result).finish(),
      storedAtMs: ended.storedAtMs,
      made: ended.result.outputDirectories.length > 0 ? made : undefined,
    });
  }
  const output = await streams(deps, build, ended);
  const passed = ok && lacking === undefined;
  const record = { ...recordOf(deps, build, inputs), failed: !passed };
  if (ended.how !== "kept") {
    deps.history.add(record, build.mnemonic, ended.how === "ran" ? ms : undefined);
  }
  deps.emit({
    kind: "action",
    id: build.id,
    target: build.target,
    mnemonic: build.mnemonic,
    how: ended.how,
    exitCode: ended.result.exitCode,
    ...whereItRan(ended.result),
    ms,
    ...whenItRan(ended, startedAtMs, doneMs),
    ...whatItNeeds(build),
    storedAtMs: ended.storedAtMs,
    ...output,
    failure: lacking ?? failureText(build, ended),
    digest: digestKey(prepared.digest),
    ...(ended.how === "ran" && deps.explain !== undefined
      ? { why: deps.explain(build, record) }
      : {}),
    attempt: call.attempt,
    again: !passed && call.mayTryAgain && !call.signal.aborted,
  });
  return { ok: passed, how: ended.how, made, storedAtMs: ended.storedAtMs };
}

function keptResult(kept: KeptResult | undefined): Ended | undefined {
  if (kept === undefined) return undefined;
  const result = ActionResult.decode(kept.bytes);
  const { storedAtMs, made } = kept;
  return { result, how: "kept", failure: undefined, message: "", storedAtMs, made };
}

/** The key an action's result is remembered under. */
export async function stateKeyOf(
  deps: ActionRunnerDeps,
  build: BuildAction,
  madeBy: ReadonlyMap<BuildAction, readonly MadeFile[]>,
): Promise<string> {
  return (await prepare(deps, build, madeBy)).key;
}

/** An action with its inputs as they are now, and what it made if its result is remembered. */
export async function knownAction(
  deps: ActionRunnerDeps,
  build: BuildAction,
  madeBy: ReadonlyMap<BuildAction, readonly MadeFile[]>,
): Promise<{ readonly record: ActionRecord; readonly made: readonly MadeFile[] | undefined }> {
  const { inputs, key } = await prepare(deps, build, madeBy);
  const record = recordOf(deps, build, inputs);
  const known = keptResult(deps.state.result(key));
  if (known === undefined) return { record, made: undefined };
  return { record, made: known.made ?? (await madeFiles(deps, build, known.result)) };
}

/** An action with its inputs as they are now, and the key its result is remembered under. */
async function prepare(
  deps: ActionRunnerDeps,
  build: BuildAction,
  madeBy: ReadonlyMap<BuildAction, readonly MadeFile[]>,
) {
  const inputs = inputsOf(deps, build, madeBy);
  const prepared = await prepareAction(build, deps.toolchain.toolsOf(build), [...inputs.values()]);
  return { inputs, prepared, key: stateKey(prepared) };
}

function recordOf(
  { toolchain }: ActionRunnerDeps,
  build: BuildAction,
  inputs: ReadonlyMap<string, InputFile>,
): ActionRecord {
  const files = [...inputs.values()].flatMap(({ entry }) =>
    entry.kind === "file" ? [{ path: entry.path, hash: entry.digest.hash }] : [],
  );
  return recordOfAction(build, toolchain.toolsOf(build).salt, files);
}

/** What is kept of the outputs is no part of the action, but of what is remembered of it. */
function stateKey({ digest, build }: PreparedAction): string {
  const text = [digestKey(digest), ...build.keep].join("\0");
  return createHash("sha256").update(text).digest("base64url").slice(0, 32);
}

async function execute(
  deps: ActionRunnerDeps,
  prepared: PreparedAction,
  inputs: ReadonlyMap<string, InputFile>,
  call: RunCall,
): Promise<Ended> {
  const { id, target, mnemonic, argv, workingDirectory } = prepared.build;
  deps.emit({ kind: "started", id, target, mnemonic, argv, workingDirectory });
  const executor = await deps.executorFor(prepared.build);
  const blobByKey = new Map(prepared.blobByKey);
  for (const { entry, maker } of inputs.values()) {
    if (entry.kind !== "file" || maker === undefined) continue;
    const there = await deps.executorFor(maker);
    if (there === executor || blobByKey.has(digestKey(entry.digest))) continue;
    blobByKey.set(digestKey(entry.digest), await move(deps, there, entry.digest));
  }
  const events = {
    uploaded: (bytes: number) => deps.emit({ kind: "uploaded", bytes }),
    started: () => {},
  };
  const done = await executor.execute({ ...prepared, blobByKey }, { ...call, events });
  const completed = done.result.executionMetadata?.workerCompletedTimestamp;
  return {
    result: done.result,
    how: done.cached ? "cached" : "ran",
    failure: done.failure,
    message: done.message,
    storedAtMs: fromTimestamp(completed) ?? deps.now(),
    made: undefined,
  };
}

/** Where maker and user run at different places (`remote: false`), the bytes are carried over. */
async function move(
  deps: ActionRunnerDeps,
  there: ActionExecutor,
  digest: Digest,
): Promise<PreparedBlob> {
  const file = join(deps.root, movedFolder, `${digest.hash}-${digest.sizeBytes}`);
  if (statOf(file) === undefined) {
    await there.download(digest, file, { executable: false }).catch((error: unknown) => {
      if (failureOf(error).code !== "NOT_FOUND") throw error;
      throw new MeshError("FAILED_PRECONDITION", "A made input is gone.", { missing: [digest] });
    });
  }
  return { digest, file };
}

/** A file or folder that an action sees. */
export interface InputFile {
  readonly entry: TreeEntry;
  readonly blob: PreparedBlob | undefined;
  /** The action that made it, where that may run elsewhere. */
  readonly maker?: BuildAction;
}

/** Every input once, by its path. */
function inputsOf(
  deps: ActionRunnerDeps,
  build: BuildAction,
  madeBy: ReadonlyMap<BuildAction, readonly MadeFile[]>,
): ReadonlyMap<string, InputFile> {
  const inputs = new Map<string, InputFile>();
  for (const input of build.inputs) {
    for (const file of inputFiles(deps, build, input, madeBy)) inputs.set(file.entry.path, file);
  }
  return inputs;
}

function inputFiles(
  deps: ActionRunnerDeps,
  build: BuildAction,
  input: ActionInput,
  madeBy: ReadonlyMap<BuildAction, readonly MadeFile[]>,
): InputFile[] {
  if (input.kind === "folder") {
    return [{ entry: { kind: "directory", path: input.path }, blob: undefined }];
  }
  if (input.kind === "source") return [sourceInput(deps, input.path)];
  const { by, at } = input;
  return (madeBy.get(by) ?? []).map(({ path, digest, executable }) => ({
    entry: { kind: "file", path: at?.[path] ?? path, digest, executable },
    blob: undefined,
    ...(by.remote === build.remote ? {} : { maker: by }),
  }));
}

function sourceInput(deps: ActionRunnerDeps, path: string): InputFile {
  const known = deps.sourceInputs.get(path);
  if (known !== undefined) return known;
  const digest = deps.state.digestOf(path);
  const file = join(deps.root, path);
  const executable = ((statOf(file)?.mode ?? 0n) & 0o100n) !== 0n;
  const entry = { kind: "file" as const, path, digest, executable };
  const input = { entry, blob: { digest, file } };
  deps.sourceInputs.set(path, input);
  return input;
}

/** Every file an action made, those inside its output folders too, at workspace paths. */
async function madeFiles(
  deps: ActionRunnerDeps,
  build: BuildAction,
  result: ActionResult,
): Promise<MadeFile[]> {
  const here = (path: string) => posix.join(build.workingDirectory, path);
  const made: MadeFile[] = result.outputFiles.map((file) => ({
    path: here(file.path),
    digest: fromWireDigest(file.digest, "sha256", file.path),
    executable: file.isExecutable,
  }));
  for (const folder of result.outputDirectories) {
    const executor = await deps.executorFor(build);
    const tree = fromWireDigest(folder.treeDigest, "sha256", folder.path);
    for (const entry of await readTreeMessage(await executor.get(tree), "sha256")) {
      if (entry.kind !== "file") continue;
      const { digest, executable } = entry;
      made.push({ path: here(posix.join(folder.path, entry.path)), digest, executable });
    }
  }
  if (build.keep.length === 0) return made;
  const isKept = coveredBy(build.keep);
  return made.filter(({ path }) => isKept(path));
}

function missingOutput(build: BuildAction, made: readonly MadeFile[]): string | undefined {
  const wanted = build.keep.length > 0 ? build.keep : build.outputs;
  const lacking = wanted.find((glob) => {
    const covers = coveredBy([glob]);
    return !made.some(({ path }) => covers(path));
  });
  return lacking && `it did not make its declared output ${lacking}`;
}

async function streams(deps: ActionRunnerDeps, build: BuildAction, ended: Ended) {
  // Warnings of a kept result were shown when it ran.
  if (ended.how === "kept" && build.mnemonic !== "TestRun") return { stdout: "", stderr: "" };
  const read = async (which: "stdout" | "stderr") => {
    const raw = which === "stdout" ? ended.result.stdoutRaw : ended.result.stderrRaw;
    const digest = which === "stdout" ? ended.result.stdoutDigest : ended.result.stderrDigest;
    if (raw.length > 0 || !digest || digest.sizeBytes === 0) return Buffer.from(raw).toString();
    if (digest.sizeBytes > streamBytesMax)
      return `(${which}: ${digest.sizeBytes} bytes, not shown)`;
    const executor = await deps.executorFor(build);
    const bytes = await executor
      .get(fromWireDigest(digest, "sha256", which))
      .catch(() => undefined);
    return bytes === undefined ? "" : Buffer.from(bytes).toString();
  };
  return { stdout: await read("stdout"), stderr: await read("stderr") };
}

function whereItRan(
  result: ActionResult,
): Pick<Extract<BuildEvent, { kind: "action" }>, "worker" | "isolation" | "usage"> {
  const metadata = result.executionMetadata;
  const worker = metadata?.worker ?? "";
  const report = fromWireReport(metadata?.auxiliaryMetadata ?? []);
  if (report === undefined) return { worker, isolation: "" };
  const { isolation, limit: _, ...usage } = report;
  return { worker, isolation, usage };
}

function whenItRan(
  { result, how }: Ended,
  sentMs: number,
  doneMs: number,
): { times?: ActionTimes; runMs?: number } {
  const told = readExecutionTimes(result.executionMetadata);
  const runMs = told === undefined ? {} : { runMs: phaseMs(told).run };
  if (how !== "ran") return runMs;
  const work = told && fitTimes(told, sentMs, doneMs);
  return { ...runMs, times: { sentMs, work, doneMs } };
}

function whatItNeeds({ inputs }: BuildAction): { needs?: readonly string[] } {
  const needs = new Set(inputs.flatMap((input) => (input.kind === "made" ? [input.by.id] : [])));
  return needs.size === 0 ? {} : { needs: [...needs] };
}

function failureText(build: BuildAction, { result, failure, message }: Ended): string {
  if (failure?.message === "execution timeout exceeded") return message || "Action timeout";
  if (failure !== undefined) return failure.message;
  if (message !== "") return message;
  return result.exitCode === 127 ? missingTool(build) : "";
}
