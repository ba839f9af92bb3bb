// From targets to actions: which rule plans which target, and what a whole build has to do.

import { readFileSync } from "node:fs";
import { join, posix } from "node:path";
import type { BuildAction } from "./build-action.ts";
import { type PlannedTarget, planCpp, type RuleDeps } from "./cpp-rules.ts";
import { planCustom } from "./custom-rules.ts";
import { createIncludeScanner } from "./include-scanner.ts";
import { type SourceFiles, sourceFiles } from "./source-files.ts";
import { type TargetNode, targetGraph } from "./target-graph.ts";
import type { PlacedTarget, Workspace } from "./workspace.ts";

/** A planned build. */
export interface BuildPlan {
  readonly wanted: readonly PlannedTarget[];
  /** Every action, each after those whose outputs it takes. */
  readonly actions: readonly BuildAction[];
  readonly files: SourceFiles;
}

const headerGlobs = ["**/*.{h,hh,hpp,hxx,inc,ipp,tcc,def}"];

/** Plans what the wanted targets need; with `test`, the runs of the wanted tests too. */
export function planBuild(
  workspace: Workspace,
  wanted: readonly PlacedTarget[],
  options: { readonly test: boolean; readonly compilers: RuleDeps["compilers"] },
): BuildPlan {
  const graph = targetGraph(workspace, wanted);
  const files = sourceFiles(workspace.root);
  const scanner = createIncludeScanner({
    read: (path) => readFileSync(join(workspace.root, path), "utf8"),
    exists: files.exists,
    headersBelow: (folders) =>
      folders.flatMap((folder) => files.matching(plain(folder), headerGlobs)),
  });
  const deps: RuleDeps = {
    files,
    compilers: options.compilers,
    scan: (source, folders) => scanner.scan(source, folders).headers,
  };
  const planned = new Map<string, PlannedTarget>();
  for (const node of graph.order) planned.set(node.label, planTarget(node, planned, deps));
  const wantedTargets = graph.wanted.flatMap((node) => planned.get(node.label) ?? []);
  const actions = [...planned.values()].flatMap((target) => target.actions);
  const tests = options.test ? wantedTargets.flatMap(({ test }) => test ?? []) : [];
  return { wanted: wantedTargets, actions: [...actions, ...tests], files };
}

function planTarget(
  node: TargetNode,
  planned: ReadonlyMap<string, PlannedTarget>,
  deps: RuleDeps,
): PlannedTarget {
  const rule = node.target.command === undefined ? planCpp : planCustom;
  return rule(node, planned, deps);
}

function plain(folder: string): string {
  const normal = posix.normalize(folder);
  return normal === "." ? "" : normal.replace(/\/$/, "");
}
