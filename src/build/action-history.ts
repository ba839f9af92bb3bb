// What actions were made of when they last ran: by it `bldr why` says what has changed since, and a
// build how long actions of a kind take. Only explanations and estimates come from here; what has
// to run is decided without it, so a lost or damaged history costs nothing but words.
//
// `.builder/history` has one line of JSON a build, with the actions that ran in it; the newest line
// that names an action counts. `.builder/durations` is one small object, read by every build.

import {
  appendFileSync,
  mkdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import type { BuildAction } from "../rules/build-action.ts";

/** An action as it last ran. */
export interface ActionRecord {
  readonly id: string;
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly workingDirectory: string;
  /** Limits and network, as one text. */
  readonly hermetic: string;
  /** Names the tools that it ran with, by their content; "" where that was not noted. */
  readonly tools: string;
  /** The platform that it wanted. */
  readonly platform: string;
  /** It failed, so that nobody kept its result. */
  readonly failed: boolean;
  /** Path → the beginning of its digest, enough to see a change. */
  readonly hashByPath: Readonly<Record<string, string>>;
}

/** The history of one workspace, for one build. */
export interface ActionHistory {
  /** Mean time of actions of a kind in ms; undefined where none has run yet. */
  expectedMs(mnemonic: string): number | undefined;
  /** Remembers an action that ran, and how long it took; `ms` is undefined for a cache hit. */
  add(record: ActionRecord, mnemonic: string, ms: number | undefined): void;
  /** Writes what was added. Never throws: a build does not fail for want of explanations. */
  save(): void;
}

const historyFile = ".builder/history";
const durationsFile = ".builder/durations";
/** Bounds: above the first the file is rewritten with the newest of each action. */
const bounds = { bytes: 32 << 20, actions: 200_000, kinds: 1000 };
/** Enough of a hash to tell two contents of one path apart. */
const hashChars = 16;
/** Weight of the newest duration in the mean: some ten actions back still count. */
const newestWeight = 0.1;

interface Block {
  readonly files: readonly (readonly [string, string])[];
  readonly actions: readonly {
    readonly id: string;
    readonly argv: readonly string[];
    readonly env: Readonly<Record<string, string>>;
    readonly workingDirectory: string;
    readonly hermetic: string;
    /** These three: undefined in a history that is older than they. */
    readonly tools?: string;
    readonly platform?: string;
    readonly failed?: boolean;
    /** Places in `files`. */
    readonly inputs: readonly number[];
  }[];
}

/** An action with its inputs, as the history keeps it. */
export function recordOfAction(
  build: BuildAction,
  salt: Uint8Array,
  inputs: Iterable<{ readonly path: string; readonly hash: string }>,
): ActionRecord {
  const { id, argv, env, workingDirectory, hermetic, toolchain } = build;
  const limits = JSON.stringify({ ...hermetic, toolchain });
  const hashByPath: Record<string, string> = {};
  for (const { path, hash } of inputs) hashByPath[path] = hash.slice(0, hashChars);
  return {
    ...{ id, argv, env, workingDirectory, hermetic: limits, hashByPath },
    tools: Buffer.from(salt).toString("base64url"),
    platform: `${process.platform} ${process.arch}`,
    failed: false,
  };
}

/** Opens the history of a workspace; only the durations are read. */
export function openHistory(root: string): ActionHistory {
  let meanByKind: Map<string, number> | undefined;
  const means = () => {
    meanByKind ??= readDurations(join(root, durationsFile));
    return meanByKind;
  };
  const added = new Map<string, ActionRecord>();
  return {
    expectedMs: (mnemonic) => means().get(mnemonic),
    add: (record, mnemonic, ms) => {
      added.set(record.id, record);
      if (ms === undefined) return;
      const mean = means().get(mnemonic) ?? ms;
      means().set(mnemonic, mean + newestWeight * (ms - mean));
    },
    save: () => {
      if (added.size === 0) return;
      try {
        append(join(root, historyFile), added);
        const kinds = Object.fromEntries([...means()].slice(-bounds.kinds));
        replace(join(root, durationsFile), JSON.stringify(kinds));
      } catch {
        // The next build will have something to say again.
      }
    },
  };
}

/** Every remembered action by its id. */
export function readHistory(root: string): ReadonlyMap<string, ActionRecord> {
  return readBlocks(join(root, historyFile));
}

function append(path: string, added: ReadonlyMap<string, ActionRecord>): void {
  mkdirSync(dirname(path), { recursive: true });
  // The newline comes first: a line that was cut short must not spoil the next.
  const line = `\n${JSON.stringify(blockOf(added.values()))}`;
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  if (size + line.length <= bounds.bytes) {
    appendFileSync(path, line);
    return;
  }
  const all = new Map([...readBlocks(path), ...added]);
  const kept = [...all.values()].slice(-bounds.actions);
  replace(path, JSON.stringify(blockOf(kept)));
}

function replace(path: string, text: string): void {
  const draft = `${path}.${process.pid}`;
  writeFileSync(draft, text);
  renameSync(draft, path);
}

/** A header that a thousand sources include is named once. */
function blockOf(records: Iterable<ActionRecord>): Block {
  const places = new Map<string, number>();
  const files: (readonly [string, string])[] = [];
  const placeOf = (path: string, hash: string) => {
    const key = `${hash} ${path}`;
    const known = places.get(key);
    if (known !== undefined) return known;
    places.set(key, files.length);
    return files.push([path, hash]) - 1;
  };
  const actions = [...records].map(({ hashByPath, ...rest }) => ({
    ...rest,
    inputs: Object.entries(hashByPath).map(([path, hash]) => placeOf(path, hash)),
  }));
  return { files, actions };
}

function readBlocks(path: string): Map<string, ActionRecord> {
  const records = new Map<string, ActionRecord>();
  for (const line of readText(path).split("\n")) {
    const block = parse(line);
    if (!isBlock(block)) continue;
    for (const { inputs, ...rest } of block.actions) {
      const hashByPath = Object.fromEntries(inputs.flatMap((at) => [block.files[at] ?? []]));
      // The newest is last, and moves there.
      records.delete(rest.id);
      const { tools = "", platform = "", failed = false } = rest;
      records.set(rest.id, { ...rest, tools, platform, failed, hashByPath });
    }
  }
  return records;
}

function readDurations(path: string): Map<string, number> {
  const value = parse(readText(path));
  const means = new Map<string, number>();
  if (typeof value !== "object" || value === null) return means;
  for (const [kind, mean] of Object.entries(value)) {
    if (typeof mean === "number" && mean >= 0) means.set(kind, mean);
  }
  return means;
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isBlock(value: unknown): value is Block {
  const files = field(value, "files");
  const actions = field(value, "actions");
  return (
    Array.isArray(files) &&
    files.every((file) => isTexts(file) && file.length === 2) &&
    Array.isArray(actions) &&
    actions.every(isStoredAction)
  );
}

function isStoredAction(value: unknown): boolean {
  const env = field(value, "env");
  const inputs = field(value, "inputs");
  return (
    ["id", "workingDirectory", "hermetic"].every(
      (name) => typeof field(value, name) === "string",
    ) &&
    ["tools", "platform"].every((name) => isMissingOr("string", field(value, name))) &&
    isMissingOr("boolean", field(value, "failed")) &&
    isTexts(field(value, "argv")) &&
    typeof env === "object" &&
    env !== null &&
    isTexts(Object.values(env)) &&
    Array.isArray(inputs) &&
    inputs.every((at) => typeof at === "number")
  );
}

function isMissingOr(type: "string" | "boolean", value: unknown): boolean {
  return value === undefined || typeof value === type;
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((one) => typeof one === "string");
}

function field(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined;
}
