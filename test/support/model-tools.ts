// A compiler, an archiver, a linker and a shell as JavaScript functions, for builds of a thousand
// edits: they resolve includes as cc does and make texts that hold everything they read.

import { posix } from "node:path";

/** The files a tool sees; paths are relative to where actions run and plain. */
export interface ToolFiles {
  read(path: string): string | undefined;
  folderExists(path: string): boolean;
}

/** How a tool ended; `made` by path, also relative to where actions run. */
export interface ToolEnd {
  readonly exitCode: number;
  readonly stderr: string;
  readonly made: ReadonlyMap<string, MadeText>;
}

/** A file that a tool made. */
export interface MadeText {
  readonly text: string;
  readonly executable: boolean;
}

/** One command. */
export interface ToolCall {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly workingDirectory: string;
}

const nestingMax = 50;

/** Runs `cc`, `ar` or `/bin/sh`; any other program is a linking or compiling `cc`. */
export function runTool(call: ToolCall, files: ToolFiles): ToolEnd {
  const [program = ""] = call.argv;
  if (program === "/bin/sh") return shell(call, files);
  if (program.startsWith("ar")) return archive(call, files);
  return call.argv.includes("-c") ? compile(call, files) : link(call, files);
}

/** Where a path leads, if every folder it climbs out of is there; undefined outside. */
export function reach(way: string, folderExists: (path: string) => boolean): string | undefined {
  const at: string[] = [];
  for (const part of way.split("/")) {
    if (part === "." || part === "") continue;
    if (part !== "..") at.push(part);
    else if (at.length === 0 || !folderExists(at.join("/"))) return undefined;
    else at.pop();
  }
  return at.join("/");
}

function textOfEnv(env: ToolCall["env"]): string {
  return Object.entries(env)
    .map(([name, value]) => `${name}=${value}`)
    .sort()
    .join(" ");
}

function failed(stderr: string): ToolEnd {
  return { exitCode: 1, stderr, made: new Map() };
}

interface CompileLine {
  readonly folders: string[];
  readonly macros: Set<string>;
  readonly forced: string[];
  source: string;
  object: string;
}

function compileLine(argv: readonly string[]): CompileLine {
  const line: CompileLine = {
    ...{ folders: [], macros: new Set(), forced: [], source: "", object: "" },
  };
  for (let at = 1; at < argv.length; at += 1) {
    const word = argv[at] ?? "";
    const next = argv[at + 1] ?? "";
    if (word === "-I") line.folders.push(next);
    else if (word === "-include") line.forced.push(next);
    else if (word === "-c") line.source = next;
    else if (word === "-o") line.object = next;
    else if (word.startsWith("-D")) line.macros.add(word.slice(2).replace(/=.*/, ""));
    else if (word.startsWith("-I")) line.folders.push(word.slice(2));
  }
  return line;
}

function compile({ argv, env }: ToolCall, files: ToolFiles): ToolEnd {
  const line = compileLine(argv);
  const out = [`object ${argv.join(" ")} ${textOfEnv(env)}`];
  const open = (from: string | undefined, name: string) => {
    const ways = [...(from === undefined ? [] : [`${from}/${name}`])];
    for (const folder of line.folders) ways.push(`${folder}/${name}`);
    for (const way of ways) {
      const path = reach(way, files.folderExists);
      if (path !== undefined && files.read(path) !== undefined) return path;
    }
    return undefined;
  };
  const error = [...line.forced, line.source]
    .map((name) => expandFile(open(".", name) ?? name, { line, out, open, files }, 0))
    .find((problem) => problem !== undefined);
  if (error !== undefined) return failed(error);
  const text = `${out.join("\n")}\n`;
  const made = new Map([[line.object, { text, executable: false }]]);
  return { exitCode: 0, stderr: "", made };
}

interface Expansion {
  readonly line: CompileLine;
  readonly out: string[];
  readonly open: (from: string | undefined, name: string) => string | undefined;
  readonly files: ToolFiles;
}

/** Appends a file with all that it includes; what is wrong, if anything. */
function expandFile(path: string, into: Expansion, depth: number): string | undefined {
  const text = into.files.read(path);
  if (text === undefined) return `${path}: No such file or directory`;
  if (depth > nestingMax) return `${path}: includes nest too deep`;
  into.out.push(`@ ${path}`);
  const { macros } = into.line;
  const taken: boolean[] = [];
  for (const row of text.split("\n")) {
    const [, word = "", rest = ""] = /^#\s*(\w+)\s*(.*)$/.exec(row) ?? [];
    if (word === "endif") taken.pop();
    else if (word.startsWith("if")) taken.push(holds(word, rest, path, into));
    else if (taken.includes(false)) continue;
    else if (word === "define") macros.add(rest.split(" ")[0] ?? "");
    else if (word === "include") {
      const found = find(rest, path, into);
      if (found === undefined) return `${path}: ${rest}: No such file or directory`;
      const error = expandFile(found, into, depth + 1);
      if (error !== undefined) return error;
    } else if (row !== "") into.out.push(row);
  }
  return undefined;
}

function find(named: string, from: string, { open }: Expansion): string | undefined {
  const [, kind, name = ""] = /(["<])([^">]+)[">]/.exec(named) ?? [];
  return open(kind === '"' ? posix.dirname(from) : undefined, name);
}

function holds(word: string, rest: string, from: string, into: Expansion): boolean {
  if (word === "ifdef") return into.line.macros.has(rest);
  if (word === "ifndef") return !into.line.macros.has(rest);
  return rest.startsWith("__has_include") && find(rest, from, into) !== undefined;
}

function archive({ argv }: ToolCall, files: ToolFiles): ToolEnd {
  const [, , made = "", ...members] = argv;
  return joined(made, ["archive"], members, false, files);
}

function link({ argv, env }: ToolCall, files: ToolFiles): ToolEnd {
  const made = argv[argv.indexOf("-o") + 1] ?? "";
  const parts = argv.slice(1).filter((word) => /\.(o|a)$/.test(word));
  const head = [`program ${argv.join(" ")} ${textOfEnv(env)}`];
  const end = joined(made, head, parts, true, files);
  const text = end.made.get(made)?.text ?? "";
  return end.exitCode !== 0 || text.includes("int main(") ? end : failed("undefined: main");
}

function joined(
  made: string,
  head: readonly string[],
  parts: readonly string[],
  executable: boolean,
  files: ToolFiles,
): ToolEnd {
  const texts = parts.map((path) => files.read(path));
  const lost = texts.indexOf(undefined);
  if (lost >= 0) return failed(`${parts[lost]}: No such file or directory`);
  const text = [...head, ...texts].join("\n");
  return { exitCode: 0, stderr: "", made: new Map([[made, { text, executable }]]) };
}

/** Lines of `cat FILES > FILE`, `echo WORDS > FILE` and `mkdir -p FOLDER`. */
function shell({ argv, env, workingDirectory }: ToolCall, files: ToolFiles): ToolEnd {
  const made = new Map<string, MadeText>();
  for (const row of (argv[3] ?? "").split("\n")) {
    const [, program, words = "", to = ""] = /^(cat|echo) (.*) > (\S+)$/.exec(row) ?? [];
    if (program === undefined) continue;
    const texts = words.split(" ").map((word) => {
      if (program === "echo") return word.replaceAll(/\$(\w+)/g, (_, name) => env[name] ?? "");
      return files.read(posix.join(workingDirectory, word));
    });
    if (texts.includes(undefined)) return failed(`${words}: No such file or directory`);
    const text = program === "echo" ? `${texts.join(" ").replaceAll('"', "")}\n` : texts.join("");
    made.set(posix.join(workingDirectory, to), { text, executable: false });
  }
  return { exitCode: 0, stderr: "", made };
}
