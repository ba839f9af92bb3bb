// Requests of the Remote Asset API as plain values, every rule and bound checked here once.

import type { Digest, DigestFunction } from "../core/digest.ts";
import { MeshError } from "../core/error.ts";
import type {
  FetchBlobRequest,
  FetchDirectoryRequest,
  PushBlobRequest,
  PushDirectoryRequest,
} from "../wire/gen/build/bazel/remote/asset/v1/remote_asset.ts";
import { fromDuration, fromTimestamp, fromWireDigest, fromWireFunction } from "../wire/reapi.ts";
import type { AssetBounds } from "./bounds.ts";
import { checkInstance } from "./instance-name.ts";
import { type AssetQualifiers, readQualifiers } from "./remote-asset-qualifiers.ts";

/** What every request names. */
export interface AssetName {
  readonly instance: string;
  readonly fn: DigestFunction;
  /** At least one. */
  readonly uris: readonly string[];
  readonly qualifiers: AssetQualifiers;
}

/** A FetchBlob or FetchDirectory. */
export interface AssetRequest extends AssetName {
  /** Content pushed or fetched earlier is not wanted, Unix ms; undefined: any age will do. */
  readonly oldestMs: number | undefined;
  /** For what has to be fetched. */
  readonly timeoutMs: number;
}

/** A PushBlob or PushDirectory, but for the digest itself. */
export interface AssetPush extends AssetName {
  /** Unix ms; undefined for no such time. */
  readonly expireAtMs: number | undefined;
  readonly blobs: readonly Digest[];
  readonly directories: readonly Digest[];
}

type Names = Pick<PushBlobRequest, "instanceName" | "uris" | "qualifiers">;

/** Reads a fetch. INVALID_ARGUMENT says what is wrong. */
export function readFetch(
  request: FetchBlobRequest | FetchDirectoryRequest,
  bounds: AssetBounds,
): AssetRequest {
  const asked = fromDuration(request.timeout) ?? 0;
  if (asked < 0) throw new MeshError("INVALID_ARGUMENT", `timeout is ${asked} ms; it wants more.`);
  return {
    ...readName(request, fromWireFunction(request.digestFunction, undefined), bounds),
    oldestMs: fromTimestamp(request.oldestContentAccepted),
    timeoutMs: Math.min(asked || bounds.fetchMs, bounds.fetchMsMax),
  };
}

/** Reads a push. INVALID_ARGUMENT says what is wrong. */
export function readPush(
  request: PushBlobRequest | PushDirectoryRequest,
  fn: DigestFunction,
  bounds: AssetBounds,
): AssetPush {
  const { referencesBlobs, referencesDirectories } = request;
  checkCount("references", referencesBlobs.length + referencesDirectories.length, {
    max: bounds.referencesMax,
  });
  return {
    ...readName(request, fn, bounds),
    expireAtMs: fromTimestamp(request.expireAt),
    blobs: referencesBlobs.map((digest, at) =>
      fromWireDigest(digest, fn, `references_blobs[${at}]`),
    ),
    directories: referencesDirectories.map((digest, at) =>
      fromWireDigest(digest, fn, `references_directories[${at}]`),
    ),
  };
}

function readName(
  { instanceName, uris, qualifiers }: Names,
  fn: DigestFunction,
  bounds: AssetBounds,
) {
  const instance = checkInstance(instanceName);
  checkCount("uris", uris.length, { min: 1, max: bounds.urisMax });
  checkCount("qualifiers", qualifiers.length, { max: bounds.qualifiersMax });
  for (const [at, uri] of uris.entries()) {
    if (uri !== "" && uri.length <= bounds.uriCharsMax) continue;
    const message = `uris[${at}] has ${uri.length} characters; it wants 1 to ${bounds.uriCharsMax}.`;
    throw new MeshError("INVALID_ARGUMENT", message);
  }
  return { instance, fn, uris, qualifiers: readQualifiers(qualifiers, uris) };
}

function checkCount(what: string, count: number, { min = 0, max }: { min?: number; max: number }) {
  if (count >= min && count <= max) return;
  throw new MeshError("INVALID_ARGUMENT", `The request has ${count} ${what}; ${min} to ${max} go.`);
}
