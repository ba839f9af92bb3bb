// `command` targets as actions: shell lines over declared inputs, with declared outputs.

import { posix } from "node:path";
import picomatch from "picomatch";
import type { ActionInput, BuildAction } from "./build-action.ts";
import { common, type PlannedTarget, productInputs, type RuleDeps } from "./cpp-rules.ts";
import { fixedPart, matchesNothing } from "./source-files.ts";
import type { TargetNode } from "./target-graph.ts";

/** Plans a custom target, or a test with a command. Outputs of its deps are among its inputs. */
export function planCustom(
  node: TargetNode,
  planned: ReadonlyMap<string, PlannedTarget>,
  deps: RuleDeps,
): PlannedTarget {
  const { target } = node;
  const below = node.deps.flatMap((dep) => planned.get(dep.label) ?? []);
  const sources = sourceInputs(node, below, deps);
  const inPackage = (path: string) => posix.join(node.package, path);
  const globs = target.outputs.map(inPackage);
  const isTest = target.type === "test";
  const action: BuildAction = {
    ...common(node),
    id: `${node.label} ${isTest ? "TestRun" : "Custom"}`,
    mnemonic: isTest ? "TestRun" : "Custom",
    argv: ["/bin/sh", "-e", "-c", target.command ?? ""],
    workingDirectory: node.package,
    inputs: [...sources, ...below.flatMap(productInputs)],
    outputs: [...new Set(globs.map(outputPath))],
    keep: globs,
  };
  const actions = isTest ? [] : [action];
  return {
    node,
    actions,
    products: actions,
    finals: isTest ? [] : globs.map((glob) => ({ made: glob, path: glob })),
    test: isTest ? action : undefined,
    hasCpp: false,
  };
}

/** A glob among the outputs is asked for as the folder before its first wildcard. */
function outputPath(glob: string): string {
  return /[*?[\]{}]/.test(glob) ? fixedPart(glob) || "." : glob;
}

/** Declared inputs that are files; those that a dep makes come from the dep. */
function sourceInputs(
  node: TargetNode,
  below: readonly PlannedTarget[],
  deps: RuleDeps,
): ActionInput[] {
  const made = new Set(below.flatMap((other) => other.finals.map(({ path }) => path)));
  const own = picomatch(node.target.outputs.map((glob) => posix.join(node.package, glob)));
  const isInput = (match: string) => !made.has(match) && !own(match);
  const found = new Set<string>();
  for (const glob of node.target.inputs) {
    const path = posix.join(node.package, glob);
    if (made.has(path)) continue;
    const matches = deps.files.matching(node.package, [glob]).filter(isInput);
    const byDep = below.some((other) => other.finals.some((final) => covers(path, final.path)));
    if (matches.length === 0 && !byDep) {
      throw matchesNothing([glob], node.target.placeByField.get("inputs"));
    }
    for (const match of matches) found.add(match);
  }
  return [...found].sort().map((path) => ({ kind: "source", path }));
}

function covers(glob: string, path: string): boolean {
  const fixed = fixedPart(glob);
  return fixed === "" || path.startsWith(`${fixed}/`);
}
