// Directory messages from outside: every rule of REAPI's Directory is checked here, once, so that
// past this file a name is a name that a file system takes and two machines read the same.

import { MeshError } from "../core/error.ts";
import { encodeBytes } from "../wire/encode.ts";
import {
  Directory,
  type NodeProperties,
} from "../wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import type { Timestamp } from "../wire/gen/google/protobuf/timestamp.ts";

/** What a client wants kept of a node besides its bytes (REAPI, NodeProperties). */
export interface NodeTraits {
  /** Permission bits; undefined where the node has none of its own. */
  readonly unixMode: number | undefined;
  /** Last modification; kept to the microsecond. */
  readonly mtime: Timestamp | undefined;
}

/** Bound: bytes of one name on every Linux file system. */
const nameBytesMax = 255;
/** Bound: bytes of a symlink's target (PATH_MAX without the NUL). */
const targetBytesMax = 4095;

/**
 * Decodes the Directory at `path` of a tree and checks it. INVALID_ARGUMENT names the place for
 * bytes that are no Directory, names that are not plain, not UTF-8, unsorted or used twice.
 */
export function decodeDirectory(bytes: Uint8Array, path: string): Directory {
  let directory: Directory;
  try {
    directory = Directory.decode(bytes);
  } catch (cause) {
    throw new MeshError("INVALID_ARGUMENT", `Folder ${quote(path)} is no Directory message.`, {
      cause,
    });
  }
  checkDirectory(directory, path);
  // The decoder puts U+FFFD for what is not UTF-8; only those bytes then encode to others.
  if (holdsReplacement(directory) && !sameBytes(encodeBytes(Directory, directory), bytes)) {
    throw new MeshError(
      "INVALID_ARGUMENT",
      `Folder ${quote(path)} holds a name that is not UTF-8. Rename the file.`,
    );
  }
  return directory;
}

/** The checks of `decodeDirectory` on a message that was part of another. */
export function checkDirectory(directory: Directory, path: string): void {
  const prefix = path === "" ? "" : `${path}/`;
  const used = new Set<string>();
  for (const list of [directory.files, directory.directories, directory.symlinks]) {
    let previous = "";
    for (const { name } of list) {
      if (!isPlainName(name)) throw badNode(prefix + name, "name");
      if (used.has(name)) {
        throw new MeshError("INVALID_ARGUMENT", `The tree holds ${quote(prefix + name)} twice.`);
      }
      // Clients in Java and JavaScript sort by UTF-16, which differs beyond the basic plane only.
      if (name < previous && compareNames(name, previous) < 0) {
        throw unsorted(path, previous, name);
      }
      used.add(name);
      previous = name;
    }
  }
  for (const { name, target } of directory.symlinks) {
    const plain = target !== "" && !target.includes("\0");
    if (!plain || Buffer.byteLength(target) > targetBytesMax)
      throw badNode(prefix + name, "target");
  }
}

/** Orders names by their UTF-8 bytes, as REAPI sorts, without encoding them. */
export function compareNames(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let at = 0; at < length; at += 1) {
    const left = a.charCodeAt(at);
    const right = b.charCodeAt(at);
    if (left !== right) return rank(left) - rank(right);
  }
  return a.length - b.length;
}

/** Reads a node's properties. INVALID_ARGUMENT for a time that is none; others are ignored. */
export function traitsOf(
  properties: NodeProperties | undefined,
  path: string,
): NodeTraits | undefined {
  const mtime = properties?.mtime;
  const unixMode = properties?.unixMode;
  if (mtime === undefined && unixMode === undefined) return undefined;
  const isTime = mtime === undefined || (mtime.nanos >= 0 && mtime.nanos < 1e9);
  if (!isTime || Math.abs(mtime?.seconds ?? 0) > secondsMax) throw badNode(path, "mtime");
  return { unixMode, mtime };
}

/** The way back; undefined for undefined. */
export function toNodeProperties(traits: NodeTraits | undefined): NodeProperties | undefined {
  return traits && { properties: [], mtime: traits.mtime, unixMode: traits.unixMode };
}

/** Bound: the year 9999, where Timestamps end. */
const secondsMax = 253_402_300_799;

/** Surrogates stand for characters above U+FFFF and so sort after everything below. */
function rank(unit: number): number {
  if (unit < 0xd800) return unit;
  return unit < 0xe000 ? unit + 0x2000 : unit - 0x800;
}

function isPlainName(name: string): boolean {
  if (name === "" || name === "." || name === ".." || name.length > nameBytesMax) return false;
  // Most names are short enough to need no counting: a unit takes three bytes at most.
  if (name.length * 3 > nameBytesMax && Buffer.byteLength(name) > nameBytesMax) return false;
  return !name.includes("/") && !name.includes("\0");
}

function holdsReplacement({ files, directories, symlinks }: Directory): boolean {
  return (
    files.some(({ name }) => name.includes("\ufffd")) ||
    directories.some(({ name }) => name.includes("\ufffd")) ||
    symlinks.some(({ name, target }) => name.includes("\ufffd") || target.includes("\ufffd"))
  );
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

function unsorted(path: string, before: string, after: string): MeshError {
  return new MeshError(
    "INVALID_ARGUMENT",
    `Folder ${quote(path)} is not sorted: ${quote(before)} stands before ${quote(after)}. ` +
      "Sort the names by their bytes.",
  );
}

function badNode(path: string, what: string): MeshError {
  return new MeshError("INVALID_ARGUMENT", `The tree holds a forbidden ${what} at ${quote(path)}.`);
}

function quote(path: string): string {
  return JSON.stringify(path.slice(0, 200));
}
