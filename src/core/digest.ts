// A blob's name: which hash function, the hash, and the size. Blob bytes never enter the core.

/** The hash functions this version serves (REAPI `DigestFunction.Value`, lower case). */
export const digestFunctions = ["sha256", "blake3"] as const;

/** One of the served hash functions. */
export type DigestFunction = (typeof digestFunctions)[number];

/** The content address of a blob. Two functions may share a hash length, so `fn` is part of it. */
export interface Digest {
  readonly fn: DigestFunction;
  /** Lower-case hex, 64 digits for both functions. */
  readonly hash: string;
  /** Size of the uncompressed blob in bytes, 0 to 2^53-1. */
  readonly sizeBytes: number;
}

/** A digest as one string, usable as a map key; `parseDigestKey` reads it back. */
export function digestKey(digest: Digest): string {
  return `${digest.fn}:${digest.hash}/${digest.sizeBytes}`;
}

/** Reads what `digestKey` wrote; undefined for anything else. */
export function parseDigestKey(key: string): Digest | undefined {
  const match = /^(sha256|blake3):([0-9a-f]{64})\/(0|[1-9][0-9]{0,15})$/.exec(key);
  const [, fn, hash, size] = match ?? [];
  if (hash === undefined || (fn !== "sha256" && fn !== "blake3")) return undefined;
  const sizeBytes = Number(size);
  return Number.isSafeInteger(sizeBytes) ? { fn, hash, sizeBytes } : undefined;
}

/** True for two names of the same blob. */
export function sameDigest(a: Digest, b: Digest): boolean {
  return a.hash === b.hash && a.sizeBytes === b.sizeBytes && a.fn === b.fn;
}
