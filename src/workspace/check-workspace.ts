// Everything that can be said to be wrong with a workspace's Builderfiles without building: text,
// fields, dependencies.

import { posix } from "node:path";
import { formatProblem, type Problem } from "../builderfile/model.ts";
import { MeshError } from "../core/error.ts";
import { sourceFiles } from "./source-files.ts";
import { targetGraph } from "./target-graph.ts";
import type { PlacedTarget, Workspace } from "./workspace.ts";

/** What is wrong, as text for people, each with its place; and how much was looked at. */
export interface Checked {
  readonly messages: readonly string[];
  readonly files: number;
  readonly targets: number;
}

/** The files of the language in a folder and below it; workspaces inside are not entered. */
export function languageFiles(root: string, folder: string): string[] {
  const files = sourceFiles(root, () => false);
  const globs = ["**/Builderfile", "**/Builderspace", "**/*.bldr"];
  const found = files.matching(folder, globs);
  const inner = found
    .filter((path) => posix.basename(path) === "Builderspace" && path !== "Builderspace")
    .map((path) => `${posix.dirname(path)}/`);
  return found.filter((path) => !inner.some((start) => path.startsWith(start)));
}

/** Checks every package in some folders and below. NOT_FOUND for a folder that is not there. */
export function checkWorkspace(workspace: Workspace, folders: readonly string[]): Checked {
  const messages = new Set<string>();
  const packages = new Set(folders.flatMap((folder) => workspace.packagesBelow(folder)));
  const targets: PlacedTarget[] = [];
  const attempt = (work: () => void) => {
    try {
      work();
    } catch (error) {
      if (!(error instanceof MeshError)) throw error;
      messages.add(error.message);
    }
  };
  attempt(() => workspace.space());
  // A wrong Builderspace would be told again for every package.
  if (messages.size > 0) return { messages: [...messages], files: 0, targets: 0 };
  for (const folder of packages) {
    attempt(() => targets.push(...workspace.packageTargets(folder)));
  }
  for (const { package: folder, target } of targets) {
    for (const dep of target.deps) attempt(() => findDep(workspace, folder, dep));
  }
  // The first circle is enough to tell, and a missing target hides the rest.
  if (messages.size === 0) attempt(() => targetGraph(workspace, targets));
  return { messages: [...messages], files: packages.size, targets: targets.length };
}

function findDep(
  workspace: Workspace,
  folder: string,
  dep: PlacedTarget["target"]["deps"][number],
): void {
  try {
    workspace.find(dep, folder);
  } catch (error) {
    if (!(error instanceof MeshError) || error.code !== "NOT_FOUND") throw error;
    const { file, line, column } = dep.place;
    throw new MeshError("NOT_FOUND", `${file}:${line}:${column}: error: ${error.message}`);
  }
}

/** Problems of one file, with its lines. */
export function formatAll(problems: readonly Problem[], text: string): string {
  return problems.map((problem) => formatProblem(problem, text)).join("\n");
}
