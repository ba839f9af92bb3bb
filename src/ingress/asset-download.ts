// Downloads for Remote Asset: only what the user allowed, also after redirects, and never into the
// private network by way of a public name.

import { createHash, randomUUID } from "node:crypto";
import { type LookupAddress, lookup as resolve } from "node:dns";
import { createWriteStream, rmSync } from "node:fs";
import * as http from "node:http";
import * as https from "node:https";
import { BlockList, isIP, type LookupFunction } from "node:net";
import { join } from "node:path";
import { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { MeshError } from "../core/error.ts";
import type { Checksum } from "./asset-qualifiers.ts";

/** What may be downloaded, and how much. */
export interface DownloadOptions {
  /** URL prefixes, or `*`; none: nothing. */
  readonly allowed: readonly string[];
  /** Where unfinished downloads lie. */
  readonly folder: string;
  readonly bytesMax: number;
}

const redirectsMax = 10;

/**
 * Downloads one URL into a new file, which the caller owns. PERMISSION_DENIED for what is not
 * allowed, INVALID_ARGUMENT for a wrong checksum, NOT_FOUND, UNAVAILABLE and the like by what the
 * server says.
 */
export async function download(
  url: string,
  how: {
    readonly headers: Readonly<Record<string, string>>;
    readonly checksums: readonly Checksum[];
    readonly signal: AbortSignal;
  },
  options: DownloadOptions,
): Promise<string> {
  const path = join(options.folder, `${process.pid}.${randomUUID()}`);
  try {
    const response = await follow(url, how, options, redirectsMax);
    const hash = createHash(how.checksums[0]?.fn ?? "sha256");
    let size = 0;
    const watch = new Transform({
      transform(chunk: Buffer, _, pass) {
        size += chunk.length;
        hash.update(chunk);
        pass(size > options.bytesMax ? tooLarge(url, options.bytesMax) : null, chunk);
      },
    });
    await pipeline(response, watch, createWriteStream(path, { flags: "wx" }), {
      signal: how.signal,
    });
    const declared = response.headers["content-length"];
    if (declared !== undefined && Number(declared) !== size) throw failed(url, "it was cut off");
    const hex = hash.digest("hex");
    const fits = how.checksums.length === 0 || how.checksums.some((one) => one.hash === hex);
    if (fits) return path;
    throw new MeshError(
      "INVALID_ARGUMENT",
      `${url} has the checksum ${hex}, not one of those given.`,
    );
  } catch (error) {
    rmSync(path, { force: true });
    if (error instanceof MeshError) throw error;
    if (how.signal.aborted) throw new MeshError("DEADLINE_EXCEEDED", `${url} took too long.`);
    throw failed(url, error instanceof Error ? error.message : String(error));
  }
}

async function follow(
  url: string,
  how: Parameters<typeof download>[1],
  options: DownloadOptions,
  redirectsLeft: number,
): Promise<http.IncomingMessage> {
  const target = checkAllowed(url, options);
  const response = await request(target, how, options);
  const { statusCode = 0, headers } = response;
  if (statusCode === 200) return response;
  response.resume();
  if (![301, 302, 303, 307, 308].includes(statusCode) || headers.location === undefined) {
    throw statusOf(url, statusCode);
  }
  if (redirectsLeft === 0) throw failed(url, `it redirects over ${redirectsMax} times`);
  const next = new URL(headers.location, target);
  // Headers, which may hold passwords, are for the host that they were given for.
  const kept = next.host === target.host ? how : { ...how, headers: {} };
  return follow(next.href, kept, options, redirectsLeft - 1);
}

function request(
  target: URL,
  how: Parameters<typeof download>[1],
  options: DownloadOptions,
): Promise<http.IncomingMessage> {
  const { get } = target.protocol === "https:" ? https : http;
  // Bytes are wanted as they lie there: what is unpacked on the way has another checksum.
  const headers = { ...how.headers, "accept-encoding": "identity" };
  const lookup = namesHost(target, options) ? undefined : publicLookup;
  return new Promise((answered, fail) => {
    const given = { headers, signal: how.signal, ...(lookup === undefined ? {} : { lookup }) };
    get(target, given, answered).once("error", fail);
  });
}

function checkAllowed(url: string, options: DownloadOptions): URL {
  const target = URL.parse(url);
  if (target === null || !["http:", "https:"].includes(target.protocol)) {
    throw new MeshError(
      "INVALID_ARGUMENT",
      `${JSON.stringify(url.slice(0, 200))} is no URL with http or https.`,
    );
  }
  const allowed = options.allowed.some((one) => one === "*" || covers(one, target));
  const host = target.hostname.replace(/^\[|\]$/g, "");
  const isPrivate = isIP(host) !== 0 && isPrivateAddress(host) && !namesHost(target, options);
  if (allowed && !isPrivate) return target;
  throw new MeshError(
    "PERMISSION_DENIED",
    `This node may not download ${target.origin}${target.pathname}. Start it with ` +
      `--fetch-allow ${target.origin}/ to let it.`,
  );
}

/** True for a prefix of whole path segments on the same scheme, host and port. */
function covers(prefix: string, target: URL): boolean {
  const allowed = URL.parse(prefix);
  if (allowed === null || allowed.origin !== target.origin) return false;
  const path = allowed.pathname.endsWith("/") ? allowed.pathname : `${allowed.pathname}/`;
  return target.pathname === allowed.pathname || target.pathname.startsWith(path);
}

/** True where the user named the very host, so that its address is his business. */
function namesHost(target: URL, options: DownloadOptions): boolean {
  return options.allowed.some((one) => one !== "*" && covers(one, target));
}

const privateAddresses = new BlockList();
for (const [net, bits] of [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.168.0.0", 16],
  ["224.0.0.0", 3],
] as const) {
  privateAddresses.addSubnet(net, bits, "ipv4");
}
for (const [net, bits] of [
  ["::", 127],
  ["fc00::", 7],
  ["fe80::", 10],
  ["ff00::", 8],
] as const) {
  privateAddresses.addSubnet(net, bits, "ipv6");
}

function isPrivateAddress(address: string): boolean {
  return privateAddresses.check(address, isIP(address) === 6 ? "ipv6" : "ipv4");
}

/** Resolves a name and refuses those that lead into a private network, at connection time. */
const publicLookup: LookupFunction = (host, options, done) => {
  resolve(host, { ...options, all: true }, (error, found: LookupAddress[]) => {
    const addresses = (found ?? []).filter(({ address }) => !isPrivateAddress(address));
    const [first] = addresses;
    if (error !== null) done(error, "", 0);
    else if (first === undefined) done(new Error(`${host} is a host of a private network`), "", 0);
    else if (options.all === true) done(null, addresses);
    else done(null, first.address, first.family);
  });
};

function statusOf(url: string, code: number): MeshError {
  if (code === 404 || code === 410)
    return new MeshError("NOT_FOUND", `${url} is not there (${code}).`);
  if (code === 401 || code === 403) {
    return new MeshError("PERMISSION_DENIED", `${url} may not be read from here (${code}).`);
  }
  return failed(url, `it answers ${code}`);
}

function failed(url: string, why: string): MeshError {
  return new MeshError("UNAVAILABLE", `${url} cannot be downloaded: ${why}.`);
}

function tooLarge(url: string, bytesMax: number): MeshError {
  return new MeshError("RESOURCE_EXHAUSTED", `${url} has over ${bytesMax} bytes.`);
}
