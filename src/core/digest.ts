// A blob's name: which hash function, the hash, and the size. Blob bytes never enter the core.

/**
 * The hash functions served (REAPI `DigestFunction.Value`, lower case), the preferred one first.
 * Several share a length, so a hash alone names nothing.
 */
export const digestFunctions = [
  "sha256",
  "blake3",
  "sha1",
  "sha384",
  "sha512",
  "sha256tree",
  "gitsha1",
] as const;

/** One of the served hash functions. */
export type DigestFunction = (typeof digestFunctions)[number];

/** Hex digits of a hash, by function. */
export const hashDigits: Readonly<Record<DigestFunction, number>> = {
  sha256: 64,
  blake3: 64,
  sha1: 40,
  sha384: 96,
  sha512: 128,
  sha256tree: 64,
  gitsha1: 40,
};

/** The content address of a blob. Two functions may share a hash length, so `fn` is part of it. */
export interface Digest {
  readonly fn: DigestFunction;
  /** Lower-case hex, `hashDigits[fn]` digits. */
  readonly hash: string;
  /** Size of the uncompressed blob in bytes, 0 to 2^53-1. */
  readonly sizeBytes: number;
}

/** True for lower-case hex of the function's length. */
export function isHash(fn: DigestFunction, hash: string): boolean {
  return hash.length === hashDigits[fn] && /^[0-9a-f]+$/.test(hash);
}

/** A digest as one string, usable as a map key; `parseDigestKey` reads it back. */
export function digestKey(digest: Digest): string {
  return `${digest.fn}:${digest.hash}/${digest.sizeBytes}`;
}

/** Reads what `digestKey` wrote; undefined for anything else. */
export function parseDigestKey(key: string): Digest | undefined {
  const match = /^([a-z0-9]+):([0-9a-f]+)\/(0|[1-9][0-9]{0,15})$/.exec(key);
  const fn = digestFunctions.find((known) => known === match?.[1]);
  const [, , hash = "", size] = match ?? [];
  const sizeBytes = Number(size);
  if (fn === undefined || !isHash(fn, hash) || !Number.isSafeInteger(sizeBytes)) return undefined;
  return { fn, hash, sizeBytes };
}

/** True for two names of the same blob. */
export function sameDigest(a: Digest, b: Digest): boolean {
  return a.hash === b.hash && a.sizeBytes === b.sizeBytes && a.fn === b.fn;
}
