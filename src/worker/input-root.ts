// Lays an action's input tree out on disk: folders, links from the store, symlinks, and copies for
// the few files that must not share their bytes, mode or time with the store.

import * as fs from "node:fs";
import { join } from "node:path";
import type { BlobStore, LocalFiles } from "../cas/blob-store.ts";
import type { NodeTraits } from "../cas/directory-message.ts";
import { readFolderTree, type TreeEntry } from "../cas/merkle.ts";
import type { Digest } from "../core/digest.ts";
import { MeshError } from "../core/error.ts";
import { isErrno } from "./exec-path.ts";
import { createTurns } from "./turns.ts";

/** Where to lay a tree out, and how. */
export interface InputLayout {
  /** Host folder to make and fill. */
  readonly execRoot: string;
  /** Host folder beside it, for files on their way. */
  readonly scratch: string;
  /** Folders that must exist even where the tree lacks them, relative to the exec root. */
  readonly folders: readonly string[];
  /** Files that the action may write to in place, relative to the exec root. */
  readonly writable: ReadonlySet<string>;
  /** User and group that the action runs as, where they are not this process's own. */
  readonly ownerId: number | undefined;
}

/** What lies in an exec root. */
export interface LaidInputs {
  readonly bytes: number;
  /** Files, folders and symlinks. */
  readonly files: number;
}

/** Bound: files on their way at the same time. Links are made at once, only copies overlap. */
const filesAtOnce = 8;

/**
 * Makes the exec root hold the tree `root`. FAILED_PRECONDITION with the missing digests where
 * blobs are absent, INVALID_ARGUMENT where the tree breaks REAPI's rules or fits no file system.
 * Answers how much it is.
 */
export async function layInputRoot(
  store: BlobStore & LocalFiles,
  root: Digest,
  layout: InputLayout,
): Promise<LaidInputs> {
  const { execRoot } = layout;
  const { entries, traits } = await readFolderTree(store, root);
  fs.mkdirSync(execRoot);
  const files: (TreeEntry & { readonly kind: "file" })[] = [];
  const turn = createTurns();
  for (const entry of entries) {
    await turn();
    if (entry.kind === "file") files.push(entry);
    else placed(entry.path, () => layEntry(entry, execRoot));
  }
  await layFiles(store, files, layout);
  for (const folder of layout.folders) makeFolder(execRoot, folder);
  // Last and from the inside out: files made in a folder change its time, and a mode may forbid it.
  for (const entry of entries.toReversed()) {
    if (entry.kind === "directory") layTraits(join(execRoot, entry.path), entry.traits, layout);
  }
  layTraits(execRoot, traits, layout);
  const bytes = files.reduce((sum, { digest }) => sum + digest.sizeBytes, 0);
  return { bytes, files: entries.length + layout.folders.length };
}

function layEntry(entry: TreeEntry, execRoot: string): void {
  const path = join(execRoot, entry.path);
  if (entry.kind === "directory") fs.mkdirSync(path);
  if (entry.kind !== "symlink") return;
  fs.symlinkSync(entry.target, path);
  const mtime = entry.traits?.mtime;
  if (mtime !== undefined) fs.lutimesSync(path, secondsOf(mtime), secondsOf(mtime));
}

async function layFiles(
  store: LocalFiles,
  files: readonly (TreeEntry & { readonly kind: "file" })[],
  layout: InputLayout,
): Promise<void> {
  const missing: Digest[] = [];
  const turn = createTurns();
  const rest = files.values();
  const lane = async () => {
    for (const file of rest) {
      await turn();
      try {
        await layFile(store, file, layout);
      } catch (error) {
        if (!(error instanceof MeshError) || error.code !== "NOT_FOUND") throw named(error, file);
        missing.push(file.digest);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(filesAtOnce, files.length) }, lane));
  if (missing.length === 0) return;
  throw new MeshError(
    "FAILED_PRECONDITION",
    `${missing.length} input blobs are missing. Upload them and run the action again.`,
    { missing },
  );
}

async function layFile(
  store: LocalFiles,
  file: TreeEntry & { readonly kind: "file" },
  layout: InputLayout,
): Promise<void> {
  const path = join(layout.execRoot, file.path);
  await store.materialize(file.digest, path, { executable: file.executable });
  const writable = layout.writable.has(file.path);
  const asIs = file.traits === undefined && !writable;
  // An action that runs as the store's owner could write through a link (--sandbox=none as root).
  if (asIs && layout.ownerId !== undefined) return;
  makeOwn(path, join(layout.scratch, `copy-${file.digest.hash}`));
  if (asIs) return;
  const modeWanted = writable ? 0o644 : 0o444;
  fs.chmodSync(path, file.executable ? modeWanted | 0o111 : modeWanted);
  layTraits(path, file.traits, layout);
  if (layout.ownerId !== undefined) fs.lchownSync(path, layout.ownerId, layout.ownerId);
}

/** A file with other names than this one may be the store's: a copy takes its place. */
function makeOwn(path: string, spare: string): void {
  if (fs.lstatSync(path).nlink === 1) return;
  fs.renameSync(path, spare);
  fs.copyFileSync(spare, path, fs.constants.COPYFILE_FICLONE | fs.constants.COPYFILE_EXCL);
  fs.unlinkSync(spare);
}

/** Sets mode and time of a file or folder that nobody else shares. */
function layTraits(path: string, traits: NodeTraits | undefined, layout: InputLayout): void {
  if (traits === undefined) return;
  const { unixMode, mtime } = traits;
  // Not beyond permissions: set-user-id bits mean nothing in a sandbox.
  if (unixMode !== undefined) fs.chmodSync(path, unixMode & 0o777);
  if (mtime !== undefined) fs.utimesSync(path, secondsOf(mtime), secondsOf(mtime));
  if (layout.ownerId !== undefined) fs.lchownSync(path, layout.ownerId, layout.ownerId);
}

/**
 * Makes a folder and its parents. Stops at a symlink among them: what it means is the sandbox's to
 * say, as followed from here it could lead anywhere on this machine.
 */
function makeFolder(execRoot: string, folder: string): void {
  const parts = folder === "" ? [] : folder.split("/");
  let current = execRoot;
  for (const part of parts) {
    current = join(current, part);
    try {
      placed(folder, () => fs.mkdirSync(current));
    } catch (error) {
      if (!isErrno(error, "EEXIST")) throw error;
      const found = fs.lstatSync(current);
      if (found.isSymbolicLink()) return;
      if (found.isDirectory()) continue;
      throw new MeshError(
        "INVALID_ARGUMENT",
        `Folder ${JSON.stringify(folder)} cannot be made: a file of the inputs is in its way.`,
      );
    }
  }
}

function placed(path: string, place: () => void): void {
  try {
    place();
  } catch (error) {
    throw named(error, { path });
  }
}

/** A path that no file system takes is the action's fault, not this machine's. */
function named(error: unknown, { path }: { readonly path: string }): unknown {
  if (!isErrno(error, "ENAMETOOLONG")) return error;
  return new MeshError(
    "INVALID_ARGUMENT",
    `The path ${JSON.stringify(`${path.slice(0, 200)}…`)} of ${path.length} characters is too long.`,
    { cause: error },
  );
}

function secondsOf(mtime: { readonly seconds: number; readonly nanos: number }): number {
  return mtime.seconds + mtime.nanos / 1e9;
}
