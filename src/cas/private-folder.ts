// Folders of a store are their owner's: sources, results and keys are no business of the machine's
// other accounts. What runs in a sandbox sees its files by mounts, whatever is above them allows.

import * as fs from "node:fs";
import { join } from "node:path";

/** Folders of a store that hold content, or keys, or what actions are working on. */
const privateFolders = ["blobs", "index", "tmp", "open", "scratch", "assets", "mesh"];
/** What a group and others may do, of a mode. */
const othersMask = 0o077;

/**
 * Makes a folder that only its owner may enter. One that is there and more open is closed, where it
 * is ours and its file system has modes; `openFolders` tells of the rest.
 */
export function makePrivate(folder: string): void {
  fs.mkdirSync(folder, { recursive: true, mode: 0o700 });
  const { mode, uid } = fs.statSync(folder);
  if ((mode & othersMask) === 0 || uid !== process.geteuid?.()) return;
  try {
    fs.chmodSync(folder, 0o700);
  } catch {
    // Said by who is asked what is wrong; content that is readable is no reason to refuse work.
  }
}

/** The folders of a store that other accounts may enter, by their paths. */
export function openFolders(store: string): string[] {
  if (process.geteuid === undefined || !isOpen(store)) return [];
  return privateFolders.map((name) => join(store, name)).filter(isOpen);
}

function isOpen(folder: string): boolean {
  const found = fs.statSync(folder, { throwIfNoEntry: false });
  return found !== undefined && (found.mode & othersMask) !== 0;
}
