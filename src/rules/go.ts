// Go targets as actions: the compiler and linker themselves, package by package, so that nothing is
// taken from a module cache, a GOPATH or the network.

import { arch } from "node:os";
import { posix } from "node:path";
import { folderOf } from "../workspace/paths.ts";
import type { TargetNode } from "../workspace/target-graph.ts";
import type { PlacedTarget } from "../workspace/workspace.ts";
import type { ActionInput, BuildAction } from "./build-action.ts";
import {
  formatGoSource,
  type GoSource,
  isForPlatform,
  parseGoSource,
  readGoSource,
} from "./go-source.ts";
import { goEnv, packageList, standardPackages } from "./go-std.ts";
import {
  actionOf,
  outFolder,
  outputFile,
  type PlannedTarget,
  placesFile,
  type Rule,
  type RuleDeps,
  targetError,
  toolWords,
} from "./rule.ts";
import { shellLine, shellScript, shellWord } from "./shell-line.ts";
import { readSources, type TargetSources } from "./sources.ts";
import { testRun } from "./test-run.ts";

/** Go, without cgo. A target is a package; a test is the package with its tests. */
export const goRule: Rule = {
  languages: ["go"],
  endings: ["go"],
  uses: ["go"],
  options: ["import", "imports"],
  refuses: ["includes"],
  install: {
    mnemonics: ["GoStd", "GoCompile", "GoLink"],
    remedy: "Install Go there, in /usr/local/go or on the PATH, or name its program with GO.",
  },
  outputs: (placed) => [finalFile(placed)],
  plan: planGo,
};

const platform = { system: process.platform, machine: arch() === "x64" ? "amd64" : arch() };

/** A package, ready to be compiled. */
interface GoPackage {
  readonly found: TargetSources;
  /** Those that Go compiles on this platform. */
  readonly files: readonly string[];
  /** What they say; files that are yet to be made say nothing. */
  readonly texts: readonly GoSource[];
  /** What it is imported by; `main` for a program. */
  readonly path: string;
  /** The module around it. */
  readonly module: GoModule | undefined;
  /** Archives by import path. */
  readonly archives: ReadonlyMap<string, string>;
}

interface GoModule {
  readonly file: string;
  readonly path: string;
  readonly version: string | undefined;
}

function planGo(
  node: TargetNode,
  planned: ReadonlyMap<string, PlannedTarget>,
  deps: RuleDeps,
): PlannedTarget {
  const { type } = node.target;
  const found = readSources(node, goRule.endings, planned, deps);
  const one = readPackage(node, found, deps);
  const products = found.below
    .filter(({ node: other, language }) => language === "go" && other.target.type === "library")
    .flatMap((library) => library.products);
  const compile = compileAction(node, one, products, deps);
  if (type === "library") {
    const final = { made: compile.outputs[0] ?? "", path: finalFile(node) };
    return { ...planOf(node, [compile]), products: [compile], finals: [final], test: undefined };
  }
  const link = linkAction(node, one, [compile, ...products], deps);
  const program = { argv: [programPath(node)], inputs: [{ kind: "made" as const, by: link }] };
  return {
    ...planOf(node, [compile, link]),
    products: [link],
    finals: placesFile(node) ? [{ made: programPath(node), path: finalFile(node) }] : [],
    test: type === "test" ? testRun(node, program, planned, deps) : undefined,
  };
}

function planOf(node: TargetNode, actions: readonly BuildAction[]) {
  return { node, language: "go" as const, actions, hasCpp: false };
}

/** INVALID_ARGUMENT where the sources are no single package, or import what nothing makes. */
function readPackage(node: TargetNode, found: TargetSources, deps: RuleDeps): GoPackage {
  const textOf = (path: string) =>
    readGoSource(deps.findings(path, (text) => formatGoSource(parseGoSource(text))));
  const files = found.sources.filter((path) => {
    const { constraint } = found.isMade(path) ? { constraint: "" } : textOf(path);
    return isForPlatform(path, constraint, platform);
  });
  const texts = files.filter((path) => !found.isMade(path)).map(textOf);
  const names = [...new Set(texts.map((text) => text.package))];
  if (names.length > 1) {
    const both = `${names[0]} and ${names[1]}`;
    throw targetError(node, `${node.target.name} holds the packages ${both}. Make them two.`);
  }
  const module = moduleOf(found.sources, deps);
  const path = importPath(node, found, names[0], module);
  const archives = new Map(
    found.below
      .filter(({ node: other, language }) => language === "go" && other.target.type === "library")
      .flatMap((library) =>
        library.products.flatMap(({ outputs }) =>
          outputs.map((archive) => [pathOfArchive(library.node, archive), archive] as const),
        ),
      ),
  );
  const one = { found, files, texts, path, module, archives };
  checkImports(node, one, deps);
  if (node.target.type === "executable" && names.length > 0 && path !== "main") {
    throw targetError(node, `A Go program is package main; its sources are package ${names[0]}.`);
  }
  return one;
}

/** By its option, else by its folder below the module's file, else by its folder. */
function importPath(
  node: TargetNode,
  { sources }: TargetSources,
  name: string | undefined,
  module: GoModule | undefined,
): string {
  if (node.target.type === "executable") return name ?? "main";
  if (name === "main" && node.target.type === "test") return "main";
  const named = node.target.options["import"];
  const folder = folderOf(sources[0] ?? "");
  const below = module === undefined ? folder : posix.relative(folderOf(module.file), folder);
  const path = named ?? posix.join(module?.path ?? "", below);
  const plain = path === "." || path === "" ? node.target.name : path;
  return name?.endsWith("_test") ? `${plain}_test` : plain;
}

/** The nearest go.mod at or above the sources. */
function moduleOf(sources: readonly string[], deps: RuleDeps): GoModule | undefined {
  for (let folder = folderOf(sources[0] ?? ""); ; folder = folderOf(folder)) {
    const file = posix.join(folder, "go.mod");
    if (deps.files.exists(file)) {
      const [path = "", version] = deps.findings(file, findModule);
      return { file, path, version };
    }
    if (folder === "") return undefined;
  }
}

/** The module's path and, where it says one, its version of Go. */
export function findModule(text: string): string[] {
  const path = /^module\s+"?([^\s"]+)/m.exec(text)?.[1] ?? "";
  const version = /^go\s+(\d+\.\d+)/m.exec(text)?.[1];
  return version === undefined ? [path] : [path, version];
}

function checkImports(node: TargetNode, { texts, archives, module }: GoPackage, deps: RuleDeps) {
  for (const path of texts.flatMap(({ imports }) => imports)) {
    if (archives.has(path)) continue;
    if (path === "C") {
      throw targetError(node, `${node.target.name} imports "C", but cgo is not supported.`);
    }
    const inModule = module !== undefined && module.path !== "" && isBelow(path, module.path);
    const isLocal = inModule || (module === undefined && deps.files.folderExists(path));
    if (isStandard(path) && !isLocal) continue;
    const remedy = "Add the target that makes it to deps; packages are not downloaded.";
    throw targetError(node, `${node.target.name} imports ${path}, which no dep makes. ${remedy}`);
  }
  if (texts.some(({ embeds }) => embeds)) {
    const remedy = "Generate a source with the content instead.";
    throw targetError(
      node,
      `${node.target.name} has //go:embed, which is not supported. ${remedy}`,
    );
  }
}

function compileAction(
  node: TargetNode,
  one: GoPackage,
  products: readonly BuildAction[],
  deps: RuleDeps,
): BuildAction {
  const made = archivePath(node, one.path);
  const version = one.module?.version;
  const words = [
    ...["-p", one.path, "-importcfg", "importcfg", "-complete", "-pack", "-buildid", ""],
    ...(version === undefined ? [] : ["-lang", `go${version}`]),
    ...node.target.flags,
    ...["-o", made, ...one.files],
  ];
  const needed = one.texts.flatMap(({ imports }) => imports.filter((path) => isStandard(path)));
  const more = (node.target.options["imports"] ?? "").split(/\s+/).filter((path) => path !== "");
  const standard = standardPackages(
    node,
    [...needed, ...more].filter((path) => !one.archives.has(path)),
    deps,
  );
  return {
    ...actionOf(node),
    id: `${node.label} GoCompile`,
    mnemonic: "GoCompile",
    env: { ...goEnv, ...node.target.env },
    argv: shellScript([
      ...packageList(one.archives),
      ...compileLines(words, toolWords(node.target, "GO", deps)),
    ]),
    inputs: [
      ...one.found.inputs,
      ...(one.module === undefined ? [] : [{ kind: "source" as const, path: one.module.file }]),
      ...[...standard, ...products].map((by) => ({ kind: "made" as const, by })),
    ],
    outputs: [made],
  };
}

/** A test's `main` is made here: it calls what the package's test files declare. */
function linkAction(
  node: TargetNode,
  one: GoPackage,
  archives: readonly BuildAction[],
  deps: RuleDeps,
): BuildAction {
  const isTest = node.target.type === "test" && one.path !== "main";
  const own = archivePath(node, one.path);
  const go = toolWords(node.target, "GO", deps);
  const standard = isTest ? standardPackages(node, ["testing/internal/testdeps"], deps) : [];
  const main = `${outFolder(node)}/main.a`;
  const mainWords = ["-p", "main", "-importcfg", "importcfg", "-complete", "-pack", "-o", main];
  const start = [
    `printf %s ${shellWord(testMain(one))} > test_main.go`,
    ...compileLines([...mainWords, "-buildid", "", "test_main.go"], go),
  ];
  const words = [
    ...["-importcfg", "importcfg", "-buildid", "", "-o", programPath(node)],
    ...[...node.target.linkFlags, isTest ? main : own],
  ];
  const below = archives.flatMap(({ inputs }) => inputs).filter(isStd);
  return {
    ...actionOf(node),
    id: `${node.label} GoLink`,
    mnemonic: "GoLink",
    env: { ...goEnv, ...node.target.env },
    argv: shellScript([
      ...packageList(new Map([...one.archives, ...(isTest ? [[one.path, own] as const] : [])])),
      ...(isTest ? start : []),
      `tools=$(${shellLine(go)} env GOTOOLDIR)`,
      `"$tools/link" ${shellLine(words)}`,
    ]),
    inputs: [
      ...new Set([...standard, ...archives].map((by) => ({ kind: "made" as const, by }))),
      ...below,
    ],
    outputs: [programPath(node)],
  };
}

/** No output may tell the folder that the action ran in. */
function compileLines(words: readonly string[], go: readonly string[]): string[] {
  return [
    `tools=$(${shellLine(go)} env GOTOOLDIR)`,
    `"$tools/compile" -trimpath "$PWD=>" ${shellLine(words)}`,
  ];
}

function testMain({ path, texts }: GoPackage): string {
  const tests = texts.flatMap((text) => text.tests);
  const rows = tests.map((name) => `\t{"${name}", tested.${name}},\n`).join("");
  const name = tests.length === 0 ? "_" : "tested";
  return `package main

import (
\t"os"
\t"testing"
\t"testing/internal/testdeps"

\t${name} "${path}"
)

var tests = []testing.InternalTest{
${rows}}

func main() {
\tos.Exit(testing.MainStart(testdeps.TestDeps{}, tests, nil, nil, nil).Run())
}
`;
}

function isStd(input: ActionInput): boolean {
  return input.kind === "made" && input.by.mnemonic === "GoStd";
}

/** Packages of the standard library have no dot in their first name. */
function isStandard(path: string): boolean {
  return !(path.split("/")[0] ?? "").includes(".");
}

function isBelow(path: string, module: string): boolean {
  return path === module || path.startsWith(`${module}/`);
}

function archivePath(node: TargetNode, path: string): string {
  return `${outFolder(node)}/package/${path}.a`;
}

function pathOfArchive(node: TargetNode, archive: string): string {
  return archive.slice(`${outFolder(node)}/package/`.length, -".a".length);
}

function programPath(node: TargetNode): string {
  return `${outFolder(node)}/program/${node.target.name}`;
}

function finalFile(placed: PlacedTarget): string {
  const { name, type } = placed.target;
  return outputFile(placed, type === "library" ? `${name}.a` : name);
}
