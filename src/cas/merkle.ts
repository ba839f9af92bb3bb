// Folders as Merkle trees of REAPI Directory messages, both ways, with every rule of the API
// checked on what comes from outside.

import { type Digest, type DigestFunction, digestKey } from "../core/digest.ts";
import { failureOf, MeshError } from "../core/error.ts";
import {
  Directory,
  type DirectoryNode,
  type FileNode,
  type SymlinkNode,
  Tree,
} from "../wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import { fromWireDigest, toWireDigest } from "../wire/reapi.ts";
import type { BlobStore } from "./blob-store.ts";
import { digestOf, emptyDigest } from "./hash.ts";

/** One thing in a folder tree; `path` is relative, with `/`, never empty. */
export type TreeEntry =
  | {
      readonly kind: "file";
      readonly path: string;
      readonly digest: Digest;
      readonly executable: boolean;
    }
  | { readonly kind: "symlink"; readonly path: string; readonly target: string }
  | { readonly kind: "directory"; readonly path: string };

/** A tree as messages: the root's name and the bytes of every folder by `digestKey`. */
export interface BuiltTree {
  readonly root: Digest;
  readonly bytesByKey: ReadonlyMap<string, { readonly digest: Digest; readonly bytes: Uint8Array }>;
}

/** Bounds of trees from outside. */
export const treeBounds = { entriesMax: 1_000_000, depthMax: 256, directoryBytesMax: 16 << 20 };

interface Folder {
  readonly files: FileNode[];
  readonly symlinks: SymlinkNode[];
  readonly folderByName: Map<string, Folder>;
}

/** Builds canonical Directory messages from a flat list. Paths are the caller's own and trusted. */
export async function buildTree(
  entries: Iterable<TreeEntry>,
  fn: DigestFunction,
): Promise<BuiltTree> {
  const root: Folder = { files: [], symlinks: [], folderByName: new Map() };
  for (const entry of entries) place(root, entry);
  const bytesByKey = new Map<string, { digest: Digest; bytes: Uint8Array }>();
  const digest = await encodeFolder(root, fn, (folder) => {
    bytesByKey.set(digestKey(folder.digest), folder);
  });
  return { root: digest, bytesByKey };
}

/** A whole folder as one Tree message (REAPI, OutputDirectory.tree_digest). */
export async function treeOf(
  entries: Iterable<TreeEntry>,
  fn: DigestFunction,
): Promise<Uint8Array> {
  const built = await buildTree(entries, fn);
  const root = built.bytesByKey.get(digestKey(built.root));
  const children = [...built.bytesByKey.values()]
    .filter((folder) => folder !== root)
    .sort((a, b) => (a.digest.hash < b.digest.hash ? -1 : 1))
    .map((folder) => Directory.decode(folder.bytes));
  const rootDirectory = Directory.decode(root?.bytes ?? new Uint8Array());
  return Tree.encode({ root: rootDirectory, children }).finish();
}

/** The entries of a Tree message. INVALID_ARGUMENT where it breaks the rules. */
export async function readTreeMessage(bytes: Uint8Array, fn: DigestFunction): Promise<TreeEntry[]> {
  const tree = decodeDirectory(Tree, bytes, "Tree");
  const folderByKey = new Map<string, Directory>();
  for (const child of tree.children) {
    const digest = await digestOf(Directory.encode(child).finish(), fn);
    folderByKey.set(digestKey(digest), child);
  }
  return walk(tree.root ?? Directory.fromPartial({}), fn, async (digest) => {
    const found = folderByKey.get(digestKey(digest));
    if (found !== undefined) return found;
    throw new MeshError("INVALID_ARGUMENT", `A Tree lacks its folder ${digest.hash}.`);
  });
}

/**
 * Reads an input tree from the store as a flat list, parents before children. FAILED_PRECONDITION
 * with `missing` where Directory blobs are absent, INVALID_ARGUMENT naming the path otherwise.
 */
export async function readTree(store: BlobStore, root: Digest): Promise<TreeEntry[]> {
  const read = async (digest: Digest) => {
    const bytes = await store.get(digest, treeBounds.directoryBytesMax).catch((error: unknown) => {
      if (failureOf(error).code !== "NOT_FOUND") throw error;
      throw new MeshError(
        "FAILED_PRECONDITION",
        `Directory ${digest.hash} of the input tree is missing. Upload it again.`,
        { missing: [digest] },
      );
    });
    return decodeDirectory(Directory, bytes, "Directory");
  };
  return walk(await read(root), root.fn, read);
}

async function walk(
  root: Directory,
  fn: DigestFunction,
  read: (digest: Digest) => Promise<Directory>,
): Promise<TreeEntry[]> {
  const entries: TreeEntry[] = [];
  const seen = new Map<string, Directory>();
  const visit = async (directory: Directory, prefix: string, depth: number): Promise<void> => {
    if (depth > treeBounds.depthMax) {
      throw new MeshError("INVALID_ARGUMENT", `Folders nest over ${treeBounds.depthMax} deep.`);
    }
    checkNames(directory, prefix);
    for (const file of directory.files) {
      const path = prefix + file.name;
      const digest = fromWireDigest(file.digest, fn, `The digest of ${path}`);
      entries.push({ kind: "file", path, digest, executable: file.isExecutable });
    }
    for (const { name, target } of directory.symlinks) {
      if (target.includes("\0") || target === "") throw badName(prefix + name, "target");
      entries.push({ kind: "symlink", path: prefix + name, target });
    }
    for (const child of directory.directories) {
      const path = prefix + child.name;
      entries.push({ kind: "directory", path });
      if (entries.length > treeBounds.entriesMax) {
        throw new MeshError("INVALID_ARGUMENT", `A tree of over ${treeBounds.entriesMax} entries.`);
      }
      const digest = fromWireDigest(child.digest, fn, `The digest of ${path}`);
      const known = seen.get(digestKey(digest)) ?? (await read(digest));
      seen.set(digestKey(digest), known);
      await visit(known, `${path}/`, depth + 1);
    }
  };
  await visit(root, "", 0);
  return entries;
}

/** REAPI, Directory: names are plain, each list is sorted, no name is used twice. */
function checkNames(directory: Directory, prefix: string): void {
  const used = new Set<string>();
  for (const list of [directory.files, directory.directories, directory.symlinks]) {
    for (const { name } of list) {
      const plain = name !== "" && name !== "." && name !== ".." && !/[/\0]/.test(name);
      if (!plain || name.length > 255) throw badName(prefix + name, "name");
      if (used.has(name)) {
        throw new MeshError("INVALID_ARGUMENT", `The tree holds ${quote(prefix + name)} twice.`);
      }
      used.add(name);
    }
  }
}

function badName(path: string, what: string): MeshError {
  return new MeshError("INVALID_ARGUMENT", `The tree holds a forbidden ${what} at ${quote(path)}.`);
}

function quote(path: string): string {
  return JSON.stringify(path.slice(0, 200));
}

function decodeDirectory<T>(
  type: { decode(bytes: Uint8Array): T },
  bytes: Uint8Array,
  name: string,
): T {
  try {
    return type.decode(bytes);
  } catch (cause) {
    throw new MeshError("INVALID_ARGUMENT", `A ${name} blob is no ${name} message.`, { cause });
  }
}

function place(root: Folder, entry: TreeEntry): void {
  const parts = entry.path.split("/");
  const name = parts.pop() ?? "";
  let folder = root;
  for (const part of parts) folder = subFolder(folder, part);
  if (entry.kind === "directory") subFolder(folder, name);
  if (entry.kind === "symlink") {
    folder.symlinks.push({ name, target: entry.target, nodeProperties: undefined });
  }
  if (entry.kind === "file") {
    const digest = toWireDigest(entry.digest);
    const isExecutable = entry.executable;
    folder.files.push({ name, digest, isExecutable, nodeProperties: undefined });
  }
}

function subFolder(folder: Folder, name: string): Folder {
  const found = folder.folderByName.get(name);
  if (found !== undefined) return found;
  const made: Folder = { files: [], symlinks: [], folderByName: new Map() };
  folder.folderByName.set(name, made);
  return made;
}

async function encodeFolder(
  folder: Folder,
  fn: DigestFunction,
  keep: (folder: { digest: Digest; bytes: Uint8Array }) => void,
): Promise<Digest> {
  const directories: DirectoryNode[] = [];
  for (const [name, child] of folder.folderByName) {
    directories.push({ name, digest: toWireDigest(await encodeFolder(child, fn, keep)) });
  }
  const bytes = Directory.encode({
    files: folder.files.sort(byName),
    directories: directories.sort(byName),
    symlinks: folder.symlinks.sort(byName),
    nodeProperties: undefined,
  }).finish();
  const digest = bytes.length === 0 ? emptyDigest(fn) : await digestOf(bytes, fn);
  keep({ digest, bytes });
  return digest;
}

/** Byte order of the UTF-8 names, as REAPI sorts. */
function byName(a: { readonly name: string }, b: { readonly name: string }): number {
  return Buffer.compare(Buffer.from(a.name), Buffer.from(b.name));
}
