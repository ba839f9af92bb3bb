// From targets to actions: which rule plans which target, and what a whole build has to do.

import { posix } from "node:path";
import type { BuildAction } from "./build-action.ts";
import { planCpp } from "./cpp-rules.ts";
import { planCustom } from "./custom-rules.ts";
import {
  createIncludeScanner,
  formatInclude,
  parseInclude,
  parseIncludes,
} from "./include-scanner.ts";
import { checkOutputs, makersOf, type PlannedTarget, type RuleDeps } from "./rules.ts";
import { type SourceFiles, sourceFiles } from "./source-files.ts";
import type { BuildState } from "./state.ts";
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
  state: Pick<BuildState, "findings">,
  wanted: readonly PlacedTarget[],
  options: { readonly test: boolean; readonly compilers: RuleDeps["compilers"] },
): BuildPlan {
  const graph = targetGraph(workspace, wanted);
  const makerOf = makersOf(workspace.targets());
  const files = sourceFiles(workspace.root, (path) => makerOf(path) !== undefined);
  const headersBelow = remembered((folder: string) => files.matching(plain(folder), headerGlobs));
  const scanner = createIncludeScanner({
    includesOf: (path) => state.findings(path, findIncludes).map(parseInclude),
    exists: files.exists,
    headersBelow: (folders) => folders.flatMap(headersBelow),
  });
  const deps: RuleDeps = {
    files,
    makerOf,
    compilers: options.compilers,
    scan: scanner.scan,
    headersBelow: (folders) => folders.flatMap(headersBelow),
  };
  const planned = new Map<string, PlannedTarget>();
  for (const node of graph.order) planned.set(node.label, planTarget(node, planned, deps));
  checkOutputs(planned.values());
  const wantedTargets = graph.wanted.flatMap((node) => planned.get(node.label) ?? []);
  const actions = [...planned.values()].flatMap((target) => target.actions);
  const tests = options.test ? wantedTargets.flatMap(({ test }) => test ?? []) : [];
  return { wanted: wantedTargets, actions: [...actions, ...tests], files };
}

function findIncludes(text: string): string[] {
  return parseIncludes(text).map(formatInclude);
}

function remembered<T>(find: (key: string) => T): (key: string) => T {
  const foundByKey = new Map<string, T>();
  return (key) => {
    const known = foundByKey.get(key);
    if (known !== undefined) return known;
    const found = find(key);
    foundByKey.set(key, found);
    return found;
  };
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
