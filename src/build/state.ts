// What a build remembers for the next one: file digests by look, results by action. A build without
// a change never reads it (see unchanged.ts).
//
// The file has two lines: the format with a checksum of the rest, and the rest. A file that was cut
// short, altered or written by another version reads as empty: everything is looked at anew.

import { createHash } from "node:crypto";
import {
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join, resolve } from "node:path";
import type { Digest } from "../core/digest.ts";
import { MeshError, wrap } from "../core/error.ts";
import { isSettled, type Look, lookAt } from "../workspace/look.ts";
import type { MadeFile } from "./prepared-action.ts";
import type { Seen } from "./unchanged.ts";

/** A result of an action, as the last build that needed it saw it. */
export interface KeptResult {
  /** An encoded ActionResult. */
  readonly bytes: Uint8Array;
  /** Unix ms. */
  readonly storedAtMs: number;
  /** What it made, where the result alone does not tell (output folders). */
  readonly made: readonly MadeFile[] | undefined;
}

/** The state of one workspace. Paths are relative to it, or absolute. */
export interface BuildState {
  /** The digest of a file, read only if its look is new. NOT_FOUND where it cannot be read. */
  digestOf(path: string): Digest;
  /** What `find` finds in a file's text, remembered like its digest. NOT_FOUND as there. */
  findings(path: string, find: (text: string) => readonly string[]): readonly string[];
  /** How a file was when this build read it; undefined where it did not. */
  seen(path: string): Seen | undefined;
  /** Whether a file was touched since this build read it. */
  hasChanged(path: string): boolean;
  result(actionKey: string): KeptResult | undefined;
  keepResult(actionKey: string, result: KeptResult): void;
  dropResult(actionKey: string): void;
  /** Writes the state, whole or not at all. */
  save(): void;
}

/** Where the state is, below the workspace. */
export const stateFile = ".builder/state";

const format = "builder-state 4";
/** Bounds: the oldest go. */
const bounds = { files: 500_000, results: 100_000 };
const chunkBytes = 1 << 20;

interface FileRecord {
  readonly look: Look;
  readonly hash: string;
  readonly size: number;
  readonly findings?: readonly string[];
}

interface StoredResult {
  readonly bytes: string;
  readonly storedAtMs: number;
  readonly made?: readonly MadeFile[];
}

/** Opens the state of a workspace. */
export function openState(root: string, now: () => number): BuildState {
  const file = (path: string) => resolve(root, path);
  let parsed: { files: Map<string, FileRecord>; results: Map<string, StoredResult> } | undefined;
  const fresh = new Map<string, FileRecord & { readonly settled: boolean }>();

  function rest() {
    if (parsed !== undefined) return parsed;
    const value = parse(readBody(join(root, stateFile)));
    parsed = {
      files: recordsOf(field(value, "files"), isFileRecord),
      results: recordsOf(field(value, "results"), isStoredResult),
    };
    return parsed;
  }

  function fileRecord(path: string, find?: (text: string) => readonly string[]): FileRecord {
    const known = fresh.get(path);
    if (known !== undefined && (find === undefined || known.findings !== undefined)) return known;
    const look = lookAt(file(path));
    const old = rest().files.get(path);
    const good = old?.look === look && (find === undefined || old.findings !== undefined);
    const read = good ? old : { look, ...readFile(file(path), path, find) };
    const record = { ...read, settled: good || isSettled(look, now()) };
    // A second read must not change what this build has already used.
    if (known !== undefined && known.hash !== record.hash) throw changed(path);
    fresh.set(path, record);
    return record;
  }

  return {
    digestOf: (path) => {
      const { hash, size } = fileRecord(path);
      return { fn: "sha256", hash, sizeBytes: size };
    },
    findings: (path, find) => fileRecord(path, find).findings ?? [],
    seen: (path) => {
      const used = fresh.get(path);
      if (used === undefined) return undefined;
      const { look, hash, settled } = used;
      return settled ? { path, look } : { path, look, hash };
    },
    hasChanged: (path) => {
      const used = fresh.get(path);
      return used !== undefined && used.look !== lookAt(file(path));
    },
    result: (key) => {
      const found = rest().results.get(key);
      if (found === undefined) return undefined;
      const { bytes, storedAtMs, made } = found;
      return { bytes: Buffer.from(bytes, "base64"), storedAtMs, made };
    },
    keepResult: (key, { bytes, storedAtMs, made }) => {
      const stored = { bytes: Buffer.from(bytes).toString("base64"), storedAtMs };
      renew(rest().results, key, made === undefined ? stored : { ...stored, made });
    },
    dropResult: (key) => {
      rest().results.delete(key);
    },
    save: () => {
      const { files, results } = rest();
      for (const [path, { settled, ...record }] of fresh) {
        if (settled) renew(files, path, record);
        else files.delete(path);
      }
      write(
        join(root, stateFile),
        JSON.stringify({
          files: newest(files, bounds.files),
          results: newest(results, bounds.results),
        }),
      );
    },
  };
}

/** Puts a value last, where the newest are. */
function renew<T>(map: Map<string, T>, key: string, value: T): void {
  map.delete(key);
  map.set(key, value);
}

function newest<T>(map: ReadonlyMap<string, T>, count: number): readonly (readonly [string, T])[] {
  return [...map].slice(-count);
}

function readFile(
  file: string,
  path: string,
  find: ((text: string) => readonly string[]) | undefined,
): Omit<FileRecord, "look"> {
  try {
    if (find === undefined) return hashFile(file);
    const bytes = readFileSync(file);
    const hash = createHash("sha256").update(bytes).digest("hex");
    return { hash, size: bytes.length, findings: find(bytes.toString("utf8")) };
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new MeshError("NOT_FOUND", `${path} cannot be read (${why}).`, { cause });
  }
}

/** One for all files: making a new one takes longer than reading a source. */
let readBuffer: Buffer | undefined;

/** In pieces: an input may be larger than memory. */
function hashFile(file: string): Omit<FileRecord, "look"> {
  const hash = createHash("sha256");
  readBuffer ??= Buffer.allocUnsafe(chunkBytes);
  const buffer = readBuffer;
  const handle = openSync(file, "r");
  try {
    let size = 0;
    for (let n = readSync(handle, buffer); n > 0; n = readSync(handle, buffer)) {
      hash.update(buffer.subarray(0, n));
      size += n;
    }
    return { hash: hash.digest("hex"), size };
  } finally {
    closeSync(handle);
  }
}

function changed(path: string): MeshError {
  return new MeshError("ABORTED", `${path} was changed while it was being built. Build again.`);
}

function write(path: string, rest: string): void {
  const body = `${rest}\n`;
  const draft = `${path}.${process.pid}`;
  try {
    mkdirSync(dirname(path), { recursive: true });
    try {
      writeFileSync(draft, `${format} ${checksum(body)}\n${body}`);
      renameSync(draft, path);
    } catch (error) {
      rmSync(draft, { force: true });
      throw error;
    }
  } catch (error) {
    throw wrap(error, `While writing ${path}`);
  }
}

function checksum(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

function readBody(path: string): string {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch {
    return "";
  }
  const head = text.indexOf("\n");
  const body = text.slice(head + 1);
  return head >= 0 && text.slice(0, head) === `${format} ${checksum(body)}` ? body : "";
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Pairs of a name and a record; whatever is not of the right shape is left out. */
function recordsOf<T>(value: unknown, is: (record: unknown) => record is T): Map<string, T> {
  const records = new Map<string, T>();
  for (const pair of Array.isArray(value) ? value : []) {
    const [name, record]: unknown[] = Array.isArray(pair) ? pair : [];
    if (typeof name === "string" && is(record)) records.set(name, record);
  }
  return records;
}

function field(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined;
}

function isFileRecord(value: unknown): value is FileRecord {
  const findings = field(value, "findings");
  return (
    typeof field(value, "look") === "string" &&
    typeof field(value, "hash") === "string" &&
    typeof field(value, "size") === "number" &&
    (findings === undefined || Array.isArray(findings))
  );
}

function isStoredResult(value: unknown): value is StoredResult {
  const made = field(value, "made");
  return (
    typeof field(value, "bytes") === "string" &&
    typeof field(value, "storedAtMs") === "number" &&
    (made === undefined || Array.isArray(made))
  );
}
