// What two actions have otherwise, in words: so people learn why a result was not in the cache.

import type { Digest } from "../core/digest.ts";
import { failureOf, MeshError } from "../core/error.ts";
import {
  Action,
  Command,
  Directory,
  type Platform,
} from "../wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import { fromDuration, fromWireDigest } from "../wire/reapi.ts";

/** Reads a blob whole; NOT_FOUND, RESOURCE_EXHAUSTED above `bytesMax`. */
export type ReadBlob = (digest: Digest, bytesMax: number) => Promise<Uint8Array>;

/** An action's messages. */
export interface ActionMessages {
  readonly action: Action;
  readonly command: Command;
  readonly inputRoot: Digest;
}

/** What may differ. */
export type DifferenceKind = "file" | "command" | "variable" | "platform" | "toolchain" | "option";

/** One thing that two actions have otherwise. */
export interface Difference {
  readonly kind: DifferenceKind;
  /** A sentence without its full stop, said of the later one. */
  readonly text: string;
}

/** All that was found. */
export interface Differences {
  readonly found: readonly Difference[];
  /** True where the trees differ in more than was looked at, or could not be read whole. */
  readonly partial: boolean;
}

/** Bounds of one comparison. */
export const compareBounds = {
  messageBytesMax: 4 << 20,
  directoryBytesMax: 16 << 20,
  /** Pairs of folders that are read. */
  foldersMax: 2000,
  /** Differences told. */
  foundMax: 100,
  /** Characters of a value that are shown. */
  valueChars: 200,
};

/** The messages of an action. NOT_FOUND where they are gone, INVALID_ARGUMENT for no action. */
export async function readActionMessages(read: ReadBlob, digest: Digest): Promise<ActionMessages> {
  const { messageBytesMax } = compareBounds;
  const fetch = async <T>(of: Digest, name: string, type: { decode(bytes: Uint8Array): T }) => {
    const bytes = await read(of, messageBytesMax).catch((error: unknown) => {
      if (failureOf(error).code !== "NOT_FOUND") throw error;
      const text = `The ${name} ${of.hash.slice(0, 12)} is not stored (any more): build it again.`;
      throw new MeshError("NOT_FOUND", text);
    });
    try {
      return type.decode(bytes);
    } catch (cause) {
      throw new MeshError("INVALID_ARGUMENT", `Blob ${of.hash} is no ${name}.`, { cause });
    }
  };
  const action = await fetch(digest, "Action", Action);
  const commandDigest = fromWireDigest(action.commandDigest, digest.fn, "Action.command_digest");
  const inputRoot = fromWireDigest(action.inputRootDigest, digest.fn, "Action.input_root_digest");
  return { action, command: await fetch(commandDigest, "Command", Command), inputRoot };
}

/** What `now` has otherwise than `before`. */
export async function compareActions(
  read: ReadBlob,
  before: ActionMessages,
  now: ActionMessages,
): Promise<Differences> {
  const said = (kind: DifferenceKind, texts: readonly string[]) =>
    texts.map((text) => ({ kind, text }));
  const walk = { read, found: [] as string[], folders: 0, partial: false };
  await compareFolders(walk, "", before.inputRoot, now.inputRoot);
  const found = [
    ...said("command", wordDifferences(before.command.arguments, now.command.arguments)),
    ...said("variable", variableDifferences(variablesOf(before), variablesOf(now))),
    ...said("platform", platformDifferences(platformOf(before), platformOf(now))),
    ...said("toolchain", toolchainDifferences(before, now)),
    ...said("option", optionDifferences(before, now)),
    ...said("file", walk.found),
  ];
  const { foundMax } = compareBounds;
  return { found: found.slice(0, foundMax), partial: walk.partial || found.length > foundMax };
}

/** What of a command line was added and removed; what was only moved is said otherwise. */
export function wordDifferences(last: readonly string[], now: readonly string[]): string[] {
  const parts = [
    ...without(now, last).map((word) => `${shown(word)} added`),
    ...without(last, now).map((word) => `${shown(word)} removed`),
  ];
  if (parts.length > 0) return [`its command changed: ${parts.join(", ")}`];
  const sameOrder = last.every((word, at) => word === now[at]);
  return sameOrder ? [] : ["its arguments are in another order"];
}

/** Which environment variables came, went and changed. */
export function variableDifferences(
  last: Readonly<Record<string, string>>,
  now: Readonly<Record<string, string>>,
): string[] {
  const reasons: string[] = [];
  for (const [name, value] of Object.entries(now)) {
    const before = last[name];
    if (before === undefined) reasons.push(`its environment has ${name}=${shown(value)} now`);
    else if (before !== value) reasons.push(`${name} was ${shown(before)} and is ${shown(value)}`);
  }
  for (const name of Object.keys(last)) {
    if (now[name] === undefined) reasons.push(`its environment has no ${name} any more`);
  }
  return reasons;
}

function shown(text: string): string {
  const { valueChars } = compareBounds;
  return text.length > valueChars ? `${text.slice(0, valueChars)}…` : text;
}

/** The words of `all` that `others` has not, or not so often. */
function without(all: readonly string[], others: readonly string[]): string[] {
  const left = new Map<string, number>();
  for (const word of others) left.set(word, (left.get(word) ?? 0) + 1);
  return all.filter((word) => {
    const count = left.get(word) ?? 0;
    left.set(word, count - 1);
    return count <= 0;
  });
}

function variablesOf({ command }: ActionMessages): Record<string, string> {
  return valuesOf(command.environmentVariables);
}

function platformOf({ action, command }: ActionMessages): Record<string, string> {
  const platform: Platform | undefined = action.platform ?? command.platform;
  return valuesOf(platform?.properties ?? []);
}

/** A name that stands twice keeps both values. */
function valuesOf(pairs: readonly { readonly name: string; readonly value: string }[]) {
  const values: Record<string, string> = Object.create(null);
  for (const { name, value } of pairs) {
    values[name] = values[name] === undefined ? value : `${values[name]}, ${value}`;
  }
  return values;
}

function platformDifferences(
  before: Readonly<Record<string, string>>,
  now: Readonly<Record<string, string>>,
): string[] {
  const names = new Set([...Object.keys(before), ...Object.keys(now)]);
  return [...names].flatMap((name) => {
    const [last, value] = [before[name], now[name]];
    if (last === value) return [];
    if (last === undefined) return [`its platform wants ${name}=${shown(value ?? "")} now`];
    if (value === undefined) return [`its platform wants no ${name} any more`];
    return [`its platform wants ${name}=${shown(value)}, before ${shown(last)}`];
  });
}

/** Our client names the tools by their content in the salt; others use it as they like. */
function toolchainDifferences(before: ActionMessages, now: ActionMessages): string[] {
  const same = Buffer.compare(before.action.salt, now.action.salt) === 0;
  return same ? [] : ["the tools it runs with changed (the action's salt)"];
}

function optionDifferences(before: ActionMessages, now: ActionMessages): string[] {
  const reasons: string[] = [];
  const outputs = ({ command }: ActionMessages) =>
    [...command.outputPaths, ...command.outputFiles, ...command.outputDirectories].sort().join(" ");
  if (outputs(before) !== outputs(now)) reasons.push("it declares other outputs");
  if (before.command.workingDirectory !== now.command.workingDirectory) {
    reasons.push("it runs in another folder");
  }
  const timeout = ({ action }: ActionMessages) => fromDuration(action.timeout) ?? 0;
  if (timeout(before) !== timeout(now)) {
    reasons.push(`its timeout was ${timeout(before)} ms and is ${timeout(now)} ms`);
  }
  if (before.action.doNotCache !== now.action.doNotCache) {
    reasons.push(now.action.doNotCache ? "it is not to be cached now" : "it may be cached now");
  }
  return reasons;
}

interface Walk {
  readonly read: ReadBlob;
  readonly found: string[];
  folders: number;
  partial: boolean;
}

/** Equal digests are equal trees, so that only what changed is read. */
async function compareFolders(walk: Walk, path: string, before: Digest, now: Digest) {
  if (before.hash === now.hash) return;
  walk.folders += 1;
  const { foundMax, foldersMax } = compareBounds;
  if (walk.folders > foldersMax || walk.found.length > foundMax) {
    walk.partial = true;
    return;
  }
  const [last, present] = [await readFolder(walk, before), await readFolder(walk, now)];
  if (last === undefined || present === undefined) {
    walk.partial = true;
    walk.found.push(`${path || "its input root"} changed (its folder is not stored any more)`);
    return;
  }
  const at = (name: string) => (path === "" ? name : `${path}/${name}`);
  compareEntries(walk, at, fileMarks(last), fileMarks(present));
  const olds = new Map(last.directories.map((folder) => [folder.name, folder]));
  for (const folder of present.directories) {
    const old = olds.get(folder.name);
    olds.delete(folder.name);
    if (old === undefined) walk.found.push(`${at(folder.name)}/ is a new folder`);
    else {
      const digest = (of: typeof folder) => fromWireDigest(of.digest, now.fn, at(of.name));
      await compareFolders(walk, at(folder.name), digest(old), digest(folder));
    }
  }
  for (const name of olds.keys()) walk.found.push(`${at(name)}/ is no input any more`);
}

/** What a file or symlink is, by name, as a text that differs where it does. */
function fileMarks({ files, symlinks }: Directory): Map<string, string> {
  return new Map([
    ...files.map((file) => [file.name, `${file.digest?.hash ?? ""} ${file.isExecutable}`] as const),
    ...symlinks.map((link) => [link.name, `→ ${link.target}`] as const),
  ]);
}

function compareEntries(
  { found }: Walk,
  at: (name: string) => string,
  before: Map<string, string>,
  now: Map<string, string>,
): void {
  for (const [name, mark] of now) {
    const last = before.get(name);
    if (last === undefined) found.push(`${at(name)} is a new input`);
    else if (last !== mark) found.push(`${at(name)} changed`);
  }
  for (const name of before.keys()) {
    if (!now.has(name)) found.push(`${at(name)} is no input any more`);
  }
}

async function readFolder({ read }: Walk, digest: Digest): Promise<Directory | undefined> {
  try {
    return Directory.decode(await read(digest, compareBounds.directoryBytesMax));
  } catch (error) {
    // Any blob may have been evicted, and what a client named may be no folder at all.
    if (failureOf(error).code === "UNAVAILABLE") throw error;
    return undefined;
  }
}
