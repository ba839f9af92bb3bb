// C and C++ targets as actions: one compile per source, an archive or a link, a run for tests.

import { posix } from "node:path";
import type { Target } from "../builderfile/model.ts";
import { folderOf, plainPath } from "../workspace/paths.ts";
import { isGlob } from "../workspace/source-files.ts";
import { type TargetNode, transitiveDeps } from "../workspace/target-graph.ts";
import type { PlacedTarget } from "../workspace/workspace.ts";
import type { ActionInput, BuildAction } from "./build-action.ts";
import {
  actionOf,
  coveredBy,
  outFolder,
  outputFile,
  type PlannedTarget,
  placesFile,
  productInputs,
  type Rule,
  type RuleDeps,
  targetError,
  toolWords,
} from "./rule.ts";
import { findSources } from "./sources.ts";
import { testRun } from "./test-run.ts";

const cEnding = /\.c$/;
const headerEnding = /\.(h|hh|hpp|hxx|inc|ipp|tcc|def)$/;
const sourceEnding = /\.(c|cc|cpp|cxx|c\+\+|C)$/;

/** What all compiles of a target have in common. */
interface CompileScope {
  readonly node: TargetNode;
  /** Folders of `includes`, its own and those of all it depends on. */
  readonly folders: readonly string[];
  /** Files among its sources that are named as they are, and are nothing to compile. */
  readonly named: readonly string[];
  /** Commands it depends on, whose outputs may be headers. */
  readonly commands: readonly PlannedTarget[];
  readonly isMade: (path: string) => boolean;
  /** Whether something made lies below a folder, which is one then whatever is on disk. */
  readonly holdsMade: (folder: string) => boolean;
}

/** C and C++. A target may hold both; which compiler links depends on all that goes into it. */
export const cppRule: Rule = {
  languages: ["c", "cpp"],
  endings: ["c", "cc", "cpp", "cxx", "c++", "C"],
  uses: ["c", "cpp"],
  options: [],
  refuses: [],
  install: {
    mnemonics: ["CppCompile", "CppArchive", "CppLink"],
    remedy: "Install a compiler (g++) there, or name one with CXX and CC.",
  },
  outputs: (placed) => [finalFile(placed)],
  plan: planCpp,
};

function planCpp(
  node: TargetNode,
  planned: ReadonlyMap<string, PlannedTarget>,
  deps: RuleDeps,
): PlannedTarget {
  const { target } = node;
  const below = transitiveDeps(node).flatMap((dep) => planned.get(dep.label) ?? []);
  const commands = below.filter((other) => other.node.target.command !== undefined);
  const folders = [node, ...below.map((other) => other.node)].flatMap(includeFolders);
  const promised = commands.flatMap(({ finals }) => finals.map(({ path }) => path));
  const scope: CompileScope = {
    node,
    folders: [...new Set(folders)],
    named: namedFiles(node),
    commands,
    isMade: promised.length === 0 ? nothingMade : coveredBy(promised),
    holdsMade: (folder) => promised.some((path) => path.startsWith(`${folder}/`)),
  };
  const sources = findSources(node, commands, scope.isMade, deps).filter((source) =>
    sourceEnding.test(source),
  );
  const compiles = sources.map((source) => compile(scope, source, deps));
  const hasCpp =
    sources.some((source) => isCpp(target, source)) || below.some((other) => other.hasCpp);
  if (target.type === "library") return library(node, compiles, hasCpp, deps);
  if (compiles.length === 0) {
    throw targetError(node, `Target ${target.name} has no C or C++ source to compile.`);
  }
  const link = linkProgram(node, compiles, below, hasCpp, deps);
  const finals = placesFile(node) ? [{ made: programPath(node), path: finalFile(node) }] : [];
  const test = target.type === "test" ? runTest(node, link, planned, deps) : undefined;
  const language = hasCpp ? "cpp" : "c";
  return { node, language, actions: [...compiles, link], products: [link], finals, test, hasCpp };
}

/**
 * What no scan finds, such as a header behind a macro or a linker script, is named in full. What a
 * glob covers besides is not: a header that nobody includes would make everything again.
 */
function namedFiles({ package: folder, target }: TargetNode): string[] {
  return target.sources
    .filter((path) => !isGlob(path) && !sourceEnding.test(path))
    .map((path) => posix.join(folder, path));
}

/** One function for all targets without commands, so that scans are shared between them. */
const nothingMade = () => false;

function compile(scope: CompileScope, source: string, deps: RuleDeps): BuildAction {
  const { node, folders } = scope;
  const { target } = node;
  const object = `${outFolder(node)}/objects/${source}.o`;
  return {
    ...actionOf(node),
    id: `${node.label} CppCompile ${source}`,
    mnemonic: "CppCompile",
    tools: ["as"],
    argv: [
      ...compiler(target, isCpp(target, source), deps),
      ...target.flags,
      ...folders.flatMap((folder) => ["-I", folder === "" ? "." : folder]),
      ...languageFlags(target, source),
      "-c",
      // No option, no list of options: a file.
      /^[-@]/.test(source) ? `./${source}` : source,
      "-o",
      object,
    ],
    inputs: compileInputs(scope, source, deps),
    outputs: [object],
  };
}

function compileInputs(scope: CompileScope, source: string, deps: RuleDeps): ActionInput[] {
  const { flags } = scope.node.target;
  const given = includeFlags(flags);
  const search = [...new Set([...scope.folders, ...given.folders])];
  const asked = [source, ...given.files, ...scope.named];
  const known = asked.filter((path) => deps.files.exists(path));
  const scans = [deps.scan(known, search, scope.isMade)];
  const made = scans.some((scan) => scan.made) || [...asked, ...pathsOf(flags)].some(scope.isMade);
  const files = new Set(known);
  if (made) {
    // What a made file includes cannot be known before it is made: any header it could find.
    const places = [...search, folderOf(source), scope.node.package];
    const headers = [...new Set(deps.headersBelow(places))];
    scans.push(deps.scan(headers, search, scope.isMade));
    for (const header of headers) files.add(header);
  }
  for (const header of scans.flatMap(({ headers }) => headers)) files.add(header);
  const through = [...search, ...scans.flatMap(({ folders }) => folders)];
  return [
    ...[...new Set(through)]
      .filter(
        (folder) => folder !== "" && (scope.holdsMade(folder) || deps.files.folderExists(folder)),
      )
      .map((path) => ({ kind: "folder" as const, path })),
    ...[...files].map((path) => ({ kind: "source" as const, path })),
    // A source that reaches nothing made neither waits for it nor runs again when it changes.
    ...(made ? scope.commands.flatMap(productInputs) : []),
  ];
}

/** What may be a path in flags, such as `@words` and `-fprofile-use=file`. */
function pathsOf(flags: readonly string[]): string[] {
  return flags.flatMap((flag) => flag.split(/[=@,]/).slice(1).map(plainPath));
}

/** What flags add to the search: folders by `-I x`, `-Ix`, `-isystem x`, files by `-include x`. */
function includeFlags(flags: readonly string[]): { folders: string[]; files: string[] } {
  const found = { folders: [] as string[], files: [] as string[] };
  const pattern = /^(-I|-isystem|-iquote|-idirafter|-include|-imacros)(.*)$/;
  for (const [at, flag] of flags.entries()) {
    const [, name, joined] = pattern.exec(flag) ?? [];
    const value = joined || flags[at + 1];
    if (name === undefined || value === undefined) continue;
    const path = plainPath(value);
    if (path.startsWith("/") || path.startsWith("..")) continue;
    (name === "-include" || name === "-imacros" ? found.files : found.folders).push(path);
  }
  return found;
}

function library(
  node: TargetNode,
  compiles: readonly BuildAction[],
  hasCpp: boolean,
  deps: RuleDeps,
): PlannedTarget {
  // A library of headers alone has nothing to archive.
  const language = hasCpp ? "cpp" : "c";
  if (compiles.length === 0) {
    return { node, language, actions: [], products: [], finals: [], test: undefined, hasCpp };
  }
  const made = `${outFolder(node)}/lib${node.target.name}.a`;
  const objects = compiles.flatMap((action) => action.outputs);
  const archive: BuildAction = {
    ...actionOf(node),
    id: `${node.label} CppArchive`,
    mnemonic: "CppArchive",
    argv: [...toolWords(node.target, "AR", deps), "rcsD", made, ...objects],
    inputs: compiles.map((by) => ({ kind: "made", by })),
    outputs: [made],
  };
  return {
    node,
    language,
    actions: [...compiles, archive],
    products: [archive],
    finals: [{ made, path: finalFile(node) }],
    test: undefined,
    hasCpp,
  };
}

/** Linkers look for symbols from left to right: `below` has whoever needs a library before it. */
function linkProgram(
  node: TargetNode,
  compiles: readonly BuildAction[],
  below: readonly PlannedTarget[],
  hasCpp: boolean,
  deps: RuleDeps,
): BuildAction {
  const made = programPath(node);
  const objects = compiles.flatMap((action) => action.outputs);
  const archives = below
    .filter((other) => other.node.target.type === "library")
    .flatMap((other) => other.products);
  const named = pathsOf([...node.target.flags, ...node.target.linkFlags]);
  const isNamed = (other: PlannedTarget) =>
    other.node.target.command !== undefined &&
    named.some(coveredBy(other.finals.map(({ path }) => path)));
  return {
    ...actionOf(node),
    id: `${node.label} CppLink`,
    mnemonic: "CppLink",
    tools: ["ld"],
    argv: [
      ...compiler(node.target, hasCpp, deps),
      ...node.target.flags,
      ...objects,
      ...archives.flatMap((action) => action.outputs),
      ...node.target.linkFlags,
      "-o",
      made,
    ],
    inputs: [
      ...[...compiles, ...archives].map((by) => ({ kind: "made" as const, by })),
      ...linkerFiles(node, deps).map((path) => ({ kind: "source" as const, path })),
      ...below.filter(isNamed).flatMap(productInputs),
    ],
    outputs: [made],
  };
}

/** Named files that are no headers: linker scripts, lists of symbols. */
function linkerFiles(node: TargetNode, deps: RuleDeps): string[] {
  return namedFiles(node).filter((path) => !headerEnding.test(path) && deps.files.exists(path));
}

function runTest(
  node: TargetNode,
  link: BuildAction,
  planned: ReadonlyMap<string, PlannedTarget>,
  deps: RuleDeps,
): BuildAction {
  const inputs = [{ kind: "made" as const, by: link }];
  return testRun(node, { argv: [programPath(node)], inputs }, planned, deps);
}

function finalFile(placed: PlacedTarget): string {
  const { name, type } = placed.target;
  return outputFile(placed, type === "library" ? `lib${name}.a` : name);
}

/** In a folder of its own: a source's folder may have the target's name. */
function programPath(node: TargetNode): string {
  return `${outFolder(node)}/program/${node.target.name}`;
}

function compiler(target: Target, cpp: boolean, deps: RuleDeps): string[] {
  return toolWords(target, cpp ? "CXX" : "CC", deps);
}

/** Compilers go by a file's ending; a target that says otherwise is taken at its word. */
function languageFlags(target: Target, source: string): string[] {
  if (target.language === undefined || (target.language === "c") === cEnding.test(source)) {
    return [];
  }
  return ["-x", target.language === "c" ? "c" : "c++"];
}

function includeFolders(node: TargetNode): string[] {
  return node.target.includes.map((folder) => plainPath(posix.join(node.package, folder)));
}

function isCpp(target: Target, source: string): boolean {
  if (target.language !== undefined) return target.language === "cpp";
  return !cEnding.test(source);
}
