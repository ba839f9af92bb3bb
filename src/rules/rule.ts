// What the rules share: what they plan with, what a planned target is, and where its files go.

import { posix } from "node:path";
import type { Language, Target } from "../builderfile/model.ts";
import { MeshError } from "../core/error.ts";
import {
  globMatcher,
  isGlob,
  matchesNothing,
  type SourceFiles,
} from "../workspace/source-files.ts";
import type { TargetNode } from "../workspace/target-graph.ts";
import { labelOf, type PlacedTarget } from "../workspace/workspace.ts";
import type { ActionInput, BuildAction } from "./build-action.ts";
import type { ScannedIncludes } from "./include-scanner.ts";
import type { Tools } from "./tools.ts";

/** What rules plan with. */
export interface RuleDeps {
  readonly files: SourceFiles;
  /** What sources can see; `isMade` tells paths that dependencies make. */
  readonly scan: (
    sources: readonly string[],
    searchFolders: readonly string[],
    isMade: (path: string) => boolean,
  ) => ScannedIncludes;
  /** All headers of the workspace below these folders. */
  readonly headersBelow: (folders: readonly string[]) => readonly string[];
  /** Label of the target that makes a path, of any package read so far. */
  readonly makerOf: (path: string) => string | undefined;
  /** What `find` finds in a file's text. NOT_FOUND where it cannot be read. One `find` a file. */
  readonly findings: (path: string, find: (text: string) => string[]) => readonly string[];
  readonly tools: Tools;
  /** Actions that belong to no single target, by id: the first that needs one adds it. */
  readonly shared: Map<string, BuildAction>;
}

/** How the targets of a language become actions. One file each; all are in `languages.ts`. */
export interface Rule {
  readonly languages: readonly Language[];
  /** Endings of its sources, from which the language of a target is guessed. */
  readonly endings: readonly string[];
  /** Languages whose libraries its targets may use. */
  readonly uses: readonly Language[];
  /** Names it knows in `options`. */
  readonly options: readonly string[];
  /** Fields that mean nothing to it. */
  readonly refuses: readonly string[];
  /** What to do where a tool is not found; for the actions of these mnemonics. */
  readonly install: { readonly mnemonics: readonly string[]; readonly remedy: string };
  /** The files and folders a target makes in the workspace, told from its fields alone. */
  readonly outputs: (placed: PlacedTarget) => string[];
  /** `planned` holds everything the target depends on. */
  readonly plan: (
    node: TargetNode,
    planned: ReadonlyMap<string, PlannedTarget>,
    deps: RuleDeps,
  ) => PlannedTarget;
}

/** What a target's actions are, for itself and for those that depend on it. */
export interface PlannedTarget {
  readonly node: TargetNode;
  readonly actions: readonly BuildAction[];
  /** The actions whose outputs dependents use. */
  readonly products: readonly BuildAction[];
  /** The language of its rule; undefined for a command. */
  readonly language: Language | undefined;
  /** Its own sources, where those that depend on it take them as they are. */
  readonly handsOn?: { readonly files: readonly string[]; readonly inputs: readonly ActionInput[] };
  /**
   * The files a user wants of it: path in the exec root → path in the workspace. A folder
   * stands for all that is in it. Those of a command may be globs; both sides are equal then.
   */
  readonly finals: readonly { readonly made: string; readonly path: string }[];
  /** The run of a test target. */
  readonly test: BuildAction | undefined;
  readonly hasCpp: boolean;
}

/** What every action of a target starts from. */
export function actionOf(
  node: TargetNode,
): Omit<BuildAction, "id" | "mnemonic" | "argv" | "inputs" | "outputs"> {
  const { env, hermetic, toolchain, remote, cache, priority, parallelism } = node.target;
  return {
    target: node.label,
    env,
    workingDirectory: "",
    keep: [],
    hermetic,
    toolchain,
    remote,
    cache,
    priority,
    parallelism,
  };
}

/** The words of a tool's command line. INVALID_ARGUMENT where its variable is set to nothing. */
export function toolWords({ name }: Target, variable: string, { tools }: RuleDeps): string[] {
  const words = (tools[variable] ?? "").split(/\s+/).filter((word) => word !== "");
  if (words.length > 0) return words;
  throw new MeshError("INVALID_ARGUMENT", `${variable} is empty; ${name} needs that tool.`);
}

/** Where a target's intermediate files are, in the exec root. */
export function outFolder(node: PlacedTarget): string {
  return posix.join(".builder/out", node.package, node.target.name);
}

/** Where an executable, library or test goes in the workspace; `name` unless it says otherwise. */
export function outputFile({ package: folder, target }: PlacedTarget, name: string): string {
  return posix.join(folder, target.output ?? posix.join(target.outputDir, name));
}

/** The globs of what a target's command makes, in the workspace. */
export function outputGlobs({ package: folder, target }: PlacedTarget): string[] {
  return target.outputs.map((glob) => posix.join(folder, glob));
}

/** Folders or globs → whether they cover a path. */
export function coveredBy(globs: readonly string[]): (path: string) => boolean {
  const plain = new Set(globs.filter((glob) => !isGlob(glob)));
  const wild = globs.filter(isGlob).map(globMatcher);
  return (path) => {
    for (let at = path; at !== "." && at !== ""; at = posix.dirname(at)) {
      if (plain.has(at)) return true;
    }
    return wild.some((matches) => matches(path));
  };
}

/** Who makes a path, for every target of some packages. */
export function makersOf(
  targets: readonly PlacedTarget[],
  ruleOf: (target: Target) => Rule,
): RuleDeps["makerOf"] {
  const labelByPath = new Map<string, string>();
  const wild: { readonly label: string; readonly covers: (path: string) => boolean }[] = [];
  for (const placed of targets) {
    const label = labelOf(placed);
    const compiled = placed.target.command === undefined && placesFile(placed);
    const paths = compiled ? ruleOf(placed.target).outputs(placed) : outputGlobs(placed);
    for (const path of paths) {
      if (isGlob(path)) wild.push({ label, covers: coveredBy([path]) });
      else labelByPath.set(path, label);
    }
  }
  return (path) => {
    for (let at = path; at !== "." && at !== ""; at = posix.dirname(at)) {
      const label = labelByPath.get(at);
      if (label !== undefined) return label;
    }
    return wild.find(({ covers }) => covers(path))?.label;
  };
}

/** A test's program is for its run; only one that is given a place has it. */
export function placesFile({ target }: PlacedTarget): boolean {
  return target.type !== "test" || target.output !== undefined;
}

/** Where a file that a target made goes in the workspace; undefined for one nobody asked for. */
export function placeOf({ finals, node }: PlannedTarget, made: string): string | undefined {
  const exact = finals.find((final) => final.made === made);
  if (exact !== undefined) return exact.path;
  const folder = finals.find((final) => made.startsWith(`${final.made}/`));
  if (folder !== undefined) return `${folder.path}${made.slice(folder.made.length)}`;
  const isCommand = node.target.command !== undefined;
  return isCommand && coveredBy(finals.map(({ path }) => path))(made) ? made : undefined;
}

/** What a dep made, at the paths where the workspace has its final outputs. */
export function productInputs(other: PlannedTarget): ActionInput[] {
  const at = Object.fromEntries(other.finals.map(({ made, path }) => [made, path]));
  return other.products.map((by) => ({ kind: "made", by, at }));
}

/** The `inputs` of a target that are files; those that a dep makes come from the dep. */
export function declaredInputs(
  node: TargetNode,
  below: readonly PlannedTarget[],
  deps: RuleDeps,
): ActionInput[] {
  const found = new Set<string>();
  for (const glob of node.target.inputs) {
    const matches = deps.files.matching(node.package, [glob]);
    const path = posix.join(node.package, glob);
    if (matches.length === 0 && !below.some((other) => mayMake(other, path))) {
      const place = node.target.placeByField.get("inputs");
      throw matchesNothing(glob, place, deps.makerOf(path));
    }
    for (const match of matches) found.add(match);
  }
  return [...found].sort().map((path) => ({ kind: "source", path }));
}

/** Whether something a target makes may match a path or glob. Two globs are given the benefit. */
function mayMake({ finals }: PlannedTarget, wanted: string): boolean {
  const matches = coveredBy([wanted]);
  return finals.some(({ path }) => {
    if (isGlob(wanted) && isGlob(path)) return true;
    return coveredBy([path])(wanted) || matches(path);
  });
}

/** INVALID_ARGUMENT where two targets of a build make the same file. */
export function checkOutputs(planned: Iterable<PlannedTarget>): void {
  const makerByPath = new Map<string, TargetNode>();
  for (const { node, finals } of planned) {
    for (const { path } of finals) {
      const other = makerByPath.get(path);
      if (other !== undefined) throw sameOutput(other, node, path);
      makerByPath.set(path, node);
    }
  }
}

/** INVALID_ARGUMENT with a target's place. */
export function targetError({ target }: PlacedTarget, message: string): MeshError {
  const { file, line, column } = target.place;
  return new MeshError("INVALID_ARGUMENT", `${file}:${line}:${column}: error: ${message}`);
}

function sameOutput(first: TargetNode, second: TargetNode, path: string): MeshError {
  const both = `${first.label} and ${second.label} both make ${path}.`;
  return targetError(second, `${both} Give one of them another output.`);
}
