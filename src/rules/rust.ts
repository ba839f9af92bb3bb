// Rust targets as actions: rustc compiles a crate as a whole.

import { posix } from "node:path";
import type { TargetNode } from "../workspace/target-graph.ts";
import type { PlacedTarget } from "../workspace/workspace.ts";
import type { BuildAction } from "./build-action.ts";
import {
  actionOf,
  outFolder,
  outputFile,
  type PlannedTarget,
  placesFile,
  type Rule,
  type RuleDeps,
  toolWords,
} from "./rule.ts";
import { shellScript } from "./shell-line.ts";
import { entryOf, readSources } from "./sources.ts";
import { testRun } from "./test-run.ts";

/** Rust. C and C++ libraries below a program are linked into it. */
export const rustRule: Rule = {
  languages: ["rust"],
  endings: ["rs"],
  uses: ["rust", "c", "cpp"],
  options: ["edition", "crate", "root"],
  refuses: ["includes"],
  install: {
    mnemonics: ["RustCompile"],
    remedy: "Install Rust (rustc) and a linker (gcc) there, or name the compiler with RUSTC.",
  },
  outputs: (placed) => [finalFile(placed)],
  plan: planRust,
};

function planRust(
  node: TargetNode,
  planned: ReadonlyMap<string, PlannedTarget>,
  deps: RuleDeps,
): PlannedTarget {
  const { type } = node.target;
  const { below, sources, inputs } = readSources(node, rustRule.endings, planned, deps);
  const usual = type === "library" ? ["lib.rs"] : ["main.rs", "lib.rs"];
  const root = entryOf(node, sources, "root", usual);
  const libraries = below.filter(({ node: other }) => other.target.type === "library");
  const crates = libraries.filter(({ language }) => language === "rust");
  const archives = libraries.filter(({ language }) => language !== "rust");
  const made = type === "library" ? libraryPath(node) : programPath(node);
  const compile: BuildAction = {
    ...actionOf(node),
    id: `${node.label} RustCompile`,
    mnemonic: "RustCompile",
    argv: [
      // The folder that the action runs in differs from machine to machine; no output may tell.
      ...shellScript(['exec "$@" --remap-path-prefix "$PWD=."']),
      "rustc",
      ...toolWords(node.target, "RUSTC", deps),
      ...crateFlags(node),
      ...crates.flatMap((crate) => crateInput(node, crate)),
      ...(type === "library" ? [] : linkFlags(node, archives)),
      ...node.target.flags,
      ...["-o", made, root],
    ],
    inputs: [
      ...inputs,
      ...libraries.flatMap(({ products }) => products).map((by) => ({ kind: "made" as const, by })),
    ],
    outputs: [made],
  };
  const program = { argv: [made], inputs: [{ kind: "made" as const, by: compile }] };
  return {
    node,
    language: "rust",
    actions: [compile],
    products: [compile],
    finals: placesFile(node) ? [{ made, path: finalFile(node) }] : [],
    test: type === "test" ? testRun(node, program, planned, deps) : undefined,
    hasCpp: libraries.some(({ hasCpp }) => hasCpp),
  };
}

function crateFlags(node: TargetNode): string[] {
  const { type, options } = node.target;
  const kind = { library: "lib", executable: "bin", test: "bin", custom: "bin" }[type];
  return [
    ...["--crate-name", crateName(node)],
    ...(type === "test" ? ["--test"] : ["--crate-type", kind]),
    ...["--edition", options["edition"] ?? "2021"],
    // Crates of one name in two packages are different crates.
    ...["-C", `metadata=${node.label}`],
  ];
}

/** A crate it names can be imported; one farther below has only to be found. */
function crateInput(node: TargetNode, crate: PlannedTarget): string[] {
  const path = libraryPath(crate.node);
  const search = ["-L", `dependency=${posix.dirname(path)}`];
  const isDirect = node.deps.includes(crate.node);
  return isDirect ? ["--extern", `${crateName(crate.node)}=${path}`, ...search] : search;
}

/** Archives come after all crates: linkers look for symbols from left to right. */
function linkFlags(node: TargetNode, archives: readonly PlannedTarget[]): string[] {
  const paths = archives.flatMap(({ products }) => products.flatMap(({ outputs }) => outputs));
  const words = [
    ...paths,
    ...(archives.some(({ hasCpp }) => hasCpp) ? ["-lstdc++"] : []),
    ...node.target.linkFlags,
  ];
  return [
    ...paths.flatMap((path) => ["-L", `native=${posix.dirname(path)}`]),
    ...words.flatMap((word) => ["-C", `link-arg=${word}`]),
  ];
}

function crateName({ target }: TargetNode): string {
  return target.options["crate"] ?? target.name.replaceAll(/\W/g, "_");
}

/** rustc finds a crate below another one by this name only. */
function libraryPath(node: TargetNode): string {
  return `${outFolder(node)}/crate/lib${crateName(node)}.rlib`;
}

function programPath(node: TargetNode): string {
  return `${outFolder(node)}/program/${node.target.name}`;
}

function finalFile(placed: PlacedTarget): string {
  const { name, type } = placed.target;
  return outputFile(placed, type === "library" ? `lib${name}.rlib` : name);
}
