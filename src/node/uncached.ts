// Actions that must run: in an audit or a check what is remembered would prove nothing, and nothing
// of them may be remembered.

import type { BuildAction } from "../rules/build-action.ts";

/** The same actions, none answered from a cache. Each comes after those it takes from. */
export function uncached(actions: readonly BuildAction[]): BuildAction[] {
  const fresh = new Map<BuildAction, BuildAction>();
  for (const action of actions) {
    const inputs = action.inputs.map((input) =>
      input.kind === "made" ? { ...input, by: fresh.get(input.by) ?? input.by } : input,
    );
    fresh.set(action, { ...action, inputs, cache: false });
  }
  return [...fresh.values()];
}
