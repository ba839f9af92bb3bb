// Where the serving node of this host listens, written beside its store, so that builds on this
// machine find it whatever port it has.

import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { makePrivate } from "../cas/private-folder.ts";

/** A node's own entry. */
export interface NodeEntry {
  /** For clients of this machine: HOST:PORT, `grpcs://` before it where it speaks TLS. */
  readonly address: string;
  readonly pid: number;
}

/** The file, below the store's folder. */
export function nodeFileOf(store: string): string {
  return join(store, "mesh", "node.json");
}

/** Writes the entry; of several nodes with one store, the last to start is found. */
export function writeNodeFile(store: string, entry: NodeEntry): void {
  const path = nodeFileOf(store);
  makePrivate(join(store, "mesh"));
  const draft = `${path}.${entry.pid}`;
  writeFileSync(draft, `${JSON.stringify(entry)}\n`);
  renameSync(draft, path);
}

/** Removes the entry if it is still this one. */
export function removeNodeFile(store: string, entry: NodeEntry): void {
  const found = readNodeFile(store);
  const isOurs = found?.address === entry.address && found.pid === entry.pid;
  if (isOurs) rmSync(nodeFileOf(store), { force: true });
}

/** The entry; undefined where there is none that can be read. A killed node leaves its behind. */
export function readNodeFile(store: string): NodeEntry | undefined {
  try {
    const read: unknown = JSON.parse(readFileSync(nodeFileOf(store), "utf8"));
    if (typeof read !== "object" || read === null) return undefined;
    if (!("address" in read) || !("pid" in read)) return undefined;
    const { address, pid } = read;
    return typeof address === "string" && typeof pid === "number" ? { address, pid } : undefined;
  } catch {
    return undefined;
  }
}

/** How clients of this machine reach a node that listens on `address`. */
export function localAddress(address: string, isTls: boolean): string {
  const reachable = address.replace(/^0\.0\.0\.0:/, "127.0.0.1:").replace(/^\[::\]:/, "[::1]:");
  return isTls ? `grpcs://${reachable}` : reachable;
}
