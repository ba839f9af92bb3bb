// TypeScript targets as actions: the workspace's own TypeScript checks and emits a target as a
// whole.

import { posix } from "node:path";
import { folderOf } from "../workspace/paths.ts";
import type { TargetNode } from "../workspace/target-graph.ts";
import type { PlacedTarget } from "../workspace/workspace.ts";
import type { ActionInput, BuildAction } from "./build-action.ts";
import {
  findImports,
  importedPackages,
  installedPackage,
  packageFiles,
  packageInputs,
  packageOf,
} from "./node-packages.ts";
import { nodeProgram, programOutputs, testFiles } from "./node-program.ts";
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
import { entryOf, readSources } from "./sources.ts";

/** TypeScript for Node. The compiler is the one in the node_modules of the workspace. */
export const typescriptRule: Rule = {
  languages: ["typescript"],
  endings: ["ts", "mts", "cts", "tsx"],
  uses: ["typescript", "javascript"],
  options: ["main"],
  refuses: ["includes", "link_flags"],
  install: {
    mnemonics: ["TsCompile"],
    remedy: "Install Node there, or name it with NODEJS.",
  },
  outputs: (placed) => {
    if (placed.target.type === "library") return [libraryFolder(placed)];
    return placesFile(placed) ? programOutputs(placed) : [];
  },
  plan: planTypescript,
};

/** Where a target has no tsconfig.json. */
const usualOptions = {
  target: "es2022",
  module: "nodenext",
  moduleResolution: "nodenext",
  strict: true,
  skipLibCheck: true,
};

interface TypescriptScope {
  readonly sources: readonly string[];
  readonly isMade: (path: string) => boolean;
  /** Its files, those of its libraries, and what says how to read them. */
  readonly inputs: readonly ActionInput[];
  /** Files of the workspace that may import packages. */
  readonly importers: readonly string[];
  readonly hasJavascript: boolean;
}

function planTypescript(
  node: TargetNode,
  planned: ReadonlyMap<string, PlannedTarget>,
  deps: RuleDeps,
): PlannedTarget {
  const { type } = node.target;
  const found = readSources(node, typescriptRule.endings, planned, deps);
  const libraries = found.below.filter((other) => other.node.target.type === "library");
  const handed = libraries.flatMap(({ handsOn }) => handsOn ?? []);
  const descriptions = packageFiles(found.sources, deps);
  const own = [...found.inputs, ...descriptions.map((path) => ({ kind: "source" as const, path }))];
  const written = [...found.sources, ...handed.flatMap(({ files }) => files)].filter(
    (path) => /\.[cm]?[jt]sx?$/.test(path) && deps.files.exists(path),
  );
  const scope: TypescriptScope = {
    sources: found.sources,
    isMade: found.isMade,
    inputs: [...own, ...handed.flatMap(({ inputs }) => inputs)],
    importers: written,
    hasJavascript: libraries.some(({ language }) => language === "javascript"),
  };
  const compile = compileAction(node, scope, deps);
  const base = { node, language: "typescript" as const, hasCpp: false };
  if (type === "library") {
    const finals = [{ made: emitFolder(node), path: libraryFolder(node) }];
    const handsOn = { files: [...found.sources, ...found.data, ...descriptions], inputs: own };
    const rest = { products: [compile], finals, test: undefined, handsOn };
    return { ...base, actions: [compile], ...rest };
  }
  const tests = type === "test" ? testFiles(found.sources) : [];
  const usual = ["main.ts", "main.mts", "main.cts", "index.ts"];
  const program = nodeProgram(
    node,
    {
      start:
        tests.length > 0
          ? { tests: tests.map(emittedName) }
          : { main: emittedName(entryOf(node, found.sources, "main", usual)) },
      files: [...found.data, ...descriptions],
      folders: [emitFolder(node)],
      inputs: [...own, { kind: "made", by: compile }],
      packages: packageInputs(importedPackages(written, deps), deps),
    },
    planned,
    deps,
  );
  return { ...base, actions: [compile, ...program.products], ...program };
}

/** Emits what the sources import too: a library is checked again by who uses it, as its types. */
function compileAction(node: TargetNode, scope: TypescriptScope, deps: RuleDeps): BuildAction {
  const compiler = installedPackage("typescript", node.package, deps);
  if (compiler === undefined) {
    throw targetError(
      node,
      `${node.target.name} needs TypeScript, and no node_modules at or above its package has it. ` +
        "Install it there: npm install --save-dev typescript.",
    );
  }
  const settings = settingsFiles(node, deps);
  const config = `${outFolder(node)}/tsconfig.json`;
  const words = [
    ...toolWords(node.target, "NODEJS", deps),
    ...[`${compiler}/bin/tsc`, "--project", config, "--pretty", "false"],
    ...node.target.flags,
  ];
  const packages = [
    ...importedPackages(scope.importers, deps),
    ...settings.packages.map((name) => ({ name, from: node.package })),
  ];
  const types = packages.map(({ name, from }) => ({ name: typesOf(name), from }));
  const always = ["typescript", "@types/node"].map((name) => ({ name, from: node.package }));
  const text = JSON.stringify(configOf(node, scope, settings.files[0], deps), undefined, 1);
  return {
    ...actionOf(node),
    id: `${node.label} TsCompile`,
    mnemonic: "TsCompile",
    argv: shellScript([
      shellLine(["mkdir", "-p", emitFolder(node)]),
      `printf %s ${shellWord(text)} > ${shellWord(config)}`,
      shellLine(words),
    ]),
    inputs: [
      ...scope.inputs,
      ...settings.files.map((path) => ({ kind: "source" as const, path })),
      ...packageInputs([...packages, ...types, ...always], deps),
    ],
    outputs: [emitFolder(node)],
  };
}

/** The settings of a target: those of its tsconfig.json, and where things are. */
function configOf(
  node: TargetNode,
  { sources, importers, hasJavascript }: TypescriptScope,
  base: string | undefined,
  deps: RuleDeps,
): object {
  const folder = outFolder(node);
  const fromHere = (path: string) => {
    const relative = posix.relative(folder, path);
    return relative.startsWith(".") ? relative : `./${relative}`;
  };
  const imports = importers.flatMap((path) => deps.findings(path, findImports));
  const namesTypescript = imports.some((name) => /^\.{1,2}\/.*\.[cm]?tsx?$/.test(name));
  const hasNode = installedPackage("@types/node", node.package, deps) !== undefined;
  return {
    ...(base === undefined ? {} : { extends: fromHere(base) }),
    files: sources.map(fromHere),
    compilerOptions: {
      ...(base === undefined ? usualOptions : {}),
      ...(base === undefined && hasNode ? { types: ["node"] } : {}),
      ...(hasJavascript ? { allowJs: true } : {}),
      // Where it says nothing, the base may allow them, which is an error where files are emitted.
      ...(namesTypescript ? { rewriteRelativeImportExtensions: true } : {}),
      ...(namesTypescript || base !== undefined
        ? { allowImportingTsExtensions: namesTypescript }
        : {}),
      ...{ rootDir: fromHere(""), outDir: fromHere(emitFolder(node)) },
      ...{ noEmit: false, emitDeclarationOnly: false, noEmitOnError: true },
      ...{ incremental: false, composite: false },
      declaration: node.target.type === "library",
      declarationMap: false,
    },
  };
}

/** The nearest tsconfig.json and all that it extends; the nearest comes first. */
function settingsFiles(
  node: TargetNode,
  deps: RuleDeps,
): { readonly files: readonly string[]; readonly packages: readonly string[] } {
  const files: string[] = [];
  const packages: string[] = [];
  const waiting = [nearest("tsconfig.json", node.package, deps)];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    if (files.includes(next)) continue;
    files.push(next);
    for (const name of deps.findings(next, findExtends)) {
      const path = posix.join(folderOf(next), name);
      if (packageOf(name) !== undefined) packages.push(packageOf(name) ?? name);
      waiting.push(...[path, `${path}.json`].filter((file) => deps.files.exists(file)));
    }
  }
  return { files, packages };
}

/** What a tsconfig.json extends. It may hold comments, so it is not read as JSON. */
export function findExtends(text: string): string[] {
  const value = /"extends"\s*:\s*("[^"\n]*"|\[[^\]]*\])/.exec(text)?.[1] ?? "";
  return [...value.matchAll(/"([^"\n]*)"/g)].map((match) => match[1] ?? "");
}

function nearest(name: string, from: string, deps: RuleDeps): string | undefined {
  for (let folder = from; ; folder = folderOf(folder)) {
    const file = posix.join(folder, name);
    if (deps.files.exists(file)) return file;
    if (folder === "") return undefined;
  }
}

function typesOf(name: string): string {
  return `@types/${name.replace(/^@/, "").replace("/", "__")}`;
}

/** The name of what TypeScript makes of a source. */
export function emittedName(source: string): string {
  return source.replace(/\.([cm]?)tsx?$/, ".$1js");
}

function emitFolder(node: TargetNode): string {
  return `${outFolder(node)}/js`;
}

function libraryFolder(placed: PlacedTarget): string {
  return outputFile(placed, `lib${placed.target.name}`);
}
