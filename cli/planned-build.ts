// A build up to the point where it would run: what `bldr graph` and `bldr compdb` look at.

import { openState } from "../src/build/state.ts";
import { planBuild } from "../src/rules/plan.ts";
import { chooseTargets } from "../src/workspace/target-pattern.ts";
import { openWorkspace } from "../src/workspace/workspace.ts";

/** The targets of patterns from the current folder; with `actions`, planned too. */
export function planOf(patterns: readonly string[], actions = false) {
  const workspace = openWorkspace(process.cwd(), process.env);
  const wanted = chooseTargets(workspace, patterns).targets;
  if (!actions) return { workspace, wanted, plan: undefined };
  // The state only spares reading files again; it is not written here.
  const state = openState(workspace.root, Date.now);
  const options = { test: false, env: process.env, testArgs: [] };
  return { workspace, wanted, plan: planBuild(workspace, state, wanted, options) };
}
