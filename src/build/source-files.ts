// The workspace's files: listed once a build, globbed, hashed by stat.

import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import picomatch from "picomatch";
import type { Place } from "../builderfile/model.ts";
import { MeshError } from "../core/error.ts";

/** Folders that never hold sources. */
const skipped = new Set([".git", ".builder", "node_modules", ".hg", ".svn"]);
/** Bound: files of a workspace. */
const filesMax = 1_000_000;

/** The files of a workspace as they were when first asked for. */
export interface SourceFiles {
  /** Files below a package that match any of the globs, relative to the workspace, sorted. */
  matching(folder: string, globs: readonly string[]): string[];
  exists(path: string): boolean;
  /**
   * Folders, relative to the workspace, that a file could come to and change an answer: those that
   * were listed and those of every path that was asked for, existing or not.
   */
  folders(): readonly string[];
}

/** Lists lazily, folder by folder; symlinked folders are not entered. */
export function sourceFiles(root: string): SourceFiles {
  const listingByFolder = new Map<string, { files: string[]; folders: string[] }>();
  const known = new Map<string, boolean>();
  const probed = new Set<string>();

  function list(folder: string): { files: string[]; folders: string[] } {
    const found = listingByFolder.get(folder);
    if (found !== undefined) return found;
    const listing = { files: [] as string[], folders: [] as string[] };
    for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
      const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
      if (entry.isDirectory() && !skipped.has(entry.name)) listing.folders.push(path);
      else if (entry.isFile() || (entry.isSymbolicLink() && isFile(path))) listing.files.push(path);
    }
    listingByFolder.set(folder, listing);
    return listing;
  }

  /** A link to a file counts as one; a dangling link as nothing. */
  function isFile(path: string): boolean {
    return statSync(join(root, path), { throwIfNoEntry: false })?.isFile() ?? false;
  }

  function* walk(folder: string): Iterable<string> {
    const { files, folders } = list(folder);
    yield* files;
    for (const child of folders) yield* walk(child);
  }

  return {
    matching: (folder, globs) => {
      const prefix = folder === "" ? "" : `${folder}/`;
      const matchers = globs.map((glob) => picomatch(prefix + glob, { dot: true }));
      const found = new Set<string>();
      for (const glob of globs) {
        for (const path of walk(existingFolder(root, prefix + fixedPart(glob)))) {
          if (matchers.some((matches) => matches(path))) found.add(path);
          if (found.size > filesMax) {
            throw new MeshError("RESOURCE_EXHAUSTED", `Over ${filesMax} files match ${glob}.`);
          }
        }
      }
      return [...found].sort();
    },
    exists: (path) => {
      const cached = known.get(path);
      if (cached !== undefined) return cached;
      const exists = isFile(path);
      known.set(path, exists);
      probed.add(path.includes("/") ? path.slice(0, path.lastIndexOf("/")) : "");
      return exists;
    },
    folders: () => [...new Set([...listingByFolder.keys(), ...probed])],
  };
}

/** Throws NOT_FOUND with the place of a glob that matches nothing. */
export function matchesNothing(glob: readonly string[], place: Place | undefined): MeshError {
  const where = place ? `${place.file}:${place.line}:${place.column}: error: ` : "";
  return new MeshError("NOT_FOUND", `${where}No file matches ${glob.join(", ")}.`);
}

/** The folders before the first wildcard of a glob. */
export function fixedPart(glob: string): string {
  const parts = glob.split("/");
  const wild = parts.findIndex((part) => /[*?[\]{}()!]/.test(part));
  return parts.slice(0, wild < 0 ? parts.length - 1 : wild).join("/");
}

function existingFolder(root: string, folder: string): string {
  const plain = folder.replace(/\/$/, "");
  let found = plain;
  while (found !== "" && !statSync(join(root, found), { throwIfNoEntry: false })?.isDirectory()) {
    found = found.includes("/") ? found.slice(0, found.lastIndexOf("/")) : "";
  }
  // A glob below a folder that does not exist matches nothing; its parent's listing shows that.
  return found;
}
