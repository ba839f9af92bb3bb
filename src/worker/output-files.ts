// Collects what an action declared as outputs into the store, in every form REAPI has: files,
// folders (as Tree messages), symlinks. What was not made is left out (REAPI, ActionResult).

import { lstat, readdir, readlink } from "node:fs/promises";
import { join } from "node:path";
import type { BlobStore, LocalFiles } from "../cas/blob-store.ts";
import { type TreeEntry, treeOf } from "../cas/merkle.ts";
import type { DigestFunction } from "../core/digest.ts";
import { MeshError } from "../core/error.ts";
import type {
  Command,
  OutputDirectory,
  OutputFile,
  OutputSymlink,
} from "../wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import { toWireDigest } from "../wire/reapi.ts";
import { findInside, normalizeExecPath } from "./exec-path.ts";

/** The three output lists of an ActionResult. */
export interface CollectedOutputs {
  readonly files: OutputFile[];
  readonly directories: OutputDirectory[];
  readonly symlinks: OutputSymlink[];
}

/** One declared output: the client's spelling and the normalised path in the exec root. */
export interface DeclaredOutput {
  readonly declared: string;
  readonly path: string;
  /** What the client said it is; `any` for `output_paths`. */
  readonly form: "file" | "directory" | "any";
}

/** Bound: entries in one output directory. */
const entriesMax = 1_000_000;

/** The outputs a Command declares. `output_paths` wins over the two older lists (REAPI 2.1). */
export function declaredOutputs(command: Command): DeclaredOutput[] {
  const folder = command.workingDirectory;
  const read = (form: DeclaredOutput["form"], field: string) => (declared: string) => ({
    declared,
    // An absolute path stays one, so that it is refused and not silently moved.
    path: normalizeExecPath(
      declared.startsWith("/") ? declared : `${folder || "."}/${declared}`,
      field,
    ),
    form,
  });
  if (command.outputPaths.length > 0) {
    return command.outputPaths.map(read("any", "output_paths"));
  }
  return [
    ...command.outputFiles.map(read("file", "output_files")),
    ...command.outputDirectories.map(read("directory", "output_directories")),
  ];
}

/** Takes the declared outputs below `execRoot` into the store. The action must have ended. */
export async function collectOutputs(
  store: BlobStore & LocalFiles,
  execRoot: string,
  outputs: readonly DeclaredOutput[],
  fn: DigestFunction,
): Promise<CollectedOutputs> {
  const collected: CollectedOutputs = { files: [], directories: [], symlinks: [] };
  for (const output of outputs) {
    const path = await findInside(execRoot, output.path);
    if (path !== undefined) await collectOne(store, path, output, fn, collected);
  }
  return collected;
}

async function collectOne(
  store: BlobStore & LocalFiles,
  path: string,
  output: DeclaredOutput,
  fn: DigestFunction,
  collected: CollectedOutputs,
): Promise<void> {
  const found = await lstat(path).catch(() => undefined);
  if (found === undefined) return;
  if (found.isSymbolicLink()) {
    const target = await readlink(path);
    collected.symlinks.push({ path: output.declared, target, nodeProperties: undefined });
  } else if (found.isDirectory() && output.form !== "file") {
    collected.directories.push(await collectDirectory(store, path, output.declared, fn));
  } else if (found.isFile() && output.form !== "directory") {
    const digest = await store.adopt(path, fn);
    collected.files.push({
      path: output.declared,
      digest: toWireDigest(digest),
      isExecutable: (found.mode & 0o111) !== 0,
      contents: new Uint8Array(),
      nodeProperties: undefined,
    });
  } else {
    throw new MeshError(
      "FAILED_PRECONDITION",
      `Output ${output.declared} is not of the declared kind (${output.form}).`,
    );
  }
}

async function collectDirectory(
  store: BlobStore & LocalFiles,
  path: string,
  declared: string,
  fn: DigestFunction,
): Promise<OutputDirectory> {
  const entries: TreeEntry[] = [];
  await walk(store, path, "", fn, entries);
  const tree = await store.put(await treeOf(entries, fn), fn);
  return {
    path: declared,
    treeDigest: toWireDigest(tree),
    isTopologicallySorted: false,
    rootDirectoryDigest: undefined,
  };
}

async function walk(
  store: LocalFiles,
  folder: string,
  prefix: string,
  fn: DigestFunction,
  entries: TreeEntry[],
): Promise<void> {
  for (const name of (await readdir(folder)).sort()) {
    if (entries.length >= entriesMax) {
      throw new MeshError("RESOURCE_EXHAUSTED", `An output folder holds over ${entriesMax} files.`);
    }
    const path = `${prefix}${name}`;
    const host = join(folder, name);
    const found = await lstat(host);
    if (found.isSymbolicLink()) {
      entries.push({ kind: "symlink", path, target: await readlink(host) });
    } else if (found.isDirectory()) {
      entries.push({ kind: "directory", path });
      await walk(store, host, `${path}/`, fn, entries);
    } else if (found.isFile()) {
      const executable = (found.mode & 0o111) !== 0;
      entries.push({ kind: "file", path, digest: await store.adopt(host, fn), executable });
    }
  }
}
