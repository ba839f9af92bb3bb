// The blobs of an action into a store of this machine, where they are not there yet.

import { createReadStream } from "node:fs";
import type { BlobStore } from "../cas/blob-store.ts";
import { digestKey } from "../core/digest.ts";
import type { PreparedBlob } from "./prepared-action.ts";

/** Stores what the store lacks; the bytes of that. */
export async function storeMissing(
  store: BlobStore,
  blobs: readonly PreparedBlob[],
): Promise<number> {
  const missing = await store.missing(blobs.map(({ digest }) => digest));
  const missingKeys = new Set(missing.map(digestKey));
  let bytes = 0;
  for (const blob of blobs) {
    if (!missingKeys.has(digestKey(blob.digest))) continue;
    bytes += blob.digest.sizeBytes;
    if ("bytes" in blob) await store.put(blob.bytes, "sha256");
    else await store.write(blob.digest, createReadStream(blob.file));
  }
  return bytes;
}
