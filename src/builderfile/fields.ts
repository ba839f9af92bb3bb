// Every field a target can have, once: the parser, its hints and docs/builderfile.md come from
// here.

import { namesByLanguage, type TargetType } from "./model.ts";

/** What a field's value looks like. */
export type FieldKind =
  | "word"
  | "text"
  | "flag"
  | "count"
  | "natural"
  | "cores"
  | "size"
  | "duration"
  | "globs"
  | "paths"
  | "path"
  | "words"
  | "labels"
  | "texts"
  | "priority"
  | "toolchain"
  | "block";

/** One row of the table. */
export interface Field {
  readonly name: string;
  readonly aliases: readonly string[];
  readonly kind: FieldKind;
  /** The types of target it means something for. */
  readonly types: readonly TargetType[];
  /** One sentence for the reference. */
  readonly doc: string;
  readonly default: string;
  /** Fields of a `block`. */
  readonly fields: readonly Field[];
}

const compiled: readonly TargetType[] = ["executable", "library", "test"];
const linked: readonly TargetType[] = ["executable", "test"];
const any: readonly TargetType[] = ["executable", "library", "test", "custom"];
const commands: readonly TargetType[] = ["custom", "test"];

function field(
  name: string,
  kind: FieldKind,
  types: readonly TargetType[],
  doc: string,
  rest: Partial<Pick<Field, "aliases" | "default" | "fields">> = {},
): Field {
  return { name, kind, types, doc, aliases: [], default: "-", fields: [], ...rest };
}

/** The fields of `hermetic`. */
const hermeticFields = [
  field("max_memory", "size", any, "Memory of the whole process tree of one action.", {
    aliases: ["memory"],
    default: "the node's",
  }),
  field("max_cpu", "cores", any, "CPU cores of one action; may be a fraction.", {
    aliases: ["cpu"],
    default: "the node's",
  }),
  field("timeout", "duration", any, "Wall time of one action.", { default: "the node's" }),
  field("max_processes", "count", any, "Processes and threads of one action at once.", {
    default: "1024",
  }),
  field("max_open_files", "count", any, "Files that one process has open at once.", {
    default: "65536",
  }),
  field(
    "max_output",
    "size",
    any,
    "What an action may add to its folder, of all files and of one.",
    {
      default: "16GiB",
    },
  ),
  field("max_output_files", "count", any, "How many files and folders it may add.", {
    default: "1000000",
  }),
  field("max_tmp", "size", any, "What `/tmp`, `/var/tmp` and `/dev/shm` hold; it is memory, too.", {
    default: "as `max_memory`",
  }),
  field("max_tmp_files", "count", any, "How many files and folders they hold.", {
    default: "1000000",
  }),
  field("max_log", "size", any, "Of stdout and stderr each; what is over is cut off.", {
    default: "64MiB",
  }),
  field("network", "flag", any, "Whether the action sees the host's network.", {
    default: "false",
  }),
];

const languageList = Object.keys(namesByLanguage)
  .map((name) => `\`${name}\``)
  .join(", ");

/** The fields of a target. */
export const fieldTable: readonly Field[] = [
  field("type", "word", any, "What it makes: `executable`, `library`, `test` or `custom`.", {
    default: "`custom` where there is a `command`",
  }),
  field("language", "word", compiled, `${languageList}.`, { default: "by the sources' endings" }),
  field("sources", "globs", compiled, "Source files, of the workspace or made by `deps`."),
  field("includes", "paths", compiled, "Folders for `#include`; dependents see them too.", {
    aliases: ["include"],
  }),
  field("flags", "words", compiled, "Compiler flags, in order."),
  field("link_flags", "words", linked, "Linker flags, after the objects.", {
    aliases: ["linkflags", "ldflags"],
  }),
  field("deps", "labels", any, "Targets to build first: `name`, `:name` or `//folder:name`.", {
    aliases: ["depends"],
  }),
  field("options", "texts", compiled, "Settings of its language, such as Rust's `edition`."),
  field("args", "words", linked, "Arguments of the program when `bldr` runs it."),
  field("env", "texts", any, "Environment of the actions; nothing else is passed on."),
  field("output", "path", compiled, "The file it makes.", { default: "`bin/NAME`" }),
  field("inputs", "globs", commands, "Files the command may read."),
  field("outputs", "globs", commands, "Files the command makes; a missing one is an error."),
  field("command", "text", commands, "Shell lines, run by `/bin/sh -e` in the package's folder."),
  field("hermetic", "block", any, "Limits of each action; `true` means the node's defaults.", {
    default: "true",
    fields: hermeticFields,
  }),
  field("toolchain", "toolchain", any, "The tools its actions run with; `any` for all alike.", {
    default: "this machine's",
  }),
  field("shards", "count", ["test"], "Parts the test is split in, told by `TEST_TOTAL_SHARDS`.", {
    default: "1",
  }),
  field("flaky_retries", "natural", ["test"], "How often a failed test is tried again.", {
    aliases: ["retries"],
    default: "0",
  }),
  field("remote", "flag", any, "`false` keeps its actions on this machine.", { default: "true" }),
  field("cache", "flag", any, "`false` runs its actions each time.", { default: "true" }),
  field("parallelism", "count", any, "Most actions of it at once.", { default: "`--jobs`" }),
  field("priority", "priority", any, "`low`, `normal`, `high`, `critical` or a number.", {
    default: "normal",
  }),
];

/** The fields of a Builderspace. They are for the whole workspace, so no type limits them. */
export const builderspaceTable: readonly Field[] = [
  field("env", "texts", any, "Environment of the actions of every target; a target's own wins."),
  field("jobs", "count", any, "Most actions at once.", {
    aliases: ["maxJobs"],
    default: "four for each core",
  }),
  field("remote", "text", any, "The node that `--remote` without a value means.", {
    default: "`127.0.0.1:9000`",
  }),
  field("outputDir", "path", any, "Folder, in each package, of the files that targets make.", {
    aliases: ["output_dir"],
    default: "`bin`",
  }),
  field("verbose", "flag", any, "Whether builds say more.", { default: "false" }),
];

const kindText: Readonly<Record<FieldKind, string>> = {
  word: "word",
  text: "text",
  flag: "true or false",
  count: "whole number above 0",
  natural: "whole number",
  cores: "number above 0",
  size: "size such as 2GiB",
  duration: "duration such as 5m",
  globs: "list of globs such as src/**/*.cpp",
  paths: "list of folders",
  path: "path",
  words: "list, or words on one line",
  labels: "list of targets, or one",
  texts: "map of texts",
  priority: "low, normal, high, critical or a number",
  toolchain: "any, or a name such as cpp-gcc-12-3f2a91c04b7d55aa",
  block: "block of fields",
};

/** What a kind of value looks like, in words. */
export function describeKind(kind: FieldKind): string {
  return kindText[kind];
}

/** The field a name or alias stands for. */
export function findField(table: readonly Field[], name: string): Field | undefined {
  return table.find((row) => row.name === name || row.aliases.includes(name));
}

/** Every name a field may be written as. */
export function fieldNames(table: readonly Field[]): string[] {
  return table.flatMap((row) => [row.name, ...row.aliases]);
}

/** The reference of a Builderspace's fields in docs/builderfile.md. */
export function renderBuilderspaceTable(): string {
  const rows = builderspaceTable.map((row) => {
    const names = [row.name, ...row.aliases].map((word) => `\`${word}\``).join(", ");
    return `| ${names} | ${describeKind(row.kind)} | ${row.default} | ${row.doc} |`;
  });
  return ["| Field | Value | Default | Meaning |", "|---|---|---|---|", ...rows, ""].join("\n");
}

/** The reference table of docs/builderfile.md. */
export function renderFieldTable(): string {
  const rows = fieldTable.flatMap((row) => [
    renderRow(row, row.name),
    ...row.fields.map((inner) => renderRow(inner, `${row.name}.${inner.name}`)),
  ]);
  return ["| Field | Value | For | Default | Meaning |", "|---|---|---|---|---|", ...rows, ""].join(
    "\n",
  );
}

function renderRow(row: Field, name: string): string {
  const names = [name, ...row.aliases].map((word) => `\`${word}\``).join(", ");
  const types = row.types.length === any.length ? "all" : row.types.join(", ");
  return `| ${names} | ${describeKind(row.kind)} | ${types} | ${row.default} | ${row.doc} |`;
}
