// JavaScript targets as actions: sources are checked for syntax and stay as they are.

import type { TargetNode } from "../workspace/target-graph.ts";
import type { BuildAction } from "./build-action.ts";
import { importedPackages, packageFiles, packageInputs } from "./node-packages.ts";
import { nodeProgram, programOutputs, testFiles } from "./node-program.ts";
import {
  actionOf,
  type PlannedTarget,
  placesFile,
  type Rule,
  type RuleDeps,
  targetError,
  toolWords,
} from "./rule.ts";
import { shellLine, shellScript, shellWord } from "./shell-line.ts";
import { entryOf, readSources } from "./sources.ts";

/** JavaScript for Node. */
export const javascriptRule: Rule = {
  languages: ["javascript"],
  endings: ["js", "mjs", "cjs"],
  uses: ["javascript", "typescript"],
  options: ["main"],
  refuses: ["includes", "flags", "link_flags"],
  install: {
    mnemonics: ["JsCheck", "JsBundle"],
    remedy: "Install Node there, or name it with NODEJS.",
  },
  outputs: (placed) =>
    placed.target.type !== "library" && placesFile(placed) ? programOutputs(placed) : [],
  plan: planJavascript,
};

function planJavascript(
  node: TargetNode,
  planned: ReadonlyMap<string, PlannedTarget>,
  deps: RuleDeps,
): PlannedTarget {
  const { type, name, placeByField } = node.target;
  const found = readSources(node, javascriptRule.endings, planned, deps);
  const written = found.sources.filter((path) => !found.isMade(path));
  const descriptions = packageFiles(found.sources, deps);
  const inputs = [
    ...found.inputs,
    ...descriptions.map((path) => ({ kind: "source" as const, path })),
  ];
  const files = [...found.sources, ...found.data, ...descriptions];
  const base = { node, language: "javascript" as const, hasCpp: false };
  const check = checkAction(node, found.sources, inputs, deps);
  if (type === "library") {
    if (placeByField.has("output")) {
      throw targetError(node, `${name} makes no file that output could place. Remove output.`);
    }
    const handsOn = { files, inputs };
    return { ...base, actions: [check], products: [], finals: [], test: undefined, handsOn };
  }
  const libraries = found.below.filter((other) => other.node.target.type === "library");
  const handed = libraries.flatMap(({ handsOn }) => handsOn ?? []);
  const compiled = libraries.filter(({ language }) => language === "typescript");
  const products = compiled.flatMap((other) => other.products);
  const theirs = handed.flatMap((other) => other.files).filter((path) => deps.files.exists(path));
  const imports = importedPackages([...written, ...theirs.filter(isSource)], deps);
  const tests = type === "test" ? testFiles(found.sources) : [];
  const usual = ["main.js", "main.mjs", "main.cjs", "index.js"];
  const start =
    tests.length > 0 ? { tests } : { main: entryOf(node, found.sources, "main", usual) };
  const program = nodeProgram(
    node,
    {
      start,
      files: [
        ...files,
        ...libraries
          .filter(({ language }) => language === "javascript")
          .flatMap(({ handsOn }) => handsOn?.files ?? []),
      ],
      folders: products.flatMap(({ outputs }) => outputs),
      inputs: [
        ...inputs,
        ...handed.flatMap((other) => other.inputs),
        ...products.map((by) => ({ kind: "made" as const, by })),
      ],
      packages: packageInputs(imports, deps),
    },
    planned,
    deps,
  );
  return { ...base, actions: [check, ...program.products], ...program };
}

/** Node reads each source without running it. */
function checkAction(
  node: TargetNode,
  sources: readonly string[],
  inputs: BuildAction["inputs"],
  deps: RuleDeps,
): BuildAction {
  const words = [...toolWords(node.target, "NODEJS", deps), "--check"];
  return {
    ...actionOf(node),
    id: `${node.label} JsCheck`,
    mnemonic: "JsCheck",
    argv: shellScript(sources.map((path) => `${shellLine(words)} ${shellWord(path)}`)),
    inputs,
    outputs: [],
  };
}

/** Whether a file may import packages of node_modules. */
function isSource(path: string): boolean {
  return /\.[cm]?[jt]sx?$/.test(path);
}
