// Looking after a store: what is in it, whether it is whole, making it smaller, taking things out.
// All of it works while nodes use the same store.

import * as fs from "node:fs";
import { dirname, join } from "node:path";
import { type Digest, digestKey, parseDigestKey } from "../core/digest.ts";
import { failureOf, MeshError } from "../core/error.ts";
import { ActionResult } from "../wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import { fromWireDigest } from "../wire/reapi.ts";
import { parseActionKeyText } from "./action-cache.ts";
import { namedBlobs } from "./completeness.ts";
import { createHasher } from "./hash.ts";
import { readTreeMessage } from "./merkle.ts";
import { type Store, storedFiles } from "./open-store.ts";

/** What a store holds. */
export interface StoreStats {
  /** Blobs, twins not counted. */
  readonly blobs: number;
  /** Bytes by the index's count, twins and results included. */
  readonly bytes: number;
  readonly results: number;
  /** Unix ms, by the minute; undefined in an empty store. */
  readonly oldestUseMs: number | undefined;
  readonly newestUseMs: number | undefined;
  /** Blobs by size: how many are at most so large. */
  readonly sizes: readonly { readonly bytesMax: number; readonly blobs: number }[];
}

/** What a look at every byte found. */
export interface StoreReport {
  readonly checked: number;
  readonly bytes: number;
  /** Blobs and twins whose bytes are not what they are named. */
  readonly damaged: readonly string[];
  /** Files that no row counted; they are counted now. */
  readonly uncounted: number;
  /** Results that name blobs which are gone. */
  readonly incomplete: number;
}

const sizeSteps = [4000, 64 << 10, 1 << 20, 16 << 20, Number.POSITIVE_INFINITY];
const minuteMs = 60_000;
/** Bound: a result or Tree that is looked into. */
const messageBytesMax = 64 << 20;

/** Counts what is there. */
export function statStore(store: Store): StoreStats {
  const counts = sizeSteps.map(() => 0);
  let blobs = 0;
  let oldest = Number.POSITIVE_INFINITY;
  let newest = 0;
  for (const [key, { size, used }] of store.index.entries()) {
    oldest = Math.min(oldest, used);
    newest = Math.max(newest, used);
    if (isTwin(key)) continue;
    blobs += 1;
    const step = sizeSteps.findIndex((bytesMax) => size <= bytesMax);
    counts[step] = (counts[step] ?? 0) + 1;
  }
  let results = 0;
  for (const _ of store.index.results()) results += 1;
  return {
    blobs,
    bytes: store.totalBytes(),
    results,
    oldestUseMs: newest === 0 ? undefined : oldest * minuteMs,
    newestUseMs: newest === 0 ? undefined : newest * minuteMs,
    sizes: sizeSteps.map((bytesMax, at) => ({ bytesMax, blobs: counts[at] ?? 0 })),
  };
}

/** Reads every byte and every result. With `repair`, what is damaged or incomplete is removed. */
export async function verifyStore(
  store: Store,
  folder: string,
  options: { readonly repair: boolean; readonly onProgress: (checked: number) => void },
): Promise<StoreReport> {
  let uncounted = 0;
  for (const { key, size } of storedFiles(folder)) {
    if (store.index.find(key) !== undefined) continue;
    if (store.blobs.count(key, size)) uncounted += 1;
  }
  const damaged: string[] = [];
  let checked = 0;
  let bytes = 0;
  for (const [key, { size }] of store.index.entries()) {
    checked += 1;
    bytes += size;
    const digest = digestOfKey(key);
    const whole = digest === undefined || (await isWhole(store, folder, key, digest));
    if (!whole && store.index.find(key) !== undefined) {
      damaged.push(key);
      if (options.repair && digest !== undefined) store.blobs.remove(digest);
    }
    options.onProgress(checked);
  }
  const incomplete = await checkResults(store, options.repair);
  return { checked, bytes, damaged, uncounted, incomplete };
}

async function isWhole(
  store: Store,
  folder: string,
  key: string,
  digest: Digest,
): Promise<boolean> {
  const row = store.index.getSmall(key);
  const hasher = await createHasher(digest.fn, digest.sizeBytes);
  let size = 0;
  const chunks =
    row === undefined ? fs.createReadStream(join(folder, "blobs", key)) : [row as Uint8Array];
  try {
    for await (const chunk of chunks) {
      hasher.update(chunk);
      size += chunk.length;
    }
  } catch {
    return false;
  }
  return size === digest.sizeBytes && hasher.hex() === digest.hash;
}

async function checkResults(store: Store, repair: boolean): Promise<number> {
  let incomplete = 0;
  for (const [key, { bytes }] of store.index.results()) {
    const named = await blobsOfResult(store, key, bytes).catch(() => undefined);
    if (named !== undefined && (await store.blobs.missing(named)).length === 0) continue;
    incomplete += 1;
    if (repair) await store.index.removeResult(key);
  }
  return incomplete;
}

/** What a stored result names; throws where it cannot be read. */
async function blobsOfResult(store: Store, key: string, bytes: Uint8Array) {
  const action = parseActionKeyText(key)?.action;
  return action && (await namedBlobs(store.blobs, ActionResult.decode(bytes), action.fn));
}

/** Writes a blob to a new file. NOT_FOUND where it is not there. */
export async function exportBlob(store: Store, digest: Digest, to: string): Promise<void> {
  fs.mkdirSync(dirname(to), { recursive: true });
  try {
    await fs.promises.writeFile(to, store.blobs.read(digest), { flag: "wx" });
  } catch (error) {
    if (failureOf(error).code === "NOT_FOUND") fs.rmSync(to, { force: true });
    throw error;
  }
}

/**
 * Writes the outputs of a cached action below a new folder. Their names come from outside: one that
 * would leave the folder is INVALID_ARGUMENT. Returns the number of files written.
 */
export async function exportAction(
  store: Store,
  key: { readonly instance: string; readonly action: Digest },
  to: string,
): Promise<number> {
  const found = await store.actions.get(key);
  if (found === undefined) {
    throw new MeshError("NOT_FOUND", `No result of action ${digestKey(key.action)} is stored.`);
  }
  const result = ActionResult.decode(found.bytes);
  const { fn } = key.action;
  fs.mkdirSync(to);
  let files = 0;
  const put = async (path: string, digest: Digest, executable: boolean) => {
    const target = inside(to, path);
    await exportBlob(store, digest, target);
    fs.chmodSync(target, executable ? 0o755 : 0o644);
    files += 1;
  };
  for (const { path, digest, isExecutable } of result.outputFiles) {
    await put(path, fromWireDigest(digest, fn, path), isExecutable);
  }
  for (const { path, treeDigest } of result.outputDirectories) {
    const tree = await store.blobs.get(fromWireDigest(treeDigest, fn, path), messageBytesMax);
    fs.mkdirSync(inside(to, path), { recursive: true });
    for (const entry of await readTreeMessage(tree, fn)) {
      if (entry.kind === "file") await put(`${path}/${entry.path}`, entry.digest, entry.executable);
    }
  }
  for (const which of ["stdout", "stderr"] as const) {
    const digest = which === "stdout" ? result.stdoutDigest : result.stderrDigest;
    if (digest !== undefined && digest.sizeBytes > 0) {
      await put(which, fromWireDigest(digest, fn, which), false);
    }
  }
  return files;
}

function inside(folder: string, path: string): string {
  const parts = path.split("/");
  const sane = path !== "" && !path.startsWith("/") && !path.includes("\0");
  if (sane && !parts.includes("..")) return join(folder, path);
  throw new MeshError(
    "INVALID_ARGUMENT",
    `The result has an output ${JSON.stringify(path)}, which leads out of the folder.`,
  );
}

function isTwin(key: string): boolean {
  return /-[fx]$/.test(key);
}

function digestOfKey(key: string): Digest | undefined {
  const match = /^([a-z0-9]+)\/[0-9a-f]{2}\/([0-9a-f]+)-(\d+)(-[fx])?$/.exec(key);
  return match === null ? undefined : parseDigestKey(`${match[1]}:${match[2]}/${match[3]}`);
}
