// What a build remembers for the next one: file digests by stat, results by action, and for each
// set of targets everything whose change would make the answer differ.
//
// A stat is trusted only if the file had not been touched within two seconds before it was taken
// ("racy clean", as in git): a later edit could otherwise hide in the clock's grain.

import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Digest } from "../core/digest.ts";

/** What a file looked like: `size mtime ctime inode`, or `-` where there was none. */
export type Look = string;

interface FileRecord {
  readonly look: Look;
  readonly hash: string;
  readonly size: number;
  /** True where the digest may be trusted for the same look. */
  readonly settled: boolean;
}

/** A finished build of a set of targets. */
export interface BuildRecord {
  /** Unix ms. */
  readonly storedAtMs: number;
  /** Path → look of every file and folder the answer depends on, outputs included. */
  readonly looks: Readonly<Record<string, Look>>;
}

interface StateFile {
  readonly version: number;
  readonly files: Record<string, FileRecord>;
  readonly results: Record<string, { readonly bytes: string; readonly storedAtMs: number }>;
  readonly builds: Record<string, BuildRecord>;
}

/** The state of one workspace. */
export interface BuildState {
  /** The digest of a workspace file, read only if its look is new. Throws ENOENT. */
  digestOf(path: string): Digest;
  look(path: string): Look;
  /** The look that the digest used in this build was read under; undefined where it is too new. */
  settledLook(path: string): Look | undefined;
  result(
    actionKey: string,
  ): { readonly bytes: Uint8Array; readonly storedAtMs: number } | undefined;
  keepResult(actionKey: string, bytes: Uint8Array, storedAtMs: number): void;
  dropResult(actionKey: string): void;
  /** Forgets every result: what they name is gone from the store. */
  dropResults(): void;
  build(key: string): BuildRecord | undefined;
  keepBuild(key: string, record: BuildRecord): void;
  /** Writes the state atomically; results that no build used lately go. */
  save(): void;
}

const version = 1;
const settleMs = 2000;
/** Bound: remembered results; the oldest go. */
const resultsMax = 100_000;
/** Where the state is, below the workspace. */
export const stateFile = ".builder/state.json";

/** Reads the state of a workspace; a damaged or foreign file reads as empty. */
export function openState(root: string, now: () => number): BuildState {
  const state = read(join(root, stateFile));
  const fresh = new Map<string, FileRecord>();

  function look(path: string): Look {
    const stat = statSync(join(root, path), { bigint: true, throwIfNoEntry: false });
    if (stat === undefined) return "-";
    return `${stat.size} ${stat.mtimeNs} ${stat.ctimeNs} ${stat.ino}`;
  }

  return {
    look,
    settledLook: (path) => {
      const used = fresh.get(path);
      return used?.settled ? used.look : undefined;
    },
    digestOf: (path) => {
      const known = fresh.get(path);
      if (known !== undefined) return toDigest(known);
      const seen = look(path);
      const old = state.files[path];
      const record = old?.look === seen && old.settled ? old : hashFile(root, path, seen, now());
      fresh.set(path, record);
      return toDigest(record);
    },
    result: (key) => {
      const found = state.results[key];
      return found && { bytes: Buffer.from(found.bytes, "base64"), storedAtMs: found.storedAtMs };
    },
    keepResult: (key, bytes, storedAtMs) => {
      delete state.results[key];
      state.results[key] = { bytes: Buffer.from(bytes).toString("base64"), storedAtMs };
    },
    dropResult: (key) => {
      delete state.results[key];
    },
    dropResults: () => {
      for (const key of Object.keys(state.results)) delete state.results[key];
    },
    build: (key) => state.builds[key],
    keepBuild: (key, record) => {
      state.builds[key] = record;
    },
    save: () => {
      for (const [path, record] of fresh) state.files[path] = record;
      const results = Object.entries(state.results).slice(-resultsMax);
      const text = JSON.stringify({ ...state, results: Object.fromEntries(results) });
      const path = join(root, stateFile);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(`${path}.${process.pid}`, text);
      renameSync(`${path}.${process.pid}`, path);
    },
  };
}

function toDigest({ hash, size }: FileRecord): Digest {
  return { fn: "sha256", hash, sizeBytes: size };
}

function hashFile(root: string, path: string, look: Look, nowMs: number): FileRecord {
  const bytes = readFileSync(join(root, path));
  const hash = createHash("sha256").update(bytes).digest("hex");
  const [, mtimeNs = "0", ctimeNs = "0"] = look.split(" ");
  const touchedMs = Math.max(Number(mtimeNs), Number(ctimeNs)) / 1e6;
  return { look, hash, size: bytes.length, settled: nowMs - touchedMs > settleMs };
}

function read(path: string): StateFile {
  const empty: StateFile = { version, files: {}, results: {}, builds: {} };
  try {
    const found: unknown = JSON.parse(readFileSync(path, "utf8"));
    return isState(found) ? found : empty;
  } catch {
    // Absent or cut short: everything is looked at anew.
    return empty;
  }
}

function isState(value: unknown): value is StateFile {
  if (typeof value !== "object" || value === null) return false;
  if (!("version" in value) || value.version !== version) return false;
  return ["files", "results", "builds"].every((key) => {
    const part: unknown = Object.entries(value).find(([name]) => name === key)?.[1];
    return typeof part === "object" && part !== null;
  });
}
