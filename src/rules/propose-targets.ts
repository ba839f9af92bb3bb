// A Builderfile for a C or C++ tree that has none: a program for each `main`, a test for each of a
// test, and one library of what they share.

import { folderOf } from "../workspace/paths.ts";
import { linkFlagsFor, type TreeFlags } from "./build-hints.ts";
import type { SurveyedFile } from "./survey-sources.ts";

/** A target to be written. Paths are relative to the tree. */
export interface ProposedTarget {
  readonly name: string;
  readonly type: "executable" | "library" | "test";
  readonly sources: readonly string[];
  readonly includes: readonly string[];
  readonly flags: readonly string[];
  readonly linkFlags: readonly string[];
  readonly deps: readonly string[];
  /** Files and globs that a test names and so may read. */
  readonly inputs: readonly string[];
  /** The source a program starts with, where its language must be told. */
  readonly main?: string;
}

/** What a proposal is made from. */
export interface Tree {
  /** Name for what has no better one. */
  readonly name: string;
  readonly files: readonly SurveyedFile[];
  readonly flags: TreeFlags;
  /** Every file of the tree. */
  readonly paths: readonly string[];
}

/** Sources that are built together, before they have flags. */
interface Group {
  readonly name: string;
  readonly type: ProposedTarget["type"];
  readonly sources: readonly SurveyedFile[];
  readonly deps: readonly Group[];
}

/** Folders that say nothing about what is in them. */
const plainFolders = /^(src|source|sources|apps?|cmd|bin|lib|libs|tests?|tools?|examples?|)$/i;

/** The targets of a tree, each after those it depends on; none where there is no source. */
export function proposeTargets(tree: Tree): ProposedTarget[] {
  const byPath = new Map(tree.files.map((file) => [file.path, file]));
  return groupsOf(tree, byPath).flatMap((group) => targetsOf(group, tree, byPath));
}

function groupsOf(tree: Tree, byPath: ReadonlyMap<string, SurveyedFile>): Group[] {
  // A source that another includes is part of that one.
  const included = new Set(tree.files.flatMap(({ includes }) => includes.map(({ path }) => path)));
  const sources = tree.files.filter(({ path, isHeader }) => !isHeader && !included.has(path));
  const mains = sources.filter(({ hasMain }) => hasMain);
  const others = sources.filter(({ hasMain }) => !hasMain);
  const implementers = implementersOf(tree.files, others);
  const reached = new Map(mains.map((main) => [main, reachedFrom(main, byPath, implementers)]));
  const programs = mains.filter(({ isTest }) => !isTest);
  const tests = mains.filter(({ isTest }) => isTest);
  const users = (file: SurveyedFile, of: readonly SurveyedFile[]) =>
    of.filter((main) => reached.get(main)?.has(file));

  const ownerOf = (file: SurveyedFile): SurveyedFile | undefined => {
    if (file.isTest) return tests.length === 1 ? tests[0] : only(users(file, tests));
    if (mains.length === 1) return programs[0];
    return programs.length > 1 ? only(users(file, mains)) : undefined;
  };
  const free = others.filter((file) => ownerOf(file) === undefined);
  const shared = free.filter(({ isTest }) => !isTest);
  const support = tests.length > 0 ? free.filter(({ isTest }) => isTest) : [];
  const nameFor = uniqueNames();
  const programNames = programs.map((main) => nameFor(nameOf(main, tree.name)));
  const library = libraryOf(
    nameFor,
    programs.length === 0 ? tree.name : `${tree.name}_lib`,
    shared,
  );
  const testLibrary = libraryOf(nameFor, "test_support", support, library);
  const group = (main: SurveyedFile, name: string, type: Group["type"], deps: Group[]): Group => {
    const own = others.filter((file) => ownerOf(file) === main);
    return { name, type, sources: [main, ...own], deps };
  };
  return [
    ...library,
    ...testLibrary,
    ...programs.map((main, at) => group(main, programNames[at] ?? "", "executable", library)),
    ...tests.map((main) => {
      const name = nameFor(nameOf(main, `${tree.name}_test`));
      return group(main, name, "test", [...testLibrary, ...library]);
    }),
  ];
}

function libraryOf(
  nameFor: (wanted: string) => string,
  name: string,
  sources: readonly SurveyedFile[],
  deps: readonly Group[] = [],
): Group[] {
  return sources.length === 0 ? [] : [{ name: nameFor(name), type: "library", sources, deps }];
}

function only<T>(items: readonly T[]): T | undefined {
  return items.length === 1 ? items[0] : undefined;
}

/**
 * Which sources are likely to hold what a header declares: those of its name, best in its folder,
 * else those that include it.
 */
function implementersOf(
  files: readonly SurveyedFile[],
  sources: readonly SurveyedFile[],
): (header: string) => readonly SurveyedFile[] {
  const byStem = Map.groupBy(sources, ({ path }) => stemOf(path));
  const byInclude = new Map<string, SurveyedFile[]>();
  for (const source of sources) {
    for (const { path } of source.includes) {
      const same = byInclude.get(path);
      if (same === undefined) byInclude.set(path, [source]);
      else same.push(source);
    }
  }
  const headers = new Set(files.flatMap(({ path, isHeader }) => (isHeader ? [path] : [])));
  return (header) => {
    if (!headers.has(header)) return [];
    const named = byStem.get(stemOf(header)) ?? [];
    const beside = named.filter(({ path }) => folderOf(path) === folderOf(header));
    const found = beside.length > 0 ? beside : named;
    return found.length > 0 ? found : (byInclude.get(header) ?? []);
  };
}

/** The file, what it includes, what implements that, and so on. */
function reachedFrom(
  start: SurveyedFile,
  byPath: ReadonlyMap<string, SurveyedFile>,
  implementers: (header: string) => readonly SurveyedFile[] = () => [],
): Set<SurveyedFile> {
  const found = new Set([start]);
  // A set can be walked while it grows.
  for (const file of found) {
    for (const { path } of file.includes) {
      const header = byPath.get(path);
      if (header !== undefined) found.add(header);
      for (const source of implementers(path)) found.add(source);
    }
  }
  return found;
}

function targetsOf(
  group: Group,
  { flags, paths }: Tree,
  byPath: ReadonlyMap<string, SurveyedFile>,
): ProposedTarget[] {
  const { name, type, sources } = group;
  const seen = closure(sources, byPath);
  const below = closure(
    group.deps.flatMap((dep) => dep.sources),
    byPath,
  );
  const fromDeps = new Set(foldersOf(below));
  const includes = foldersOf(seen).filter((folder) => !fromDeps.has(folder));
  const system = [...seen, ...below].flatMap((file) => file.system);
  const linkFlags = type === "library" ? [] : linkFlagsFor(system);
  const inputs = type === "test" ? inputsOf(seen, paths) : [];
  const deps = group.deps.map((dep) => dep.name);
  const target = { name, type, includes, linkFlags, deps, inputs };
  const inC = sources.filter(({ isCpp }) => !isCpp);
  const inCpp = sources.filter(({ isCpp }) => isCpp);
  const pathsOf = (files: readonly SurveyedFile[]) => files.map(({ path }) => path).sort();
  if (inCpp.length === 0) {
    return [{ ...target, sources: pathsOf(sources), flags: [...flags.c, ...flags.both] }];
  }
  if (inC.length === 0 || flags.cpp.length === 0) {
    const standard = inC.length === 0 ? flags.cpp : [];
    return [{ ...target, sources: pathsOf(sources), flags: [...standard, ...flags.both] }];
  }
  // A C++ standard means nothing to a C compiler: the C sources get a library of their own.
  const cName = `${name}_c`;
  return [
    {
      ...{ name: cName, type: "library", sources: pathsOf(inC), includes },
      ...{ flags: [...flags.c, ...flags.both], linkFlags: [], deps, inputs: [] },
    },
    {
      ...{ ...target, sources: pathsOf(inCpp), includes: [] },
      ...{ flags: [...flags.cpp, ...flags.both], deps: [cName, ...deps] },
    },
  ];
}

function closure(
  files: readonly SurveyedFile[],
  byPath: ReadonlyMap<string, SurveyedFile>,
): Set<SurveyedFile> {
  return new Set(files.flatMap((file) => [...reachedFrom(file, byPath)]));
}

/** The folders that includes are found through. */
function foldersOf(files: Iterable<SurveyedFile>): string[] {
  const through = [...files].flatMap(({ includes }) => includes.map((include) => include.through));
  const folders = through.flatMap((folder) => (folder === undefined ? [] : [folder || "."]));
  return [...new Set(folders)].sort();
}

/** Files and folders of the tree that a test's texts name. */
function inputsOf(files: Iterable<SurveyedFile>, paths: readonly string[]): string[] {
  const known = new Set(paths);
  const folders = new Set(paths.map(folderOf).filter((folder) => folder !== ""));
  const found = new Set<string>();
  for (const { literals } of files) {
    for (const text of literals) {
      const path = text.replace(/^(\.\/)+/, "").replace(/\/+$/, "");
      if (folders.has(path)) found.add(`${path}/**`);
      else if (known.has(path)) found.add(path);
    }
  }
  return [...found].sort();
}

function nameOf(main: SurveyedFile, fallback: string): string {
  const stem = stemOf(main.path);
  if (!/^(main|__main__)$/i.test(stem)) return stem;
  const folder = folderOf(main.path);
  const last = folder.slice(folder.lastIndexOf("/") + 1);
  return plainFolders.test(last) ? fallback : last;
}

function stemOf(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1).replace(/\.[^.]+$/, "");
}

/** Names that a target can have, none twice. */
function uniqueNames(): (wanted: string) => string {
  const given = new Set<string>();
  return (wanted) => {
    const plain = wanted.replaceAll(/[^\w.@+-]/g, "_") || "app";
    let name = plain;
    for (let at = 2; given.has(name); at += 1) name = `${plain}_${at}`;
    given.add(name);
    // Its C sources may need a library with this name.
    given.add(`${name}_c`);
    return name;
  };
}
