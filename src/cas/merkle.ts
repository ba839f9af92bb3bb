// Folders as Merkle trees of REAPI Directory messages, both ways, with every rule of the API
// checked on what comes from outside.

import { type Digest, type DigestFunction, digestKey } from "../core/digest.ts";
import { failureOf, MeshError } from "../core/error.ts";
import {
  Directory,
  type DirectoryNode,
  type FileNode,
  type NodeProperties,
  type SymlinkNode,
  Tree,
} from "../wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import { fromTimestamp, fromWireDigest, toTimestamp, toWireDigest } from "../wire/reapi.ts";
import type { BlobStore } from "./blob-store.ts";
import { digestOf, emptyDigest } from "./hash.ts";

/** One thing in a folder tree; `path` is relative, with `/`, never empty. */
export type TreeEntry =
  | {
      readonly kind: "file";
      readonly path: string;
      readonly digest: Digest;
      readonly executable: boolean;
      /** Only where they are wanted: most actions must not see times and modes. */
      readonly properties?: FileProperties | undefined;
    }
  | { readonly kind: "symlink"; readonly path: string; readonly target: string }
  | { readonly kind: "directory"; readonly path: string };

/** What a file can carry besides its bytes (REAPI, NodeProperties). */
export interface FileProperties {
  /** Unix ms. */
  readonly mtimeMs: number | undefined;
  /** Permission bits, such as 0o644. */
  readonly unixMode: number | undefined;
}

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

/**
 * A whole folder as one Tree message (REAPI, OutputDirectory.tree_digest), each folder once and
 * before those that it holds: topologically sorted.
 */
export function treeOf(built: BuiltTree): Uint8Array {
  const root = built.bytesByKey.get(digestKey(built.root));
  // Built from the leaves up, so that the reverse has every folder before its children.
  const children = [...built.bytesByKey.values()]
    .reverse()
    .filter((folder) => folder !== root)
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
    const directory = decodeDirectory(Directory, bytes, "Directory");
    checkText(directory, bytes);
    return directory;
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
      const properties = fromNodeProperties(file.nodeProperties);
      entries.push({ kind: "file", path, digest, executable: file.isExecutable, properties });
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

function fromNodeProperties(found: NodeProperties | undefined): FileProperties | undefined {
  const [mtimeMs, unixMode] = [fromTimestamp(found?.mtime), found?.unixMode];
  return mtimeMs === undefined && unixMode === undefined ? undefined : { mtimeMs, unixMode };
}

/** The message of a file's properties; undefined where there are none. */
export function toNodeProperties(wanted: FileProperties | undefined): NodeProperties | undefined {
  if (wanted === undefined) return undefined;
  const { mtimeMs, unixMode } = wanted;
  const mtime = mtimeMs === undefined ? undefined : toTimestamp(mtimeMs);
  return { properties: [], mtime, unixMode };
}

/** Decoding puts U+FFFD where bytes are no UTF-8; a file by that name would be another one. */
function checkText({ files, directories, symlinks }: Directory, bytes: Uint8Array): void {
  const texts = [...files, ...directories, ...symlinks].map(({ name }) => name);
  for (const text of [...texts, ...symlinks.map(({ target }) => target)]) {
    if (!text.includes("\ufffd") || Buffer.from(bytes).includes(Buffer.from(text))) continue;
    throw new MeshError("INVALID_ARGUMENT", `The tree holds ${quote(text)}, which is no UTF-8.`);
  }
}

/** REAPI, Directory: names are plain, each list is sorted, no name is used twice. */
function checkNames(directory: Directory, prefix: string): void {
  const used = new Set<string>();
  for (const list of [directory.files, directory.directories, directory.symlinks]) {
    checkSorted(list, prefix);
    for (const { name } of list) {
      const plain = name !== "" && name !== "." && name !== ".." && !/[/\0]/.test(name);
      if (!plain || Buffer.byteLength(name) > 255) throw badName(prefix + name, "name");
      if (used.has(name)) {
        throw new MeshError("INVALID_ARGUMENT", `The tree holds ${quote(prefix + name)} twice.`);
      }
      used.add(name);
    }
  }
}

/**
 * Sorted by UTF-8 as REAPI has it, or by UTF-16 as clients in Java and JavaScript do it: the two
 * differ only beyond the basic plane.
 */
function checkSorted(list: readonly { readonly name: string }[], prefix: string): void {
  let before: { readonly name: string } | undefined;
  for (const node of list) {
    if (before !== undefined && node.name < before.name && byName(node, before) < 0) {
      throw new MeshError(
        "INVALID_ARGUMENT",
        `The tree holds ${quote(prefix + node.name)} after ${quote(before.name)}: not sorted.`,
      );
    }
    before = node;
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
    const nodeProperties = toNodeProperties(entry.properties);
    folder.files.push({ name, digest, isExecutable, nodeProperties });
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
