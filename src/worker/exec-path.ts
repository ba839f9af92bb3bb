// Paths inside an action's exec root: every one comes from outside and is read with suspicion.

import { chmodSync, lstatSync, type Stats } from "node:fs";
import { join } from "node:path";
import { MeshError } from "../core/error.ts";

/**
 * Normalises a relative path of a Command (`./a//b/.` → `a/b`; the exec root itself is ``).
 * INVALID_ARGUMENT for absolute paths, NUL bytes and anything that climbs out of the exec root.
 */
export function normalizeExecPath(path: string, field: string): string {
  if (path.includes("\0")) throw invalid(field, path, "holds a NUL byte");
  if (path.startsWith("/")) throw invalid(field, path, "is absolute");
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "" || part === ".") continue;
    if (part !== "..") {
      parts.push(part);
    } else if (parts.pop() === undefined) {
      throw invalid(field, path, "leaves the exec root");
    }
  }
  return parts.join("/");
}

/**
 * The host path of `path` below `root`, or undefined where it does not exist or where a folder on
 * the way is not a real folder. An action may plant a symlink to anywhere as a parent of its
 * output, so parents are never followed. Folders that the action closed are opened again.
 */
export async function findInside(root: string, path: string): Promise<string | undefined> {
  const parts = path === "" ? [] : path.split("/");
  let current = root;
  for (const [index, part] of parts.entries()) {
    const parent = current;
    current = join(current, part);
    const found = statOrNothing(current, parent);
    if (found === undefined) return undefined;
    if (index < parts.length - 1 && !found.isDirectory()) return undefined;
  }
  return current;
}

/**
 * Calls `read`, and where permission is denied once more after `owned` got the permissions `mode`.
 * `owned` must be a file or folder of the action's own: never a link into the store.
 */
export function opening<T>(owned: string, mode: number, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!isErrno(error, "EACCES")) throw error;
    chmodSync(owned, mode);
    return read();
  }
}

/** True for a system error with this name. */
export function isErrno(error: unknown, ...names: readonly string[]): boolean {
  return error instanceof Error && "code" in error && names.includes(String(error.code));
}

function statOrNothing(path: string, parent: string): Stats | undefined {
  try {
    return opening(parent, 0o700, () => lstatSync(path, { throwIfNoEntry: false }));
  } catch (error) {
    // A name that the file system cannot hold, or a folder that is not ours to open.
    if (isErrno(error, "ENAMETOOLONG", "EACCES", "EPERM", "ENOTDIR", "ELOOP")) return undefined;
    throw error;
  }
}

function invalid(field: string, path: string, why: string): MeshError {
  return new MeshError("INVALID_ARGUMENT", `${field} ${JSON.stringify(path)} ${why}.`);
}
