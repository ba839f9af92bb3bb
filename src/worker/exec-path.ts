// Paths inside an action's exec root: every one comes from outside and is read with suspicion.

import { lstat } from "node:fs/promises";
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
 * output, so parents are never followed.
 */
export async function findInside(root: string, path: string): Promise<string | undefined> {
  const parts = path === "" ? [] : path.split("/");
  let current = root;
  for (const [index, part] of parts.entries()) {
    current = join(current, part);
    const found = await lstat(current).catch(() => undefined);
    if (found === undefined) return undefined;
    if (index < parts.length - 1 && !found.isDirectory()) return undefined;
  }
  return current;
}

function invalid(field: string, path: string, why: string): MeshError {
  return new MeshError("INVALID_ARGUMENT", `${field} ${JSON.stringify(path)} ${why}.`);
}
