// The served hash functions over bytes and streams: the SHA family from Node, BLAKE3 from
// WebAssembly, SHA256TREE from its own file.

import { createHash, hash as hashOnce } from "node:crypto";
import { createBLAKE3, type IHasher } from "hash-wasm";
import type { Digest, DigestFunction } from "../core/digest.ts";
import { createTreeHasher } from "./tree-hash.ts";

/** Hashes what it is fed. */
export interface Hasher {
  update(bytes: Uint8Array): void;
  /** Lower-case hex; the hasher is spent. */
  hex(): string;
}

/** Functions that Node has under the same name. */
const nodeFunctions: ReadonlySet<DigestFunction> = new Set(["sha256", "sha1", "sha384", "sha512"]);

/**
 * A hasher for a stream of `sizeBytes` bytes: GITSHA1 hashes the size before the bytes. A stream of
 * another length gets a hash that names nothing.
 */
export async function createHasher(fn: DigestFunction, sizeBytes: number): Promise<Hasher> {
  if (fn === "sha256tree") return createTreeHasher();
  if (fn === "blake3") return lendBlake3(await takeBlake3());
  // GITSHA1 is what Git calls a file: SHA-1 over a prefix and the bytes.
  const hash = createHash(fn === "gitsha1" ? "sha1" : fn);
  if (fn === "gitsha1") hash.update(gitPrefix(sizeBytes));
  return { update: (bytes) => hash.update(bytes), hex: () => hash.digest("hex") };
}

/** Names bytes that are in memory. */
export async function digestOf(bytes: Uint8Array, fn: DigestFunction): Promise<Digest> {
  const sizeBytes = bytes.length;
  if (nodeFunctions.has(fn)) return { fn, hash: hashOnce(fn, bytes), sizeBytes };
  const hasher = await createHasher(fn, sizeBytes);
  hasher.update(bytes);
  return { fn, hash: hasher.hex(), sizeBytes };
}

/** Each instance costs a WebAssembly memory, so those that have finished are used again. */
const idleBlake3: IHasher[] = [];
/** Bound: instances kept while nothing is hashed. */
const idleBlake3Max = 8;

async function takeBlake3(): Promise<IHasher> {
  return idleBlake3.pop() ?? (await createBLAKE3());
}

function lendBlake3(instance: IHasher): Hasher {
  instance.init();
  return {
    update: (bytes) => instance.update(bytes),
    hex: () => {
      const hex = instance.digest("hex");
      if (idleBlake3.length < idleBlake3Max) idleBlake3.push(instance);
      return hex;
    },
  };
}

function gitPrefix(sizeBytes: number): string {
  return `blob ${sizeBytes}\0`;
}

const emptyHashByFunction: Readonly<Record<DigestFunction, string>> = {
  sha256: hashOnce("sha256", ""),
  // SHA256TREE is SHA-256 up to one leaf.
  sha256tree: hashOnce("sha256", ""),
  sha1: hashOnce("sha1", ""),
  sha384: hashOnce("sha384", ""),
  sha512: hashOnce("sha512", ""),
  gitsha1: hashOnce("sha1", gitPrefix(0)),
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
