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
import {
  isSameEntry,
  type LaidRoots,
  type LaidTree,
  stampAll,
  type TakenTree,
} from "./laid-roots.ts";
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
  /** For `LaidRoots.keep`; undefined where this tree cannot be kept. */
  readonly laid: LaidTree | undefined;
}

type FileEntry = TreeEntry & { readonly kind: "file" };

/** Bound: files on their way at the same time. Links are made at once, only copies overlap. */
const filesAtOnce = 8;

/**
 * Makes the exec root hold the tree `root`, out of one in `laidRoots` where there is such.
 * FAILED_PRECONDITION with the missing digests where blobs are absent, INVALID_ARGUMENT where the
 * tree breaks REAPI's rules or fits no file system. Answers what it is.
 */
export async function layInputRoot(
  store: BlobStore & LocalFiles,
  root: Digest,
  layout: InputLayout,
  laidRoots?: LaidRoots,
): Promise<LaidInputs> {
  const { execRoot } = layout;
  const same = laidRoots?.takeSame(root, execRoot);
  const tree = same ?? (await readFolderTree(store, root));
  const traits = "traits" in tree ? tree.traits : undefined;
  const isPlain = traits === undefined && tree.entries.every((entry) => entry.traits === undefined);
  const taken = same ?? (isPlain ? laidRoots?.takeSimilar(tree.entries, execRoot) : undefined);
  if (taken === undefined) fs.mkdirSync(execRoot);
  const there = await removeUnwanted(tree.entries, taken, layout);
  const files: FileEntry[] = [];
  const turn = createTurns();
  for (const entry of tree.entries) {
    const pause = turn();
    if (pause !== undefined) await pause;
    if (there.has(entry.path)) continue;
    if (entry.kind === "file") files.push(entry);
    else placed(entry.path, () => layEntry(entry, layout));
  }
  await layFiles(store, files, layout);
  for (const folder of layout.folders) makeFolder(folder, layout);
  // Last and from the inside out: files made in a folder change its time, and a mode may forbid it.
  for (const entry of tree.entries.toReversed()) {
    if (entry.kind === "directory") layTraits(pathOf(entry, layout), entry.traits, layout);
  }
  layTraits(execRoot, traits, layout);
  // The last of all folders: whoever finds this one handed over takes it that the others are.
  handOver(execRoot, layout);
  const bytes = bytesOf(tree.entries);
  const fileCount = tree.entries.length + layout.folders.length;
  const record = { root, entries: tree.entries, readAtMs: same?.readAtMs };
  const keeps = laidRoots !== undefined && isPlain && !tree.entries.some(isOwn(layout));
  return { bytes, files: fileCount, laid: keeps ? recordOf(record, layout) : undefined };
}

/** Whether a file is a copy that the action may write to. */
function isOwn({ writable }: InputLayout): (entry: TreeEntry) => boolean {
  return ({ kind, path }) => kind === "file" && writable.has(path);
}

/** Remembers how all looks now. */
function recordOf(
  record: Pick<LaidTree, "root" | "entries" | "readAtMs">,
  { execRoot, folders, ownerId }: InputLayout,
): LaidTree {
  const entryByPath = new Map(record.entries.map((entry) => [entry.path, entry]));
  for (const folder of folders) {
    const parts = folder === "" ? [] : folder.split("/");
    for (const at of parts.keys()) {
      const path = parts.slice(0, at + 1).join("/");
      // Below a symlink of the inputs none was made.
      if (!fs.lstatSync(join(execRoot, path)).isDirectory()) break;
      if (!entryByPath.has(path)) entryByPath.set(path, { kind: "directory", path });
    }
  }
  // Linked files cannot be changed by an action of another user, copies by one of ours can.
  const stampByPath = stampAll(execRoot, entryByPath.values(), ownerId === undefined);
  return { ...record, ownerId, entryByPath, stampByPath };
}

/** Of what lies there already, removes what is not wanted; answers what stays. */
async function removeUnwanted(
  entries: readonly TreeEntry[],
  taken: TakenTree | undefined,
  layout: InputLayout,
): Promise<ReadonlySet<string>> {
  const there = new Set<string>();
  if (taken === undefined) return there;
  const isOwnHere = isOwn(layout);
  const wantedByPath = new Map(entries.map((entry) => [entry.path, entry]));
  const turn = createTurns();
  // Children before parents.
  for (const entry of [...taken.entryByPath.values()].reverse()) {
    await turn();
    const { path, kind } = entry;
    const wanted = wantedByPath.get(path);
    if (wanted !== undefined && isSameEntry(wanted, entry) && !isOwnHere(entry)) there.add(path);
    else if (kind === "directory") fs.rmdirSync(join(layout.execRoot, path));
    else fs.unlinkSync(join(layout.execRoot, path));
  }
  return there;
}

function bytesOf(entries: readonly TreeEntry[]): number {
  return entries.reduce((sum, entry) => {
    return entry.kind === "file" ? sum + entry.digest.sizeBytes : sum;
  }, 0);
}

function layEntry(entry: TreeEntry, layout: InputLayout): void {
  const path = pathOf(entry, layout);
  if (entry.kind === "directory") {
    fs.mkdirSync(path);
    handOver(path, layout);
  }
  if (entry.kind !== "symlink") return;
  fs.symlinkSync(entry.target, path);
  const mtime = entry.traits?.mtime;
  if (mtime !== undefined) fs.lutimesSync(path, secondsOf(mtime), secondsOf(mtime));
}

/** Makes a file or folder the action's own. */
function handOver(path: string, { ownerId }: InputLayout): void {
  if (ownerId !== undefined) fs.lchownSync(path, ownerId, ownerId);
}

async function layFiles(
  store: LocalFiles,
  files: readonly FileEntry[],
  layout: InputLayout,
): Promise<void> {
  const missing: Digest[] = [];
  const turn = createTurns();
  const rest = files.values();
  const lane = async () => {
    for (const file of rest) {
      // A pause only where there is something to wait for: most files are links, made at once.
      const pause = turn();
      if (pause !== undefined) await pause;
      try {
        const laying = layFile(store, file, layout);
        if (laying !== undefined) await laying;
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

function layFile(
  store: LocalFiles,
  file: FileEntry,
  layout: InputLayout,
): Promise<void> | undefined {
  const path = pathOf(file, layout);
  const laying = store.materialize(file.digest, path, { executable: file.executable });
  const writable = layout.writable.has(file.path);
  const asIs = file.traits === undefined && !writable;
  // An action that runs as the store's owner could write through a link (--sandbox=none as root).
  if (asIs && layout.ownerId !== undefined) return laying;
  return finishFile(file, laying, layout);
}

/** Makes a file its action's own where it must be, with its mode and time. */
async function finishFile(
  file: FileEntry,
  laying: Promise<void> | undefined,
  layout: InputLayout,
): Promise<void> {
  await laying;
  const path = pathOf(file, layout);
  makeOwn(path, join(layout.scratch, `copy-${file.digest.hash}`));
  const writable = layout.writable.has(file.path);
  if (file.traits === undefined && !writable) return;
  const modeWanted = writable ? 0o644 : 0o444;
  fs.chmodSync(path, file.executable ? modeWanted | 0o111 : modeWanted);
  layTraits(path, file.traits, layout);
  handOver(path, layout);
}

/** Where an entry of the tree lies; both parts are in order, so there is nothing to normalize. */
function pathOf({ path }: { readonly path: string }, { execRoot }: InputLayout): string {
  return `${execRoot}/${path}`;
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
  handOver(path, layout);
}

/**
 * Makes a folder and its parents. Stops at a symlink among them: what it means is the sandbox's to
 * say, as followed from here it could lead anywhere on this machine.
 */
function makeFolder(folder: string, layout: InputLayout): void {
  const parts = folder === "" ? [] : folder.split("/");
  let current = layout.execRoot;
  for (const part of parts) {
    current = join(current, part);
    try {
      placed(folder, () => fs.mkdirSync(current));
      handOver(current, layout);
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
