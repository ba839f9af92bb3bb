// Nothing enters a store under a wrong name: streams are hashed and counted as they pass.

import type { Digest } from "../core/digest.ts";
import { MeshError } from "../core/error.ts";
import { createHasher } from "./hash.ts";

/** Passes a stream on and throws INVALID_ARGUMENT at the first proof that it is not `digest`. */
export async function* verified(
  digest: Digest,
  chunks: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  const hasher = await createHasher(digest.fn, digest.sizeBytes);
  let size = 0;
  for await (const chunk of chunks) {
    size += chunk.length;
    if (size > digest.sizeBytes) throw wrongSize(digest, `at least ${size}`);
    hasher.update(chunk);
    yield chunk;
  }
  if (size !== digest.sizeBytes) throw wrongSize(digest, `${size}`);
  checkHash(digest, hasher.hex());
}

/** Throws INVALID_ARGUMENT unless `hash` is the one `digest` claims. */
export function checkHash(digest: Digest, hash: string): void {
  if (hash === digest.hash) return;
  throw new MeshError(
    "INVALID_ARGUMENT",
    `The bytes hash to ${hash}, not to ${digest.hash} (${digest.fn}). Send what the digest names.`,
  );
}

function wrongSize(digest: Digest, got: string): MeshError {
  return new MeshError(
    "INVALID_ARGUMENT",
    `Blob ${digest.hash} wants ${digest.sizeBytes} bytes and got ${got}. Send what the digest names.`,
  );
}

/** NOT_FOUND for a blob. */
export function absent(digest: Digest): MeshError {
  return new MeshError(
    "NOT_FOUND",
    `Blob ${digest.fn}:${digest.hash}/${digest.sizeBytes} is not in the store. Upload it first.`,
    { missing: [digest] },
  );
}

/** Throws RESOURCE_EXHAUSTED for a blob too large to hold in memory. */
export function checkBounded(digest: Digest, bytesMax: number): void {
  if (digest.sizeBytes <= bytesMax) return;
  throw new MeshError(
    "RESOURCE_EXHAUSTED",
    `Blob ${digest.hash} has ${digest.sizeBytes} bytes; at most ${bytesMax} are read at once here.`,
  );
}

/** Throws OUT_OF_RANGE for a slice that starts past the end or is negative. */
export function checkRange(digest: Digest, offset: number, limit: number): void {
  if (offset >= 0 && limit >= 0 && offset <= digest.sizeBytes) return;
  throw new MeshError(
    "OUT_OF_RANGE",
    `Offset ${offset}, limit ${limit} is no slice of a blob of ${digest.sizeBytes} bytes.`,
  );
}
