// What is in a folder of the workspace, as globs and `...` see it: without what `.builderignore`
// files leave out, without folders that never hold sources.

import { isUtf8 } from "node:buffer";
import { type Dirent, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { MeshError } from "../core/error.ts";
import { type IgnoreRule, ignoredBy, parseIgnoreRules } from "./ignore-rules.ts";
import { statOf } from "./look.ts";
import { folderOf } from "./paths.ts";

/** Paths in a folder, relative to the workspace. */
export interface Listing {
  /** Files, and links to files. */
  readonly files: readonly string[];
  /** Folders; links to folders are not among them, so that no loop can be. */
  readonly folders: readonly string[];
  /** Those of the files that are links. */
  readonly links: ReadonlySet<string>;
  /** Those whose names are no UTF-8, and so cannot be opened by the path given here. */
  readonly unreadable: ReadonlySet<string>;
}

/** Rules with the folder they are relative to, from the workspace's own down. */
type RuleChain = readonly { readonly base: string; readonly rules: readonly IgnoreRule[] }[];

/** Folders that never hold sources. */
const skipped = new Set([".git", ".builder", "node_modules", ".hg", ".svn"]);
const ignoreFile = ".builderignore";
/** Bound of a `.builderignore` file. */
const ignoreBytesMax = 1 << 20;

/**
 * Lists folders of a workspace, each once. `rememberLook` hears of every path that an answer
 * depends on, before it is read. FAILED_PRECONDITION for what cannot be read.
 */
export function createListings(
  root: string,
  rememberLook: (path: string) => void,
): (folder: string) => Listing {
  const listingByFolder = new Map<string, Listing>();
  const chainByFolder = new Map<string, RuleChain>();

  /** `hasOwn` undefined: nobody has looked for the folder's own file yet. */
  function chainOf(folder: string, hasOwn: boolean | undefined): RuleChain {
    const known = chainByFolder.get(folder);
    if (known !== undefined) return known;
    const above = folder === "" ? [] : chainOf(folderOf(folder), undefined);
    // Where the listing shows that there is none, the look of the folder tells when one comes.
    const rules = hasOwn === false ? [] : readRules(pathIn(folder, ignoreFile));
    const chain = rules.length === 0 ? above : [...above, { base: folder, rules }];
    chainByFolder.set(folder, chain);
    return chain;
  }

  function readRules(path: string): IgnoreRule[] {
    rememberLook(path);
    const stat = statOf(join(root, path));
    if (stat === undefined) return [];
    if (stat.size > ignoreBytesMax) {
      throw new MeshError("FAILED_PRECONDITION", `${path} is over 1 MiB. Write fewer lines.`);
    }
    return parseIgnoreRules(reading(path, () => readFileSync(join(root, path), "utf8")));
  }

  function list(folder: string): Listing {
    const known = listingByFolder.get(folder);
    if (known !== undefined) return known;
    rememberLook(folder);
    const entries = entriesOf(root, folder);
    const hasOwn = entries.some(({ name }) => name === ignoreFile);
    const chain = chainOf(folder, hasOwn);
    const files: string[] = [];
    const folders: string[] = [];
    const links = new Set<string>();
    for (const entry of entries) {
      const path = pathIn(folder, entry.name);
      const isFolder = entry.isDirectory();
      if (isFolder ? skipped.has(entry.name) : !isFileOrLink(entry, join(root, path))) continue;
      if (chain.length > 0 && isIgnored(chain, path, isFolder)) continue;
      if (isFolder) folders.push(path);
      else files.push(path);
      if (entry.isSymbolicLink()) links.add(path);
    }
    const unreadable = unreadableOf(root, folder, [...files, ...folders]);
    const listing = { files, folders, links, unreadable };
    listingByFolder.set(folder, listing);
    return listing;
  }

  return list;
}

/** FAILED_PRECONDITION for a path whose name is no UTF-8. */
export function notUtf8(path: string): MeshError {
  return new MeshError(
    "FAILED_PRECONDITION",
    `The name of ${JSON.stringify(path)} is no UTF-8 text. Rename it, or leave it out with a line ` +
      `in ${ignoreFile} that has a ? for each odd character.`,
  );
}

function isIgnored(chain: RuleChain, path: string, isFolder: boolean): boolean {
  for (const { base, rules } of chain.toReversed()) {
    const inside = base === "" ? path : path.slice(base.length + 1);
    const says = ignoredBy(rules, inside, isFolder);
    if (says !== undefined) return says;
  }
  return false;
}

/** A link to a file counts as one; a dangling link as nothing. */
function isFileOrLink(entry: Dirent, path: string): boolean {
  if (entry.isFile()) return true;
  return entry.isSymbolicLink() && (statOf(path)?.isFile() ?? false);
}

/** Which of some paths only look as they do because their names could not be decoded. */
function unreadableOf(root: string, folder: string, paths: readonly string[]): Set<string> {
  const suspects = paths.filter((path) => path.includes("\uFFFD", folder.length));
  if (suspects.length === 0) return new Set();
  const names = reading(folder, () => readdirSync(join(root, folder), { encoding: "buffer" }));
  const broken = names.filter((name) => !isUtf8(name)).map((name) => name.toString());
  return new Set(broken.map((name) => pathIn(folder, name)));
}

function entriesOf(root: string, folder: string): Dirent[] {
  return reading(folder, () => readdirSync(join(root, folder), { withFileTypes: true }));
}

function reading<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new MeshError(
      "FAILED_PRECONDITION",
      `${path === "" ? "The workspace" : path} cannot be read (${why}). Make it readable, or leave ` +
        `it out with a line in ${ignoreFile}.`,
      { cause },
    );
  }
}

function pathIn(folder: string, name: string): string {
  return folder === "" ? name : `${folder}/${name}`;
}
