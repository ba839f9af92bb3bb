// A build of which nothing is kept, that an audit or a check looks at: no result, no output, no
// record. Every action runs, as what is remembered would prove nothing.

import { openHistory } from "../build/action-history.ts";
import type { BuildEvent } from "../build/build-event.ts";
import { BuildRun } from "../build/build-run.ts";
import type { ActionExecutor } from "../build/executor.ts";
import { openState } from "../build/state.ts";
import { openToolchain } from "../build/toolchain.ts";
import type { BuildAction } from "../rules/build-action.ts";
import { type BuildPlan, planBuild } from "../rules/plan.ts";
import type { PlacedTarget, Workspace } from "../workspace/workspace.ts";
import type { LocalExecutor } from "./local-executor.ts";
import type { SandboxFor } from "./local-runner.ts";

/** What such a build works with. */
export interface UnkeptDeps {
  /** Opens this machine's executor with the sandbox that is given. */
  readonly open: (sandboxFor: SandboxFor) => Promise<LocalExecutor>;
  /** Folder for programs that must be compiled. */
  readonly stateFolder: string;
  readonly emit: (event: BuildEvent) => void;
  readonly now: () => number;
}

/** What is built. */
export interface UnkeptRequest {
  readonly workspace: Workspace;
  readonly wanted: readonly PlacedTarget[];
  readonly jobs: number;
  readonly signal: AbortSignal;
  /** Names the tools. */
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** A build that is planned and has not begun. */
export interface UnkeptBuild {
  readonly plan: BuildPlan;
  /** Runs every action with the executor; how many failed, and were not tried because of them. */
  readonly run: (executor: ActionExecutor) => Promise<{ failed: number; skipped: number }>;
}

/** Plans every action that the wanted targets need, and with `tests` their tests' own runs. */
export function planUnkept(
  { now, emit }: UnkeptDeps,
  { workspace, wanted, jobs, signal, env }: UnkeptRequest,
  tests: { readonly test: boolean; readonly testArgs: readonly string[] },
): UnkeptBuild {
  const { root } = workspace;
  // Neither this nor the history is saved.
  const state = openState(root, now);
  const plan = planBuild(workspace, state, wanted, { ...tests, env });
  const run = async (executor: ActionExecutor) => {
    const build = new BuildRun(
      {
        ...{ root, state, history: openHistory(root), now, emit },
        toolchain: openToolchain(state, now),
        sourceInputs: new Map(),
        executorFor: async () => executor,
      },
      { jobs, keepGoing: true, flakyRetries: 0, download: "none", signal },
      { ...plan, wanted: [], testsByLabel: new Map(), actions: uncached(plan.actions) },
    );
    await build.finish();
    const { failed, skipped } = build.counts;
    return { failed, skipped };
  };
  return { plan, run };
}

/** The same actions, none answered from a cache. Each comes after those it takes from. */
function uncached(actions: readonly BuildAction[]): BuildAction[] {
  const fresh = new Map<BuildAction, BuildAction>();
  for (const action of actions) {
    const inputs = action.inputs.map((input) =>
      input.kind === "made" ? { ...input, by: fresh.get(input.by) ?? input.by } : input,
    );
    fresh.set(action, { ...action, inputs, cache: false });
  }
  return [...fresh.values()];
}
