// One URL's content over HTTP, as its origin has it: redirects followed only where each step is
// allowed, nothing decompressed, ended at the first sign that it is too large, cut off or silent.

import * as http from "node:http";
import * as https from "node:https";
import { failureOf } from "../core/error.ts";
import type { AssetBounds } from "./bounds.ts";
import {
  checkLiteralHost,
  type Grant,
  isHttp,
  lookupFor,
  OriginError,
  type OriginRules,
} from "./remote-asset-origins.ts";

/** What is wanted of an origin. */
export interface DownloadOrder {
  readonly url: URL;
  /** By name in lower case; sent to the URL's own origin, few of them beyond. */
  readonly headers: Readonly<Record<string, string>>;
  /** Ends the download with its reason. */
  readonly signal: AbortSignal;
}

/** Bounds of one download. */
export type DownloadBounds = Pick<
  AssetBounds,
  "fetchBytesMax" | "originIdleMs" | "redirectsMax" | "fetchMsMax"
>;

/** Headers that tell nothing of who asks, and so may go with a redirect to another origin. */
const harmless = new Set(["accept", "accept-language", "user-agent"]);
/** Without `identity` some servers compress, and the bytes would not be those people hashed. */
const ownHeaders = { "accept-encoding": "identity", accept: "*/*", "user-agent": "builder" };

/** Streams the content. Throws `OriginError`, or the signal's reason. */
export async function* download(
  order: DownloadOrder,
  rules: OriginRules,
  bounds: DownloadBounds,
): AsyncGenerator<Uint8Array> {
  const { signal } = order;
  try {
    const { response, url } = await follow(order, rules, bounds);
    try {
      yield* bodyOf(response, url, bounds);
    } finally {
      response.destroy();
    }
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    throw originError(error, order.url);
  }
}

/** Asks until an answer is no redirect. */
async function follow(order: DownloadOrder, rules: OriginRules, bounds: DownloadBounds) {
  let { url } = order;
  let headers: Readonly<Record<string, string>> = { ...ownHeaders, ...order.headers };
  for (let step = 0; step <= bounds.redirectsMax; step += 1) {
    const grant = rules.grantOf(url);
    if (grant === undefined) throw notAllowed(url, step);
    checkLiteralHost(url, grant);
    const response = await ask(url, headers, grant, order.signal, bounds.originIdleMs);
    const next = redirectOf(response, url);
    if (next === undefined) {
      checkStatus(response, url);
      return { response, url };
    }
    response.destroy();
    if (next.origin !== url.origin) headers = onlyHarmless(headers);
    url = next;
  }
  throw new OriginError(
    "ABORTED",
    `${show(order.url)} redirects over ${bounds.redirectsMax} times.`,
  );
}

/** One request, up to the headers of its answer. */
function ask(
  url: URL,
  headers: Readonly<Record<string, string>>,
  grant: Grant,
  signal: AbortSignal,
  idleMs: number,
): Promise<http.IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<http.IncomingMessage>();
  const { request: open } = url.protocol === "https:" ? https : http;
  // No agent: no connection outlives its fetch, and no proxy of the environment is used.
  const options = { headers, signal, lookup: lookupFor(grant), agent: false as const };
  const request = open(url, { ...options, rejectUnauthorized: true });
  const idle = setTimeout(() => request.destroy(silent(url, idleMs)), idleMs);
  request.on("response", resolve);
  request.on("error", reject);
  request.on("close", () => reject(cutOff(url)));
  request.end();
  return promise.finally(() => clearTimeout(idle));
}

function redirectOf(response: http.IncomingMessage, from: URL): URL | undefined {
  const { location } = response.headers;
  if (![301, 302, 303, 307, 308].includes(response.statusCode ?? 0) || location === undefined) {
    return undefined;
  }
  if (!URL.canParse(location, from.href)) {
    throw new OriginError("ABORTED", `${show(from)} redirects to something that is no URL.`);
  }
  const to = new URL(location, from.href);
  if (!isHttp(to) || (from.protocol === "https:" && to.protocol === "http:")) {
    const message = `${show(from)} redirects to ${show(to)}, which is less safe.`;
    throw new OriginError("PERMISSION_DENIED", `${message} Name the final URL instead.`);
  }
  return to;
}

/** REAPI's codes for what an origin says (remote_asset.proto, FetchBlobResponse.status). */
function checkStatus({ statusCode = 0 }: http.IncomingMessage, url: URL): void {
  if (statusCode === 200) return;
  const says = `${show(url)} answers with HTTP status ${statusCode}.`;
  if (statusCode === 404 || statusCode === 410) throw new OriginError("NOT_FOUND", says);
  if (statusCode === 429) throw new OriginError("RESOURCE_EXHAUSTED", `${says} Try again later.`);
  if ([401, 403, 407, 451].includes(statusCode)) {
    throw new OriginError("PERMISSION_DENIED", `${says} Does it want credentials?`);
  }
  throw new OriginError("ABORTED", says);
}

async function* bodyOf(
  response: http.IncomingMessage,
  url: URL,
  { fetchBytesMax, originIdleMs }: DownloadBounds,
): AsyncGenerator<Uint8Array> {
  const header = response.headers["content-length"];
  const announced = header === undefined ? undefined : Number(header);
  if (announced !== undefined && announced > fetchBytesMax) throw tooLarge(url, fetchBytesMax);
  const idle = setTimeout(() => response.destroy(silent(url, originIdleMs)), originIdleMs);
  let size = 0;
  try {
    const chunks: AsyncIterable<Uint8Array> = response;
    for await (const chunk of chunks) {
      size += chunk.length;
      if (size > fetchBytesMax) throw tooLarge(url, fetchBytesMax);
      yield chunk;
      // Time that the taker needs is not the origin's.
      idle.refresh();
    }
  } finally {
    clearTimeout(idle);
  }
  if (!response.complete || (announced !== undefined && size !== announced)) throw cutOff(url);
}

function onlyHarmless(headers: Readonly<Record<string, string>>): Record<string, string> {
  const kept = Object.entries(headers).filter(([name]) => harmless.has(name));
  return { ...ownHeaders, ...Object.fromEntries(kept) };
}

/** A URL without what may be secret in it: credentials and signed queries. */
export function show(url: URL): string {
  return `${url.origin}${url.pathname}`.slice(0, 200);
}

function originError(error: unknown, url: URL): OriginError {
  if (error instanceof OriginError) return error;
  const errno = error instanceof Error && "code" in error ? error.code : "";
  if (errno === "ENOTFOUND") {
    return new OriginError("NOT_FOUND", `${url.hostname} is no known host.`, { cause: error });
  }
  if (errno === "ECONNRESET") return cutOff(url);
  // Several addresses were tried: each has its own reason.
  const why =
    error instanceof AggregateError
      ? error.errors.map((one) => failureOf(one).message).join("; ")
      : failureOf(error).message;
  return new OriginError("ABORTED", `${show(url)} cannot be had: ${why}.`, { cause: error });
}

function notAllowed(url: URL, step: number): OriginError {
  const what = step === 0 ? show(url) : `A redirect to ${show(url)}`;
  return new OriginError(
    "PERMISSION_DENIED",
    `${what} is not allowed: this node fetches only what \`builder serve\` was told to. ` +
      `Start it with --fetch-allow ${url.origin}/`,
  );
}

function silent(url: URL, idleMs: number): OriginError {
  return new OriginError("ABORTED", `${show(url)} sent nothing for ${idleMs / 1000} s.`);
}

function cutOff(url: URL): OriginError {
  return new OriginError("ABORTED", `${show(url)} broke off before its end.`);
}

function tooLarge(url: URL, bytesMax: number): OriginError {
  return new OriginError(
    "RESOURCE_EXHAUSTED",
    `${show(url)} is larger than the ${bytesMax} bytes that this node fetches.`,
  );
}
