// The folders that actions run in: one each, named after the process that made it, removed whatever
// the action did to it, swept at start-up where their maker was killed.

import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { chmod, mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";

/** Makes a new folder below `base`, closed to other users. */
export async function makeScratch(base: string): Promise<string> {
  const folder = join(base, `${process.pid}.${randomUUID()}`);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  return folder;
}

/** Removes such a folder, also where the action took away its permissions to enter it. */
export async function removeScratch(folder: string): Promise<void> {
  try {
    await rm(folder, { recursive: true, force: true, maxRetries: 3 });
  } catch {
    await openFolders(folder);
    await rm(folder, { recursive: true, force: true, maxRetries: 3 });
  }
}

/** Removes what processes that no longer exist left below `base`. */
export async function sweepScratch(base: string): Promise<void> {
  for (const name of await readdir(base)) {
    const pid = /^(\d+)\./.exec(name)?.[1];
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) await removeScratch(join(base, name));
  }
}

/** Gives every folder below back to us. Symlinks are not followed: they are no folders here. */
async function openFolders(folder: string): Promise<void> {
  await chmod(folder, 0o700);
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    if (entry.isDirectory()) await openFolders(join(folder, entry.name));
  }
}
