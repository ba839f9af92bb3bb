// Exec roots that are used again: what an action found in its input tree mostly lies in the next
// one's, too, and linking 10,000 files takes longer than most actions. Copying them, as ordinary
// users must, and removing them takes longest of all.
//
// Whatever an action does to a folder or file of its own shows in its change time (ctime), which
// nobody can set; files that are linked to the store it cannot change. A folder that changed is
// made anew, a file that changed goes; the others are taken as they are.
// docs/adr/0021-limits-and-kept-exec-roots.md

import { randomUUID } from "node:crypto";
import * as fs from "node:fs";
import { basename, join } from "node:path";
import type { TreeEntry } from "../cas/merkle.ts";
import { type Digest, digestKey } from "../core/digest.ts";
import { removeScratch } from "./scratch.ts";
import { createTurns } from "./turns.ts";

/** What was laid into an exec root. */
export interface LaidTree extends TakenTree {
  /** The user whose folders they are; undefined: of this process. */
  readonly ownerId: number | undefined;
  /** How all that an action can change looked once it was laid; the exec root itself is "". */
  readonly stampByPath: ReadonlyMap<string, Stamp>;
}

/** Identity and last change of a folder or file. */
export interface Stamp {
  readonly inode: bigint;
  readonly changedNs: bigint;
}

/** A kept tree, moved to where it was asked for. */
export interface TakenTree {
  readonly root: Digest;
  /** The input tree of that root, parents before children. */
  readonly entries: readonly TreeEntry[];
  /** What of it is there, and folders that only outputs were in; parents before children. */
  readonly entryByPath: ReadonlyMap<string, TreeEntry>;
  /** When the store was asked for all of it, Unix ms; undefined: for the action that just ran. */
  readonly readAtMs: number | undefined;
}

/** Exec roots that wait to be used again. */
export interface LaidRoots {
  /**
   * Moves the kept tree of this very root to `execRoot`; undefined where there is none that was
   * read lately enough for the store to still hold its blobs.
   */
  takeSame(root: Digest, execRoot: string): TakenTree | undefined;
  /** Moves a kept tree to `execRoot` of which at least half is wanted; undefined for none. */
  takeSimilar(entries: readonly TreeEntry[], execRoot: string): TakenTree | undefined;
  /**
   * Takes an exec root back in which an action ran, whose processes have all ended. What is at
   * `execRoot` afterwards, if anything, its caller must remove.
   */
  keep(execRoot: string, tree: LaidTree, startedAtMs: number): Promise<void>;
  /** Removes what waits. */
  close(): Promise<void>;
}

interface Kept extends TakenTree {
  readonly path: string;
  readonly readAtMs: number;
}

/** Bound: exec roots that wait. */
const keptMax = 8;
/** Smaller trees are laid as fast as they are checked. */
const entriesMin = 30;
/** Bound: of entries in one tree that is kept. */
const entriesMax = 200_000;
/** Well within the time for which a store holds what was used (`protectMs` of its options). */
const sameMs = 120_000;
/** Two changes within a tick of a coarse clock have the same time; the slowest ticks take 10 ms. */
const tickMs = 20;

/** Keeps exec roots in `base`, which must be on the scratch folders' file system. */
export function createLaidRoots(base: string, deps: { readonly now: () => number }): LaidRoots {
  const kept: Kept[] = [];
  const isFine = hasFineTimes(base);

  function take(at: number, execRoot: string): TakenTree | undefined {
    const [found] = kept.splice(at, 1);
    if (found === undefined) return undefined;
    fs.renameSync(found.path, execRoot);
    return found;
  }

  return {
    takeSame: (root, execRoot) => {
      const key = digestKey(root);
      const at = kept.findLastIndex(
        (one) => digestKey(one.root) === key && deps.now() - one.readAtMs < sameMs,
      );
      return at < 0 ? undefined : take(at, execRoot);
    },
    takeSimilar: (entries, execRoot) => {
      if (entries.length < entriesMin) return undefined;
      const at = kept.findLastIndex((one) => isSimilar(one, entries));
      return at < 0 ? undefined : take(at, execRoot);
    },
    keep: async (execRoot, tree, startedAtMs) => {
      const size = tree.entryByPath.size;
      if (size < entriesMin || size > entriesMax) return;
      const sinceMs = isFine ? Number.POSITIVE_INFINITY : startedAtMs - tickMs;
      try {
        const entryByPath = await restore(execRoot, tree, sinceMs);
        if (entryByPath === undefined) return;
        const path = join(base, `${process.pid}.laid-${randomUUID()}`);
        fs.renameSync(execRoot, path);
        const { root, entries, readAtMs = startedAtMs } = tree;
        kept.push({ root, entries, entryByPath, readAtMs, path });
      } catch {
        // What cannot be put in order is removed with the rest of the action's folder.
        return;
      }
      const extra = Math.max(0, kept.length - keptMax);
      for (const old of kept.splice(0, extra)) await removeScratch(old.path);
    },
    close: async () => {
      for (const { path } of kept.splice(0)) await removeScratch(path);
    },
  };
}

/** Looks at every folder of a tree, the exec root first, and at its files where they matter. */
export function stampAll(
  execRoot: string,
  entries: Iterable<TreeEntry>,
  files: boolean,
): Map<string, Stamp> {
  const stamps = new Map([["", stampOf(execRoot)]]);
  for (const { kind, path } of entries) {
    if (files || kind === "directory") stamps.set(path, stampOf(join(execRoot, path)));
  }
  return stamps;
}

/** Whether two entries are the same on disk. */
export function isSameEntry(a: TreeEntry, b: TreeEntry): boolean {
  if (a.traits !== undefined || b.traits !== undefined) return false;
  if (a.kind === "symlink") return b.kind === "symlink" && a.target === b.target;
  if (a.kind === "directory") return b.kind === "directory";
  return (
    b.kind === "file" &&
    a.executable === b.executable &&
    a.digest.hash === b.digest.hash &&
    a.digest.sizeBytes === b.digest.sizeBytes &&
    a.digest.fn === b.digest.fn
  );
}

function isSimilar({ entryByPath }: Kept, entries: readonly TreeEntry[]): boolean {
  let same = 0;
  for (const entry of entries) {
    const known = entryByPath.get(entry.path);
    if (known !== undefined && isSameEntry(known, entry)) same += 1;
  }
  return 2 * same >= Math.max(entries.length, entryByPath.size);
}

function stampOf(path: string): Stamp {
  const { ino: inode, ctimeNs: changedNs } = fs.lstatSync(path, { bigint: true });
  return { inode, changedNs };
}

/**
 * Makes every folder that changed anew, with those of its folders that did not; files in it go.
 * Answers what is left of the tree, or undefined where too much of it changed.
 */
async function restore(
  execRoot: string,
  tree: LaidTree,
  sinceMs: number,
): Promise<Map<string, TreeEntry> | undefined> {
  const { entryByPath, stampByPath, ownerId } = tree;
  const isFolder = (path: string) => path === "" || entryByPath.get(path)?.kind === "directory";
  const { changed, gone } = await lookForChanges(execRoot, stampByPath, sinceMs, isFolder);
  const all = changed.length + gone.size;
  if (gone.has("") || 2 * all > Math.max(8, stampByPath.size)) return undefined;
  const left = new Map(entryByPath);
  if (all === 0) return left;
  const childrenByFolder = childrenOf(entryByPath);
  const forget = (path: string): void => {
    left.delete(path);
    for (const child of childrenByFolder.get(path) ?? []) forget(child);
  };
  for (const path of gone) forget(path);
  // The innermost first: each is moved as a whole into the one around it.
  for (const path of changed.sort((a, b) => depthOf(b) - depthOf(a))) {
    if (!isFolder(path)) {
      left.delete(path);
      fs.unlinkSync(join(execRoot, path));
      continue;
    }
    const children = childrenByFolder.get(path) ?? [];
    const folders = children.filter((child) => left.get(child)?.kind === "directory");
    for (const child of children) if (!folders.includes(child)) left.delete(child);
    await makeAnew(execRoot, path, folders, ownerId);
  }
  return left;
}

/** The folder as it was made at first: no mode, attribute or list of rights stays either. */
async function makeAnew(
  execRoot: string,
  folder: string,
  children: readonly string[],
  ownerId: number | undefined,
): Promise<void> {
  const fresh = `${execRoot}.${randomUUID()}`;
  fs.mkdirSync(fresh, { mode: 0o755 });
  if (ownerId !== undefined) fs.chownSync(fresh, ownerId, ownerId);
  // Moving something out of a folder writes to it.
  fs.chmodSync(join(execRoot, folder), 0o700);
  for (const path of children) fs.renameSync(join(execRoot, path), join(fresh, basename(path)));
  await removeScratch(join(execRoot, folder));
  fs.renameSync(fresh, join(execRoot, folder));
}

/** What is not as it was, and what is not there: something else may be. */
async function lookForChanges(
  execRoot: string,
  stampByPath: ReadonlyMap<string, Stamp>,
  sinceMs: number,
  isFolder: (path: string) => boolean,
): Promise<{ readonly changed: string[]; readonly gone: ReadonlySet<string> }> {
  const changed: string[] = [];
  const gone = new Set<string>();
  const turn = createTurns();
  for (const [path, stamp] of stampByPath) {
    await turn();
    const found = fs.lstatSync(join(execRoot, path), { bigint: true, throwIfNoEntry: false });
    // The number of what was removed may be given to something of another kind.
    const isSame = found?.ino === stamp.inode && found.isDirectory() === isFolder(path);
    if (!isSame) gone.add(path);
    else if (found.ctimeNs !== stamp.changedNs || Number(found.ctimeMs) >= sinceMs) {
      changed.push(path);
    }
  }
  return { changed, gone };
}

function childrenOf(entryByPath: ReadonlyMap<string, TreeEntry>): Map<string, string[]> {
  const childrenByFolder = new Map<string, string[]>();
  for (const path of entryByPath.keys()) {
    const folder = path.slice(0, Math.max(0, path.lastIndexOf("/")));
    const known = childrenByFolder.get(folder);
    if (known === undefined) childrenByFolder.set(folder, [path]);
    else known.push(path);
  }
  return childrenByFolder;
}

function depthOf(folder: string): number {
  return folder === "" ? 0 : folder.split("/").length;
}

/** Whether a change right after a look always shows: since Linux 6.13, on common file systems. */
function hasFineTimes(base: string): boolean {
  const folder = fs.mkdtempSync(join(base, `${process.pid}.times-`));
  try {
    let last = stampOf(folder).changedNs;
    for (let at = 0; at < 8; at += 1) {
      fs.writeFileSync(join(folder, String(at)), "");
      const next = stampOf(folder).changedNs;
      if (next === last) return false;
      last = next;
    }
    return true;
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
}
