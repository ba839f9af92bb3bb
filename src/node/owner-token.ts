// The owner's token: what a node without a token file wants from whoever runs it. It lies beside
// the mesh's keys, where the node's own user finds it and nobody else (ADR 0042).

import { randomBytes } from "node:crypto";
import { chmodSync, readFileSync, statSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import type { Endpoint } from "../build/endpoint.ts";
import type { Log } from "../telemetry/logger.ts";
import { formatHostPort, isLoopback } from "./config.ts";
import { isLiving } from "./living-process.ts";
import { listNodes, localAddress, type NodeEntry } from "./node-file.ts";
import { readWhole, writeFirst, writeWhole } from "./state-files.ts";

/** Of a token: 256 bits cannot be guessed. */
const tokenBytes = 32;
/** Exactly what is written: a line of a token file, by which the token is an admin's. */
const linePattern = /^([\w-]{43}) admin owner\n$/;

/**
 * Finds the token of the nodes whose mesh is kept in `folder`, or makes it; its file. One that is
 * damaged or that others could read is made anew, and the log says so.
 */
export function keepOwnerToken(folder: string, log: Log): string {
  const path = fileIn(folder);
  const found = readWhole(path);
  const line = `${randomBytes(tokenBytes).toString("base64url")} admin owner\n`;
  if (found === undefined) {
    beFirst(path, line);
    return path;
  }
  const isDamaged = !linePattern.test(Buffer.from(found).toString());
  if (!isDamaged && !wasOpen(path)) return path;
  const why = isDamaged ? "was damaged" : "could be read by others";
  log("warn", `The owner's token ${why} and was made anew: ${path}`);
  writeWhole(path, line);
  return path;
}

/**
 * The endpoint with the owner's token where it is a node that runs on this machine and on this
 * store, and the caller may read its file; else the same. Nobody else is ever sent the token: an
 * entry of a node that is gone does not count, since anybody may have its port now.
 */
export function asOwner(store: string, endpoint: Endpoint): Endpoint {
  if (endpoint.token !== undefined) return endpoint;
  const entry = listNodes(store).find((one) => isMeant(one, endpoint));
  if (entry === undefined || !isLiving(entry.process)) return endpoint;
  const token = readToken(fileIn(join(store, "mesh")));
  if (token === undefined) return endpoint;
  // A certificate proves whom we speak to. In plain text a name could lead to another program.
  const address = endpoint.tls === undefined ? entry.address : endpoint.address;
  return { ...endpoint, address, token };
}

function fileIn(folder: string): string {
  return join(folder, "owner.token");
}

/** Of several nodes of a store that start at once, the first one's token is everybody's. */
function beFirst(path: string, line: string): void {
  try {
    writeFirst(path, line);
  } catch {
    // A file system without links: written whole all the same.
    writeWhole(path, line);
  }
}

/** True where others could read a file until now; false where modes mean nothing. */
function wasOpen(path: string): boolean {
  const isOpen = () => (statSync(path).mode & 0o077) !== 0;
  if (process.geteuid === undefined || !isOpen()) return false;
  try {
    chmodSync(path, 0o600);
  } catch {
    return false;
  }
  return !isOpen();
}

/** Whether an endpoint is that node: in plain text under an address of this machine only. */
function isMeant({ address, everywhere }: NodeEntry, { address: named, tls }: Endpoint): boolean {
  const isTls = tls !== undefined;
  const [host, port] = partsOf(named.replace(/^localhost:/, "127.0.0.1:"));
  const wanted = localAddress(formatHostPort({ host, port: Number(port) }), isTls);
  const isOwn = isLoopback(host) || /^(0\.0\.0\.0|::)$/.test(host) || isOfThisMachine(host);
  if (wanted === address) return isTls || isOwn;
  return !isTls && everywhere && isOwn && !host.includes(":") && port === partsOf(address)[1];
}

function partsOf(address: string): readonly [host: string, port: string] {
  const colon = address.lastIndexOf(":");
  return [address.slice(0, colon).replace(/^\[|\]$/g, ""), address.slice(colon + 1)];
}

function isOfThisMachine(host: string): boolean {
  const own = Object.values(networkInterfaces()).flatMap((all) => all ?? []);
  return own.some(({ address }) => address === host);
}

function readToken(path: string): string | undefined {
  try {
    return linePattern.exec(readFileSync(path, "utf8"))?.[1];
  } catch {
    // Another user's: who is not the owner is told so by the node.
    return undefined;
  }
}
