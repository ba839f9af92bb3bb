// Folders as Merkle trees of REAPI Directory messages, both ways, with every rule of the API
// checked on what comes from outside.

import { type Digest, type DigestFunction, digestKey } from "../core/digest.ts";
import { failureOf, MeshError } from "../core/error.ts";
import { encodeBytes } from "../wire/encode.ts";
import {
  Directory,
  type DirectoryNode,
  type FileNode,
  type SymlinkNode,
  Tree,
} from "../wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import { fromWireDigest, toWireDigest } from "../wire/reapi.ts";
import type { BlobStore } from "./blob-store.ts";
import {
  checkDirectory,
  compareNames,
  decodeDirectory,
  type NodeTraits,
  toNodeProperties,
  traitsOf,
} from "./directory-message.ts";
import { digestOf, emptyDigest } from "./hash.ts";
import { checkSize, type LoadedFolders, loadFolders, tooMany, treeBounds } from "./load-folders.ts";

/** One thing in a folder tree; `path` is relative, with `/`, never empty. */
export type TreeEntry = (
  | {
      readonly kind: "file";
      readonly path: string;
      readonly digest: Digest;
      readonly executable: boolean;
      /** Marked as part of the tool, not of what it works on (Bazel's `bazel_tool_input`). */
      readonly isTool?: true;
    }
  | { readonly kind: "symlink"; readonly path: string; readonly target: string }
  | { readonly kind: "directory"; readonly path: string }
) & { readonly traits?: NodeTraits | undefined };

/** A folder and everything below it. */
export interface FolderTree {
  /** Parents before children. */
  readonly entries: readonly TreeEntry[];
  /** Of the folder itself. */
  readonly traits: NodeTraits | undefined;
}

/** One folder's message in all its forms. */
export interface EncodedFolder {
  readonly digest: Digest;
  readonly bytes: Uint8Array;
  readonly message: Directory;
}

/** A tree as messages: the root's name and every folder by `digestKey`, children before parents. */
export interface BuiltTree {
  readonly root: Digest;
  readonly bytesByKey: ReadonlyMap<string, EncodedFolder>;
}

interface Folder {
  readonly files: FileNode[];
  readonly symlinks: SymlinkNode[];
  readonly folderByName: Map<string, Folder>;
  traits: NodeTraits | undefined;
}

/** Builds canonical Directory messages from a flat list. Paths are the caller's own and trusted. */
export async function buildTree(
  entries: Iterable<TreeEntry>,
  fn: DigestFunction,
  rootTraits?: NodeTraits,
): Promise<BuiltTree> {
  const root = newFolder(rootTraits);
  for (const entry of entries) place(root, entry);
  const bytesByKey = new Map<string, EncodedFolder>();
  const digest = await encodeFolder(root, fn, (folder) => {
    const key = digestKey(folder.digest);
    // The first finding counts: whoever holds this folder comes after it, wherever else it is.
    if (!bytesByKey.has(key)) bytesByKey.set(key, folder);
  });
  return { root: digest, bytesByKey };
}

/**
 * A whole folder as one Tree message (REAPI, OutputDirectory.tree_digest): each folder once and
 * before those that it holds (is_topologically_sorted), the same bytes for the same folder.
 */
export function treeOf(built: BuiltTree): Uint8Array {
  const [root, ...children] = [...built.bytesByKey.values()].reverse();
  return Tree.encode({
    root: root?.message,
    children: children.map(({ message }) => message),
  }).finish();
}

/** The entries of a Tree message. INVALID_ARGUMENT where it breaks the rules. */
export async function readTreeMessage(bytes: Uint8Array, fn: DigestFunction): Promise<TreeEntry[]> {
  const tree = decodeTree(bytes);
  const childByKey = new Map<string, Directory>();
  for (const child of tree.children) {
    const digest = await digestOf(encodeBytes(Directory, child), fn);
    childByKey.set(digestKey(digest), child);
  }
  const root = tree.root ?? Directory.fromPartial({});
  checkDirectory(root, "");
  const loaded = await loadFolders(root, fn, async (digest, path) => {
    const found = childByKey.get(digestKey(digest));
    if (found !== undefined) checkDirectory(found, path);
    return found;
  });
  const [lost] = loaded.missing;
  if (lost !== undefined) {
    throw new MeshError("INVALID_ARGUMENT", `A Tree lacks its folder ${lost.hash}.`);
  }
  return flatten(root, fn, loaded);
}

/**
 * Reads an input tree from the store. FAILED_PRECONDITION with everything `missing` that can be
 * known, where Directory blobs are absent; INVALID_ARGUMENT naming the path otherwise.
 */
export async function readFolderTree(store: BlobStore, root: Digest): Promise<FolderTree> {
  const read = async (digest: Digest, path: string) => {
    if (digest.sizeBytes > treeBounds.directoryBytesMax) throw tooMany("bytes in a folder", path);
    const bytes = await store.get(digest, treeBounds.directoryBytesMax).catch((error: unknown) => {
      if (failureOf(error).code !== "NOT_FOUND") throw error;
      return undefined;
    });
    return bytes && decodeDirectory(bytes, path);
  };
  const top = await read(root, "");
  if (top === undefined) throw await missingFolders(store, [root], []);
  const loaded = await loadFolders(top, root.fn, read);
  if (loaded.missing.length > 0) {
    throw await missingFolders(store, loaded.missing, [top, ...loaded.folders]);
  }
  const entries = flatten(top, root.fn, loaded);
  return { entries, traits: traitsOf(top.nodeProperties, "") };
}

/** The entries of `readFolderTree`. */
export async function readTree(store: BlobStore, root: Digest): Promise<readonly TreeEntry[]> {
  return (await readFolderTree(store, root)).entries;
}

/** Names the files that are missing too, so that the client can upload everything in one go. */
async function missingFolders(
  store: BlobStore,
  folders: readonly Digest[],
  found: readonly Directory[],
): Promise<MeshError> {
  const files = new Map<string, Digest>();
  for (const file of found.flatMap((folder) => folder.files)) {
    const digest = fromWireDigest(file.digest, folders[0]?.fn ?? "sha256", file.name);
    files.set(digestKey(digest), digest);
  }
  const missing = [...folders, ...(await store.missing([...files.values()]))];
  return new MeshError(
    "FAILED_PRECONDITION",
    `Directory ${folders[0]?.hash} of the input tree is missing (${missing.length} blobs in all). ` +
      "Upload them and run the action again.",
    { missing },
  );
}

/** Writes the tree out, after counting: a folder may be reused until no memory would hold it. */
/** By which Bazel marks the files of a tool (--experimental_remote_mark_tool_inputs). */
const toolInputProperty = "bazel_tool_input";

function flatten(root: Directory, fn: DigestFunction, loaded: LoadedFolders): TreeEntry[] {
  checkSize(root, loaded);
  const entries: TreeEntry[] = [];
  const visit = (folder: Directory, prefix: string): void => {
    for (const { name, digest, isExecutable, nodeProperties } of folder.files) {
      const path = prefix + name;
      const checked = fromWireDigest(digest, fn, `The digest of ${path}`);
      const traits = traitsOf(nodeProperties, path);
      const isTool = nodeProperties?.properties.some(({ name }) => name === toolInputProperty);
      const file = { kind: "file", path, digest: checked, executable: isExecutable } as const;
      entries.push({ ...file, traits, ...(isTool && { isTool }) });
    }
    for (const { name, target, nodeProperties } of folder.symlinks) {
      const path = prefix + name;
      entries.push({ kind: "symlink", path, target, traits: traitsOf(nodeProperties, path) });
    }
    for (const child of loaded.childrenOf(folder)) {
      const path = prefix + child.name;
      const traits = traitsOf(child.folder.nodeProperties, path);
      entries.push({ kind: "directory", path, traits });
      visit(child.folder, `${path}/`);
    }
  };
  visit(root, "");
  return entries;
}

function decodeTree(bytes: Uint8Array): Tree {
  try {
    return Tree.decode(bytes);
  } catch (cause) {
    throw new MeshError("INVALID_ARGUMENT", "A Tree blob is no Tree message.", { cause });
  }
}

function newFolder(traits: NodeTraits | undefined): Folder {
  return { files: [], symlinks: [], folderByName: new Map(), traits };
}

function place(root: Folder, entry: TreeEntry): void {
  const parts = entry.path.split("/");
  const name = parts.pop() ?? "";
  let folder = root;
  for (const part of parts) folder = subFolder(folder, part);
  const nodeProperties = toNodeProperties(entry.traits);
  if (entry.kind === "directory") subFolder(folder, name).traits = entry.traits;
  if (entry.kind === "symlink")
    folder.symlinks.push({ name, target: entry.target, nodeProperties });
  if (entry.kind === "file") {
    const digest = toWireDigest(entry.digest);
    folder.files.push({ name, digest, isExecutable: entry.executable, nodeProperties });
  }
}

function subFolder(folder: Folder, name: string): Folder {
  const found = folder.folderByName.get(name);
  if (found !== undefined) return found;
  const made = newFolder(undefined);
  folder.folderByName.set(name, made);
  return made;
}

async function encodeFolder(
  folder: Folder,
  fn: DigestFunction,
  keep: (folder: EncodedFolder) => void,
): Promise<Digest> {
  const directories: DirectoryNode[] = [];
  const folders = [...folder.folderByName].sort(([a], [b]) => compareNames(a, b));
  for (const [name, child] of folders) {
    directories.push({ name, digest: toWireDigest(await encodeFolder(child, fn, keep)) });
  }
  const message: Directory = {
    files: folder.files.sort(byName),
    directories,
    symlinks: folder.symlinks.sort(byName),
    nodeProperties: toNodeProperties(folder.traits),
  };
  const bytes = encodeBytes(Directory, message);
  const digest = bytes.length === 0 ? emptyDigest(fn) : await digestOf(bytes, fn);
  keep({ digest, bytes, message });
  return digest;
}

function byName(a: { readonly name: string }, b: { readonly name: string }): number {
  return compareNames(a.name, b.name);
}
