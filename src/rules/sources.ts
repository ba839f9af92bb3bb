// The sources of a target: files of the workspace and files that its deps make.

import { posix } from "node:path";
import { MeshError } from "../core/error.ts";
import { isGlob, matchesNothing } from "../workspace/source-files.ts";
import { type TargetNode, transitiveDeps } from "../workspace/target-graph.ts";
import type { ActionInput } from "./build-action.ts";
import {
  coveredBy,
  type PlannedTarget,
  productInputs,
  type RuleDeps,
  targetError,
} from "./rule.ts";

/** What a target that is compiled as a whole is made from. */
export interface TargetSources {
  /** Everything below it, each before its own deps. */
  readonly below: readonly PlannedTarget[];
  /** Those of its language, sorted. */
  readonly sources: readonly string[];
  /** The other files among its `sources`, sorted: what the sources embed or read. */
  readonly data: readonly string[];
  readonly isMade: (path: string) => boolean;
  /** All of these, and whatever the commands below it make. */
  readonly inputs: readonly ActionInput[];
}

/** INVALID_ARGUMENT where no source has one of these endings. */
export function readSources(
  node: TargetNode,
  endings: readonly string[],
  planned: ReadonlyMap<string, PlannedTarget>,
  deps: RuleDeps,
): TargetSources {
  const below = transitiveDeps(node).flatMap((dep) => planned.get(dep.label) ?? []);
  const commands = below.filter((other) => other.node.target.command !== undefined);
  const isMade = coveredBy(commands.flatMap(({ finals }) => finals.map(({ path }) => path)));
  const all = findSources(node, commands, isMade, deps);
  const isSource = (path: string) => endings.some((ending) => path.endsWith(`.${ending}`));
  const sources = all.filter(isSource);
  if (sources.length === 0) {
    throw targetError(node, `${node.target.name} has no .${endings[0]} file among its sources.`);
  }
  return {
    below,
    sources,
    data: all.filter((path) => !isSource(path)),
    isMade,
    inputs: [
      ...all.filter((path) => !isMade(path)).map((path) => ({ kind: "source" as const, path })),
      ...commands.flatMap(productInputs),
    ],
  };
}

/** Files of the workspace and, where a plain path or a glob names them, files that deps make. */
export function findSources(
  node: TargetNode,
  commands: readonly PlannedTarget[],
  isMade: (path: string) => boolean,
  deps: RuleDeps,
): string[] {
  const plain = commands
    .flatMap(({ finals }) => finals.map(({ path }) => path))
    .filter((path) => !isGlob(path));
  const found = new Set<string>();
  for (const glob of node.target.sources) {
    const path = posix.join(node.package, glob);
    const matches = isGlob(glob) ? coveredBy([path]) : undefined;
    const made = matches ? plain.filter(matches) : [path].filter(isMade);
    const all = [...deps.files.matching(node.package, [glob]), ...made];
    if (all.length === 0) {
      throw matchesNothing(glob, node.target.placeByField.get("sources"), deps.makerOf(path));
    }
    for (const one of all) found.add(one);
  }
  return [...found].sort();
}

/**
 * The file a program starts with: the one its option names, else the first of the usual names that
 * it has, else its only source. INVALID_ARGUMENT where that leaves none.
 */
export function entryOf(
  node: TargetNode,
  sources: readonly string[],
  option: string,
  usual: readonly string[],
): string {
  const named = node.target.options[option];
  if (named !== undefined) {
    const path = posix.join(node.package, named);
    if (sources.includes(path)) return path;
    throw optionError(node, `options.${option} is ${named}, which is none of the sources.`);
  }
  const found = usual.flatMap((name) => sources.filter((path) => posix.basename(path) === name));
  const entry = found[0] ?? (sources.length === 1 ? sources[0] : undefined);
  if (entry !== undefined) return entry;
  const names = usual.join(" or ");
  const remedy = `Call it ${names}, or name it: options: { ${option}: FILE }.`;
  throw targetError(node, `Nothing says which source ${node.target.name} starts with. ${remedy}`);
}

/** INVALID_ARGUMENT with the place of the target's options. */
export function optionError({ target }: TargetNode, message: string): MeshError {
  const { file, line, column } = target.placeByField.get("options") ?? target.place;
  return new MeshError("INVALID_ARGUMENT", `${file}:${line}:${column}: error: ${message}`);
}

/** A folder of the workspace as a command line wants it. */
export function shownFolder(folder: string): string {
  return folder === "" ? "." : folder;
}
