// Between REAPI's messages and plain values: digests, resource names, durations. Everything that
// comes in is checked here once; past this file a Digest is a Digest.

import {
  type Digest,
  type DigestFunction,
  digestFunctions,
  hashDigits,
  isHash,
} from "../core/digest.ts";
import { MeshError } from "../core/error.ts";
import {
  DigestFunction_Value,
  type Digest as WireDigest,
} from "./gen/build/bazel/remote/execution/v2/remote_execution.ts";
import type { Duration } from "./gen/google/protobuf/duration.ts";
import type { Timestamp } from "./gen/google/protobuf/timestamp.ts";

const valueByFunction: Readonly<Record<DigestFunction, DigestFunction_Value>> = {
  sha256: DigestFunction_Value.SHA256,
  blake3: DigestFunction_Value.BLAKE3,
  sha1: DigestFunction_Value.SHA1,
  sha384: DigestFunction_Value.SHA384,
  sha512: DigestFunction_Value.SHA512,
  sha256tree: DigestFunction_Value.SHA256TREE,
  gitsha1: DigestFunction_Value.GITSHA1,
};

/** Functions that a hash's length alone tells apart; the others must be named (REAPI). */
const inferredFunctions: readonly DigestFunction[] = ["sha256", "sha1", "sha384", "sha512"];

/** The wire number of a digest function. */
export function toWireFunction(fn: DigestFunction): DigestFunction_Value {
  return valueByFunction[fn];
}

/**
 * A request's digest function. Where it is unset, `example` (any digest of the request) tells it by
 * the length of its hash, as far as REAPI allows. INVALID_ARGUMENT for a function not served.
 */
export function fromWireFunction(
  value: number,
  example: { readonly hash: string } | undefined,
): DigestFunction {
  if (value === DigestFunction_Value.UNKNOWN) return inferFunction(example?.hash) ?? "sha256";
  const found = digestFunctions.find((fn) => valueByFunction[fn] === value);
  if (found !== undefined) return found;
  const served = digestFunctions.map((fn) => fn.toUpperCase()).join(", ");
  throw new MeshError(
    "INVALID_ARGUMENT",
    `Digest function ${value} is not served here. Use one of ${served}.`,
  );
}

function inferFunction(hash: string | undefined): DigestFunction | undefined {
  return inferredFunctions.find((fn) => hashDigits[fn] === hash?.length);
}

/** A digest as REAPI writes it; its function travels beside it. */
export function toWireDigest(digest: Digest): WireDigest {
  return { hash: digest.hash, sizeBytes: digest.sizeBytes };
}

/** Checks a digest from outside. INVALID_ARGUMENT names `field` and what is wrong with it. */
export function fromWireDigest(
  digest: WireDigest | undefined,
  fn: DigestFunction,
  field: string,
): Digest {
  if (digest === undefined) throw new MeshError("INVALID_ARGUMENT", `${field} is missing.`);
  return checkedDigest(fn, digest.hash, digest.sizeBytes, field);
}

function checkedDigest(fn: DigestFunction, hash: string, sizeBytes: number, field: string): Digest {
  if (!isHash(fn, hash)) {
    throw new MeshError(
      "INVALID_ARGUMENT",
      `${field}: a ${fn} hash has ${hashDigits[fn]} lower-case hex digits, which ` +
        `${JSON.stringify(hash.slice(0, 130))} does not.`,
    );
  }
  if (!Number.isSafeInteger(sizeBytes) || sizeBytes < 0) {
    throw new MeshError("INVALID_ARGUMENT", `${field}: the size ${sizeBytes} is not possible.`);
  }
  return { fn, hash, sizeBytes };
}

/** What a ByteStream resource name asks for. */
export interface BlobResource {
  readonly kind: "read" | "write";
  readonly instance: string;
  readonly digest: Digest;
  /** Upload id of a write; empty for a read. */
  readonly upload: string;
  /** `identity`, or the compressor's lower-case name for `compressed-blobs`. */
  readonly compressor: string;
}

/**
 * Parses `[instance/][uploads/ID/](blobs|compressed-blobs/COMPRESSOR)/[function/]HASH/SIZE[/…]`
 * (REAPI, ContentAddressableStorage). The instance may hold slashes, so segments are scanned for
 * the first keyword. Only an upload may carry more after the size, which is ignored.
 * INVALID_ARGUMENT otherwise.
 */
export function parseBlobResource(name: string): BlobResource {
  const segments = name.split("/");
  const start = segments.findIndex((s) => ["uploads", "blobs", "compressed-blobs"].includes(s));
  const rest = segments.slice(start);
  const instance = start < 0 ? "" : segments.slice(0, start).join("/");
  const kind = rest[0] === "uploads" ? "write" : "read";
  const upload = kind === "write" ? (rest[1] ?? "") : "";
  const blob = kind === "write" ? rest.slice(2) : rest;
  const compressed = blob[0] === "compressed-blobs";
  if (start < 0 || (blob[0] !== "blobs" && !compressed) || (kind === "write" && upload === "")) {
    throw badResource(name);
  }
  const parts = blob.slice(compressed ? 2 : 1);
  const named = digestFunctions.find((fn) => fn === parts[0]);
  const [hash = "", size = "", ...tail] = named === undefined ? parts : parts.slice(1);
  const compressor = compressed ? (blob[1] ?? "") : "identity";
  if (compressor === "" || (kind === "read" && tail.length > 0)) throw badResource(name);
  if (!/^(0|[1-9][0-9]{0,15})$/.test(size)) throw badResource(name);
  const digest = checkedDigest(
    named ?? inferFunction(hash) ?? "sha256",
    hash,
    Number(size),
    "resource_name",
  );
  return { kind, instance, upload, digest, compressor };
}

/** A blob's part of a resource name: the function is written only where it cannot be inferred. */
export function formatBlobPath(digest: Digest): string {
  const fn = inferredFunctions.includes(digest.fn) ? "" : `${digest.fn}/`;
  return `blobs/${fn}${digest.hash}/${digest.sizeBytes}`;
}

/** Reads what `formatBlobPath` wrote; undefined for anything else. */
export function parseBlobPath(path: string): Digest | undefined {
  if (!path.startsWith("blobs/")) return undefined;
  try {
    return parseBlobResource(path).digest;
  } catch {
    return undefined;
  }
}

/** The resource name for reading a blob. */
export function formatReadResource(instance: string, digest: Digest): string {
  return `${instance === "" ? "" : `${instance}/`}${formatBlobPath(digest)}`;
}

/** The resource name for writing a blob under an upload id. */
export function formatWriteResource(instance: string, upload: string, digest: Digest): string {
  return `${instance === "" ? "" : `${instance}/`}uploads/${upload}/${formatBlobPath(digest)}`;
}

function badResource(name: string): MeshError {
  return new MeshError(
    "INVALID_ARGUMENT",
    `resource_name ${JSON.stringify(name.slice(0, 200))} is not a blob's name. ` +
      "It wants [INSTANCE/][uploads/ID/]blobs/[FUNCTION/]HASH/SIZE.",
  );
}

/** Unix ms as a Timestamp. */
export function toTimestamp(unixMs: number): Timestamp {
  return carried(unixMs, Math.floor(unixMs / 1000));
}

/** A Timestamp as Unix ms; undefined stays undefined. */
export function fromTimestamp(timestamp: Timestamp | undefined): number | undefined {
  return timestamp && timestamp.seconds * 1000 + timestamp.nanos / 1e6;
}

/** Ms as a Duration. */
export function toDuration(ms: number): Duration {
  return carried(ms, Math.trunc(ms / 1000));
}

/** A Duration as ms; undefined stays undefined. */
export function fromDuration(duration: Duration | undefined): number | undefined {
  return duration && duration.seconds * 1000 + duration.nanos / 1e6;
}

/** Whole seconds and the nanos left over. Rounding may fill a second; 1e9 nanos are not valid. */
function carried(ms: number, seconds: number): { seconds: number; nanos: number } {
  const nanos = Math.round((ms - seconds * 1000) * 1e6);
  return Math.abs(nanos) < 1e9
    ? { seconds, nanos }
    : { seconds: seconds + Math.sign(nanos), nanos: 0 };
}

/** The node properties that workers keep, under REAPI's names (nodeproperties.md). */
export const supportedNodeProperties = ["mtime", "unix_mode"] as const;

/** One of these. */
export type NodePropertyName = (typeof supportedNodeProperties)[number];
