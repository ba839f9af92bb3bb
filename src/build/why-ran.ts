// Why an action had to run: what has changed since it last ran here, in words.

import { variableDifferences, wordDifferences } from "../cas/compare-actions.ts";
import type { BuildAction } from "../rules/build-action.ts";
import { type ActionRecord, readHistory } from "./action-history.ts";

/** Says why an action that was no cache hit was none. */
export type Explain = (action: BuildAction, record: ActionRecord) => readonly string[];

/** Explains by what the workspace remembers of the builds before this one. */
export function openExplain(root: string): Explain {
  let recordById: ReadonlyMap<string, ActionRecord> | undefined;
  return (action, record) => {
    recordById ??= readHistory(root);
    return missReasons(action, recordById.get(action.id), record);
  };
}

/** Why an action is no hit, given how it was when it last ran. Never empty. */
export function missReasons(
  action: BuildAction,
  last: ActionRecord | undefined,
  now: ActionRecord,
): string[] {
  if (!action.cache) return ["it runs every time (cache: false)"];
  if (last === undefined) return ["it has not run here before"];
  const changes = differences(last, now);
  if (changes.length > 0) return changes;
  if (last.failed) return ["it failed when it last ran: only successes are kept"];
  return ["nothing of it changed: its result was evicted, or never stored where it was looked for"];
}

/** What an action has otherwise than when it last ran, in words. */
function differences(last: ActionRecord, now: ActionRecord): string[] {
  const reasons: string[] = [];
  for (const [path, hash] of Object.entries(now.hashByPath)) {
    const before = last.hashByPath[path];
    if (before === undefined) reasons.push(`${path} is a new input`);
    else if (before !== hash) reasons.push(`${path} changed`);
  }
  for (const path of Object.keys(last.hashByPath)) {
    if (now.hashByPath[path] === undefined) reasons.push(`${path} is no input any more`);
  }
  reasons.push(...wordDifferences(last.argv, now.argv));
  reasons.push(...variableDifferences(last.env, now.env));
  if (last.workingDirectory !== now.workingDirectory) reasons.push("it runs in another folder");
  if (last.hermetic !== now.hermetic) {
    reasons.push("its limits, its network or its toolchain changed");
  }
  if (isOther(last.tools, now.tools)) reasons.push("the tools it runs with changed");
  if (isOther(last.platform, now.platform)) {
    reasons.push(`its platform was ${last.platform} and is ${now.platform}`);
  }
  return reasons;
}

/** What an older history does not tell is no change. */
function isOther(last: string, now: string): boolean {
  return last !== "" && last !== now;
}
