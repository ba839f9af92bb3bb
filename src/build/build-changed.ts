// The whole way of a build: plan, run, put the wanted files in place, remember.

import { type BuildPlan, planBuild } from "../rules/plan.ts";
import { isSettled, type Look, lookAt } from "../workspace/look.ts";
import type { Workspace } from "../workspace/workspace.ts";
import { type ActionHistory, openHistory } from "./action-history.ts";
import type { ActionRunnerDeps } from "./action-runner.ts";
import type { BuildEvent, BuildSummary } from "./build-event.ts";
import { BuildRun, type PlacedOutputs } from "./build-run.ts";
import type { BuilderDeps, BuildOptions } from "./builder.ts";
import { type BuildState, openState } from "./state.ts";
import { openToolchain, type Toolchain } from "./toolchain.ts";
import { dropBuild, keepBuild, type Seen, seenOutput } from "./unchanged.ts";
import { openExplain } from "./why-ran.ts";

/** Builds whatever the last build of this request did not leave as it must be. */
export async function buildChanged(
  deps: BuilderDeps,
  options: BuildOptions,
  startedAtMs: number,
): Promise<BuildSummary> {
  const { workspace, wanted } = options.choose();
  const { root } = workspace;
  const state = openState(root, deps.now);
  const toolchain = openToolchain(state, deps.now);
  const history = openHistory(root);
  const explain = options.explain ? openExplain(root) : undefined;
  const own = { root, state, toolchain, history, explain, sourceInputs: new Map() };
  const runnerDeps: ActionRunnerDeps = { ...deps, ...own };
  let plan: BuildPlan | undefined;
  let run: BuildRun;
  try {
    plan = planBuild(workspace, state, wanted, options);
    deps.emit(planned(plan, history));
    run = new BuildRun(runnerDeps, options, plan);
    const outputs = await run.finish();
    const finished = { state, toolchain, workspace, plan, run, outputs, startedAtMs };
    if (!remember(finished, deps, options)) dropBuild(root, options.request);
  } catch (error) {
    try {
      state.save();
    } catch {
      // The first error is the one to tell.
    }
    throw error;
  } finally {
    deps.looked?.(looksOf(workspace, state, plan));
    history.save();
  }
  state.save();
  const { failed, skipped } = run.counts;
  const ok = failed === 0 && skipped === 0;
  const summary = { ok, ms: deps.now() - startedAtMs, ...run.counts };
  deps.emit({ kind: "finished", ...summary });
  return summary;
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
  const looks = new Map<string, Look>(plan?.files.looks() ?? []);
  for (const [path, { look }] of workspace.builderfiles()) {
    if (!path.startsWith("/")) looks.set(path, look);
  }
  for (const { inputs } of plan?.actions ?? []) {
    for (const input of inputs) {
      if (input.kind !== "source" || looks.has(input.path)) continue;
      const changed = state.hasChanged(input.path);
      const look = changed ? undefined : state.seen(input.path)?.look;
      looks.set(input.path, look ?? "changed");
    }
  }
  return looks;
}

interface Finished {
  readonly state: BuildState;
  readonly toolchain: Toolchain;
  readonly workspace: Workspace;
  readonly plan: BuildPlan;
  readonly run: BuildRun;
  readonly outputs: readonly PlacedOutputs[];
  readonly startedAtMs: number;
}

/**
 * Keeps what the answer depends on. False where something must run each time, or where a look is
 * too fresh to be trusted and there is no content to compare; the next build then looks at all.
 */
function remember(finished: Finished, deps: BuilderDeps, options: BuildOptions): boolean {
  const { workspace, plan, run, outputs } = finished;
  // A test that passed only at a second attempt has yet to show that it can.
  if (run.counts.failed + run.counts.skipped + run.counts.flaky > 0) return false;
  if (plan.actions.some((action) => !action.cache)) return false;
  const seen = seenInputs(finished);
  if (seen === undefined) return false;
  const { program } = options;
  const inputs = [...seen, { path: program, look: lookAt(program) }];
  const tests = plan.actions.filter(({ mnemonic }) => mnemonic === "TestRun");
  keepBuild(workspace.root, {
    request: options.request,
    env: Object.fromEntries(
      [...plan.variables, ...workspace.variables()].map((name) => [
        name,
        options.env[name] ?? null,
      ]),
    ),
    inputs,
    outputs: run.placed().map((output) => seenOutput(workspace.root, output, deps.now())),
    storedAtMs: run.newestMs,
    targets: outputs.map(({ label, paths }) => ({ label, outputs: paths })),
    tests: tests.map(({ id, target }) => ({ id, target })),
    shown: options.shown,
  });
  return true;
}

/** Builderfiles and folders count as they were before they were read: a change since then shows. */
function seenInputs(finished: Finished): readonly Seen[] | undefined {
  const { state, toolchain, workspace, plan, startedAtMs } = finished;
  const inputs = new Map<string, Seen>();
  const add = (path: string, look: Look, hash: string | undefined) => {
    if (isSettled(look, startedAtMs)) inputs.set(path, { path, look });
    else if (hash !== undefined) inputs.set(path, { path, look, hash });
    else return false;
    return true;
  };
  for (const [path, { look, hash }] of workspace.builderfiles()) {
    if (!add(path, look, hash)) return undefined;
  }
  for (const [path, look] of plan.files.looks()) if (!add(path, look, undefined)) return undefined;
  const sources = plan.actions.flatMap((action) =>
    action.inputs.flatMap((input) => (input.kind === "source" ? [input.path] : [])),
  );
  for (const path of new Set(sources)) {
    const seen = state.seen(path);
    if (seen === undefined) return undefined;
    inputs.set(path, seen);
  }
  for (const seen of toolchain.seen()) inputs.set(seen.path, seen);
  return [...inputs.values()];
}
