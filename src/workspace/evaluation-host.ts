// The workspace as Builderfiles see it while they are evaluated: every look at it is remembered, so
// that the next build can tell whether anything they saw has changed.

import { createHash } from "node:crypto";
import { readFileSync, realpathSync } from "node:fs";
import { join } from "node:path";
import type { EvaluationHost } from "../builderfile/evaluation.ts";
import { MeshError } from "../core/error.ts";
import { type Look, lookAt, statOf } from "./look.ts";
import { sourceFiles } from "./source-files.ts";

/** A file as it was when it was read, or missed; or a folder that was listed. */
export interface ReadFile {
  readonly look: Look;
  /** SHA-256 of what was read; undefined where there was nothing, and for a folder. */
  readonly hash: string | undefined;
}

/** The world of a workspace's Builderfiles. */
export interface WorkspaceHost extends EvaluationHost {
  /** The bytes of a file; undefined where there is none. FAILED_PRECONDITION for one outside. */
  readBytes(path: string): Buffer | undefined;
  /** Names of the environment's variables that were asked for. */
  readonly variables: ReadonlySet<string>;
}

/** Bound of a file that a Builderfile reads. */
const bytesMax = 1 << 20;

/** The world below `root`; what is seen of it goes to `readByFile` before it is read. */
export function workspaceHost(
  root: string,
  env: Readonly<Record<string, string | undefined>>,
  readByFile: Map<string, ReadFile>,
): WorkspaceHost {
  const variables = new Set<string>();
  const foundByGlobs = new Map<string, ReturnType<EvaluationHost["glob"]>>();

  function rememberLook(path: string): void {
    if (!readByFile.has(path))
      readByFile.set(path, { look: lookAt(join(root, path)), hash: undefined });
  }

  function readBytes(path: string): Buffer | undefined {
    rememberLook(path);
    const stat = statOf(join(root, path));
    if (!stat?.isFile()) return undefined;
    checkInside(root, path);
    if (stat.size > bytesMax) {
      throw new MeshError("FAILED_PRECONDITION", `${path} is over ${bytesMax} bytes long. Cut it.`);
    }
    const bytes = reading(path, () => readFileSync(join(root, path)));
    const look = readByFile.get(path)?.look ?? lookAt(join(root, path));
    readByFile.set(path, { look, hash: createHash("sha256").update(bytes).digest("hex") });
    return bytes;
  }

  return {
    readBytes,
    readFile: (path) => {
      const bytes = readBytes(path);
      return bytes === undefined ? undefined : decoded(path, bytes);
    },
    fileExists: (path) => {
      rememberLook(path);
      return statOf(join(root, path))?.isFile() ?? false;
    },
    glob: (folder, globs) => {
      const key = JSON.stringify([folder, globs]);
      const known = foundByGlobs.get(key);
      if (known !== undefined) return known;
      // What targets make is not known yet: Builderfiles see what is there.
      const files = sourceFiles(root, () => false);
      const matching = files.matching(folder, globs);
      for (const [path, look] of files.looks()) {
        if (!readByFile.has(path)) readByFile.set(path, { look, hash: undefined });
      }
      const found = { files: matching, folders: [...files.looks().keys()] };
      foundByGlobs.set(key, found);
      return found;
    },
    variable: (name) => {
      variables.add(name);
      return env[name];
    },
    variables,
    platform: process.platform,
    arch: process.arch,
  };
}

function decoded(path: string, bytes: Buffer): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new MeshError("FAILED_PRECONDITION", `${path} is not valid UTF-8 text.`);
  }
}

function checkInside(root: string, path: string): void {
  const target = reading(path, () => realpathSync(join(root, path)));
  if (target.startsWith(root === "/" ? root : `${root}/`)) return;
  throw new MeshError(
    "FAILED_PRECONDITION",
    `${path} leads out of the workspace, to ${target}. Put a copy in its place.`,
  );
}

function reading<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new MeshError("FAILED_PRECONDITION", `${path} cannot be read (${why}).`, { cause });
  }
}
