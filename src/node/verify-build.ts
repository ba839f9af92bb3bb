// `bldr verify`: every action of a build runs twice, the second time in another folder, at another
// time, on one core, with folders listed backwards and other ids of processes. What differs then is
// run again with one of these varied at a time, so that the cause is known and not guessed.

import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { compareFiles, type Difference } from "../audit/compare-files.ts";
import { type Cause, likelyCause, type Varied } from "../audit/likely-cause.ts";
import type { ActionExecutor, ExecutedAction } from "../build/executor.ts";
import type { PreparedAction } from "../build/prepared-action.ts";
import { chooseSandbox } from "../sandbox/choose-sandbox.ts";
import { findSandboxProgram } from "../sandbox/sandbox-program.ts";
import { type Variation, VaryingSandbox } from "../sandbox/varying-sandbox.ts";
import { planUnkept, type UnkeptDeps, type UnkeptRequest } from "./unkept-build.ts";
import { type MadeOutput, readOutputs } from "./verify-outputs.ts";

/** An output that came out differently. */
export interface DifferingOutput {
  readonly path: string;
  /** How, in words. */
  readonly how: string;
  /** Undefined where it is not the bytes of a file that differ, or they are too many to compare. */
  readonly difference: Difference | undefined;
  readonly cause: Cause;
}

/** An action that came out differently. */
export interface DifferingAction {
  readonly id: string;
  /** What alone, varied, makes a difference. */
  readonly varied: readonly Varied[];
  readonly outputs: readonly DifferingOutput[];
}

/** How it ended. */
export interface Verification {
  /** Actions that ran twice. */
  readonly actions: number;
  readonly differing: readonly DifferingAction[];
  readonly failed: number;
  readonly skipped: number;
}

/** Bound: bytes of a file that are compared. Of larger ones only is said that they differ. */
const comparedBytesMax = 256 << 20;
/** Another year, month, day, hour, minute and second. */
const shiftSeconds = 400 * 86_400 + 18_431;

const plain = { place: "first", cores: 0, turned: false, ids: 0 };
const single: Readonly<Record<Exclude<Varied, "together">, Partial<Variation>>> = {
  chance: {},
  path: { place: "another/place" },
  time: {},
  cores: { cores: 1 },
  order: { turned: true },
  pids: { ids: 50 },
};
const everything = Object.assign({}, ...Object.values(single)) as Partial<Variation>;

/** Verifies every action that the wanted targets need. Nothing of it is kept. */
export async function verifyBuild(deps: UnkeptDeps, request: UnkeptRequest): Promise<Verification> {
  const { stateFolder } = deps;
  const { run } = planUnkept(deps, request, { test: false, testArgs: [] });
  const program = await findSandboxProgram({ stateFolder, arch: process.arch, program: "audit" });
  const usual = await chooseSandbox({ want: "auto", stateFolder });
  const { now } = deps;
  const variations = new WeakMap<PreparedAction, Variation>();
  const executor = await deps.open(async (action) => {
    const variation = variations.get(action) ?? { ...plain, startsAt: Math.floor(now() / 1000) };
    return new VaryingSandbox({ sandbox: usual, program, variation });
  });
  const differing: DifferingAction[] = [];
  let actions = 0;
  const verifying: ActionExecutor = {
    ...executor,
    execute: async (action, call) => {
      const runWith = (variation: Variation) => {
        // A value of its own: it is what the sandbox of this run is found by.
        const own = { ...action };
        variations.set(own, variation);
        return executor.execute(own, call);
      };
      const { first, found } = await verifyAction({ executor, runWith, now }, action);
      if (first.failure === undefined && first.result.exitCode === 0) actions += 1;
      if (found !== undefined) differing.push(found);
      return first;
    },
  };
  try {
    const ended = await run(verifying);
    return { actions, differing, ...ended };
  } finally {
    await executor.close();
  }
}

interface ActionDeps {
  readonly executor: ActionExecutor;
  readonly runWith: (variation: Variation) => Promise<ExecutedAction>;
  readonly now: () => number;
}

type Outputs = ReadonlyMap<string, MadeOutput>;

async function verifyAction(
  deps: ActionDeps,
  { build }: PreparedAction,
): Promise<{ readonly first: ExecutedAction; readonly found: DifferingAction | undefined }> {
  const { executor, runWith, now } = deps;
  const startsAt = Math.floor(now() / 1000);
  const first = await runWith({ ...plain, startsAt });
  if (first.failure !== undefined || first.result.exitCode !== 0) {
    return { first, found: undefined };
  }
  const own = await readOutputs(first, build, executor);
  const others = async (variation: Partial<Variation>) => {
    const done = await runWith({ ...plain, startsAt, ...variation });
    const other = await readOutputs(done, build, executor);
    return { done, other, same: isSame(own, other) && done.result.exitCode === 0 };
  };
  const later = { startsAt: startsAt + shiftSeconds };
  const second = await others({ ...everything, ...later });
  if (second.same) return { first, found: undefined };
  const varied: Varied[] = [];
  for (const [name, variation] of Object.entries(single)) {
    const one = name === "time" ? later : variation;
    if (!(await others(one)).same) varied.push(name as Varied);
    // Nothing can be told apart where nothing need be varied.
    if (varied.includes("chance")) break;
  }
  if (varied.length === 0) varied.push("together");
  const outputs = await differingOutputs(executor, own, second.other, (difference, bytes) =>
    likelyCause(varied, difference, bytes, build),
  );
  const ended = second.done.failure?.message ?? `exit code ${second.done.result.exitCode}`;
  if (second.done.failure !== undefined || second.done.result.exitCode !== 0) {
    outputs.splice(0, outputs.length, failedOutput(ended, varied, build));
  }
  return { first, found: { id: build.id, varied, outputs } };
}

function failedOutput(
  ended: string,
  varied: readonly Varied[],
  build: PreparedAction["build"],
): DifferingOutput {
  const cause = likelyCause(varied, noBytes, Buffer.alloc(0), build);
  return { path: "", how: `it fails then: ${ended}`, difference: undefined, cause };
}

function isSame(a: Outputs, b: Outputs): boolean {
  return a.size === b.size && [...a].every(([path, { key }]) => b.get(path)?.key === key);
}

async function differingOutputs(
  executor: ActionExecutor,
  own: Outputs,
  other: Outputs,
  causeOf: (difference: Difference, bytes: Buffer) => Cause,
): Promise<DifferingOutput[]> {
  const outputs: DifferingOutput[] = [];
  const folder = mkdtempSync(join(tmpdir(), "builder-verify-"));
  try {
    for (const path of [...new Set([...own.keys(), ...other.keys()])].sort()) {
      const [a, b] = [own.get(path), other.get(path)];
      if (a?.key === b?.key) continue;
      const read = async (made: MadeOutput | undefined, name: string) => {
        if (made?.digest === undefined || made.digest.sizeBytes > comparedBytesMax)
          return undefined;
        const file = join(folder, name);
        await executor.download(made.digest, file, { executable: false });
        return statSync(file).size > comparedBytesMax ? undefined : readFileSync(file);
      };
      const [bytes, varied] = [await read(a, "a"), await read(b, "b")];
      const difference = bytes && varied && compareFiles(bytes, varied);
      outputs.push({
        ...{ path, difference, how: howOf(a, b, difference) },
        cause: causeOf(difference ?? noBytes, bytes ?? Buffer.alloc(0)),
      });
    }
    return outputs;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const noBytes: Difference = {
  ...{ sizes: [0, 0], differing: 0, offset: 0, onlyBuildId: false, dumps: [[], []] },
};

function howOf(
  a: MadeOutput | undefined,
  b: MadeOutput | undefined,
  difference: Difference | undefined,
): string {
  if (a === undefined) return "only made when varied";
  if (b === undefined) return "not made when varied";
  if (difference === undefined) return `${a.what}, then ${b.what}`;
  const [size, other] = difference.sizes;
  const sizes = size === other ? `${size} bytes` : `${size} bytes, then ${other}`;
  const at = `0x${difference.offset.toString(16)}`;
  return `${sizes}, of which ${difference.differing} differ, the first at ${at}`;
}
