// Collects what an action declared as outputs into the store, in every form REAPI has: files,
// folders (as Tree messages), symlinks. What was not made is left out (REAPI, ActionResult).

import type { Stats } from "node:fs";
import { lstat, readdir, readlink } from "node:fs/promises";
import { join } from "node:path";
import type { BlobStore, LocalFiles } from "../cas/blob-store.ts";
import {
  buildTree,
  type FileProperties,
  type TreeEntry,
  toNodeProperties,
  treeOf,
} from "../cas/merkle.ts";
import type { DigestFunction } from "../core/digest.ts";
import { MeshError } from "../core/error.ts";
import {
  type Command,
  Command_OutputDirectoryFormat,
  type OutputDirectory,
  type OutputFile,
  type OutputSymlink,
} from "../wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import { toWireDigest } from "../wire/reapi.ts";
import { findInside, normalizeExecPath } from "./exec-path.ts";

/** The three output lists of an ActionResult. */
export interface CollectedOutputs {
  readonly files: OutputFile[];
  readonly directories: OutputDirectory[];
  readonly symlinks: OutputSymlink[];
  /** The same again for clients of REAPI 2.0, who said what each output is. */
  readonly fileSymlinks: OutputSymlink[];
  readonly directorySymlinks: OutputSymlink[];
}

/** What of outputs is to be told. */
interface Wishes {
  readonly fn: DigestFunction;
  /** True where folders are wanted as Directory blobs too. */
  readonly directories: boolean;
  readonly mtime: boolean;
  readonly unixMode: boolean;
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
  command: Command,
  fn: DigestFunction,
): Promise<CollectedOutputs> {
  const collected: CollectedOutputs = {
    files: [],
    directories: [],
    symlinks: [],
    fileSymlinks: [],
    directorySymlinks: [],
  };
  const wishes: Wishes = {
    fn,
    directories: command.outputDirectoryFormat !== Command_OutputDirectoryFormat.TREE_ONLY,
    mtime: command.outputNodeProperties.includes("mtime"),
    unixMode: command.outputNodeProperties.includes("unix_mode"),
  };
  for (const output of declaredOutputs(command)) {
    const path = await findInside(execRoot, output.path);
    if (path !== undefined) await collectOne(store, path, output, wishes, collected);
  }
  return collected;
}

function propertiesOf(stat: Stats, { mtime, unixMode }: Wishes): FileProperties | undefined {
  if (!mtime && !unixMode) return undefined;
  return {
    mtimeMs: mtime ? stat.mtimeMs : undefined,
    unixMode: unixMode ? stat.mode & 0o777 : undefined,
  };
}

async function collectOne(
  store: BlobStore & LocalFiles,
  path: string,
  output: DeclaredOutput,
  wishes: Wishes,
  collected: CollectedOutputs,
): Promise<void> {
  const found = await lstat(path).catch(() => undefined);
  if (found === undefined) return;
  if (found.isSymbolicLink()) {
    const target = await readlink(path);
    const symlink = { path: output.declared, target, nodeProperties: undefined };
    collected.symlinks.push(symlink);
    if (output.form === "file") collected.fileSymlinks.push(symlink);
    if (output.form === "directory") collected.directorySymlinks.push(symlink);
  } else if (found.isDirectory() && output.form !== "file") {
    collected.directories.push(await collectDirectory(store, path, output.declared, wishes));
  } else if (found.isFile() && output.form !== "directory") {
    const digest = await store.adopt(path, wishes.fn);
    collected.files.push({
      path: output.declared,
      digest: toWireDigest(digest),
      isExecutable: (found.mode & 0o111) !== 0,
      contents: new Uint8Array(),
      nodeProperties: toNodeProperties(propertiesOf(found, wishes)),
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
  wishes: Wishes,
): Promise<OutputDirectory> {
  const { fn } = wishes;
  const entries: TreeEntry[] = [];
  await walk(store, path, "", wishes, entries);
  const built = await buildTree(entries, fn);
  const tree = await store.put(treeOf(built), fn);
  if (wishes.directories) {
    for (const { bytes } of built.bytesByKey.values()) await store.put(bytes, fn);
  }
  return {
    path: declared,
    // Always: Buck2 takes a folder without a Tree for a fault.
    treeDigest: toWireDigest(tree),
    isTopologicallySorted: true,
    rootDirectoryDigest: wishes.directories ? toWireDigest(built.root) : undefined,
  };
}

function noText(path: string): MeshError {
  return new MeshError(
    "FAILED_PRECONDITION",
    `Output ${JSON.stringify(path)} has a name that is no UTF-8, which REAPI cannot carry.`,
  );
}

async function walk(
  store: LocalFiles,
  folder: string,
  prefix: string,
  wishes: Wishes,
  entries: TreeEntry[],
): Promise<void> {
  for (const name of (await readdir(folder)).sort()) {
    if (entries.length >= entriesMax) {
      throw new MeshError("RESOURCE_EXHAUSTED", `An output folder holds over ${entriesMax} files.`);
    }
    const path = `${prefix}${name}`;
    if (name.includes("\ufffd")) throw noText(path);
    const host = join(folder, name);
    const found = await lstat(host);
    if (found.isSymbolicLink()) {
      entries.push({ kind: "symlink", path, target: await readlink(host) });
    } else if (found.isDirectory()) {
      entries.push({ kind: "directory", path });
      await walk(store, host, `${path}/`, wishes, entries);
    } else if (found.isFile()) {
      const executable = (found.mode & 0o111) !== 0;
      const properties = propertiesOf(found, wishes);
      const digest = await store.adopt(host, wishes.fn);
      entries.push({ kind: "file", path, digest, executable, properties });
    }
  }
}
