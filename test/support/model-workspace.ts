// A workspace as data: files and targets that edits change and that are then written to disk.

import { posix } from "node:path";

/** A file of the workspace. A link has the content of the file it leads to. */
export interface ModelFile {
  readonly kind: "main" | "source" | "header";
  /** A name for what it defines; it keeps it when it is moved. */
  readonly symbol: string;
  /** Lines above the definition, each an include or a conditional one. */
  readonly includes: readonly string[];
  /** Two digits, so that an edit need not change the size. */
  readonly value: number;
  readonly executable: boolean;
  readonly link?: string;
}

/** A target; fields as in a Builderfile. */
export interface ModelTarget {
  readonly package: string;
  readonly name: string;
  readonly type: "executable" | "library" | "custom";
  readonly fields: Readonly<Record<string, readonly string[]>>;
  readonly env: Readonly<Record<string, string>>;
  readonly command?: string;
  readonly cache: boolean;
}

/** Everything that a build depends on and edits change. */
export interface ModelState {
  readonly files: ReadonlyMap<string, ModelFile>;
  readonly targets: readonly ModelTarget[];
  readonly tools: Readonly<Record<string, string>>;
}

/** The content of a file. */
export function textOf({ kind, symbol, includes, value }: ModelFile): string {
  const above = includes.map((line) => `${line}\n`).join("");
  if (kind === "main") return `${above}int main(void) { return ${value}; }\n`;
  if (kind === "source") return `${above}int f_${symbol}(void) { return ${value}; }\n`;
  const guard = `G_${symbol}`;
  const body = `static const int v_${symbol} = ${value};\n`;
  return `#ifndef ${guard}\n#define ${guard}\n${above}${body}#endif\n`;
}

/** The file at a path, through links; undefined for nothing and for links that lead nowhere. */
export function fileAt({ files }: ModelState, path: string): ModelFile | undefined {
  let file = files.get(path);
  for (let steps = 0; file?.link !== undefined && steps < 8; steps += 1) {
    file = files.get(file.link);
  }
  return file?.link === undefined ? file : undefined;
}

/** Every target of a folder as its Builderfile; undefined for none. */
export function builderfileOf({ targets }: ModelState, folder: string): string | undefined {
  const own = targets.filter((target) => target.package === folder);
  return own.length === 0 ? undefined : own.map(targetText).join("\n");
}

function targetText(target: ModelTarget): string {
  const lists = Object.entries(target.fields).filter(([, values]) => values.length > 0);
  const env = Object.entries(target.env);
  return [
    `target ${target.name}:`,
    `    type: ${target.type}`,
    ...lists.map(([name, values]) => `    ${name}: [${values.map((v) => `"${v}"`).join(", ")}]`),
    ...(env.length === 0 ? [] : ["    env:", ...env.map(([k, v]) => `        ${k}: "${v}"`)]),
    ...(target.cache ? [] : ["    cache: false"]),
    ...(target.command === undefined
      ? []
      : ["    command: |", ...target.command.split("\n").map((line) => `        ${line}`)]),
    "",
  ].join("\n");
}

function file(kind: ModelFile["kind"], symbol: string, includes: readonly string[] = []) {
  return { kind, symbol, includes, value: 10, executable: false };
}

function target(
  label: string,
  type: ModelTarget["type"],
  fields: ModelTarget["fields"],
  command?: string,
): ModelTarget {
  const [folder = "", name = ""] = label.split(":");
  const made = command === undefined ? {} : { command };
  return { package: folder, name, type, fields, env: {}, cache: true, ...made };
}

/** A new header or source for a path. */
export function newFile(path: string, value: number): ModelFile {
  const kind = path === "src/main.c" ? "main" : path.endsWith(".h") ? "header" : "source";
  return { ...file(kind, path.replaceAll(/\W/g, "_")), value };
}

/** Every target that a workspace of the model may have. */
export const allTargets: readonly ModelTarget[] = [
  target(":app", "executable", {
    sources: ["src/*.c", "gen/made.c"],
    includes: ["first", "include"],
    deps: ["low", "gen", "made", "//lib:util"],
  }),
  target(":low", "library", { sources: ["low/*.c"], includes: ["low"] }),
  target(
    ":gen",
    "custom",
    { inputs: ["gen/*.txt"], outputs: ["gen/out.h"] },
    "cat gen/in.txt > gen/out.h",
  ),
  target(
    ":made",
    "custom",
    { inputs: ["gen/source.txt"], outputs: ["gen/made.c"] },
    "cat gen/source.txt > gen/made.c",
  ),
  target(
    ":tree",
    "custom",
    { inputs: ["gen/in.txt"], outputs: ["tree/*/*.h"] },
    "mkdir -p tree/x\ncat gen/in.txt > tree/x/y.h\ncat gen/in.txt > tree/x/z.txt",
  ),
  target(
    ":report",
    "custom",
    { inputs: ["data/*"], outputs: ["report.txt"], deps: ["app"] },
    "cat bin/app data/d.h > report.txt",
  ),
  target(":extra", "library", {
    sources: ["src/two.c"],
    includes: ["include", "tree"],
    deps: ["tree"],
  }),
  target("lib:util", "library", { sources: ["*.c"], includes: ["inc"], deps: ["tool"] }),
  target(
    "lib:tool",
    "custom",
    { outputs: ["inc/tool.h"] },
    'echo "extern int tool$LEVEL;" > inc/tool.h',
  ),
];

/** The workspace that every sequence of edits begins with. */
export function firstState(): ModelState {
  const files = new Map<string, ModelFile>([
    ["src/main.c", file("main", "main", ['#include "a.h"', "#include <b.h>"])],
    ["src/two.c", file("source", "two", ['#include "../gen/out.h"'])],
    ["include/a.h", file("header", "a", ['#include "c.h"'])],
    ["include/b.h", file("header", "b")],
    ["include/c.h", file("header", "c")],
    ["include/deep/c.h", file("header", "deep_c")],
    ["low/low.c", file("source", "low", ['#include "l.h"'])],
    ["low/l.h", file("header", "l")],
    ["lib/util.c", file("source", "util", ['#include "tool.h"', '#include "u.h"'])],
    ["lib/inc/u.h", file("header", "u")],
    ["gen/in.txt", file("header", "gen_in")],
    ["gen/source.txt", file("source", "gen_made")],
    ["data/d.h", file("header", "data")],
  ]);
  const absent = new Set(["tree", "extra"]);
  const targets = allTargets.filter(({ name }) => !absent.has(name));
  return { files, targets, tools: { CC: "cc", CXX: "c++", AR: "ar" } };
}

/** The folder a path is in. */
export function parentOf(path: string): string {
  const folder = posix.dirname(path);
  return folder === "." ? "" : folder;
}
