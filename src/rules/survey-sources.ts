// What the C and C++ files of a tree say about how they are built: who has `main`, what includes
// what, which files they name.

import { posix } from "node:path";
import { folderOf, plainPath } from "../workspace/paths.ts";
import { parseIncludes } from "./include-scanner.ts";

/** A C or C++ file, read. Paths are relative to the folder that is surveyed. */
export interface SurveyedFile {
  readonly path: string;
  readonly isHeader: boolean;
  readonly isCpp: boolean;
  readonly hasMain: boolean;
  /** Whether its name or folder says that it is a test. */
  readonly isTest: boolean;
  /** Files of the tree it includes, and the folder each is found through; "" is the tree's own. */
  readonly includes: readonly { readonly path: string; readonly through: string | undefined }[];
  /** What it includes from the system, as written. */
  readonly system: readonly string[];
  /** Texts in quotes. */
  readonly literals: readonly string[];
}

const sourceEnding = /\.(c|cc|cpp|cxx|c\+\+|C)$/;
const headerEnding = /\.(h|hh|hpp|hxx|inc|ipp|tcc)$/;
const otherSystem = /(^|[/_.-])(win32|windows|win|macos|darwin|osx)(?=[/_.-])/i;
const comment = /\/\/[^\n]*|\/\*[\s\S]*?\*\/|("(?:\\.|[^"\\\n])*")|'(?:\\.|[^'\\\n])+'/g;
const mainFunction = /(^|[\n;}])\s*(?:extern\s+"C"\s+)?(?:int|void|auto)\s+main\s*\(/;
/** Frameworks whose macro is the `main` of the file it stands in. */
const mainMacro =
  /#\s*define\s+(CATCH_CONFIG_MAIN|DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN|BOOST_TEST_MODULE)\b/;
const usesGoogleTest = /^gtest\/gtest\.h$/;
/** Headers of the C library: `<time.h>` does not mean a `time.h` of the tree. */
const standardHeaders = new Set([
  ...["assert", "complex", "ctype", "errno", "fcntl", "fenv", "float", "inttypes", "limits"],
  ...["locale", "math", "setjmp", "signal", "stdalign", "stdarg", "stdatomic", "stdbool", "stddef"],
  ...["stdint", "stdio", "stdlib", "stdnoreturn", "string", "strings", "tgmath", "threads", "time"],
  ...["uchar", "unistd", "wchar", "wctype"],
]);

/** Whether a path is a C or C++ source or header that is meant for this system. */
export function isSurveyed(path: string): boolean {
  return (sourceEnding.test(path) || headerEnding.test(path)) && !otherSystem.test(`/${path}`);
}

/** Surveys the files of a tree that `isSurveyed` knows. `read` gives their texts. */
export function surveySources(
  paths: readonly string[],
  read: (path: string) => string,
): SurveyedFile[] {
  const own = paths.filter(isSurveyed);
  const known = new Set(own);
  const pathsByName = new Map<string, string[]>();
  for (const path of own) {
    const name = path.slice(path.lastIndexOf("/") + 1);
    const same = pathsByName.get(name);
    if (same === undefined) pathsByName.set(name, [path]);
    else same.push(path);
  }
  return own.map((path) => surveyFile(path, read(path), known, pathsByName));
}

function surveyFile(
  path: string,
  text: string,
  known: ReadonlySet<string>,
  pathsByName: ReadonlyMap<string, readonly string[]>,
): SurveyedFile {
  const literals: string[] = [];
  const plain = text.replaceAll(comment, (_all, literal: string | undefined) => {
    if (literal === undefined) return " ";
    literals.push(literal.slice(1, -1));
    return '""';
  });
  const includes: SurveyedFile["includes"][number][] = [];
  const system: string[] = [];
  for (const include of parseIncludes(text)) {
    if (include.kind === "computed") continue;
    const found = resolve(path, include.path, include.kind === "quoted", known, pathsByName);
    if (found === undefined) system.push(include.path);
    else includes.push(found);
  }
  const isTest = isTestPath(path);
  const google = isTest && system.some((name) => usesGoogleTest.test(name)) && /\bTEST/.test(plain);
  const isHeader = headerEnding.test(path);
  return {
    ...{ path, isHeader, isTest, includes, system, literals },
    isCpp: !/\.[ch]$/.test(path),
    hasMain: !isHeader && (mainFunction.test(plain) || mainMacro.test(plain) || google),
  };
}

/** The file of the tree that an include means, as far as its path tells. */
function resolve(
  from: string,
  path: string,
  quoted: boolean,
  known: ReadonlySet<string>,
  pathsByName: ReadonlyMap<string, readonly string[]>,
): SurveyedFile["includes"][number] | undefined {
  const beside = plainPath(posix.join(folderOf(from), path));
  if (quoted && known.has(beside)) return { path: beside, through: undefined };
  if (!quoted && standardHeaders.has(path.replace(/\.h$/, ""))) return undefined;
  const wanted = plainPath(path);
  if (wanted.startsWith("../") || path.startsWith("/")) return undefined;
  const name = wanted.slice(wanted.lastIndexOf("/") + 1);
  const found = (pathsByName.get(name) ?? [])
    .filter((other) => other === wanted || other.endsWith(`/${wanted}`))
    .map((other) => ({ path: other, through: folderBefore(other, wanted) }))
    .sort((a, b) => nearness(from, b.through) - nearness(from, a.through))[0];
  return found;
}

/** `include` folders first, then those that share most with the includer's, then short ones. */
function nearness(from: string, folder: string): number {
  const own = folderOf(from).split("/");
  const parts = folder.split("/");
  const shared = parts.findIndex((part, at) => part !== own[at]);
  const common = shared < 0 ? parts.length : shared;
  return (/(^|\/)include$/.test(folder) ? 1000 : 0) + common * 10 - parts.length;
}

function folderBefore(path: string, end: string): string {
  return path === end ? "" : path.slice(0, -end.length - 1);
}

function isTestPath(path: string): boolean {
  const name = path.slice(path.lastIndexOf("/") + 1).replace(/\.[^.]+$/, "");
  return (
    /(^|\/)(tests?|unittests?|testing)\//i.test(path) ||
    /^(unit)?tests?([_-]|$)|([_-]|^)(unit)?tests?$|[a-z0-9]Tests?$/.test(name)
  );
}
