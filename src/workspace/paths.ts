// Paths relative to the workspace, which is the empty path.

import { posix } from "node:path";

/** The folder a path is in; empty for the workspace. */
export function folderOf(path: string): string {
  return path.includes("/") ? path.slice(0, path.lastIndexOf("/")) : "";
}

/** The one way to write a path: `a//b/.` and `a/b/` are `a/b`, and `.` is empty. */
export function plainPath(path: string): string {
  const plain = posix.normalize(path).replace(/\/$/, "");
  return plain === "." ? "" : plain;
}
