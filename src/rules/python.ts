// Python targets as actions: sources are checked for syntax, programs packed in one file.

import { posix } from "node:path";
import type { TargetNode } from "../workspace/target-graph.ts";
import type { PlacedTarget } from "../workspace/workspace.ts";
import type { ActionInput, BuildAction } from "./build-action.ts";
import {
  actionOf,
  outFolder,
  outputFile,
  type PlannedTarget,
  type Rule,
  type RuleDeps,
  targetError,
  toolWords,
} from "./rule.ts";
import { shellLine, shellScript, shellWord } from "./shell-line.ts";
import { entryOf, optionError, readSources, shownFolder, type TargetSources } from "./sources.ts";
import { testRun } from "./test-run.ts";

/**
 * Python. A module is imported by its path from the workspace, or from the package of any target it
 * belongs to.
 */
export const pythonRule: Rule = {
  languages: ["python"],
  endings: ["py"],
  uses: ["python"],
  options: ["main", "runner"],
  refuses: ["includes", "flags", "link_flags"],
  install: {
    mnemonics: ["PythonCheck", "PythonBundle"],
    remedy: "Install Python 3 there, or name it with PYTHON.",
  },
  outputs: (placed) => (placed.target.type === "executable" ? [finalFile(placed)] : []),
  plan: planPython,
};

const noBytecode = { PYTHONDONTWRITEBYTECODE: "1", PYTHONHASHSEED: "0" };

/** Reports every source that is no Python, with its line. */
const checkProgram = `import sys
bad = 0
for path in sys.argv[1:]:
    try:
        compile(open(path, "rb").read(), path, "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None) or 1
        print(f"{path}:{line}: error: {getattr(error, 'msg', error)}", file=sys.stderr)
        bad = 1
sys.exit(bad)`;

/** Packs files, folders too, in the order of their names and with one time for all. */
const bundleProgram = `import sys, zipfile
made, shebang, start = sys.argv[1:4]
paths = sorted({*sys.argv[4:]} - {"__main__.py"})
folders = {path[: at + 1] for path in paths for at, sign in enumerate(path) if sign == "/"}
def entry(name):
    info = zipfile.ZipInfo(name, (2000, 1, 1, 0, 0, 0))
    info.create_system = 3
    info.external_attr = (0o40755 << 16 | 0x10) if name.endswith("/") else 0o100644 << 16
    return info
with open(made, "wb") as file:
    file.write(shebang.encode() + b"\\n")
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(entry("__main__.py"), start)
        for name in sorted([*folders, *paths]):
            archive.writestr(entry(name), b"" if name.endswith("/") else open(name, "rb").read())`;

function planPython(
  node: TargetNode,
  planned: ReadonlyMap<string, PlannedTarget>,
  deps: RuleDeps,
): PlannedTarget {
  const { type, placeByField, name } = node.target;
  if (type !== "executable" && placeByField.has("output")) {
    throw targetError(node, `${name} makes no file that output could place. Remove output.`);
  }
  const found = readSources(node, pythonRule.endings, planned, deps);
  const libraries = found.below.filter(
    ({ node: other, language }) => language === "python" && other.target.type === "library",
  );
  const inputs = [...found.inputs, ...libraries.flatMap(({ handsOn }) => handsOn?.inputs ?? [])];
  const python = toolWords(node.target, "PYTHON", deps);
  const folders = [node, ...libraries.map((other) => other.node)].map((one) => one.package);
  const scope = { found, inputs, python, folders: [...new Set([...folders, ""])] };
  const check: BuildAction = {
    ...actionOf(node),
    id: `${node.label} PythonCheck`,
    mnemonic: "PythonCheck",
    env: { ...noBytecode, ...node.target.env },
    argv: [...python, "-c", checkProgram, ...found.sources],
    inputs: found.inputs,
    outputs: [],
  };
  const base = { node, language: "python" as const, hasCpp: false };
  const nothing = { products: [], finals: [], test: undefined };
  if (type === "library") {
    const handsOn = { files: [...found.sources, ...found.data], inputs: found.inputs };
    return { ...base, ...nothing, actions: [check], handsOn };
  }
  if (type === "test") {
    return { ...base, ...nothing, actions: [check], test: runTest(node, scope, planned, deps) };
  }
  const bundle = bundleAction(node, scope, libraries);
  const finals = [{ made: bundle.outputs[0] ?? "", path: finalFile(node) }];
  return { ...base, actions: [check, bundle], products: [bundle], finals, test: undefined };
}

interface Scope {
  readonly found: TargetSources;
  readonly inputs: readonly ActionInput[];
  readonly python: readonly string[];
  /** Where imports start. */
  readonly folders: readonly string[];
}

function bundleAction(
  node: TargetNode,
  { found, inputs, python, folders }: Scope,
  libraries: readonly PlannedTarget[],
): BuildAction {
  const main = entryOf(node, found.sources, "main", ["main.py"]);
  const made = `${outFolder(node)}/program/${node.target.name}`;
  const handed = libraries.flatMap(({ handsOn }) => handsOn?.files ?? []);
  const files = [...found.sources, ...found.data, ...handed];
  const start = [
    "import os, runpy, sys",
    "base = sys.path.pop(0)",
    `sys.path[:0] = [os.path.join(base, folder) for folder in ${JSON.stringify(folders)}]`,
    // A path in the zip is no file that could be run: its module is, from its folder.
    `sys.path.insert(0, os.path.join(base, ${JSON.stringify(posix.dirname(main))}))`,
    `runpy.run_module(${JSON.stringify(moduleOf(main))}, run_name="__main__", alter_sys=True)`,
  ];
  const [program = "", ...words] = python;
  const env = words.length === 0 ? "/usr/bin/env" : "/usr/bin/env -S";
  const shebang = program.startsWith("/") ? program : `${env} ${program}`;
  return {
    ...actionOf(node),
    id: `${node.label} PythonBundle`,
    mnemonic: "PythonBundle",
    env: { ...noBytecode, ...node.target.env },
    argv: shellScript([
      `${shellLine([...python, "-c", bundleProgram, made])} \\`,
      `  ${shellWord(`#!${[shebang, ...words].join(" ")}`)} ${shellWord(`${start.join("\n")}\n`)} \\`,
      `  ${shellLine(files)}`,
      shellLine(["chmod", "+x", made]),
    ]),
    inputs,
    outputs: [made],
  };
}

/** All of a test's own files that are named as tests; where none is, the program that it is. */
function runTest(
  node: TargetNode,
  { found, inputs, python, folders }: Scope,
  planned: ReadonlyMap<string, PlannedTarget>,
  deps: RuleDeps,
): BuildAction {
  const { runner = "unittest", main } = node.target.options;
  if (runner !== "unittest" && runner !== "pytest") {
    throw optionError(node, `options.runner is ${runner}; it can be unittest or pytest.`);
  }
  const tests = found.sources.filter((path) => /(^|\/)(test_[^/]*|[^/]*_test)\.py$/.test(path));
  const args = runner === "pytest" ? ["-p", "no:cacheprovider", ...tests] : tests;
  const isProgram = tests.length === 0 || main !== undefined;
  const words = isProgram
    ? [entryOf(node, found.sources, "main", ["main.py"])]
    : ["-m", runner, ...args];
  const search = folders.map((folder) => `"$PWD"/${shellWord(shownFolder(folder))}`).join(":");
  const script = [`export PYTHONPATH=${search}`, `exec ${shellLine([...python, ...words])} "$@"`];
  const run = testRun(node, { argv: [...shellScript(script), runner], inputs }, planned, deps);
  return { ...run, env: { ...noBytecode, ...node.target.env } };
}

function moduleOf(path: string): string {
  return posix.basename(path, ".py");
}

function finalFile(placed: PlacedTarget): string {
  return outputFile(placed, placed.target.name);
}
