// Where the serving nodes of this host listen, written beside their store, so that builds on this
// machine find them whatever ports they have.

import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { makePrivate } from "../cas/private-folder.ts";
import { isLiving, processMark } from "./living-process.ts";

/** A node's own entry. */
export interface NodeEntry {
  /** For clients of this machine: HOST:PORT, `grpcs://` before it where it speaks TLS. */
  readonly address: string;
  /** True where every address of this machine has its port. */
  readonly everywhere: boolean;
  /** The mark of its process. */
  readonly process: string;
  /** When it began to listen, Unix ms. */
  readonly sinceMs: number;
}

/** Bound: entries that are read. */
const entriesMax = 64;

/** The entry of this process, which listens on HOST:PORT. */
export function entryOf(listens: string, isTls: boolean, nowMs: number): NodeEntry {
  const address = localAddress(listens, isTls);
  const everywhere = localAddress(listens, false) !== listens;
  return { address, everywhere, process: processMark(process.pid), sinceMs: nowMs };
}

/** The folder of the entries, one file a process, below the store's folder. */
export function nodeFolderOf(store: string): string {
  return join(store, "mesh", "nodes");
}

/** Writes the entry, and removes those of nodes that were killed. */
export function writeNodeFile(store: string, entry: NodeEntry): void {
  makePrivate(join(store, "mesh"));
  mkdirSync(nodeFolderOf(store), { recursive: true, mode: 0o700 });
  for (const [path, found] of entriesIn(nodeFolderOf(store))) {
    if (!isLiving(found.process)) rmSync(path, { force: true });
  }
  const path = fileOf(store, entry);
  const draft = `${path}.draft`;
  writeFileSync(draft, `${JSON.stringify(entry)}\n`, { mode: 0o600 });
  renameSync(draft, path);
}

/** Removes the entry if it is still this one. */
export function removeNodeFile(store: string, entry: NodeEntry): void {
  const found = readEntry(fileOf(store, entry));
  const isOurs = found?.address === entry.address && found.process === entry.process;
  if (isOurs) rmSync(fileOf(store, entry), { force: true });
}

/**
 * The entries that can be read: those of processes that run first, and of these the last to start.
 * A killed node leaves its behind.
 */
export function listNodes(store: string): NodeEntry[] {
  return entriesIn(nodeFolderOf(store))
    .map(([, entry]) => ({ entry, lives: isLiving(entry.process) }))
    .sort((a, b) => Number(b.lives) - Number(a.lives) || b.entry.sinceMs - a.entry.sinceMs)
    .map(({ entry }) => entry);
}

/** How clients of this machine reach a node that listens on `address`. */
export function localAddress(address: string, isTls: boolean): string {
  const reachable = address.replace(/^0\.0\.0\.0:/, "127.0.0.1:").replace(/^\[::\]:/, "[::1]:");
  return isTls ? `grpcs://${reachable}` : reachable;
}

function fileOf(store: string, { process }: NodeEntry): string {
  return join(nodeFolderOf(store), `${process.split(" ")[0]}.json`);
}

/** What can be read, by the path of its file. */
function entriesIn(folder: string): [path: string, entry: NodeEntry][] {
  return namesIn(folder)
    .filter((name) => /^\d+\.json$/.test(name))
    .slice(0, entriesMax)
    .flatMap((name) => {
      const path = join(folder, name);
      const entry = readEntry(path);
      return entry === undefined ? [] : [[path, entry]];
    });
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function readEntry(path: string): NodeEntry | undefined {
  try {
    const read: unknown = JSON.parse(readFileSync(path, "utf8"));
    if (typeof read !== "object" || read === null) return undefined;
    const { address, everywhere, process, sinceMs }: Partial<Record<keyof NodeEntry, unknown>> =
      read;
    if (typeof address !== "string" || typeof everywhere !== "boolean") return undefined;
    if (typeof process !== "string" || typeof sinceMs !== "number") return undefined;
    return { address, everywhere, process, sinceMs };
  } catch {
    return undefined;
  }
}
