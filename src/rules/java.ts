// Java targets as actions: one compiles and packs a target's classes.

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
  targetError,
  toolWords,
} from "./rule.ts";
import { shellLine, shellScript, shellWord } from "./shell-line.ts";
import { readSources, type TargetSources } from "./sources.ts";
import { testRun } from "./test-run.ts";

/** Java. A program is one file: a jar with all its libraries, and a script that runs it. */
export const javaRule: Rule = {
  languages: ["java"],
  endings: ["java"],
  uses: ["java"],
  options: ["main"],
  refuses: ["includes", "link_flags"],
  install: {
    mnemonics: ["JavaCompile"],
    remedy: "Install a JDK there, or name its tools with JAVAC, JAR and JAVA.",
  },
  outputs: (placed) => [finalFile(placed)],
  plan: planJava,
};

/** Zip files count from 1980 and in steps of two seconds; any fixed time will do. */
const entryTime = "2000-01-01T00:00:00Z";

function planJava(
  node: TargetNode,
  planned: ReadonlyMap<string, PlannedTarget>,
  deps: RuleDeps,
): PlannedTarget {
  const found = readSources(node, javaRule.endings, planned, deps);
  const isLibrary = node.target.type === "library";
  const jars = found.below.filter(
    ({ node: other, language }) => language === "java" && other.target.type === "library",
  );
  const made = `${outFolder(node)}/${isLibrary ? "jar" : "program"}/${fileName(node)}`;
  const compile: BuildAction = {
    ...actionOf(node),
    id: `${node.label} JavaCompile`,
    mnemonic: "JavaCompile",
    argv: shellScript([
      ...compileLines(node, found, jars, deps),
      ...(isLibrary
        ? packLines(node, classFolder(node), made, deps)
        : programLines(node, found, made, jars, deps)),
    ]),
    inputs: [
      ...found.inputs,
      ...jars.flatMap(({ products }) => products).map((by) => ({ kind: "made" as const, by })),
    ],
    outputs: [made],
  };
  const program = { argv: [made], inputs: [{ kind: "made" as const, by: compile }] };
  return {
    node,
    language: "java",
    actions: [compile],
    products: [compile],
    finals: placesFile(node) ? [{ made, path: finalFile(node) }] : [],
    test: node.target.type === "test" ? testRun(node, program, planned, deps) : undefined,
    hasCpp: false,
  };
}

/** Classes go to a folder beside the jar, data to its path below the package. */
function compileLines(
  node: TargetNode,
  { sources, data }: TargetSources,
  jars: readonly PlannedTarget[],
  deps: RuleDeps,
): string[] {
  const classes = classFolder(node);
  const path = jars.flatMap(({ products }) => products.flatMap(({ outputs }) => outputs));
  const words = [
    ...toolWords(node.target, "JAVAC", deps),
    ...["-encoding", "UTF-8", "-proc:none", "-implicit:none"],
    ...node.target.flags,
    ...["-d", classes, "-sourcepath", "", "-classpath", path.join(":"), ...sources],
  ];
  return [
    `mkdir -p ${shellWord(classes)}`,
    shellLine(words),
    ...data.flatMap((file) => {
      const to = posix.join(classes, posix.relative(node.package, file));
      return [shellLine(["mkdir", "-p", posix.dirname(to)]), shellLine(["cp", "-f", file, to])];
    }),
  ];
}

/** Packs the classes in the order of their names, all of one time. */
function packLines(
  node: TargetNode,
  folder: string,
  made: string,
  deps: RuleDeps,
  main: readonly string[] = [],
): string[] {
  const classes = shellWord(folder);
  const jar = [...toolWords(node.target, "JAR", deps), "--create", `--date=${entryTime}`, ...main];
  return [
    'root="$PWD"',
    `(cd ${classes} && find . -type f ! -path './META-INF/MANIFEST.MF' | sed 's|^\\./||' |`,
    "  LC_ALL=C sort | sed 's/.*/\"&\"/') > classes.list",
    `(cd ${classes} && ${shellLine(jar)} --file="$root"/${shellWord(made)} @"$root"/classes.list)`,
  ];
}

/** Java reads a jar from its end, the shell a script from its start: both fit in one file. */
function programLines(
  node: TargetNode,
  { sources, isMade }: TargetSources,
  made: string,
  jars: readonly PlannedTarget[],
  deps: RuleDeps,
): string[] {
  const known = sources.filter((path) => !isMade(path));
  const main = node.target.options["main"] ?? mainClass(node, known, deps);
  const paths = jars.flatMap(({ products }) => products.flatMap(({ outputs }) => outputs));
  const extract = shellLine([...toolWords(node.target, "JAR", deps), "--extract"]);
  const jar = `${made}.jar`;
  const start = `exec ${shellLine(toolWords(node.target, "JAVA", deps))} -jar "$0" "$@"`;
  return [
    // Nearer libraries win: they are unpacked last, and the target's own classes over all.
    "mkdir merged",
    ...paths.toReversed().map((path) => `(cd merged && ${extract} --file=../${shellWord(path)})`),
    `cp -Rf ${shellWord(classFolder(node))}/. merged/`,
    ...packLines(node, "merged", jar, deps, [`--main-class=${main}`]),
    `printf '#!/bin/sh\\n%s\\n' ${shellWord(start)} | cat - ${shellWord(jar)} > ${shellWord(made)}`,
    `chmod +x ${shellWord(made)}`,
  ];
}

/** The only class with a `main`. INVALID_ARGUMENT where there are none or several. */
function mainClass(node: TargetNode, sources: readonly string[], deps: RuleDeps): string {
  const found = sources.flatMap((path) => {
    const [name, main] = deps.findings(path, findMain);
    if (main === undefined) return [];
    const type = posix.basename(path, ".java");
    return name === undefined || name === "" ? [type] : [`${name}.${type}`];
  });
  const [main] = found;
  if (main !== undefined && found.length === 1) return main;
  const what = found.length === 0 ? "no class" : found.join(" and ");
  const verb = found.length > 1 ? "have" : "has";
  throw targetError(
    node,
    `${node.target.name} starts with a main method, but ${what} ${verb} one. ` +
      "Name the class: options: { main: CLASS }.",
  );
}

/** The package of a source and, where it has a main method, the word `main`. */
export function findMain(text: string): string[] {
  const plain = text.replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*|"(?:\\.|[^"\\\n])*"/g, " ");
  const [, name = ""] = /(?:^|[;\s])package\s+([\w.]+)\s*;/.exec(plain) ?? [];
  const main = /\bstatic\s+(?:final\s+)?void\s+main\s*\(\s*(?:final\s+)?String\b/.test(plain);
  return main ? [name, "main"] : [name];
}

function classFolder(node: TargetNode): string {
  return `${outFolder(node)}/classes`;
}

function finalFile(placed: PlacedTarget): string {
  return outputFile(placed, fileName(placed));
}

function fileName({ target }: PlacedTarget): string {
  return target.type === "library" ? `${target.name}.jar` : target.name;
}
