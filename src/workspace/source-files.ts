// The workspace's source files: listed once a build, globbed, with the look of every folder that
// was relied on. What targets make is no source, whether or not an earlier build left it there.

import { type Dirent, readdirSync, realpathSync } from "node:fs";
import { join } from "node:path";
import picomatch from "picomatch";
import type { Place } from "../builderfile/model.ts";
import { MeshError } from "../core/error.ts";
import { type Look, lookAt, statOf } from "./look.ts";

/** Folders that never hold sources. */
const skipped = new Set([".git", ".builder", "node_modules", ".hg", ".svn"]);
/** Bound: files of a workspace. */
const filesMax = 1_000_000;

/** The files of a workspace as they were when first asked for. Paths are relative to it. */
export interface SourceFiles {
  /** Sources below a folder that match any of the globs, sorted. */
  matching(folder: string, globs: readonly string[]): string[];
  /** Whether a source file is there. FAILED_PRECONDITION for a link out of the workspace. */
  exists(path: string): boolean;
  folderExists(path: string): boolean;
  /**
   * Folders that a file could come to or leave and change an answer, absent ones too, each with the
   * look it had before it was relied on.
   */
  looks(): ReadonlyMap<string, Look>;
}

interface Listing {
  readonly files: readonly string[];
  readonly folders: readonly string[];
}

/** Lists lazily, folder by folder; symlinked folders are not entered. `isMade` tells outputs. */
export function sourceFiles(root: string, isMade: (path: string) => boolean): SourceFiles {
  const listingByFolder = new Map<string, Listing>();
  const looks = new Map<string, Look>();
  const known = new Map<string, boolean>();

  function rememberLook(folder: string): void {
    if (!looks.has(folder)) looks.set(folder, lookAt(join(root, folder)));
  }

  function list(folder: string): Listing {
    const found = listingByFolder.get(folder);
    if (found !== undefined) return found;
    rememberLook(folder);
    const files: string[] = [];
    const folders: string[] = [];
    for (const entry of entriesOf(root, folder)) {
      const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
      if (entry.isDirectory() && !skipped.has(entry.name)) folders.push(path);
      else if (entry.isFile() || (entry.isSymbolicLink() && isFile(path))) files.push(path);
    }
    const listing = { files, folders };
    listingByFolder.set(folder, listing);
    return listing;
  }

  /** A link to a file counts as one; a dangling link as nothing. */
  function isFile(path: string): boolean {
    return statOf(join(root, path))?.isFile() ?? false;
  }

  function* walk(folder: string): Iterable<string> {
    const { files, folders } = list(folder);
    yield* files;
    for (const child of folders) yield* walk(child);
  }

  function checkInside(path: string): void {
    const target = realpathSync(join(root, path));
    if (target.startsWith(`${root}/`)) return;
    throw new MeshError(
      "FAILED_PRECONDITION",
      `${path} leads out of the workspace, to ${target}. Put a copy in its place.`,
    );
  }

  return {
    matching: (folder, globs) => {
      const prefix = folder === "" ? "" : `${folder}/`;
      const found = new Set<string>();
      for (const glob of globs) {
        // Only what the glob itself says has wildcards: a folder's name is just a name.
        const matches = globMatcher(glob);
        for (const path of walk(existingFolder(root, prefix + fixedPart(glob)))) {
          const inside = path.startsWith(prefix) && matches(path.slice(prefix.length));
          if (inside && !isMade(path)) found.add(path);
          if (found.size > filesMax) {
            throw new MeshError("RESOURCE_EXHAUSTED", `Over ${filesMax} files match ${glob}.`);
          }
        }
      }
      for (const path of found) checkInside(path);
      return [...found].sort();
    },
    exists: (path) => {
      const cached = known.get(path);
      if (cached !== undefined) return cached;
      rememberLook(folderOf(path));
      const exists = !isMade(path) && isFile(path);
      if (exists) checkInside(path);
      known.set(path, exists);
      return exists;
    },
    folderExists: (path) => {
      rememberLook(path);
      return statOf(join(root, path))?.isDirectory() ?? false;
    },
    looks: () => looks,
  };
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

/** The folder a path is in; empty for the workspace. */
export function folderOf(path: string): string {
  return path.includes("/") ? path.slice(0, path.lastIndexOf("/")) : "";
}

function entriesOf(root: string, folder: string): Dirent[] {
  try {
    return readdirSync(join(root, folder), { withFileTypes: true });
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new MeshError("FAILED_PRECONDITION", `${folder} cannot be listed (${why}).`, { cause });
  }
}

function existingFolder(root: string, folder: string): string {
  let found = folder.replace(/\/$/, "");
  while (found !== "" && !statOf(join(root, found))?.isDirectory()) {
    found = folderOf(found);
  }
  // A glob below a folder that does not exist matches nothing; its parent's listing shows that.
  return found;
}
