// Programs for Node: a launcher with a folder of files beside it.

import { posix } from "node:path";
import type { TargetNode } from "../workspace/target-graph.ts";
import type { PlacedTarget } from "../workspace/workspace.ts";
import type { ActionInput, BuildAction } from "./build-action.ts";
import {
  actionOf,
  outFolder,
  outputFile,
  type PlannedTarget,
  placesFile,
  type RuleDeps,
  toolWords,
} from "./rule.ts";
import { shellLine, shellScript, shellWord } from "./shell-line.ts";
import { testRun } from "./test-run.ts";

/** What a program is made from. */
export interface NodeParts {
  /** Files that go in as they are, at their paths in the workspace. */
  readonly files: readonly string[];
  /** Folders whose content is laid over that. */
  readonly folders: readonly string[];
  readonly inputs: readonly ActionInput[];
  /** The file that Node starts, or the tests that it runs. */
  readonly start: { readonly main: string } | { readonly tests: readonly string[] };
  /** Installed packages that it imports; only its run needs them. */
  readonly packages: readonly ActionInput[];
}

/** The bundle of a program, its final files and, for a test, its run. */
export function nodeProgram(
  node: TargetNode,
  parts: NodeParts,
  planned: ReadonlyMap<string, PlannedTarget>,
  deps: RuleDeps,
): Pick<PlannedTarget, "products" | "finals" | "test"> {
  const final = outputFile(node, node.target.name);
  const launcher = `${outFolder(node)}/program/${posix.basename(final)}`;
  const folder = `${launcher}.files`;
  const bundle: BuildAction = {
    ...actionOf(node),
    id: `${node.label} JsBundle`,
    mnemonic: "JsBundle",
    argv: shellScript([
      `mkdir -p ${shellWord(folder)}`,
      ...parts.files.flatMap((file) => copyLines(file, `${folder}/${file}`)),
      ...parts.folders.map((from) => `cp -Rf ${shellWord(from)}/. ${shellWord(folder)}/`),
      `printf %s ${shellWord(launcherText(node, parts, folder, deps))} > ${shellWord(launcher)}`,
      shellLine(["chmod", "+x", launcher]),
    ]),
    inputs: parts.inputs,
    outputs: [launcher, folder],
  };
  const run = {
    argv: [launcher],
    inputs: [{ kind: "made" as const, by: bundle }, ...parts.packages],
  };
  return {
    products: [bundle],
    finals: placesFile(node)
      ? [
          { made: launcher, path: final },
          { made: folder, path: `${final}.files` },
        ]
      : [],
    test: node.target.type === "test" ? testRun(node, run, planned, deps) : undefined,
  };
}

/** What a program is in the workspace: its launcher and its folder. */
export function programOutputs(placed: PlacedTarget): string[] {
  const final = outputFile(placed, placed.target.name);
  return [final, `${final}.files`];
}

/** Files that Node's own test runner takes for tests. */
export function testFiles(sources: readonly string[]): string[] {
  return sources.filter((path) => /[.](test|spec)\.[cm]?[jt]sx?$/.test(path));
}

function copyLines(from: string, to: string): string[] {
  return [shellLine(["mkdir", "-p", posix.dirname(to)]), shellLine(["cp", "-f", from, to])];
}

/** Finds its folder through links, wherever it was copied with it. */
function launcherText(
  node: TargetNode,
  { start }: NodeParts,
  folder: string,
  deps: RuleDeps,
): string {
  const paths = "main" in start ? [start.main] : start.tests;
  const words = [...toolWords(node.target, "NODEJS", deps), ...("main" in start ? [] : ["--test"])];
  const name = posix.basename(folder);
  const files = paths.map((path) => `"$here"/${shellWord(`${name}/${path}`)}`);
  return [
    "#!/bin/sh",
    'here=$(dirname -- "$(readlink -f -- "$0")")',
    `exec ${shellLine(words)} ${files.join(" ")} "$@"`,
    "",
  ].join("\n");
}
