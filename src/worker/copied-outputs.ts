// Copies what a persistent worker made to where it is collected from. What lies in its folder is
// not taken as it is: the process goes on, and may hold a file open that the store would have then.

import * as fs from "node:fs";
import { dirname, join } from "node:path";
import { treeBounds } from "../cas/load-folders.ts";
import { MeshError } from "../core/error.ts";
import { findInside, opening } from "./exec-path.ts";
import type { DeclaredOutput } from "./output-files.ts";
import { createTurns } from "./turns.ts";

/** The most that may be copied. */
export interface CopyBounds {
  readonly bytes: number;
  readonly files: number;
}

interface Copying {
  readonly turn: ReturnType<typeof createTurns>;
  bytesLeft: number;
  filesLeft: number;
}

/**
 * Copies the declared outputs below `from` to the same places below `to`, which must not be there.
 * All processes that could change them must be stopped. FAILED_PRECONDITION for what is no file,
 * folder or symlink, and for more than `bounds`.
 */
export async function copyOutputs(
  from: string,
  to: string,
  outputs: readonly DeclaredOutput[],
  bounds: CopyBounds,
): Promise<void> {
  const { bytes: bytesLeft, files: filesLeft } = bounds;
  const copying = { turn: createTurns(), bytesLeft, filesLeft };
  fs.mkdirSync(to);
  // Parents first: what lies in a folder that was copied is there.
  for (const { path } of [...outputs].sort((a, b) => a.path.length - b.path.length)) {
    const host = await findInside(from, path);
    if (host === undefined) continue;
    const target = join(to, path);
    if (path === "") await copyFolder(host, target, 0, copying);
    else if (fs.lstatSync(target, { throwIfNoEntry: false }) === undefined) {
      fs.mkdirSync(dirname(target), { recursive: true });
      await copyEntry(host, target, 0, copying);
    }
  }
}

async function copyEntry(from: string, to: string, depth: number, copying: Copying): Promise<void> {
  const found = fs.lstatSync(from);
  copying.filesLeft -= 1;
  if (found.isFile()) copying.bytesLeft -= found.size;
  if (copying.filesLeft < 0 || copying.bytesLeft < 0) throw unfit("is more than may be kept");
  await copying.turn();
  if (found.isSymbolicLink()) {
    fs.symlinkSync(fs.readlinkSync(from, "buffer"), to);
    return fs.lutimesSync(to, found.atime, found.mtime);
  }
  if (found.isDirectory()) {
    fs.mkdirSync(to);
    await copyFolder(from, to, depth, copying);
  } else if (found.isFile()) {
    const flags = fs.constants.COPYFILE_FICLONE | fs.constants.COPYFILE_EXCL;
    opening(from, 0o600, () => fs.copyFileSync(from, to, flags));
  } else {
    throw unfit("is neither file, folder nor symlink");
  }
  fs.utimesSync(to, found.atime, found.mtime);
  fs.chmodSync(to, found.mode & 0o777);
}

async function copyFolder(from: string, to: string, depth: number, copying: Copying) {
  if (depth > treeBounds.depthMax) throw unfit("nests too deep");
  const names = opening(from, 0o700, () => fs.readdirSync(from, "buffer"));
  for (const name of names) {
    const text = name.toString();
    if (!Buffer.from(text).equals(name)) throw unfit("has a name that is not UTF-8");
    await copyEntry(join(from, text), join(to, text), depth + 1, copying);
  }
}

function unfit(what: string): MeshError {
  return new MeshError("FAILED_PRECONDITION", `An output ${what}.`);
}
