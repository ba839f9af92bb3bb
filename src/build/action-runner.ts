// One action of a build: inputs to digests, known result or execution, outputs to digests.

import { createHash } from "node:crypto";
import { statSync } from "node:fs";
import { join, posix } from "node:path";
import picomatch from "picomatch";
import { readTreeMessage, type TreeEntry } from "../cas/merkle.ts";
import { digestKey } from "../core/digest.ts";
import { type Failure, MeshError } from "../core/error.ts";
import { ActionResult } from "../wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import { ExecutionReport } from "../wire/gen/builder/node/v1/node.ts";
import { fromTimestamp, fromWireDigest } from "../wire/reapi.ts";
import {
  type ActionInput,
  type BuildAction,
  type MadeFile,
  type PreparedAction,
  type PreparedBlob,
  prepareAction,
} from "./build-action.ts";
import type { BuildEvent } from "./build-event.ts";
import type { ActionExecutor } from "./executor.ts";
import type { BuildState } from "./state.ts";

/** What running an action takes. */
export interface ActionRunnerDeps {
  readonly root: string;
  readonly state: BuildState;
  readonly executorFor: (action: BuildAction) => Promise<ActionExecutor>;
  readonly emit: (event: BuildEvent) => void;
  readonly now: () => number;
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
}

const streamBytesMax = 4 << 20;

/** Runs one action whose inputs are made. Rejects with `missing` where a made input is gone. */
export async function runAction(
  deps: ActionRunnerDeps,
  build: BuildAction,
  madeBy: ReadonlyMap<BuildAction, readonly MadeFile[]>,
  call: { readonly invocation: string; readonly signal: AbortSignal; readonly fresh: boolean },
): Promise<FinishedAction> {
  const prepared = await prepareAction(build, await inputsOf(deps, build, madeBy));
  const key = stateKey(prepared);
  const known = call.fresh || !build.cache ? undefined : deps.state.result(key);
  const startedAtMs = deps.now();
  const ended: Ended =
    known === undefined
      ? await execute(deps, prepared, call)
      : {
          result: ActionResult.decode(known.bytes),
          how: "kept",
          failure: undefined,
          message: "",
          storedAtMs: known.storedAtMs,
        };
  const ok = ended.failure === undefined && ended.result.exitCode === 0;
  const made = ok ? await madeFiles(deps, build, ended.result) : [];
  const lacking = ok ? missingOutput(build, made) : undefined;
  if (ok && lacking === undefined && ended.how !== "kept") {
    deps.state.keepResult(key, ActionResult.encode(ended.result).finish(), ended.storedAtMs);
  }
  const output = await streams(deps, build, ended);
  deps.emit({
    kind: "action",
    id: build.id,
    target: build.target,
    mnemonic: build.mnemonic,
    how: ended.how,
    exitCode: ended.result.exitCode,
    ...whereItRan(ended.result),
    ms: deps.now() - startedAtMs,
    storedAtMs: ended.storedAtMs,
    ...output,
    failure: lacking ?? failureText(build, ended),
  });
  return { ok: ok && lacking === undefined, how: ended.how, made, storedAtMs: ended.storedAtMs };
}

/** Forgets what is known of an action, so that it runs again. */
export async function stateKeyOf(
  deps: ActionRunnerDeps,
  build: BuildAction,
  madeBy: ReadonlyMap<BuildAction, readonly MadeFile[]>,
): Promise<string> {
  return stateKey(await prepareAction(build, await inputsOf(deps, build, madeBy)));
}

function stateKey(prepared: PreparedAction): string {
  return createHash("sha256").update(digestKey(prepared.digest)).digest("base64url").slice(0, 32);
}

async function execute(
  deps: ActionRunnerDeps,
  prepared: PreparedAction,
  call: { readonly invocation: string; readonly signal: AbortSignal },
): Promise<Ended> {
  const executor = await deps.executorFor(prepared.build);
  const events = { uploaded: (bytes: number) => deps.emit({ kind: "uploaded", bytes }) };
  const done = await executor.execute(prepared, { ...call, events });
  const completed = done.result.executionMetadata?.workerCompletedTimestamp;
  return {
    result: done.result,
    how: done.cached ? "cached" : "ran",
    failure: done.failure,
    message: done.message,
    storedAtMs: fromTimestamp(completed) ?? deps.now(),
  };
}

/** Every input file once. What an action makes wins over what an earlier build left there. */
async function inputsOf(
  deps: ActionRunnerDeps,
  build: BuildAction,
  madeBy: ReadonlyMap<BuildAction, readonly MadeFile[]>,
): Promise<InputFile[]> {
  const sources = build.inputs.flatMap((input) =>
    input.kind === "source" ? sourceFile(deps, input.path) : [],
  );
  const made: InputFile[] = [];
  for (const input of build.inputs) {
    if (input.kind === "made") made.push(...(await madeInputs(deps, build, input, madeBy)));
  }
  return [...new Map([...sources, ...made].map((file) => [file.entry.path, file])).values()];
}

interface InputFile {
  readonly entry: TreeEntry;
  readonly blob: PreparedBlob | undefined;
}

function sourceFile(deps: ActionRunnerDeps, path: string): InputFile {
  const digest = deps.state.digestOf(path);
  const file = join(deps.root, path);
  const executable = (statSync(file).mode & 0o100) !== 0;
  return { entry: { kind: "file", path, digest, executable }, blob: { digest, file } };
}

/** Where maker and user run at different places (`remote: false`), the bytes are carried over. */
async function madeInputs(
  deps: ActionRunnerDeps,
  build: BuildAction,
  input: Extract<ActionInput, { kind: "made" }>,
  madeBy: ReadonlyMap<BuildAction, readonly MadeFile[]>,
): Promise<InputFile[]> {
  const made = madeBy.get(input.by) ?? [];
  const there = input.by.remote === build.remote ? undefined : await deps.executorFor(input.by);
  const carry = there !== undefined && there !== (await deps.executorFor(build));
  return Promise.all(
    made.map(async ({ path, digest, executable }) => ({
      entry: { kind: "file" as const, path: input.at?.[path] ?? path, digest, executable },
      blob: carry ? { digest, bytes: await there.get(digest) } : undefined,
    })),
  );
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
  const matchers = build.keep.map((glob) => picomatch(glob, { dot: true }));
  return made.filter(({ path }) => matchers.some((matches) => matches(path)));
}

function missingOutput(build: BuildAction, made: readonly MadeFile[]): string | undefined {
  const wanted = build.keep.length > 0 ? build.keep : build.outputs;
  const lacking = wanted.find((glob) => {
    const matches = picomatch(glob, { dot: true });
    return !made.some(({ path }) => path === glob || matches(path));
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

function whereItRan(result: ActionResult): { worker: string; isolation: string } {
  const metadata = result.executionMetadata;
  const report = metadata?.auxiliaryMetadata.find(({ typeUrl }) =>
    typeUrl.endsWith("/builder.node.v1.ExecutionReport"),
  );
  const isolation = report ? ExecutionReport.decode(report.value).isolation : "";
  return { worker: metadata?.worker ?? "", isolation };
}

function failureText(build: BuildAction, { result, failure, message }: Ended): string {
  if (failure?.message === "execution timeout exceeded") return message || "Action timeout";
  if (failure !== undefined) return failure.message;
  if (message !== "") return message;
  if (result.exitCode === 127 && build.mnemonic.startsWith("Cpp")) {
    return `${build.argv[0]} was not found where the action ran. Install a compiler (g++) there, or name one with CXX and CC.`;
  }
  return "";
}

/** The blobs an error reports as gone. */
export function goneBlobs(error: unknown): ReadonlySet<string> {
  const missing = error instanceof MeshError ? error.context["missing"] : undefined;
  return new Set(Array.isArray(missing) ? missing.map((digest) => digestKey(digest)) : []);
}
