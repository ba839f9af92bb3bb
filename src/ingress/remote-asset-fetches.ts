// Fetches from origins: one URI after the other until one gives what was asked for, on disk while
// it comes, in the store once it is whole. Equal requests share one fetch.

import { randomUUID } from "node:crypto";
import * as fs from "node:fs";
import { join } from "node:path";
import type { LocalFiles } from "../cas/blob-store.ts";
import { createHasher } from "../cas/hash.ts";
import type { Digest, DigestFunction } from "../core/digest.ts";
import { MeshError } from "../core/error.ts";
import type { AssetBounds } from "./bounds.ts";
import { download, show } from "./remote-asset-download.ts";
import type { Integrity } from "./remote-asset-integrity.ts";
import { isHttp, OriginError, type OriginRules } from "./remote-asset-origins.ts";

/** What is to be fetched. */
export interface FetchOrder {
  /** Equal for requests that the same content answers. */
  readonly key: string;
  /** Tried in this order. */
  readonly uris: readonly string[];
  headersOf(at: number): Readonly<Record<string, string>>;
  readonly integrity: Integrity | undefined;
  readonly fn: DigestFunction;
  readonly timeoutMs: number;
  /** A fetch that began earlier is not joined, Unix ms. */
  readonly sinceMs: number;
}

/** Content that is in the store now. */
export interface Fetched {
  readonly digest: Digest;
  /** Which of the URIs it came from. */
  readonly at: number;
  /** When its retrieval began, Unix ms. */
  readonly startedAtMs: number;
}

/** Why no URI gave anything: the code and words of the one that came nearest. */
export class FetchError extends OriginError {
  /** Which of the URIs that was. */
  readonly at: number;

  constructor(at: number, cause: OriginError, message: string) {
    super(cause.code, message, { cause });
    this.at = at;
  }
}

/** The fetches of one node. */
export interface Fetches {
  /**
   * Fetches, or waits for an equal fetch. It goes on when its caller leaves, for whoever asks next.
   * Throws `FetchError`; other errors are this node's own.
   */
  fetch(order: FetchOrder): Promise<Fetched>;
  /** Ends all that are under way with UNAVAILABLE. */
  close(): void;
}

/** What fetches work with. */
export interface FetchesDeps {
  readonly store: Pick<LocalFiles, "adopt">;
  readonly rules: OriginRules;
  readonly now: () => number;
  /** Where content is while it comes: best on the store's own file system. */
  readonly spoolFolder: string;
}

interface Flight {
  readonly startedAtMs: number;
  readonly result: Promise<Fetched>;
}

/** Creates the table of fetches. */
export function createFetches(deps: FetchesDeps, bounds: AssetBounds): Fetches {
  const flightByKey = new Map<string, Flight>();
  const closing = new AbortController();
  const spool = createSpool(deps, bounds);
  let underWay = 0;

  async function run(order: FetchOrder, startedAtMs: number): Promise<Fetched> {
    const { signal, end } = deadline(closing.signal, order.timeoutMs);
    const failures: { readonly at: number; readonly error: OriginError }[] = [];
    underWay += 1;
    try {
      for (const [at, uri] of order.uris.entries()) {
        try {
          const digest = await fetchOne(order, uri, at, signal);
          return { digest, at, startedAtMs };
        } catch (error) {
          if (!(error instanceof OriginError)) throw error;
          failures.push({ at, error });
          if (signal.aborted) break;
        }
      }
      throw summary(failures);
    } finally {
      underWay -= 1;
      end();
    }
  }

  function fetchOne(order: FetchOrder, uri: string, at: number, signal: AbortSignal) {
    const url = URL.canParse(uri) ? new URL(uri) : undefined;
    if (url === undefined || !isHttp(url)) throw notPushed(uri);
    const headers = order.headersOf(at);
    const content = download({ url, headers, signal }, deps.rules, bounds);
    return spool.take(order.integrity ? checked(content, order.integrity, url) : content, order.fn);
  }

  return {
    fetch: (order) => {
      const known = flightByKey.get(order.key);
      if (known !== undefined && known.startedAtMs >= order.sinceMs) return known.result;
      if (underWay >= bounds.fetchesMax) throw busy(`${bounds.fetchesMax} fetches`);
      const startedAtMs = deps.now();
      const result = run(order, startedAtMs).finally(() => {
        if (flightByKey.get(order.key) === flight) flightByKey.delete(order.key);
      });
      const flight = { startedAtMs, result };
      flightByKey.set(order.key, flight);
      return result;
    },
    close: () => closing.abort(new MeshError("UNAVAILABLE", "The node stops. Ask another one.")),
  };
}

/** Content on its way: in a file of its own, which is gone once the store has it. */
function createSpool({ store, spoolFolder }: FetchesDeps, bounds: AssetBounds) {
  let spooledBytes = 0;

  async function* counted(content: AsyncIterable<Uint8Array>, count: (bytes: number) => void) {
    for await (const chunk of content) {
      if (spooledBytes + chunk.length > bounds.spoolBytesMax) throw busy("fetches as large");
      count(chunk.length);
      yield chunk;
    }
  }

  return {
    /** Takes content into the store, all of it or nothing. */
    take: async (content: AsyncIterable<Uint8Array>, fn: DigestFunction): Promise<Digest> => {
      // Files that begin with a process id are swept once that process is gone.
      const path = join(spoolFolder, `${process.pid}.${randomUUID()}`);
      let own = 0;
      const count = (bytes: number) => {
        own += bytes;
        spooledBytes += bytes;
      };
      try {
        await fs.promises.writeFile(path, counted(content, count), { flag: "wx", mode: 0o600 });
        return await store.adopt(path, fn);
      } finally {
        count(-own);
        await fs.promises.rm(path, { force: true });
      }
    },
  };
}

/** Passes content on and throws ABORTED at its end unless it has one of the hashes. */
async function* checked(
  content: AsyncIterable<Uint8Array>,
  { algorithm, hashes }: Integrity,
  url: URL,
): AsyncGenerator<Uint8Array> {
  const hasher = await createHasher(algorithm, 0);
  for await (const chunk of content) {
    hasher.update(chunk);
    yield chunk;
  }
  const hash = hasher.hex();
  if (hashes.includes(hash)) return;
  throw new OriginError(
    "ABORTED",
    `${show(url)} is not what was asked for: its ${algorithm} is ${hash}, wanted was ` +
      `${hashes.slice(0, 3).join(" or ")}. Correct the checksum, or the URL.`,
  );
}

/** The end of a fetch: its time is over, or the node's. */
function deadline(closing: AbortSignal, timeoutMs: number) {
  const controller = new AbortController();
  const over = new OriginError(
    "DEADLINE_EXCEEDED",
    `It could not be fetched within ${timeoutMs / 1000} s.`,
  );
  const timer = setTimeout(() => controller.abort(over), timeoutMs);
  const stop = () => controller.abort(closing.reason);
  closing.addEventListener("abort", stop);
  if (closing.aborted) stop();
  const end = () => {
    clearTimeout(timer);
    closing.removeEventListener("abort", stop);
  };
  return { signal: controller.signal, end };
}

/** One error for all: that of the last URI that was asked, or else of the last. */
function summary(
  failures: readonly { readonly at: number; readonly error: OriginError }[],
): MeshError {
  const told = failures.findLast(({ error }) => error.code !== "PERMISSION_DENIED");
  const chosen = told ?? failures.at(-1);
  if (chosen === undefined) return new MeshError("INTERNAL", "Nothing was tried.");
  const messages = [...new Set(failures.map(({ error }) => error.message))];
  return new FetchError(chosen.at, chosen.error, messages.slice(0, 5).join(" "));
}

function notPushed(uri: string): OriginError {
  return new OriginError(
    "NOT_FOUND",
    `Nothing was pushed as ${JSON.stringify(uri.slice(0, 200))}, and it is no http(s) URL.`,
  );
}

function busy(what: string): MeshError {
  return new MeshError(
    "RESOURCE_EXHAUSTED",
    `This node has as many ${what} under way as it takes. Try again later.`,
  );
}
