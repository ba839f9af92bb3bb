// The workspace: the folder that holds everything a build may read, and its Builderfiles.

import { createHash } from "node:crypto";
import { readFileSync, realpathSync } from "node:fs";
import { dirname, join, posix, relative, sep } from "node:path";
import { formatProblem, type Label, type Target } from "../builderfile/model.ts";
import { parseBuilderfile } from "../builderfile/parse-builderfile.ts";
import { hint } from "../builderfile/suggest.ts";
import { MeshError } from "../core/error.ts";
import { findPackages } from "./find-packages.ts";
import { type Look, lookAt, statOf } from "./look.ts";

/** A target and the folder it belongs to. */
export interface PlacedTarget {
  /** Folder of its Builderfile, relative to the workspace; empty for the workspace itself. */
  readonly package: string;
  readonly target: Target;
}

/** Packages, read when first asked for. */
export interface Workspace {
  /** Absolute, without symlinks. */
  readonly root: string;
  /** The package that `bldr` was started in. */
  readonly here: string;
  /** Every target of a package. NOT_FOUND, or INVALID_ARGUMENT with every problem and its place. */
  packageTargets(name: string): readonly PlacedTarget[];
  /** The target a label names; `from` resolves labels without a package. */
  find(label: Pick<Label, "package" | "name">, from: string): PlacedTarget;
  /** Every target of the packages read so far. */
  targets(): readonly PlacedTarget[];
  /**
   * The packages in a folder and below it, sorted; workspaces inside this one are not entered.
   * NOT_FOUND where there is no such folder, FAILED_PRECONDITION for one that cannot be read.
   */
  packagesBelow(folder: string): readonly string[];
  /**
   * What was read, searched or missed so far to find the workspace and its targets: path → its look
   * before that, and the SHA-256 of what was read of it. Paths are relative to the workspace, or
   * absolute.
   */
  builderfiles(): ReadonlyMap<string, ReadFile>;
}

/** A file as it was when it was read, or missed; or a folder that was searched. */
export interface ReadFile {
  readonly look: Look;
  /** SHA-256 of what was read; undefined where there was nothing, and for a folder. */
  readonly hash: string | undefined;
}

/** How targets are named on a command line, for messages. */
export const patternForms = "app, :app, //folder:app, //folder:all, //folder/... or //...";

/** `//folder:name` for messages and metadata. */
export function labelOf({ package: folder, target }: PlacedTarget): string {
  return `//${folder}:${target.name}`;
}

/**
 * Opens the workspace around `folder`: the nearest with a Builderspace, else with a Builderfile.
 */
export function openWorkspace(folder: string): Workspace {
  const start = realpathSync(folder);
  const missed = new Map<string, ReadFile>();
  const root = nearest(start, "Builderspace", missed) ?? nearest(start, "Builderfile", missed);
  if (root === undefined) {
    throw new MeshError(
      "NOT_FOUND",
      `There is no Builderfile in ${start} or above. Write one, or go to the folder that has one.`,
    );
  }
  return workspaceAt(root, relative(root, start).split(sep).join("/"), missed);
}

function workspaceAt(root: string, here: string, readByFile: Map<string, ReadFile>): Workspace {
  const targetsByPackage = new Map<string, readonly PlacedTarget[]>();
  const targetByNameByPackage = new Map<string, ReadonlyMap<string, PlacedTarget>>();

  function rememberLook(path: string): void {
    if (readByFile.has(path)) return;
    readByFile.set(path, { look: lookAt(join(root, path)), hash: undefined });
  }

  function packageTargets(name: string): readonly PlacedTarget[] {
    const known = targetsByPackage.get(name);
    if (known !== undefined) return known;
    const read = readPackage(root, name, readByFile);
    targetsByPackage.set(name, read);
    targetByNameByPackage.set(name, new Map(read.map((placed) => [placed.target.name, placed])));
    return read;
  }

  return {
    root,
    here,
    packageTargets,
    find: (label, from) => {
      const name = plainPackage(label.package ?? from);
      const targets = packageTargets(name);
      const found = targetByNameByPackage.get(name)?.get(label.name);
      if (found !== undefined) return found;
      const names = targets.map(({ target }) => target.name);
      throw new MeshError(
        "NOT_FOUND",
        `There is no target ${label.name} in ${join(name, "Builderfile")}.` +
          `${hint(label.name, names)} It has: ${shortList(names)}.`,
      );
    },
    packagesBelow: (folder) => findPackages(root, plainPackage(folder), rememberLook),
    targets: () => [...targetsByPackage.values()].flat(),
    builderfiles: () => readByFile,
  };
}

/** A target as the command line names it: `app`, `:app` or `//folder:app`. */
export function parseTargetName(text: string): Pick<Label, "package" | "name"> {
  const [, folder, name = ""] = /^(?:\/\/([^:]*):|:)?([\w.@+-]+)$/.exec(text) ?? [];
  const inside = folder === undefined || !/^\/|[\0\\]|(^|\/)\.\.(\/|$)/.test(folder);
  if (name !== "" && inside) return { package: folder, name };
  throw new MeshError(
    "INVALID_ARGUMENT",
    `${JSON.stringify(text)} names no target. Write ${patternForms}.`,
  );
}

function readPackage(
  root: string,
  name: string,
  readByFile: Map<string, ReadFile>,
): readonly PlacedTarget[] {
  const shown = posix.join(name, "Builderfile");
  const file = join(root, shown);
  const look = lookAt(file);
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch (cause) {
    throw new MeshError("NOT_FOUND", `${shown} cannot be read. Write one there.`, { cause });
  }
  const hash = createHash("sha256").update(bytes).digest("hex");
  readByFile.set(shown, { look, hash });
  const parsed = parseBuilderfile(bytes, shown);
  if (parsed.ok) return parsed.value.targets.map((target) => ({ package: name, target }));
  const text = bytes.toString("utf8");
  const problems = parsed.problems.map((problem) => formatProblem(problem, text)).join("\n");
  const count = parsed.problems.length;
  throw new MeshError(
    "INVALID_ARGUMENT",
    `${problems}\n${count} problem${count === 1 ? "" : "s"} in ${shown}.`,
  );
}

function shortList(names: readonly string[]): string {
  return names.length > 20 ? `${names.slice(0, 20).join(", ")} and more` : names.join(", ");
}

/** `a//b/.` and `a/b` are the same package. */
function plainPackage(name: string): string {
  const plain = posix.normalize(name).replace(/\/$/, "");
  return plain === "." ? "" : plain;
}

/** The nearest folder with such a file; where it could have been nearer is kept in `missed`. */
function nearest(start: string, name: string, missed: Map<string, ReadFile>): string | undefined {
  for (let folder = start; ; folder = dirname(folder)) {
    const file = join(folder, name);
    if (statOf(file)?.isFile()) return folder;
    missed.set(file, { look: lookAt(file), hash: undefined });
    if (dirname(folder) === folder) return undefined;
  }
}
