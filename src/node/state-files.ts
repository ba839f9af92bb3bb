// Small files that a node keeps between runs: written whole or not at all, and read with suspicion,
// because disks and people damage files.

import { randomUUID } from "node:crypto";
import {
  closeSync,
  fsyncSync,
  linkSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { isErrno } from "../cas/disk-files.ts";
import { MeshError } from "../core/error.ts";

/** Bound: bytes of one file. */
const fileBytesMax = 16 << 20;

/** Replaces a file at once and for good, readable by its owner alone. */
export function writeWhole(path: string, bytes: Uint8Array | string): void {
  const draft = `${path}.${randomUUID()}`;
  try {
    const file = openSync(draft, "wx", 0o600);
    try {
      const content = Buffer.from(bytes);
      for (let at = 0; at < content.length; ) at += writeSync(file, content, at);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(draft, path);
  } catch (error) {
    rmSync(draft, { force: true });
    throw error;
  }
}

/**
 * Writes a file that is not there yet, whole from the first moment that anybody sees it. False,
 * and nothing written, where there is one; other errors of the file system are thrown.
 */
export function writeFirst(path: string, bytes: Uint8Array | string): boolean {
  const draft = `${path}.${randomUUID()}`;
  writeWhole(draft, bytes);
  try {
    return linkIfNew(draft, path);
  } finally {
    rmSync(draft, { force: true });
  }
}

/** Gives a file one more name; false where that name is taken. */
export function linkIfNew(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if (isErrno(error, "EEXIST")) return false;
    throw error;
  }
}

/** A file's bytes; undefined where there is none. */
export function readWhole(path: string): Uint8Array | undefined {
  try {
    return readFileSync(path);
  } catch (cause) {
    if (cause instanceof Error && "code" in cause && cause.code === "ENOENT") return undefined;
    throw new MeshError("FAILED_PRECONDITION", `${path} cannot be read: ${String(cause)}`, {
      cause,
    });
  }
}

/** Writes a value that `readJson` reads. */
export function writeJson(path: string, value: unknown): void {
  writeWhole(path, `${JSON.stringify(value, null, 1)}\n`);
}

/**
 * What a file holds, as `parse` understands it; undefined where there is none. DATA_LOSS names a
 * file that makes no sense and says what `remedy` says.
 */
export function readJson<T>(
  path: string,
  parse: (value: Fields) => T,
  remedy: string,
): T | undefined {
  const bytes = readWhole(path);
  if (bytes === undefined) return undefined;
  try {
    if (bytes.length > fileBytesMax) throw new Error("it is too long");
    return parse(fieldsOf(JSON.parse(Buffer.from(bytes).toString())));
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new MeshError("DATA_LOSS", `${path} is damaged (${why}). ${remedy}`, { cause });
  }
}

/** An object of a file, field by field; each reader throws with the name of a wrong field. */
export interface Fields {
  text(name: string): string;
  number(name: string): number;
  flag(name: string): boolean;
  /** Base64. */
  bytes(name: string): Uint8Array;
  texts(name: string): string[];
  list(name: string): Fields[];
}

function fieldsOf(value: unknown): Fields {
  if (typeof value !== "object" || value === null) throw new Error("an object is missing");
  const fields = new Map<string, unknown>(Object.entries(value));
  const text = (name: string) => asText(fields.get(name), name);
  const list = (name: string): unknown[] => {
    const found = fields.get(name);
    if (Array.isArray(found)) return found;
    throw wrong(name);
  };
  return {
    text,
    number: (name) => {
      const found = fields.get(name);
      if (typeof found === "number" && Number.isFinite(found)) return found;
      throw wrong(name);
    },
    flag: (name) => {
      const found = fields.get(name);
      if (typeof found === "boolean") return found;
      throw wrong(name);
    },
    bytes: (name) => {
      const encoded = text(name);
      if (!/^[A-Za-z0-9+/]*={0,2}$/.test(encoded)) throw wrong(name);
      return Buffer.from(encoded, "base64");
    },
    texts: (name) => list(name).map((item) => asText(item, name)),
    list: (name) => list(name).map(fieldsOf),
  };
}

function asText(value: unknown, name: string): string {
  if (typeof value === "string") return value;
  throw wrong(name);
}

function wrong(name: string): Error {
  return new Error(`"${name}" is missing or wrong`);
}

/** Bytes as `Fields.bytes` reads them. */
export function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64");
}
