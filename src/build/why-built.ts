// Why a target would be built now: each of its actions that would run, with what has changed since
// it last ran. Whether it would run is found out as a build does; only the words come from the
// history.

import { join, posix } from "node:path";
import { sameDigest } from "../core/digest.ts";
import { MeshError } from "../core/error.ts";
import type { BuildAction } from "../rules/build-action.ts";
import { planBuild } from "../rules/plan.ts";
import { placeOf } from "../rules/rule.ts";
import { statOf } from "../workspace/look.ts";
import { labelOf, type PlacedTarget, type Workspace } from "../workspace/workspace.ts";
import { type ActionRecord, openHistory, readHistory } from "./action-history.ts";
import { type ActionRunnerDeps, knownAction } from "./action-runner.ts";
import type { MadeFile } from "./prepared-action.ts";
import { type BuildState, openState } from "./state.ts";
import { openToolchain } from "./toolchain.ts";
import { missReasons } from "./why-ran.ts";

/** What explaining works with. */
export interface WhyDeps {
  readonly workspace: Workspace;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly now: () => number;
}

/** Bound: reasons told for one action. */
const reasonsMax = 10;

/** Lines that say what of a target would run now, and why. Nothing is run or remembered. */
export async function explainTarget(deps: WhyDeps, target: PlacedTarget): Promise<string[]> {
  const { workspace, now, env } = deps;
  const { root } = workspace;
  const state = openState(root, now);
  const options = { test: target.target.type === "test", env, testArgs: [] };
  const plan = planBuild(workspace, state, [target], options);
  const runnerDeps = onlyLooking(root, state, now);
  const recordById = readHistory(root);
  const madeBy = new Map<BuildAction, readonly MadeFile[]>();
  const lines: string[] = [];
  const counts = { certain: 0, perhaps: 0 };
  for (const action of plan.actions) {
    const reasons = await reasonsOf(runnerDeps, action, madeBy, recordById);
    if (reasons.length === 0) continue;
    const waits = action.inputs.some((input) => input.kind === "made" && !madeBy.has(input.by));
    counts[waits ? "perhaps" : "certain"] += 1;
    const shown = reasons.slice(0, reasonsMax);
    const more = reasons.length - shown.length;
    lines.push(`  ${action.id}`);
    for (const reason of shown) lines.push(`    ${reason}`);
    if (more > 0) lines.push(`    and ${more} more`);
  }
  const label = labelOf(target);
  if (counts.certain > 0) {
    const more = counts.perhaps > 0 ? `, and ${counts.perhaps} more if that makes a change` : "";
    const all = plan.actions.length;
    return [`${label} would run ${counts.certain} of ${all} actions${more}:`, ...lines];
  }
  const absent = plan.wanted.flatMap((planned) =>
    planned.products.flatMap((maker) =>
      (madeBy.get(maker) ?? []).flatMap((made) => {
        const path = placeOf(planned, made.path);
        return path === undefined ? [] : placeReason(root, state, path, made);
      }),
    ),
  );
  if (absent.length > 0) return [`${label} would only write files again:`, ...absent];
  return [`${label} is up to date: nothing would run.`];
}

/** Why an action would run; empty where its result is known. Then `madeBy` gets what it made. */
async function reasonsOf(
  deps: ActionRunnerDeps,
  action: BuildAction,
  madeBy: Map<BuildAction, readonly MadeFile[]>,
  recordById: ReadonlyMap<string, ActionRecord>,
): Promise<string[]> {
  const before = action.inputs.flatMap((input) =>
    input.kind === "made" && !madeBy.has(input.by) ? [`it takes what ${input.by.id} makes`] : [],
  );
  if (before.length > 0) return before;
  const { record, made } = await knownAction(deps, action, madeBy);
  if (made !== undefined && action.cache) {
    madeBy.set(action, made);
    return [];
  }
  return missReasons(action, recordById.get(action.id), record);
}

function placeReason(root: string, state: BuildState, path: string, made: MadeFile): string[] {
  if (statOf(join(root, path)) === undefined) return [`  ${path} is not there`];
  return sameDigest(state.digestOf(path), made.digest) ? [] : [`  ${path} was changed by hand`];
}

/** What a run needs, where nothing may run. */
function onlyLooking(root: string, state: BuildState, now: () => number): ActionRunnerDeps {
  return {
    ...{ root, state, now, history: openHistory(root), toolchain: openToolchain(state, now) },
    sourceInputs: new Map(),
    emit: () => {},
    executorFor: async ({ id }) => {
      throw new MeshError("FAILED_PRECONDITION", `${id} cannot be explained. Build it first.`);
    },
  };
}

/** A path as the user gave it, relative to the workspace. */
export function workspacePath(workspace: Workspace, text: string): string {
  const path = posix.normalize(posix.join(workspace.here, text));
  if (path.startsWith("../") || text.startsWith("/")) {
    throw new MeshError("INVALID_ARGUMENT", `${text} is outside of the workspace.`);
  }
  return path;
}
