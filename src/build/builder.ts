// A build: nothing if nothing changed; else plan, run, put the wanted files in place, remember.

import type { BuildAction } from "../rules/build-action.ts";
import type { BuildPlan } from "../rules/plan.ts";
import type { Tools } from "../rules/rule.ts";
import { isSettled, type Look } from "../workspace/look.ts";
import { labelOf, type PlacedTarget, type Workspace } from "../workspace/workspace.ts";
import type { ActionHistory } from "./action-history.ts";
import type { ActionRunnerDeps } from "./action-runner.ts";
import type { BuildEvent, BuildSummary } from "./build-event.ts";
import type { BuildRun, PlacedOutputs } from "./build-run.ts";
import type { ActionExecutor } from "./executor.ts";
import { type BuildRecord, type BuildState, openState } from "./state.ts";

/** What a build works with. */
export interface BuilderDeps {
  /** Opened when the first action must run; `remote: false` targets get the local one. */
  readonly executorFor: (action: BuildAction) => Promise<ActionExecutor>;
  readonly emit: (event: BuildEvent) => void;
  readonly now: () => number;
  /** Told at the end, however it came, what the build looked at, for those who wait for changes. */
  readonly looked?: (lookByPath: ReadonlyMap<string, Look>) => void;
}

/** What to build and how. */
export interface BuildOptions {
  readonly workspace: Workspace;
  readonly wanted: readonly PlacedTarget[];
  /** Run the wanted tests too. */
  readonly test: boolean;
  /** Most actions at once. */
  readonly jobs: number;
  /** Go on with what does not depend on a failure. */
  readonly keepGoing: boolean;
  readonly tools: Tools;
  /** Arguments for every test, after those of its target. */
  readonly testArgs: readonly string[];
  /** Further attempts of a failed test; undefined leaves it to each target. */
  readonly flakyRetries: number | undefined;
  readonly signal: AbortSignal;
}

/** Builds. Throws MeshError for what is wrong with the request; failing commands are events. */
export async function build(deps: BuilderDeps, options: BuildOptions): Promise<BuildSummary> {
  const startedAtMs = deps.now();
  const { root } = options.workspace;
  const state = openState(root, deps.now);
  const key = buildKey(options);
  const last = unchangedBuild(state, key);
  if (last !== undefined) {
    deps.looked?.(new Map(Object.entries(last.looks)));
    return tellUnchanged(deps, last, startedAtMs);
  }
  // Planning and encoding are loaded only now: most builds of a day change nothing.
  const { planBuild } = await import("../rules/plan.ts");
  const { BuildRun } = await import("./build-run.ts");
  const { openHistory } = await import("./action-history.ts");
  const history = openHistory(root);
  const runnerDeps: ActionRunnerDeps = { ...deps, root, state, history };
  let plan: BuildPlan | undefined;
  let run: BuildRun;
  try {
    plan = planBuild(options.workspace, state, options.wanted, options);
    deps.emit(planned(plan, history));
    run = new BuildRun(runnerDeps, options, plan);
    const outputs = await run.finish();
    // A test that passed only at a second attempt has yet to show that it can.
    if (run.counts.failed + run.counts.skipped + run.counts.flaky === 0) {
      const record = recordOf({ state, plan, run, outputs, startedAtMs }, options.workspace);
      if (record !== undefined) state.keepBuild(key, record);
    }
  } catch (error) {
    try {
      state.save();
    } catch {
      // The first error is the one to tell.
    }
    throw error;
  } finally {
    deps.looked?.(looksOf(options.workspace, state, plan));
    history.save();
  }
  state.save();
  const { failed, skipped } = run.counts;
  const ok = failed === 0 && skipped === 0;
  const summary = { ok, ms: deps.now() - startedAtMs, ...run.counts };
  deps.emit({ kind: "finished", ...summary });
  return summary;
}

function buildKey(options: BuildOptions): string {
  const labels = options.wanted.map(labelOf).sort();
  return JSON.stringify([labels, options.test, options.tools, options.testArgs]);
}

function planned({ actions }: BuildPlan, history: ActionHistory): BuildEvent {
  const kinds: Record<string, { count: number; expectedMs: number | undefined }> = {};
  for (const { mnemonic } of actions) {
    const kind = kinds[mnemonic] ?? { count: 0, expectedMs: history.expectedMs(mnemonic) };
    kinds[mnemonic] = { ...kind, count: kind.count + 1 };
  }
  return { kind: "planned", total: actions.length, kinds };
}

/** What a build looked at, as it was then; what changed since looks like nothing else. */
function looksOf(
  workspace: Workspace,
  state: BuildState,
  plan: BuildPlan | undefined,
): ReadonlyMap<string, Look> {
  const looks = new Map<string, Look>([
    ...workspace.builderfiles(),
    ...(plan?.files.looks() ?? []),
  ]);
  for (const { inputs } of plan?.actions ?? []) {
    for (const input of inputs) {
      if (input.kind !== "source" || looks.has(input.path)) continue;
      const changed = state.hasChanged(input.path);
      looks.set(input.path, changed ? "changed" : state.look(input.path));
    }
  }
  return looks;
}

/** The last build of the same targets, if everything it looked at looks the same. */
function unchangedBuild(state: BuildState, key: string): BuildRecord | undefined {
  const last = state.build(key);
  if (last === undefined) return undefined;
  for (const [path, look] of Object.entries(last.looks)) {
    if (state.look(path) !== look) return undefined;
  }
  return last;
}

function tellUnchanged(deps: BuilderDeps, last: BuildRecord, startedAtMs: number): BuildSummary {
  const { storedAtMs } = last;
  for (const { id, target } of last.tests) {
    deps.emit({
      ...{ kind: "action", id, target, mnemonic: "TestRun", how: "kept", exitCode: 0 },
      ...{ worker: "", isolation: "", ms: 0, storedAtMs, stdout: "", stderr: "", failure: "" },
      ...{ attempt: 1, again: false },
    });
  }
  for (const { label, outputs } of last.targets) {
    deps.emit({ kind: "target", label, ok: true, cached: true, storedAtMs, outputs });
  }
  const ms = deps.now() - startedAtMs;
  const summary = { ok: true, ms, ran: 0, cached: 0, kept: 0, failed: 0, skipped: 0, flaky: 0 };
  deps.emit({ kind: "finished", ...summary });
  return summary;
}

interface Finished {
  readonly state: BuildState;
  readonly plan: BuildPlan;
  readonly run: BuildRun;
  readonly outputs: readonly PlacedOutputs[];
  readonly startedAtMs: number;
}

/**
 * What the answer depends on. Undefined where something must run each time, or where a look is too
 * fresh to be trusted; the next build then looks at everything again.
 */
function recordOf(
  { state, plan, run, outputs, startedAtMs }: Finished,
  workspace: Workspace,
): BuildRecord | undefined {
  if (plan.actions.some((action) => !action.cache)) return undefined;
  const looks: Record<string, Look> = {};
  // Builderfiles and folders count as they were before they were read: a change since then shows.
  for (const [path, look] of [...workspace.builderfiles(), ...plan.files.looks()]) {
    if (!isSettled(look, startedAtMs)) return undefined;
    looks[path] = look;
  }
  for (const { inputs } of plan.actions) {
    for (const input of inputs) {
      if (input.kind !== "source") continue;
      const look = state.settledLook(input.path);
      if (look === undefined) return undefined;
      looks[input.path] = look;
    }
  }
  for (const { paths } of outputs) for (const path of paths) looks[path] = state.look(path);
  const tests = plan.actions.filter(({ mnemonic }) => mnemonic === "TestRun");
  return {
    storedAtMs: run.newestMs,
    looks,
    targets: outputs.map(({ label, paths }) => ({ label, outputs: paths })),
    tests: tests.map(({ id, target }) => ({ id, target })),
  };
}
