// Which folders are packages: `//...` is every folder with a Builderfile.

import { join } from "node:path";
import { MeshError } from "../core/error.ts";
import { createListings, notUtf8 } from "./folder-listing.ts";
import { statOf } from "./look.ts";

/** The packages in a folder and below it, sorted. As `Workspace.packagesBelow`. */
export function findPackages(
  root: string,
  start: string,
  rememberLook: (path: string) => void,
): string[] {
  rememberLook(start);
  if (!statOf(join(root, start))?.isDirectory()) {
    throw new MeshError("NOT_FOUND", `There is no folder ${start} in this workspace.`);
  }
  const list = createListings(root, rememberLook);
  const found: string[] = [];
  const open = [start];
  for (let folder = open.pop(); folder !== undefined; folder = open.pop()) {
    const { files, folders, unreadable } = list(folder);
    const prefix = folder === "" ? "" : `${folder}/`;
    // A folder with a Builderspace is a workspace of its own: its labels mean something else.
    if (folder !== "" && files.includes(`${prefix}Builderspace`)) continue;
    if (files.includes(`${prefix}Builderfile`)) found.push(nameable(folder));
    for (const child of folders) {
      if (unreadable.has(child)) throw notUtf8(child);
      open.push(child);
    }
  }
  return found.sort();
}

function nameable(folder: string): string {
  if (!/[:\\\n]/.test(folder)) return folder;
  throw new MeshError(
    "FAILED_PRECONDITION",
    `No label can name the package ${JSON.stringify(folder)}: it holds a colon, a backslash or a ` +
      "line break. Rename the folder, or leave it out with a line in .builderignore.",
  );
}
