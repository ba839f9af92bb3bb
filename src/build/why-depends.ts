// Why one thing depends on another: the shortest way from a target or file to a target or file,
// with the line that makes each step.

import { readFileSync } from "node:fs";
import { join, posix } from "node:path";
import { failureOf, MeshError } from "../core/error.ts";
import { parseIncludes } from "../rules/include-scanner.ts";
import { ruleFor } from "../rules/languages.ts";
import { type BuildPlan, planBuild } from "../rules/plan.ts";
import { makersOf, type PlannedTarget } from "../rules/rule.ts";
import { statOf } from "../workspace/look.ts";
import {
  labelOf,
  type PlacedTarget,
  parseTargetName,
  type Workspace,
} from "../workspace/workspace.ts";
import { openState } from "./state.ts";
import { type WhyDeps, workspacePath } from "./why-built.ts";

/** A target or a file, as the user named it. */
export type Named =
  | { readonly kind: "target"; readonly placed: PlacedTarget; readonly name: string }
  | { readonly kind: "file"; readonly name: string };

interface Step {
  readonly to: string;
  /** Where it says so, such as `Builderfile:3:5, deps`. */
  readonly because: string;
}

/**
 * What a word means: a target, or else a file; a file that a target makes stands for the target.
 * NOT_FOUND where it is neither.
 */
export function named(workspace: Workspace, text: string): Named {
  const explicit = text.startsWith("//") || text.startsWith(":");
  const found = explicit ? find(workspace, text) : tryFind(workspace, text);
  if (found !== undefined) return { kind: "target", placed: found, name: labelOf(found) };
  const path = workspacePath(workspace, text);
  const maker = makersOf(workspace.targets(), ruleFor)(path);
  if (maker !== undefined) {
    return { kind: "target", placed: find(workspace, maker), name: maker };
  }
  if (statOf(join(workspace.root, path)) !== undefined) return { kind: "file", name: path };
  throw new MeshError("NOT_FOUND", `${text} is neither a target nor a file here.`);
}

/** Lines that say why one of two things depends on the other, or that neither does. */
export function explainDependency(deps: WhyDeps, first: Named, second: Named): string[] {
  const plan = planOf(deps, [first, second]);
  for (const [from, to] of [
    [first, second],
    [second, first],
  ] as const) {
    const way = shortestWay(deps.workspace, plan, from.name, to.name);
    if (way === undefined) continue;
    return [
      `${from.name} depends on ${to.name}:`,
      `  ${from.name}`,
      ...way.map((step) => `  → ${step.to} (${step.because})`),
    ];
  }
  return [`Neither ${first.name} nor ${second.name} depends on the other.`];
}

/** Lines that say which actions read a file. */
export function explainFile(deps: WhyDeps, path: string): string[] {
  const { actions } = planOf(deps, []);
  const readers = actions.filter(({ inputs }) =>
    inputs.some((input) => input.kind === "source" && input.path === path),
  );
  if (readers.length === 0) return [`No target of this folder reads ${path}.`];
  return [`${path} is read by:`, ...readers.map(({ id }) => `  ${id}`)];
}

/** The named targets, or all of the user's folder, with their tests. */
function planOf({ workspace, env, now }: WhyDeps, things: readonly Named[]): BuildPlan {
  const targets = things.flatMap((thing) => (thing.kind === "target" ? [thing.placed] : []));
  const wanted = targets.length > 0 ? targets : workspace.packageTargets(workspace.here);
  const state = openState(workspace.root, now);
  return planBuild(workspace, state, wanted, { test: true, env, testArgs: [] });
}

/** Breadth first, so that no other way has fewer steps. */
function shortestWay(
  workspace: Workspace,
  plan: BuildPlan,
  from: string,
  to: string,
): Step[] | undefined {
  const plannedByLabel = new Map(plan.targets.map((planned) => [planned.node.label, planned]));
  const sources = new Set(
    plan.actions.flatMap(({ inputs }) =>
      inputs.flatMap((input) => (input.kind === "source" ? [input.path] : [])),
    ),
  );
  const cameBy = new Map<string, Step & { readonly from: string }>();
  const queue = [from];
  for (let at = queue.shift(); at !== undefined && at !== to; at = queue.shift()) {
    const planned = plannedByLabel.get(at);
    const steps =
      planned === undefined ? includeSteps(workspace, sources, at) : targetSteps(plan, planned);
    for (const step of steps) {
      if (step.to === from || cameBy.has(step.to)) continue;
      cameBy.set(step.to, { ...step, from: at });
      queue.push(step.to);
    }
  }
  const way: Step[] = [];
  for (let at = to; at !== from; ) {
    const step = cameBy.get(at);
    if (step === undefined) return undefined;
    way.unshift(step);
    at = step.from;
  }
  return way;
}

/** From a target to its deps, and to the files its own fields name. */
function targetSteps(plan: BuildPlan, { node, actions }: PlannedTarget): Step[] {
  const steps: Step[] = node.deps.map((dep, at) => ({
    to: dep.label,
    because: `${placeText(node.target.deps[at]?.place ?? node.target.place)}, deps`,
  }));
  const own = [...actions, ...(plan.testsByLabel.get(node.label) ?? [])];
  for (const { mnemonic, argv, inputs } of own) {
    const declared = mnemonic === "Custom" || mnemonic === "TestRun";
    const field = declared ? "inputs" : "sources";
    const place = node.target.placeByField.get(field) ?? node.target.place;
    for (const input of inputs) {
      // Of a compile's files, the target names what is on its command line; the rest is included.
      if (input.kind !== "source" || !(declared || argv.includes(input.path))) continue;
      steps.push({ to: input.path, because: `${placeText(place)}, ${field}` });
    }
  }
  return steps;
}

/** From a file to those it includes, of all that a build reads. */
function includeSteps(workspace: Workspace, sources: ReadonlySet<string>, file: string): Step[] {
  const text = textOf(join(workspace.root, file));
  const lines = text.split("\n");
  return parseIncludes(text).flatMap(({ kind, path }) => {
    if (kind === "computed") return [];
    const beside = posix.join(posix.dirname(file), path);
    const ending = `/${posix.normalize(path).replace(/^(\.\.\/)+/, "")}`;
    const all = sources.has(beside)
      ? [beside]
      : [...sources].filter((source) => `/${source}`.endsWith(ending) && source !== file);
    const line = lines.findIndex((one) => one.includes("include") && one.includes(path)) + 1;
    return all.map((to) => ({ to, because: `${file}:${line}, include` }));
  });
}

function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

function placeText(place: {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}) {
  return `${place.file}:${place.line}:${place.column}`;
}

function find(workspace: Workspace, text: string): PlacedTarget {
  return workspace.find(parseTargetName(text), workspace.here);
}

/** The target of a name that may as well be a file's. */
function tryFind(workspace: Workspace, text: string): PlacedTarget | undefined {
  if (!/^[\w.@+-]+$/.test(text)) {
    // Its targets tell which files are made.
    workspace.packageTargets(workspace.here);
    return undefined;
  }
  try {
    return find(workspace, text);
  } catch (error) {
    if (failureOf(error).code !== "NOT_FOUND") throw error;
    return undefined;
  }
}
