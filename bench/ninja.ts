// The yardstick for whole builds: the commands of a plan, word for word, run by ninja.

import { existsSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { openState } from "../src/build/state.ts";
import type { BuildAction } from "../src/rules/build-action.ts";
import { planBuild } from "../src/rules/plan.ts";
import { openWorkspace, parseTargetName } from "../src/workspace/workspace.ts";

/** The actions that targets of a workspace take, each after those it needs. */
export function actionsOf(folder: string, targets: readonly string[]): readonly BuildAction[] {
  const workspace = openWorkspace(folder, process.env);
  const wanted = targets.map((name) => workspace.find(parseTargetName(name), workspace.here));
  const state = openState(workspace.root, Date.now);
  return planBuild(workspace, state, wanted, { test: false, env: process.env, testArgs: [] })
    .actions;
}

/** Compiles that see a header, as the plan has it. */
export function dependentsOf(actions: readonly BuildAction[], header: string): string[] {
  const sees = (action: BuildAction) =>
    action.inputs.some((input) => input.kind === "source" && input.path === header);
  return actions
    .filter(sees)
    .map(({ id }) => id)
    .sort();
}

/**
 * Writes `build.ninja`. Headers are inputs by name, so that both run the same commands after a
 * change.
 */
export function writeNinjaFile(folder: string, actions: readonly BuildAction[]): void {
  const lines = ["rule run", "  command = $line", "  description = $out", ""];
  for (const action of actions) {
    const inputs = action.inputs.flatMap((input) => {
      if (input.kind === "source") return [input.path];
      return input.kind === "made" ? input.by.outputs : [];
    });
    const words = (paths: readonly string[]) => [...new Set(paths)].map(escaped).join(" ");
    const line = action.argv.map(quoted).join(" ");
    const inPlace =
      action.workingDirectory === "" ? line : `cd ${action.workingDirectory} && ${line}`;
    lines.push(`build ${words(action.outputs)}: run ${words(inputs)}`);
    lines.push(`  line = ${inPlace.replaceAll("$", "$$$$")}`, "");
  }
  writeFileSync(join(folder, "build.ninja"), `${lines.join("\n")}\n`);
}

/** Where ninja is; undefined where it is not installed. */
export function findNinja(): string | undefined {
  const folders = (process.env["PATH"] ?? "").split(delimiter);
  return folders.map((folder) => join(folder, "ninja")).find((path) => existsSync(path));
}

/** Lines of a command are joined: ninja has no newline, and ours end whole commands. */
function quoted(word: string): string {
  if (/^[\w@%+=:,./-]+$/.test(word)) return word;
  const oneLine = word
    .replaceAll(/\\\n\s*/g, " ")
    .trim()
    .replaceAll("\n", "; ");
  return `'${oneLine.replaceAll("'", "'\\''")}'`;
}

function escaped(path: string): string {
  return path.replaceAll(/[$ :]/g, "$$$&");
}
