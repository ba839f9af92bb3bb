// Collects what an action declared as outputs into the store, in every form REAPI has: files,
// folders (as Tree and Directory messages), symlinks. What was not made is left out (ActionResult).

import type { BlobStore, LocalFiles } from "../cas/blob-store.ts";
import { toNodeProperties } from "../cas/directory-message.ts";
import { buildTree, type TreeEntry, treeOf } from "../cas/merkle.ts";
import type { DigestFunction } from "../core/digest.ts";
import { MeshError } from "../core/error.ts";
import {
  type Command,
  Command_OutputDirectoryFormat,
  type OutputDirectory,
  type OutputFile,
  type OutputSymlink,
} from "../wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import { supportedNodeProperties, toWireDigest } from "../wire/reapi.ts";
import { findInside, normalizeExecPath } from "./exec-path.ts";
import { type FoundOutput, type TakeOptions, takeOutput } from "./output-tree.ts";

/** The output lists of an ActionResult. */
export interface CollectedOutputs {
  readonly files: OutputFile[];
  readonly directories: OutputDirectory[];
  readonly symlinks: OutputSymlink[];
  /** The two lists of clients before 2.1, filled besides where outputs were declared their way. */
  readonly fileSymlinks: OutputSymlink[];
  readonly directorySymlinks: OutputSymlink[];
  /** Of all files in them together. */
  bytes: number;
  /** Sentences about outputs that were made but cannot be kept; they are in no list. */
  readonly problems: string[];
}

/** One declared output: the client's spelling and the normalised path in the exec root. */
export interface DeclaredOutput {
  readonly declared: string;
  readonly path: string;
  /** What the client said it is; `any` for `output_paths`. */
  readonly form: "file" | "directory" | "any";
}

/** How outputs are to be described. */
export interface CollectOptions extends TakeOptions {
  /** True where folders are wanted as Directory blobs too, not only as a Tree. */
  readonly directoryBlobs: boolean;
}

/** Bound: problems told in one result. */
const problemsMax = 20;

/**
 * The outputs a Command declares, each spelling once. `output_paths` wins over the two older lists
 * (REAPI 2.1). INVALID_ARGUMENT for paths that leave the exec root.
 */
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
    return [...new Set(command.outputPaths)].map(read("any", "output_paths"));
  }
  return [
    ...[...new Set(command.outputFiles)].map(read("file", "output_files")),
    ...[...new Set(command.outputDirectories)].map(read("directory", "output_directories")),
  ];
}

/**
 * How a Command wants its outputs described. INVALID_ARGUMENT, as REAPI has it, for node properties
 * that are not supported here.
 */
export function collectOptions(command: Command, fn: DigestFunction): CollectOptions {
  const wanted = new Set(command.outputNodeProperties);
  const properties = new Set(supportedNodeProperties.filter((name) => wanted.delete(name)));
  const [unknown] = wanted;
  if (unknown !== undefined) {
    throw new MeshError(
      "INVALID_ARGUMENT",
      `output_node_properties: ${JSON.stringify(unknown.slice(0, 80))} is not supported. ` +
        `Supported are ${supportedNodeProperties.join(" and ")}.`,
    );
  }
  const format = command.outputDirectoryFormat;
  return { fn, properties, directoryBlobs: format !== Command_OutputDirectoryFormat.TREE_ONLY };
}

/** Takes the declared outputs below `execRoot` into the store. The action must have ended. */
export async function collectOutputs(
  store: BlobStore & LocalFiles,
  execRoot: string,
  outputs: readonly DeclaredOutput[],
  options: CollectOptions,
): Promise<CollectedOutputs> {
  const collected: CollectedOutputs = {
    files: [],
    directories: [],
    symlinks: [],
    fileSymlinks: [],
    directorySymlinks: [],
    bytes: 0,
    problems: [],
  };
  const found = await takeAll(store, execRoot, outputs, options, collected.problems);
  for (const output of outputs) {
    const taken = found.get(output.path);
    if (taken !== undefined) await report(store, output, taken, options, collected);
  }
  return collected;
}

/** Every path once, parents first: the store takes files away, so what lies inside is looked up. */
async function takeAll(
  store: BlobStore & LocalFiles,
  execRoot: string,
  outputs: readonly DeclaredOutput[],
  options: CollectOptions,
  problems: string[],
): Promise<Map<string, FoundOutput>> {
  const found = new Map<string, FoundOutput>();
  const lookUp = createLookUp(found);
  const ordered = [...new Map(outputs.map((output) => [output.path, output])).values()];
  for (const { path, declared } of ordered.sort((a, b) => a.path.length - b.path.length)) {
    const inside = lookUp(path);
    if (inside === "nothing") continue;
    const host = inside === undefined ? await findInside(execRoot, path) : undefined;
    try {
      const taken = inside ?? (host && (await takeOutput(store, host, options)));
      if (taken) found.set(path, taken);
    } catch (error) {
      if (!(error instanceof MeshError) || error.code !== "FAILED_PRECONDITION") throw error;
      tell(problems, `Output ${JSON.stringify(declared)} ${error.message}.`);
    }
  }
  return found;
}

/** Answers what a folder that was taken holds at a path; undefined where no such folder was. */
function createLookUp(found: ReadonlyMap<string, FoundOutput>) {
  const indexes = new Map<FoundOutput, ReadonlyMap<string, TreeEntry>>();
  const inFolder = (folder: FoundOutput, path: string): FoundOutput | "nothing" => {
    if (folder.kind !== "directory") return "nothing";
    const index =
      indexes.get(folder) ?? new Map(folder.entries.map((entry) => [entry.path, entry]));
    indexes.set(folder, index);
    const entry = index.get(path);
    if (entry === undefined) return "nothing";
    if (entry.kind !== "directory") return { ...entry, traits: entry.traits };
    const entries = folder.entries
      .filter((other) => other.path.startsWith(`${path}/`))
      .map((other): TreeEntry => ({ ...other, path: other.path.slice(path.length + 1) }));
    return { kind: "directory", entries, traits: entry.traits };
  };
  return (path: string): FoundOutput | "nothing" | undefined => {
    for (let at = path.lastIndexOf("/"); at > 0; at = path.lastIndexOf("/", at - 1)) {
      const above = found.get(path.slice(0, at));
      if (above !== undefined) return inFolder(above, path.slice(at + 1));
    }
    const root = path === "" ? undefined : found.get("");
    return root && inFolder(root, path);
  };
}

async function report(
  store: BlobStore,
  output: DeclaredOutput,
  found: FoundOutput,
  options: CollectOptions,
  collected: CollectedOutputs,
): Promise<void> {
  const { declared: path, form } = output;
  const nodeProperties = toNodeProperties(found.traits);
  if (found.kind === "symlink") {
    const symlink = { path, target: found.target, nodeProperties };
    collected.symlinks.push(symlink);
    if (form === "file") collected.fileSymlinks.push(symlink);
    if (form === "directory") collected.directorySymlinks.push(symlink);
  } else if (form !== "any" && form !== found.kind) {
    const text = `Output ${JSON.stringify(path)} is a ${found.kind} and was declared as a ${form}.`;
    tell(collected.problems, text);
  } else if (found.kind === "directory") {
    for (const entry of found.entries) {
      if (entry.kind === "file") collected.bytes += entry.digest.sizeBytes;
    }
    collected.directories.push(await storeFolder(store, path, found, options));
  } else {
    collected.bytes += found.digest.sizeBytes;
    const digest = toWireDigest(found.digest);
    const contents = new Uint8Array();
    const isExecutable = found.executable;
    collected.files.push({ path, digest, isExecutable, contents, nodeProperties });
  }
}

async function storeFolder(
  store: BlobStore,
  path: string,
  folder: FoundOutput & { readonly kind: "directory" },
  { fn, directoryBlobs }: CollectOptions,
): Promise<OutputDirectory> {
  const built = await buildTree(folder.entries, fn, folder.traits);
  if (directoryBlobs) {
    for (const { bytes } of built.bytesByKey.values()) await store.put(bytes, fn);
  }
  return {
    path,
    // Always, whatever was asked: some clients read nothing else.
    treeDigest: toWireDigest(await store.put(treeOf(built), fn)),
    isTopologicallySorted: true,
    rootDirectoryDigest: directoryBlobs ? toWireDigest(built.root) : undefined,
  };
}

function tell(problems: string[], problem: string): void {
  if (problems.length < problemsMax) problems.push(problem);
}
