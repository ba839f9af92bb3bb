// The workspace: the folder that holds everything a build may read, and its Builderfiles.

import { realpathSync } from "node:fs";
import { dirname, join, posix, relative, sep } from "node:path";
import { formatProblem, type Label, type Problem, type Target } from "../builderfile/model.ts";
import { parseBuilderfile } from "../builderfile/parse-builderfile.ts";
import {
  type Builderspace,
  parseBuilderspace,
  plainBuilderspace,
} from "../builderfile/parse-builderspace.ts";
import { hint } from "../builderfile/suggest.ts";
import { MeshError } from "../core/error.ts";
import { type ReadFile, type WorkspaceHost, workspaceHost } from "./evaluation-host.ts";
import { findPackages } from "./find-packages.ts";
import { lookAt, statOf } from "./look.ts";
import { plainPath } from "./paths.ts";

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
  /** Names of the environment's variables that targets depend on so far, set or not. */
  variables(): ReadonlySet<string>;
  /** What its Builderspace says. INVALID_ARGUMENT with every problem and its place. */
  space(): Builderspace;
}

/** How targets are named on a command line, for messages. */
export const patternForms = "app, :app, //folder:app, //folder:all, //folder/... or //...";

/** `//folder:name` for messages and metadata. */
export function labelOf({ package: folder, target }: PlacedTarget): string {
  return `//${folder}:${target.name}`;
}

/**
 * Opens the workspace around `folder`: the nearest with a Builderspace, else with a Builderfile.
 * `env` is what `env(…)` in Builderfiles sees. NOT_FOUND where there is neither.
 */
export function openWorkspace(
  folder: string,
  env: Readonly<Record<string, string | undefined>>,
): Workspace {
  const start = realpathSync(folder);
  const missed = new Map<string, ReadFile>();
  const root = nearest(start, "Builderspace", missed) ?? nearest(start, "Builderfile", missed);
  if (root === undefined) {
    throw new MeshError(
      "NOT_FOUND",
      `There is no Builderfile in ${start} or above. Write one, or go to the folder that has one.`,
    );
  }
  const host = workspaceHost(root, env, missed);
  return workspaceAt(root, relative(root, start).split(sep).join("/"), missed, host);
}

function workspaceAt(
  root: string,
  here: string,
  readByFile: Map<string, ReadFile>,
  host: WorkspaceHost,
): Workspace {
  const targetsByPackage = new Map<string, readonly PlacedTarget[]>();
  let knownSpace: Builderspace | undefined;

  function space(): Builderspace {
    knownSpace ??= readSpace(host);
    return knownSpace;
  }

  const targetByNameByPackage = new Map<string, ReadonlyMap<string, PlacedTarget>>();

  function rememberLook(path: string): void {
    if (readByFile.has(path)) return;
    readByFile.set(path, { look: lookAt(join(root, path)), hash: undefined });
  }

  function packageTargets(name: string): readonly PlacedTarget[] {
    const known = targetsByPackage.get(name);
    if (known !== undefined) return known;
    const read = readPackage(host, name, space());
    targetsByPackage.set(name, read);
    targetByNameByPackage.set(name, new Map(read.map((placed) => [placed.target.name, placed])));
    return read;
  }

  return {
    root,
    here,
    packageTargets,
    find: (label, from) => {
      const name = plainPath(label.package ?? from);
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
    packagesBelow: (folder) => findPackages(root, plainPath(folder), rememberLook),
    targets: () => [...targetsByPackage.values()].flat(),
    builderfiles: () => readByFile,
    variables: () => host.variables,
    space,
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

function readSpace(host: WorkspaceHost): Builderspace {
  const file = "Builderspace";
  const bytes = host.readBytes(file);
  if (bytes === undefined) return plainBuilderspace;
  const parsed = parseBuilderspace(bytes, file, host);
  if (parsed.ok) return parsed.value;
  throw problemsError(host, file, parsed.problems);
}

/** The targets of a package, with what the Builderspace says where they say nothing. */
function readPackage(
  host: WorkspaceHost,
  name: string,
  { env, outputDir }: Builderspace,
): readonly PlacedTarget[] {
  const file = posix.join(name, "Builderfile");
  const bytes = host.readBytes(file);
  if (bytes === undefined) {
    throw new MeshError("NOT_FOUND", `${file} cannot be read. Write one there.`);
  }
  const parsed = parseBuilderfile(bytes, file, host);
  if (!parsed.ok) throw problemsError(host, file, parsed.problems);
  return parsed.value.targets.map((target) => ({
    package: name,
    target: { ...target, env: { ...env, ...target.env }, outputDir },
  }));
}

function problemsError(host: WorkspaceHost, file: string, problems: readonly Problem[]): MeshError {
  const count = `${problems.length} problem${problems.length === 1 ? "" : "s"} in ${file}.`;
  return new MeshError("INVALID_ARGUMENT", `${formatProblems(host, problems)}\n${count}`);
}

/** Problems with the lines they are in, which may be those of imported files. */
export function formatProblems(host: WorkspaceHost, problems: readonly Problem[]): string {
  const lines = problems.map((problem) => {
    const text = host.readBytes(problem.place.file)?.toString("utf8") ?? "";
    return formatProblem(problem, text);
  });
  return lines.join("\n");
}

function shortList(names: readonly string[]): string {
  return names.length > 20 ? `${names.slice(0, 20).join(", ")} and more` : names.join(", ");
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
