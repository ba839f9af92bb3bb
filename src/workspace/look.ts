// What a file or folder looks like from outside: enough to tell, without reading it, that it is
// still the one that was read.

import { type BigIntStats, statSync } from "node:fs";

/** `size mtime ctime inode`, times in ns; `absent` where there is nothing. */
export type Look = string;

/** The look of what is not there. */
export const absent: Look = "-";

const settleMs = 2000;

/** Looks at a path, through symlinks. */
export function lookAt(path: string): Look {
  const stat = statOf(path);
  if (stat === undefined) return absent;
  return `${stat.size} ${stat.mtimeNs} ${stat.ctimeNs} ${stat.ino}`;
}

/** What is at a path, through symlinks; undefined where nothing can be had (loops, no right). */
export function statOf(path: string): BigIntStats | undefined {
  try {
    return statSync(path, { bigint: true, throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}

/**
 * Whether a look taken at `nowMs` stands for the content read after it. Not where the file had been
 * touched within the last two seconds ("racy clean", as in git): a later edit could hide in the
 * clock's grain.
 */
export function isSettled(look: Look, nowMs: number): boolean {
  if (look === absent) return true;
  const [, mtimeNs = "0", ctimeNs = "0"] = look.split(" ");
  return nowMs - Math.max(Number(mtimeNs), Number(ctimeNs)) / 1e6 > settleMs;
}
