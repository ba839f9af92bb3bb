// From targets to actions: which rule plans which target, and what a whole build has to do.

import { plainPath } from "../workspace/paths.ts";
import { type SourceFiles, sourceFiles } from "../workspace/source-files.ts";
import { type TargetNode, targetGraph } from "../workspace/target-graph.ts";
import type { PlacedTarget, Workspace } from "../workspace/workspace.ts";
import type { BuildAction } from "./build-action.ts";
import { planCustom } from "./custom.ts";
import {
  createIncludeScanner,
  formatInclude,
  parseInclude,
  parseIncludes,
} from "./include-scanner.ts";
import { checkTarget, ruleFor } from "./languages.ts";
import { checkOutputs, makersOf, type PlannedTarget, type RuleDeps } from "./rule.ts";
import { testRuns } from "./test-runs.ts";
import { toolsFrom } from "./tools.ts";

/** What planning reads of files, remembered between builds. */
export interface Findings {
  /** What `find` finds in a file's text. NOT_FOUND where it cannot be read. */
  findings(path: string, find: (text: string) => readonly string[]): readonly string[];
}

/** A planned build. */
export interface BuildPlan {
  readonly wanted: readonly PlannedTarget[];
  /** The wanted ones and all they depend on, each after those it depends on. */
  readonly targets: readonly PlannedTarget[];
  /** Environment variables that the plan depends on, set or not. */
  readonly variables: readonly string[];
  /** Label → the runs of a wanted test; empty where tests are only built. */
  readonly testsByLabel: ReadonlyMap<string, readonly BuildAction[]>;
  /** Every action, each after those whose outputs it takes. */
  readonly actions: readonly BuildAction[];
  readonly files: SourceFiles;
}

const headerGlobs = ["**/*.{h,hh,hpp,hxx,inc,ipp,tcc,def}"];

/** Plans what the wanted targets need; with `test`, the runs of the wanted tests too. */
export function planBuild(
  workspace: Workspace,
  state: Findings,
  wanted: readonly PlacedTarget[],
  options: {
    readonly test: boolean;
    readonly env: Readonly<Record<string, string | undefined>>;
    /** Arguments for every test, after those of its target. */
    readonly testArgs: readonly string[];
  },
): BuildPlan {
  const tools = toolsFrom(options.env);
  const graph = targetGraph(workspace, wanted);
  const makerOf = makersOf(workspace.targets(), ruleFor);
  const files = sourceFiles(workspace.root, (path) => makerOf(path) !== undefined);
  const headersBelow = remembered((folder: string) =>
    files.matching(plainPath(folder), headerGlobs),
  );
  const scanner = createIncludeScanner({
    includesOf: (path) => state.findings(path, findIncludes).map(parseInclude),
    exists: files.exists,
    headersBelow: (folders) => folders.flatMap(headersBelow),
  });
  const deps: RuleDeps = {
    files,
    makerOf,
    tools,
    findings: state.findings,
    shared: new Map(),
    scan: scanner.scan,
    headersBelow: (folders) => folders.flatMap(headersBelow),
  };
  const planned = new Map<string, PlannedTarget>();
  for (const node of graph.order) planned.set(node.label, planTarget(node, planned, deps));
  checkOutputs(planned.values());
  const wantedTargets = graph.wanted.flatMap((node) => planned.get(node.label) ?? []);
  const own = [...planned.values()].flatMap((target) => target.actions);
  const actions = [...new Set([...deps.shared.values(), ...own])];
  const testsByLabel = new Map<string, readonly BuildAction[]>();
  for (const { node, test } of options.test ? wantedTargets : []) {
    if (test !== undefined) {
      testsByLabel.set(node.label, testRuns(test, node.target, options.testArgs));
    }
  }
  const tests = [...testsByLabel.values()].flat();
  return {
    wanted: wantedTargets,
    targets: [...planned.values()],
    testsByLabel,
    actions: [...actions, ...tests],
    files,
    variables: Object.keys(tools),
  };
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
  if (node.target.command !== undefined) return planCustom(node, planned, deps);
  const rule = ruleFor(node.target);
  checkTarget(rule, node, planned);
  return rule.plan(node, planned, deps);
}
