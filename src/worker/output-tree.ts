// Takes one output into the store: a file, a symlink, or a folder with all that is in it. The
// action has ended, but what it left is read with suspicion: links, pipes, closed folders, names.

import { isUtf8 } from "node:buffer";
import * as fs from "node:fs";
import { join } from "node:path";
import type { LocalFiles } from "../cas/blob-store.ts";
import type { NodeTraits } from "../cas/directory-message.ts";
import { emptyDigest } from "../cas/hash.ts";
import { treeBounds } from "../cas/load-folders.ts";
import type { TreeEntry } from "../cas/merkle.ts";
import type { Digest, DigestFunction } from "../core/digest.ts";
import { MeshError } from "../core/error.ts";
import type { NodePropertyName } from "../wire/reapi.ts";
import { isErrno, opening } from "./exec-path.ts";
import { createTurns } from "./turns.ts";

/** An output as found. */
export type FoundOutput = { readonly traits: NodeTraits | undefined } & (
  | { readonly kind: "file"; readonly digest: Digest; readonly executable: boolean }
  | { readonly kind: "symlink"; readonly target: string }
  | { readonly kind: "directory"; readonly entries: readonly TreeEntry[] }
);

/** What outputs are taken with. */
export interface TakeOptions {
  readonly fn: DigestFunction;
  /** Node properties to report (REAPI, Command.output_node_properties). */
  readonly properties: ReadonlySet<NodePropertyName>;
}

/** Bound: files adopted at the same time. */
const filesAtOnce = 8;

/**
 * Takes what is at `path` into the store. FAILED_PRECONDITION, as a phrase about the output, for
 * what a result cannot hold: special files, names that are not UTF-8, too many files or levels.
 */
export async function takeOutput(
  store: LocalFiles,
  path: string,
  options: TakeOptions,
): Promise<FoundOutput> {
  const found = fs.lstatSync(path, { bigint: true });
  const traits = traitsOf(found, options.properties);
  if (found.isSymbolicLink()) return { kind: "symlink", target: readTarget(path), traits };
  if (found.isFile()) {
    const digest = await adoptFile(store, path, found, options.fn);
    return { kind: "file", digest, executable: isExecutable(found), traits };
  }
  if (!found.isDirectory())
    throw unfit(`is ${kindOf(found)}; only files, folders and symlinks can be kept`);
  const walk: Walk = { entries: [], files: [], options, turn: createTurns() };
  await listFolder(path, "", 0, walk);
  await adoptAll(store, walk);
  return { kind: "directory", entries: walk.entries, traits };
}

interface Walk {
  readonly options: TakeOptions;
  readonly turn: () => Promise<void> | undefined;
  readonly entries: TreeEntry[];
  readonly files: {
    readonly host: string;
    readonly path: string;
    readonly found: fs.BigIntStats;
  }[];
}

async function listFolder(host: string, prefix: string, depth: number, walk: Walk): Promise<void> {
  if (depth > treeBounds.depthMax) throw unfit(`nests over ${treeBounds.depthMax} folders deep`);
  for (const name of readNames(host)) {
    const path = `${prefix}${name}`;
    const below = join(host, name);
    if (walk.entries.length + walk.files.length >= treeBounds.entriesMax) {
      throw unfit(`holds over ${treeBounds.entriesMax} files`);
    }
    await walk.turn();
    const found = within(path, () =>
      opening(host, 0o700, () => fs.lstatSync(below, { bigint: true })),
    );
    const traits = traitsOf(found, walk.options.properties);
    if (found.isFile()) {
      walk.files.push({ host: below, path, found });
    } else if (found.isDirectory()) {
      walk.entries.push({ kind: "directory", path, traits });
      await listFolder(below, `${path}/`, depth + 1, walk);
    } else if (found.isSymbolicLink()) {
      walk.entries.push({ kind: "symlink", path, target: readTarget(below), traits });
    } else {
      throw unfit(`holds ${kindOf(found)} (${shown(path)}); remove it, or keep it in /tmp`);
    }
  }
}

/** Files come last, so that a folder that cannot be kept costs no reading. */
async function adoptAll(store: LocalFiles, { files, entries, options, turn }: Walk): Promise<void> {
  const rest = files.values();
  const lane = async () => {
    for (const { host, path, found } of rest) {
      await turn();
      const digest = await adoptFile(store, host, found, options.fn);
      const executable = isExecutable(found);
      entries.push({
        kind: "file",
        path,
        digest,
        executable,
        traits: traitsOf(found, options.properties),
      });
    }
  };
  await Promise.all(Array.from({ length: Math.min(filesAtOnce, files.length) }, lane));
}

/** Takes one regular file in; an action may have closed it to itself. */
export async function adoptFile(
  store: LocalFiles,
  path: string,
  found: { readonly size: bigint | number; readonly nlink: bigint | number },
  fn: DigestFunction,
): Promise<Digest> {
  // Most logs and many outputs are empty, and the empty blob is never stored.
  if (Number(found.size) === 0) return emptyDigest(fn);
  try {
    return await store.adopt(path, fn);
  } catch (error) {
    const cause = error instanceof MeshError ? error.context["cause"] : error;
    if (!isErrno(cause, "EACCES") || Number(found.nlink) > 1) throw error;
    fs.chmodSync(path, 0o600);
    return await store.adopt(path, fn);
  }
}

function readNames(folder: string): string[] {
  const names = within(folder, () => opening(folder, 0o700, () => fs.readdirSync(folder)));
  if (!names.some((name) => name.includes("\ufffd"))) return names;
  const odd = fs.readdirSync(folder, { encoding: "buffer" }).find((name) => !isUtf8(name));
  if (odd === undefined) return names;
  throw unfit(`holds the name ${shown(odd.toString("latin1"))}, which is not UTF-8; rename it`);
}

function readTarget(path: string): string {
  const target = fs.readlinkSync(path);
  if (!target.includes("\ufffd")) return target;
  if (isUtf8(fs.readlinkSync(path, { encoding: "buffer" }))) return target;
  throw unfit(`holds a symlink to ${shown(target)}, which is not UTF-8`);
}

/** A path that can be made step by step but not named as a whole is the action's doing. */
function within<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!isErrno(error, "ENAMETOOLONG")) throw error;
    throw unfit(`holds a path of over ${path.length} characters, which is too long`);
  }
}

function traitsOf(
  found: fs.BigIntStats,
  properties: ReadonlySet<NodePropertyName>,
): NodeTraits | undefined {
  if (properties.size === 0) return undefined;
  const seconds = found.mtimeNs / 1_000_000_000n - (found.mtimeNs % 1_000_000_000n < 0n ? 1n : 0n);
  const mtime = {
    seconds: Number(seconds),
    nanos: Number(found.mtimeNs - seconds * 1_000_000_000n),
  };
  return {
    mtime: properties.has("mtime") ? mtime : undefined,
    unixMode: properties.has("unix_mode") ? Number(found.mode & 0o7777n) : undefined,
  };
}

function isExecutable(found: fs.BigIntStats): boolean {
  return (found.mode & 0o111n) !== 0n;
}

function kindOf(found: fs.BigIntStats): string {
  if (found.isFIFO()) return "a named pipe";
  return found.isSocket() ? "a socket" : "a device";
}

function shown(text: string): string {
  return JSON.stringify(text.slice(0, 200));
}

function unfit(why: string): MeshError {
  return new MeshError("FAILED_PRECONDITION", why);
}
