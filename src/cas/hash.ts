// The served hash functions over bytes and streams: SHA-256 from Node, BLAKE3 from WebAssembly.

import { createHash, hash as hashOnce } from "node:crypto";
import { createBLAKE3 } from "hash-wasm";
import type { Digest, DigestFunction } from "../core/digest.ts";

/** Hashes what it is fed. */
export interface Hasher {
  update(bytes: Uint8Array): void;
  /** Lower-case hex; the hasher is spent. */
  hex(): string;
}

/** A hasher for a stream. */
export async function createHasher(fn: DigestFunction): Promise<Hasher> {
  if (fn === "sha256") {
    const hash = createHash("sha256");
    return { update: (bytes) => hash.update(bytes), hex: () => hash.digest("hex") };
  }
  const hash = (await createBLAKE3()).init();
  return { update: (bytes) => hash.update(bytes), hex: () => hash.digest("hex") };
}

/** Names bytes that are in memory. */
export async function digestOf(bytes: Uint8Array, fn: DigestFunction): Promise<Digest> {
  if (fn === "sha256") return { fn, hash: hashOnce("sha256", bytes), sizeBytes: bytes.length };
  const hasher = await createHasher(fn);
  hasher.update(bytes);
  return { fn, hash: hasher.hex(), sizeBytes: bytes.length };
}

const emptyHashByFunction: Readonly<Record<DigestFunction, string>> = {
  sha256: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
  blake3: "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
};

/** The name of the empty blob, which every store has without storing it. */
export function emptyDigest(fn: DigestFunction): Digest {
  return { fn, hash: emptyHashByFunction[fn], sizeBytes: 0 };
}

/** True for the empty blob's correct name. */
export function isEmptyBlob(digest: Digest): boolean {
  return digest.sizeBytes === 0 && digest.hash === emptyHashByFunction[digest.fn];
}
