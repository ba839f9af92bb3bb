// Remote Asset: names for content that lives elsewhere, remembered when pushed or fetched, and
// fetched over HTTP where the user allows that. A name is served only while its content is there.

import { createHash } from "node:crypto";
import { rm } from "node:fs/promises";
import type { BlobStore, LocalFiles } from "../cas/blob-store.ts";
import { namedBlobs } from "../cas/completeness.ts";
import { type Digest, type DigestFunction, digestKey, parseDigestKey } from "../core/digest.ts";
import { MeshError } from "../core/error.ts";
import type { Log } from "../telemetry/logger.ts";
import {
  type FetchBlobRequest,
  FetchBlobResponse,
  type FetchDirectoryRequest,
  FetchDirectoryResponse,
  type PushBlobRequest,
  type PushDirectoryRequest,
} from "../wire/gen/build/bazel/remote/asset/v1/remote_asset.ts";
import { ActionResult } from "../wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import {
  fromDuration,
  fromTimestamp,
  fromWireDigest,
  fromWireFunction,
  toWireDigest,
  toWireFunction,
} from "../wire/reapi.ts";
import { toStatus } from "../wire/status.ts";
import { type DownloadOptions, download } from "./asset-download.ts";
import { type AssetQualifiers, readQualifiers } from "./asset-qualifiers.ts";
import { type Handlers, unary } from "./handlers.ts";
import { checkInstance } from "./instance-name.ts";

/** Where associations are kept: by name, the content's digest and when it was learnt. */
export interface AssetRecords {
  getAsset(name: string): AssetRecord | undefined;
  putAsset(name: string, record: AssetRecord): Promise<void>;
}

/** What an asset's name stands for. */
export interface AssetRecord {
  /** `digestKey` of the blob or root directory. */
  readonly digest: string;
  readonly storedAtMs: number;
  /** Unix ms; undefined: for as long as the content is there. */
  readonly expiresAtMs: number | undefined;
}

/** What the services work with. */
export interface AssetDeps {
  readonly store: BlobStore & Pick<LocalFiles, "adopt">;
  readonly assets: AssetRecords;
  readonly downloads: DownloadOptions;
  readonly now: () => number;
  readonly log: Log;
}

type Kind = "blob" | "directory";
type FetchRequest = FetchBlobRequest | FetchDirectoryRequest;
type PushRequest = PushBlobRequest | PushDirectoryRequest;

/** The name of no blob. */
const nobodysDigest = { hash: "0".repeat(64), sizeBytes: 1 };
const urisMax = 64;
const uriCharsMax = 8192;
/** A download without a timeout of its own ends after this, in ms. */
const timeoutMsMax = 600_000;

/** Handlers of Fetch and Push. */
export function assetHandlers(deps: AssetDeps): {
  readonly fetch: Handlers;
  readonly push: Handlers;
} {
  /** Downloads under way by what they bring: equal ones share one. */
  const underWay = new Map<string, Promise<Digest>>();
  const { log } = deps;
  return {
    fetch: {
      fetchBlob: unary(log, async (request: FetchBlobRequest, call) => {
        const found = await fetchAny(deps, "blob", request, underWay, call.signal);
        // Bazel before 8.2 reads no status, and takes a missing digest for the empty blob's.
        const blobDigest = found.digest ? toWireDigest(found.digest) : nobodysDigest;
        return FetchBlobResponse.fromPartial({ ...found.rest, blobDigest });
      }),
      fetchDirectory: unary(log, async (request: FetchDirectoryRequest, call) => {
        const found = await fetchAny(deps, "directory", request, underWay, call.signal);
        const root = found.digest && toWireDigest(found.digest);
        return FetchDirectoryResponse.fromPartial({
          ...found.rest,
          ...(root && { rootDirectoryDigest: root }),
        });
      }),
    },
    push: {
      pushBlob: unary(log, async (request: PushBlobRequest) => {
        await push(deps, "blob", request, request.blobDigest);
        return {};
      }),
      pushDirectory: unary(log, async (request: PushDirectoryRequest) => {
        await push(deps, "directory", request, request.rootDirectoryDigest);
        return {};
      }),
    },
  };
}

async function push(
  deps: AssetDeps,
  kind: Kind,
  request: PushRequest,
  wire: PushBlobRequest["blobDigest"],
): Promise<void> {
  checkRequest(request);
  const fn = fromWireFunction(request.digestFunction, wire);
  const digest = fromWireDigest(
    wire,
    fn,
    kind === "blob" ? "blob_digest" : "root_directory_digest",
  );
  const qualifiers = readQualifiers(request.qualifiers);
  const references = [
    ...request.referencesBlobs.map((one, at) => fromWireDigest(one, fn, `references_blobs[${at}]`)),
    ...request.referencesDirectories.map((one, at) =>
      fromWireDigest(one, fn, `references_directories[${at}]`),
    ),
  ];
  const missing = await deps.store.missing([digest, ...references]);
  if (missing.length > 0 || !(await isThere(deps.store, kind, digest))) {
    const message = "The asset names blobs that are not in the store. Upload them first.";
    throw new MeshError("FAILED_PRECONDITION", message, { missing });
  }
  const expiresAtMs = fromTimestamp(request.expireAt);
  for (const uri of request.uris) {
    await remember(
      deps,
      nameOf(kind, request.instanceName, fn, uri, qualifiers),
      digest,
      expiresAtMs,
    );
  }
}

async function fetchAny(
  deps: AssetDeps,
  kind: Kind,
  request: FetchRequest,
  underWay: Map<string, Promise<Digest>>,
  signal: AbortSignal,
) {
  checkRequest(request);
  const fn = fromWireFunction(request.digestFunction, undefined);
  const qualifiers = readQualifiers(request.qualifiers);
  const known = await lookUp(deps, kind, request, fn, qualifiers);
  if (known !== undefined) return answer(fn, known.uri, known.digest);
  if (kind === "directory") {
    const status = toStatus(
      new MeshError(
        "NOT_FOUND",
        "No folder was pushed under these names. Push it, or fetch a blob.",
      ),
    );
    return { digest: undefined, rest: { status, uri: request.uris[0] ?? "" } };
  }
  let failure: unknown;
  for (const [at, uri] of request.uris.entries()) {
    try {
      const name = nameOf(kind, request.instanceName, fn, uri, qualifiers);
      const timeoutMs = Math.min(fromDuration(request.timeout) || timeoutMsMax, timeoutMsMax);
      const flight =
        underWay.get(name) ??
        bring(deps, uri, at, fn, qualifiers, timeoutMs).finally(() => underWay.delete(name));
      underWay.set(name, flight);
      const digest = await flight;
      await remember(deps, name, digest, undefined);
      return answer(fn, uri, digest);
    } catch (error) {
      failure = error;
    }
    if (signal.aborted) break;
  }
  return { digest: undefined, rest: { status: toStatus(failure), uri: request.uris.at(-1) ?? "" } };
}

async function bring(
  deps: AssetDeps,
  uri: string,
  at: number,
  fn: DigestFunction,
  { headers, checksums }: AssetQualifiers,
  timeoutMs: number,
): Promise<Digest> {
  const own = headers.filter((header) => header.at === "all" || header.at === at);
  const path = await download(
    uri,
    {
      headers: Object.fromEntries(own.map(({ name, value }) => [name, value])),
      checksums,
      signal: AbortSignal.timeout(timeoutMs),
    },
    deps.downloads,
  );
  return deps.store.adopt(path, fn).finally(() => rm(path, { force: true }));
}

async function lookUp(
  deps: AssetDeps,
  kind: Kind,
  request: FetchRequest,
  fn: DigestFunction,
  qualifiers: AssetQualifiers,
): Promise<{ readonly uri: string; readonly digest: Digest } | undefined> {
  const oldestMs = fromTimestamp(request.oldestContentAccepted) ?? 0;
  for (const uri of request.uris) {
    const record = deps.assets.getAsset(nameOf(kind, request.instanceName, fn, uri, qualifiers));
    const digest = record && parseDigestKey(record.digest);
    if (record === undefined || digest === undefined || record.storedAtMs < oldestMs) continue;
    if ((record.expiresAtMs ?? Number.POSITIVE_INFINITY) < deps.now()) continue;
    if (await isThere(deps.store, kind, digest)) return { uri, digest };
  }
  return undefined;
}

/** True where the content can be had now, folders with all that is below them. */
async function isThere(store: BlobStore, kind: Kind, digest: Digest): Promise<boolean> {
  if (kind === "blob") return (await store.missing([digest])).length === 0;
  const rootDirectoryDigest = toWireDigest(digest);
  const folder = ActionResult.fromPartial({ outputDirectories: [{ rootDirectoryDigest }] });
  const named = await namedBlobs(store, folder, digest.fn);
  return named !== undefined && (await store.missing(named)).length === 0;
}

function answer(fn: DigestFunction, uri: string, digest: Digest) {
  const status = { code: 0, message: "", details: [] };
  return { digest, rest: { status, uri, digestFunction: toWireFunction(fn) } };
}

async function remember(
  deps: AssetDeps,
  name: string,
  digest: Digest,
  expiresAtMs: number | undefined,
): Promise<void> {
  const record = { digest: digestKey(digest), storedAtMs: deps.now(), expiresAtMs };
  await deps.assets.putAsset(name, record);
}

/** Hashed, because URIs are longer than keys may be. */
function nameOf(
  kind: Kind,
  instance: string,
  fn: DigestFunction,
  uri: string,
  { identity }: AssetQualifiers,
): string {
  const name = JSON.stringify([kind, instance, fn, uri, identity]);
  return createHash("sha256").update(name).digest("hex");
}

function checkRequest({ instanceName, uris }: Pick<FetchRequest, "instanceName" | "uris">): void {
  checkInstance(instanceName);
  const possible = uris.every((uri) => uri !== "" && uri.length <= uriCharsMax);
  if (uris.length > 0 && uris.length <= urisMax && possible) return;
  throw new MeshError(
    "INVALID_ARGUMENT",
    `uris wants 1 to ${urisMax} of them, each of at most ${uriCharsMax} characters.`,
  );
}
