// Remote Asset API: Push says which blob or folder a URI stands for, Fetch asks. What was not
// pushed and is an http(s) URL that the user allows comes from its origin (remote_asset.proto).

import type { AssetRecords } from "../cas/asset-records.ts";
import type { BlobStore, HashLookup, LocalFiles } from "../cas/blob-store.ts";
import { emptyDigest } from "../cas/hash.ts";
import { type DigestFunction, hashDigits } from "../core/digest.ts";
import { MeshError } from "../core/error.ts";
import type { Log } from "../telemetry/logger.ts";
import {
  type FetchBlobRequest,
  type FetchBlobResponse,
  FetchDefinition,
  type FetchDirectoryRequest,
  type FetchDirectoryResponse,
  type PushBlobRequest,
  PushDefinition,
  type PushDirectoryRequest,
} from "../wire/gen/build/bazel/remote/asset/v1/remote_asset.ts";
import { fromWireDigest, fromWireFunction, toWireDigest, toWireFunction } from "../wire/reapi.ts";
import { toStatus } from "../wire/status.ts";
import { type AssetBounds, defaultAssetBounds } from "./bounds.ts";
import { unary } from "./handlers.ts";
import { createAssociations, type Found } from "./remote-asset-associations.ts";
import { createFetches, FetchError } from "./remote-asset-fetches.ts";
import { isHttp, parseOriginRules } from "./remote-asset-origins.ts";
import { type AssetRequest, readFetch, readPush } from "./remote-asset-requests.ts";
import { type Service, service } from "./services.ts";

/** What an ingress is told of assets. */
export interface AssetOptions {
  readonly records: AssetRecords;
  /** URL prefixes that may be fetched, or `*`; none: only what was pushed is served. */
  readonly allow: readonly string[];
  /** Where content is while it comes: best on the store's own file system. */
  readonly spoolFolder: string;
  readonly bounds?: AssetBounds;
}

/** What the services work with. */
export interface AssetDeps {
  readonly store: BlobStore & HashLookup & Pick<LocalFiles, "adopt">;
  readonly log: Log;
  readonly now: () => number;
}

/** The two services. */
export interface AssetServices {
  readonly services: readonly Service[];
  /** Ends the fetches that are under way. */
  close(): void;
}

/** Creates Fetch and Push. INVALID_ARGUMENT for a bad prefix. */
export function createAssetServices(deps: AssetDeps, options: AssetOptions): AssetServices {
  const { log, store, now } = deps;
  const bounds = options.bounds ?? defaultAssetBounds;
  const { records, spoolFolder } = options;
  const rules = parseOriginRules(options.allow);
  const fetches = createFetches({ store, rules, now, spoolFolder }, bounds);
  const associations = createAssociations({ store, records, now });

  async function fetched(asked: AssetRequest): Promise<Found> {
    checkSupported(asked);
    const { fn, uris, oldestMs, timeoutMs, qualifiers } = asked;
    const { digest, at, startedAtMs } = await fetches.fetch({
      key: flightKey(asked),
      uris,
      fn,
      timeoutMs,
      integrity: qualifiers.integrity,
      headersOf: qualifiers.headersOf,
      // Clients ask for content of the future to mean "none that you have".
      sinceMs: Math.min(oldestMs ?? 0, now()),
    });
    await associations.keepFetched(asked, at, digest, startedAtMs);
    log("debug", `Fetched ${digest.sizeBytes} bytes as ${digest.hash}`);
    return { digest, uri: uris[at] ?? "" };
  }

  async function fetchBlob(request: FetchBlobRequest): Promise<FetchBlobResponse> {
    const asked = readFetch(request, bounds);
    const digestFunction = toWireFunction(asked.fn);
    const rest = { qualifiers: [], expiresAt: undefined, digestFunction };
    try {
      const { digest, uri } =
        (await associations.find("blob", asked)) ??
        (await findByIntegrity(store, asked)) ??
        (await fetched(asked));
      return { ...rest, status: success(), uri, blobDigest: toWireDigest(digest) };
    } catch (error) {
      if (!(error instanceof FetchError)) throw error;
      const uri = asked.uris[error.at] ?? "";
      return { ...rest, status: toStatus(error), uri, blobDigest: nothing(asked.fn) };
    }
  }

  async function fetchDirectory(request: FetchDirectoryRequest): Promise<FetchDirectoryResponse> {
    const asked = readFetch(request, bounds);
    const digestFunction = toWireFunction(asked.fn);
    const rest = { qualifiers: [], expiresAt: undefined, digestFunction };
    const found = await associations.find("directory", asked);
    if (found === undefined) {
      const [uri = ""] = asked.uris;
      return { ...rest, status: toStatus(noFolder(uri)), uri, rootDirectoryDigest: undefined };
    }
    const { digest, uri } = found;
    return { ...rest, status: success(), uri, rootDirectoryDigest: toWireDigest(digest) };
  }

  async function pushBlob(request: PushBlobRequest) {
    const fn = fromWireFunction(request.digestFunction, request.blobDigest);
    const digest = fromWireDigest(request.blobDigest, fn, "blob_digest");
    await associations.keepPushed("blob", readPush(request, fn, bounds), digest);
    return {};
  }

  async function pushDirectory(request: PushDirectoryRequest) {
    const fn = fromWireFunction(request.digestFunction, request.rootDirectoryDigest);
    const digest = fromWireDigest(request.rootDirectoryDigest, fn, "root_directory_digest");
    await associations.keepPushed("directory", readPush(request, fn, bounds), digest);
    return {};
  }

  return {
    services: [
      service(FetchDefinition, {
        fetchBlob: unary(log, fetchBlob),
        fetchDirectory: unary(log, fetchDirectory),
      }),
      service(PushDefinition, {
        pushBlob: unary(log, pushBlob),
        pushDirectory: unary(log, pushDirectory),
      }),
    ],
    close: () => fetches.close(),
  };
}

/** A blob with the wanted hash is the wanted content, wherever it came from. */
async function findByIntegrity(store: HashLookup, asked: AssetRequest): Promise<Found | undefined> {
  const { fn, oldestMs, uris, qualifiers } = asked;
  const { integrity, hasCanonicalId } = qualifiers;
  if (integrity?.algorithm !== fn || hasCanonicalId || oldestMs !== undefined) return undefined;
  for (const hash of integrity.hashes) {
    const empty = emptyDigest(fn);
    const digest = hash === empty.hash ? empty : await store.findByHash(fn, hash);
    if (digest !== undefined) return { digest, uri: uris[0] ?? "" };
  }
  return undefined;
}

/** Names that are no URLs can have been pushed with any qualifier; URLs are about to be fetched. */
function checkSupported({ uris, qualifiers: { unsupported: fields } }: AssetRequest): void {
  const canFetch = uris.some((uri) => URL.canParse(uri) && isHttp(new URL(uri)));
  if (fields.length === 0 || !canFetch) return;
  throw new MeshError(
    "INVALID_ARGUMENT",
    "Nothing was pushed with these qualifiers, and a download cannot honour them: " +
      `${fields.map(({ description }) => description).join(", ")}. Leave them out, or push first.`,
    { fields },
  );
}

/** Requests that one download can answer have the same. */
function flightKey({ instance, fn, uris, timeoutMs, qualifiers }: AssetRequest): string {
  const keys = uris.map((_, at) => qualifiers.keyOf(at).map(({ name, value }) => [name, value]));
  return JSON.stringify([instance, fn, uris, timeoutMs, keys]);
}

function noFolder(uri: string): MeshError {
  return new MeshError(
    "NOT_FOUND",
    `No folder was pushed as ${JSON.stringify(uri.slice(0, 200))}, or it is no longer complete. ` +
      "Archives are not unpacked here: push the folder, or fetch the archive as a blob.",
  );
}

/**
 * What a failed FetchBlob names: a blob that nobody has. Bazel before 8.2 does not look at the
 * status and takes a digest left out for that of the empty blob: a failed download would become an
 * empty file, and where no checksum is given nobody would notice (bazelbuild/bazel#25244).
 */
function nothing(fn: DigestFunction) {
  return { hash: "0".repeat(hashDigits[fn]), sizeBytes: 1 };
}

/** Success, as a message of its own for every answer. */
function success() {
  return { code: 0, message: "", details: [] };
}
