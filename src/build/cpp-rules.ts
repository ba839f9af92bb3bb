// C and C++ targets as actions: one compile per source, an archive or a link, a run for tests.

import { posix } from "node:path";
import type { Target } from "../builderfile/model.ts";
import { MeshError } from "../core/error.ts";
import type { ActionInput, BuildAction } from "./build-action.ts";
import { matchesNothing, type SourceFiles } from "./source-files.ts";
import { type TargetNode, transitiveDeps } from "./target-graph.ts";

/** What rules plan with. */
export interface RuleDeps {
  readonly files: SourceFiles;
  readonly scan: (source: string, searchFolders: readonly string[]) => readonly string[];
  /** Compilers by language, as the user or the defaults name them. */
  readonly compilers: { readonly c: string; readonly cpp: string };
}

/** What a target's actions are, for itself and for those that depend on it. */
export interface PlannedTarget {
  readonly node: TargetNode;
  readonly actions: readonly BuildAction[];
  /** The actions whose outputs dependents use. */
  readonly products: readonly BuildAction[];
  /** The files a user wants of it: path in the exec root → path in the workspace. */
  readonly finals: readonly { readonly made: string; readonly path: string }[];
  /** The run of a test target. */
  readonly test: BuildAction | undefined;
  readonly hasCpp: boolean;
}

const cEnding = /\.c$/;
const sourceEnding = /\.(c|cc|cpp|cxx|c\+\+|C)$/;

/** Plans an executable, library or test over sources. `planned` holds everything it depends on. */
export function planCpp(
  node: TargetNode,
  planned: ReadonlyMap<string, PlannedTarget>,
  deps: RuleDeps,
): PlannedTarget {
  const { target } = node;
  const below = transitiveDeps(node).flatMap((dep) => planned.get(dep.label) ?? []);
  const folders = [node, ...below.map((other) => other.node)].flatMap(includeFolders);
  const sources = deps.files.matching(node.package, target.sources);
  if (sources.length === 0) {
    throw matchesNothing(target.sources, target.placeByField.get("sources"));
  }
  const generated = below.flatMap((other) =>
    other.node.target.type === "custom" ? other.products : [],
  );
  const compiles = sources
    .filter((source) => sourceEnding.test(source))
    .map((source) => compile(node, source, folders, generated, deps));
  const hasCpp =
    sources.some((source) => isCpp(target, source)) || below.some((other) => other.hasCpp);
  if (target.type === "library") return library(node, compiles, hasCpp);
  if (compiles.length === 0) throw noSources(target);
  const link = linkProgram(node, compiles, below, hasCpp, deps);
  const path = outputOf(node, target.name);
  const made = link.outputs[0] ?? "";
  const test = target.type === "test" ? runTest(node, link, made, planned) : undefined;
  return {
    node,
    actions: [...compiles, link],
    products: [link],
    finals: target.type === "test" && target.output === undefined ? [] : [{ made, path }],
    test,
    hasCpp,
  };
}

function compile(
  node: TargetNode,
  source: string,
  folders: readonly string[],
  generated: readonly BuildAction[],
  deps: RuleDeps,
): BuildAction {
  const { target } = node;
  const compiler = isCpp(target, source) ? deps.compilers.cpp : deps.compilers.c;
  const object = `${outFolder(node)}/${source}.o`;
  const search = [...new Set(folders)];
  const flags = includeFlags(target.flags);
  const forced = flags.files.filter(deps.files.exists);
  const headers = [source, ...forced].flatMap((file) =>
    deps.scan(file, [...search, ...flags.folders]),
  );
  const inputs: ActionInput[] = [
    { kind: "source", path: source },
    ...[...new Set([...forced, ...headers])].map((path) => ({ kind: "source" as const, path })),
    ...generated.map((by) => ({ kind: "made" as const, by })),
  ];
  const include = search.flatMap((folder) => ["-I", folder === "" ? "." : folder]);
  return {
    ...common(node),
    id: `${node.label} CppCompile ${source}`,
    mnemonic: "CppCompile",
    argv: [compiler, ...target.flags, ...include, "-c", source, "-o", object],
    inputs,
    outputs: [object],
  };
}

/** Folders and files that compiler flags add to the search: `-I x`, `-Ix`, `-isystem x`, `-include x`. */
function includeFlags(flags: readonly string[]): { folders: string[]; files: string[] } {
  const found = { folders: [] as string[], files: [] as string[] };
  for (const [at, flag] of flags.entries()) {
    const [, name, joined] = /^(-I|-isystem|-iquote|-idirafter|-include)(.*)$/.exec(flag) ?? [];
    const value = joined || flags[at + 1];
    if (name === undefined || value === undefined || value.startsWith("/")) continue;
    if (name === "-include") found.files.push(posix.normalize(value));
    else found.folders.push(plainFolder(posix.normalize(value)));
  }
  return found;
}

function library(
  node: TargetNode,
  compiles: readonly BuildAction[],
  hasCpp: boolean,
): PlannedTarget {
  // A library of headers alone has nothing to archive.
  if (compiles.length === 0) {
    return { node, actions: [], products: [], finals: [], test: undefined, hasCpp };
  }
  const made = `${outFolder(node)}/lib${node.target.name}.a`;
  const objects = compiles.flatMap((action) => action.outputs);
  const archive: BuildAction = {
    ...common(node),
    id: `${node.label} CppArchive`,
    mnemonic: "CppArchive",
    argv: ["ar", "rcsD", made, ...objects],
    inputs: compiles.map((by) => ({ kind: "made", by })),
    outputs: [made],
  };
  return {
    node,
    actions: [...compiles, archive],
    products: [archive],
    finals: [{ made, path: outputOf(node, `lib${node.target.name}.a`) }],
    test: undefined,
    hasCpp,
  };
}

function linkProgram(
  node: TargetNode,
  compiles: readonly BuildAction[],
  below: readonly PlannedTarget[],
  hasCpp: boolean,
  deps: RuleDeps,
): BuildAction {
  const made = `${outFolder(node)}/${node.target.name}`;
  const objects = compiles.flatMap((action) => action.outputs);
  const libraries = linkOrder(below.filter((other) => other.node.target.type === "library"));
  const archives = libraries.flatMap((other) => other.products);
  return {
    ...common(node),
    id: `${node.label} CppLink`,
    mnemonic: "CppLink",
    argv: [
      hasCpp ? deps.compilers.cpp : deps.compilers.c,
      ...node.target.flags,
      ...objects,
      ...archives.flatMap((action) => action.outputs),
      ...node.target.linkFlags,
      "-o",
      made,
    ],
    inputs: [...compiles, ...archives].map((by) => ({ kind: "made", by })),
    outputs: [made],
  };
}

/** Linkers look for symbols from left to right: whoever needs a library stands before it. */
function linkOrder(libraries: readonly PlannedTarget[]): PlannedTarget[] {
  const order: PlannedTarget[] = [];
  const seen = new Set<PlannedTarget>();
  const visit = (library: PlannedTarget): void => {
    if (seen.has(library)) return;
    seen.add(library);
    for (const dep of library.node.deps) {
      const found = libraries.find((other) => other.node === dep);
      if (found !== undefined) visit(found);
    }
    order.unshift(library);
  };
  for (const library of libraries) visit(library);
  return order;
}

/** A test sees its program and what the commands it depends on made. */
function runTest(
  node: TargetNode,
  link: BuildAction,
  program: string,
  planned: ReadonlyMap<string, PlannedTarget>,
): BuildAction {
  const commands = node.deps
    .flatMap((dep) => planned.get(dep.label) ?? [])
    .filter((other) => other.node.target.type === "custom");
  return {
    ...common(node),
    id: `${node.label} TestRun`,
    mnemonic: "TestRun",
    argv: [program],
    inputs: [{ kind: "made", by: link }, ...commands.flatMap(productInputs)],
    outputs: [],
  };
}

/** What every action of a target has in common. */
export function common(
  node: TargetNode,
): Omit<BuildAction, "id" | "mnemonic" | "argv" | "inputs" | "outputs"> {
  const { env, hermetic, remote, cache, priority, parallelism } = node.target;
  return {
    target: node.label,
    env,
    workingDirectory: "",
    keep: [],
    hermetic,
    remote,
    cache,
    priority,
    parallelism,
  };
}

/** Where a target's intermediate files are, in the exec root. */
export function outFolder(node: TargetNode): string {
  return posix.join(".builder/out", node.package, node.target.name);
}

function outputOf(node: TargetNode, name: string): string {
  return posix.join(node.package, node.target.output ?? `bin/${name}`);
}

function includeFolders(node: TargetNode): string[] {
  return node.target.includes.map((folder) => posix.join(node.package, folder)).map(plainFolder);
}

function plainFolder(folder: string): string {
  return folder === "." ? "" : folder.replace(/\/$/, "");
}

function isCpp(target: Target, source: string): boolean {
  if (target.language !== undefined) return target.language === "cpp";
  return !cEnding.test(source);
}

function noSources(target: Target): MeshError {
  const { file, line, column } = target.place;
  return new MeshError(
    "INVALID_ARGUMENT",
    `${file}:${line}:${column}: error: Target ${target.name} has no C or C++ source to compile.`,
  );
}

/** What a dep made, at the paths where the workspace has its final outputs. */
export function productInputs(other: PlannedTarget): ActionInput[] {
  const at = Object.fromEntries(other.finals.map(({ made, path }) => [made, path]));
  return other.products.map((by) => ({ kind: "made", by, at }));
}
