// What may come next on a command line, from the program's own table of commands and flags and
// from the targets of the workspace.

import { type Command, Option } from "commander";
import { openWorkspace, type Workspace } from "../src/workspace/workspace.ts";

/**
 * The words that `line`, which begins with the program's name and ends at the cursor, may go on
 * with: its last word in all its completions, sorted. None where files are wanted.
 */
export function completionWords(program: Command, line: string, folder: string): string[] {
  const words = line.split(/\s+/);
  const last = words.at(-1) ?? "";
  const [command, rest] = commandOf(program, words.slice(1, -1));
  const before = rest.at(-1) ?? "";
  const asked = command.options.find((option) => isNamed(option, before) && option.required);
  const [, flag = "", value] = /^(--[^=]+)=(.*)$/.exec(last) ?? [];
  const assigned = command.options.find((option) => isNamed(option, flag));
  const plainOnly = rest.includes("--");
  if (!plainOnly && assigned !== undefined && value !== undefined) {
    return matching(
      (assigned.argChoices ?? []).map((choice) => `${flag}=${choice}`),
      last,
    );
  }
  if (!plainOnly && asked !== undefined) return matching(asked.argChoices ?? [], last);
  if (!plainOnly && last.startsWith("-")) return matching(flagsOf(command), last);
  const commands = program.createHelp().visibleCommands(command);
  if (rest.length === 0 && commands.length > 0) {
    return matching(
      commands.map((one) => one.name()),
      last,
    );
  }
  const [argument] = command.registeredArguments;
  if (argument?.argChoices !== undefined) return matching(argument.argChoices, last);
  const sign = plainOnly && last.startsWith("-") ? "-" : "";
  const wantsTarget = /target|expression/.test(argument?.name() ?? "");
  if (!wantsTarget) return [];
  return matching(
    targetWords(folder, last.slice(sign.length)).map((word) => sign + word),
    last,
  );
}

function isNamed({ long, short }: Option, word: string): boolean {
  return word === long || word === short;
}

/** The command that words lead to, and the words behind its name. */
function commandOf(program: Command, words: readonly string[]): [Command, readonly string[]] {
  let [command, rest] = [program, words];
  for (;;) {
    const next = command.commands.find((one) => one.name() === rest[0]);
    if (next === undefined) return [command, rest];
    [command, rest] = [next, rest.slice(1)];
  }
}

/** The flags that `--help` shows. */
function flagsOf(command: Command): string[] {
  const help = new Option("-h, --help");
  const shown = [...command.options.filter(({ hidden }) => !hidden), help];
  return shown.flatMap(({ long, short }) => [long, short].flatMap((name) => name ?? []));
}

/** Targets and packages that may be meant; none where a Builderfile is wrong. */
function targetWords(folder: string, word: string): string[] {
  try {
    const workspace = openWorkspace(folder);
    const [, name] = /^\/\/([^:]*):/.exec(word) ?? [];
    if (name !== undefined) return labelsOf(workspace, name, `//${name}:`);
    if (word.startsWith("//")) {
      return workspace.packagesBelow("").flatMap((found) => [`//${found}:`, `//${found}/...`]);
    }
    if (word.startsWith(":")) return labelsOf(workspace, workspace.here, ":");
    return [...labelsOf(workspace, workspace.here, ""), "//"];
  } catch {
    return [];
  }
}

function labelsOf(workspace: Workspace, name: string, prefix: string): string[] {
  return workspace.packageTargets(name).map(({ target }) => `${prefix}${target.name}`);
}

function matching(words: readonly string[], start: string): string[] {
  return [...new Set(words)].filter((word) => word.startsWith(start)).sort();
}
