// The folders that actions run in: one each, named after the process that made it, emptied whatever
// the action did to it, swept at start-up where their maker was killed.
//
// A folder is used again, together with output files that stayed empty: making and removing inodes
// takes longer than all else a small action does on disk (ext4 looks past every inode freed
// lately).

import { randomUUID } from "node:crypto";
import { existsSync, lstatSync, mkdirSync, readdirSync, rmdirSync, unlinkSync } from "node:fs";
import { chmod, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { createTurns } from "./turns.ts";

/** The scratch folders of one worker. */
export interface ScratchPool {
  /** A folder closed to other users, empty but for `stdout` and `stderr` of no bytes, perhaps. */
  take(): string;
  /** Takes a folder back. Nothing of the action that used it stays. */
  give(folder: string): Promise<void>;
  /** Removes the folders that wait. */
  close(): Promise<void>;
}

/** Bound: folders that wait to be used again. */
const idleMax = 64;
/** What may stay in a folder: as the sandbox makes them. */
const keptFiles = ["stdout", "stderr"];
const keptMode = 0o100644;
/** Well below what the kernel takes in one path (4096), names of 255 bytes on top. */
const pathBytesMax = 2048;
const slash = Buffer.from("/");

/** Makes folders below `base`. */
export function createScratchPool(base: string): ScratchPool {
  const idle: string[] = [];
  return {
    take: () => {
      const known = idle.pop();
      if (known !== undefined && existsSync(known)) return known;
      const folder = join(base, `${process.pid}.${randomUUID()}`);
      mkdirSync(folder, { recursive: true, mode: 0o700 });
      return folder;
    },
    give: async (folder) => {
      try {
        for (const name of readdirSync(folder)) {
          if (!isFresh(folder, name)) await removeEntry(join(folder, name));
        }
        if (idle.length < idleMax) return void idle.push(folder);
      } catch {
        // What cannot be emptied is not used again; the next line says why, if it matters.
      }
      await removeScratch(folder);
    },
    close: async () => {
      for (const folder of idle.splice(0)) await removeScratch(folder);
    },
  };
}

/**
 * Removes such a folder, also where the action took away its permissions to enter it, or made paths
 * of a length that cannot be named.
 */
export async function removeScratch(folder: string): Promise<void> {
  try {
    await removeTree(Buffer.from(folder), createTurns());
  } catch {
    await removeStubborn(folder);
  }
}

async function removeStubborn(folder: string): Promise<void> {
  if (!existsSync(folder)) return;
  // Before `rm` is tried at all: where it fails it goes on removing for a while, and what vanishes
  // meanwhile cannot be opened.
  await openFolders(folder);
  await rm(folder, { recursive: true, force: true, maxRetries: 3 });
}

/**
 * The usual case in a few system calls. `rm` of node:fs/promises goes to another thread for each,
 * which takes five times as long for the few files of most actions.
 */
async function removeTree(path: Buffer, turn: ReturnType<typeof createTurns>): Promise<void> {
  for (const entry of readdirSync(path, { withFileTypes: true, encoding: "buffer" })) {
    const below = Buffer.concat([path, slash, entry.name]);
    if (entry.isDirectory()) await removeTree(below, turn);
    else unlinkSync(below);
    await turn();
  }
  rmdirSync(path);
}

/** Removes what processes that no longer exist left below `base`. */
export async function sweepScratch(base: string): Promise<void> {
  for (const name of await readdir(base)) {
    const pid = /^(\d+)\./.exec(name)?.[1];
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) await removeScratch(join(base, name));
  }
}

/** True for an output file that is as good as new. The action could change its mode, if it ran. */
function isFresh(folder: string, name: string): boolean {
  if (!keptFiles.includes(name)) return false;
  const found = lstatSync(join(folder, name), { throwIfNoEntry: false });
  return found?.mode === keptMode && found.size === 0 && found.nlink === 1;
}

async function removeEntry(path: string): Promise<void> {
  if (!lstatSync(path).isDirectory()) return unlinkSync(path);
  try {
    // An exec root without files, the cheapest case.
    rmdirSync(path);
  } catch {
    await removeScratch(path);
  }
}

/**
 * Gives every folder below back to us, and moves those up whose path is too long to be named.
 * Symlinks are not followed: they are no folders here. Names are bytes, which need not be UTF-8.
 */
async function openFolders(folder: string): Promise<void> {
  const rest = [Buffer.from(folder)];
  for (let path = rest.pop(); path !== undefined; path = rest.pop()) {
    await chmod(path, 0o700);
    for (const entry of await readdir(path, { withFileTypes: true, encoding: "buffer" })) {
      if (!entry.isDirectory()) continue;
      const below = Buffer.concat([path, slash, entry.name]);
      if (below.length <= pathBytesMax) {
        rest.push(below);
        continue;
      }
      const moved = Buffer.from(join(folder, randomUUID()));
      // Moving a folder writes to it, too: it gets another parent.
      await chmod(below, 0o700);
      await rename(below, moved);
      rest.push(moved);
    }
  }
}
