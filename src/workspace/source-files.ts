// The workspace's source files: listed once a build, globbed, with the look of every folder that
// was relied on. What targets make is no source, whether or not an earlier build left it there.

import { realpathSync } from "node:fs";
import { join, posix } from "node:path";
import picomatch from "picomatch";
import type { Place } from "../builderfile/model.ts";
import { MeshError } from "../core/error.ts";
import { createListings, notUtf8 } from "./folder-listing.ts";
import { type Look, lookAt, statOf } from "./look.ts";
import { folderOf, plainPath } from "./paths.ts";

/** Bound: files of a workspace. */
const filesMax = 1_000_000;

/** The files of a workspace as they were when first asked for. Paths are relative to it. */
export interface SourceFiles {
  /**
   * Sources below a folder that match any of the globs, sorted. `.builderignore` files are about
   * wildcards: what is named without any is there if it exists.
   */
  matching(folder: string, globs: readonly string[]): string[];
  /** Whether a source file is there. FAILED_PRECONDITION for a link out of the workspace. */
  exists(path: string): boolean;
  folderExists(path: string): boolean;
  /**
   * Folders that a file could come to or leave and change an answer, absent ones too, and
   * `.builderignore` files, each with the look it had before it was relied on.
   */
  looks(): ReadonlyMap<string, Look>;
}

/** Lists lazily, folder by folder; symlinked folders are not entered. `isMade` tells outputs. */
export function sourceFiles(root: string, isMade: (path: string) => boolean): SourceFiles {
  const looks = new Map<string, Look>();
  const known = new Map<string, boolean>();
  const list = createListings(root, rememberLook);

  function rememberLook(path: string): void {
    if (!looks.has(path)) looks.set(path, lookAt(join(root, path)));
  }

  function exists(path: string): boolean {
    const cached = known.get(path);
    if (cached !== undefined) return cached;
    rememberLook(folderOf(path));
    const found = !isMade(path) && (statOf(join(root, path))?.isFile() ?? false);
    if (found) checkInside(root, path);
    known.set(path, found);
    return found;
  }

  function addMatches(found: Set<string>, below: string, glob: string): void {
    const fixed = fixedPart(glob);
    const start = plainPath(posix.join(below, fixed));
    rememberLook(start);
    // Nothing matches below a folder that does not exist; its look tells when it comes.
    if (!statOf(join(root, start))?.isDirectory()) return;
    // Only what the glob itself says has wildcards: a folder's name is just a name.
    const isMatch = globMatcher(glob);
    const prefix = below === "" ? 0 : below.length + 1;
    const matches = (path: string) => isMatch(path.slice(prefix));
    const level = [{ folder: start, depth: depthOf(glob.slice(fixed.length)) }];
    const before = found.size;
    for (let next = level.pop(); next !== undefined; next = level.pop()) {
      const { files, folders, links, unreadable } = list(next.folder);
      for (const path of files) {
        if (!matches(path) || isMade(path)) continue;
        if (unreadable.has(path)) throw notUtf8(path);
        if (links.has(path)) checkInside(root, path);
        found.add(path);
      }
      if (found.size > filesMax) {
        throw new MeshError("RESOURCE_EXHAUSTED", `Over ${filesMax} files match ${glob}.`);
      }
      if (next.depth <= 1) continue;
      for (const folder of folders) {
        if (unreadable.has(folder)) throw notUtf8(folder);
        level.push({ folder, depth: next.depth - 1 });
      }
    }
    if (found.size > before) checkInside(root, start);
  }

  return {
    matching: (folder, globs) => {
      const found = new Set<string>();
      for (const glob of globs) {
        const path = plainPath(posix.join(folder, glob));
        if (isGlob(glob)) addMatches(found, folder, posix.normalize(glob));
        else if (exists(path)) found.add(path);
      }
      return [...found].sort();
    },
    exists,
    folderExists: (path) => {
      rememberLook(path);
      return statOf(join(root, path))?.isDirectory() ?? false;
    },
    looks: () => looks,
  };
}

/** Only links lead out; folders below the one a walk began in are none. */
function checkInside(root: string, path: string): void {
  const target = realpathSync(join(root, path));
  if (target === root || target.startsWith(`${root}/`)) return;
  throw new MeshError(
    "FAILED_PRECONDITION",
    `${path} leads out of the workspace, to ${target}. Put a copy in its place.`,
  );
}

/** How many folders deep a glob's matches can be, from where its wildcards begin. */
function depthOf(wild: string): number {
  // Alternatives may hold slashes, and a `**` any number of them.
  if (/\*\*|[{(]/.test(wild)) return Number.POSITIVE_INFINITY;
  return wild.split("/").filter((part) => part !== "").length;
}

/** NOT_FOUND with the place of a glob that matches nothing, and who makes such a file. */
export function matchesNothing(
  glob: string,
  place: Place | undefined,
  maker: string | undefined,
): MeshError {
  const where = place ? `${place.file}:${place.line}:${place.column}: error: ` : "";
  const remedy = maker === undefined ? "" : ` ${maker} makes it: add that to deps.`;
  return new MeshError("NOT_FOUND", `${where}No file matches ${glob}.${remedy}`);
}

/** Whether a glob matches a path. A file that is named as the glob is written is matched too. */
export function globMatcher(glob: string): (path: string) => boolean {
  // `!` begins names, it excludes nothing; a name may have several lines.
  const matches = picomatch(glob, { dot: true, nonegate: true, flags: "s" });
  return (path) => path === glob || matches(path);
}

/** The folders before the first wildcard of a glob. */
export function fixedPart(glob: string): string {
  const parts = glob.split("/");
  const wild = parts.findIndex(isGlob);
  return parts.slice(0, wild < 0 ? parts.length - 1 : wild).join("/");
}

/** Whether a path has wildcards. */
export function isGlob(path: string): boolean {
  return /[*?[\]{}()!]/.test(path);
}
