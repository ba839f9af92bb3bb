// Blobs in memory: for tests and for nodes without a disk of their own.

import { readFile } from "node:fs/promises";
import { type Digest, type DigestFunction, digestKey, parseDigestKey } from "../core/digest.ts";
import { MeshError } from "../core/error.ts";
import {
  type ActionCache,
  type ActionKey,
  actionKeyText,
  type CachedResult,
} from "./action-cache.ts";
import type { BlobRange, BlobStore, HashLookup, Holds } from "./blob-store.ts";
import { digestOf, isEmptyBlob } from "./hash.ts";
import { absent, checkBounded, checkRange, verified } from "./verify.ts";

const chunkBytesMax = 1 << 20;

/** Keeps everything until `bytesMax` is reached, then refuses with RESOURCE_EXHAUSTED. */
export class MemoryBlobStore implements BlobStore, Holds, HashLookup {
  readonly #bytesByKey = new Map<string, Uint8Array>();
  readonly #bytesMax: number;
  #total = 0;

  constructor(options: { readonly bytesMax: number } = { bytesMax: 2 ** 30 }) {
    this.#bytesMax = options.bytesMax;
  }

  /** Reads the file; it may be removed afterwards. */
  async adopt(path: string, fn: DigestFunction): Promise<Digest> {
    return this.put(await readFile(path), fn);
  }

  /** Nothing is ever evicted here. */
  hold(): { release(): void } {
    return { release: () => undefined };
  }

  async findByHash(fn: DigestFunction, hash: string): Promise<Digest | undefined> {
    const key = [...this.#bytesByKey.keys()].find((known) => known.startsWith(`${fn}:${hash}/`));
    return key === undefined ? undefined : parseDigestKey(key);
  }

  async missing(digests: readonly Digest[]): Promise<Digest[]> {
    return digests.filter((d) => !isEmptyBlob(d) && !this.#bytesByKey.has(digestKey(d)));
  }

  async *read(digest: Digest, range: BlobRange = { offset: 0, limit: 0 }) {
    checkRange(digest, range.offset, range.limit);
    const bytes = this.#find(digest);
    const end =
      range.limit === 0 ? bytes.length : Math.min(bytes.length, range.offset + range.limit);
    for (let at = range.offset; at < end; at += chunkBytesMax) {
      yield bytes.subarray(at, Math.min(end, at + chunkBytesMax));
    }
  }

  async get(digest: Digest, bytesMax: number): Promise<Uint8Array> {
    checkBounded(digest, bytesMax);
    return this.#find(digest);
  }

  async write(digest: Digest, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    if (isEmptyBlob(digest) || this.#bytesByKey.has(digestKey(digest))) return;
    this.#checkRoom(digest.sizeBytes);
    const pieces: Uint8Array[] = [];
    for await (const chunk of verified(digest, chunks)) pieces.push(Uint8Array.from(chunk));
    this.#keep(digest, Buffer.concat(pieces));
  }

  async put(bytes: Uint8Array, fn: DigestFunction): Promise<Digest> {
    const digest = await digestOf(bytes, fn);
    this.#checkRoom(digest.sizeBytes);
    this.#keep(digest, Uint8Array.from(bytes));
    return digest;
  }

  /** Forgets a blob; tests lose blobs on purpose. */
  delete(digest: Digest): void {
    if (this.#bytesByKey.delete(digestKey(digest))) this.#total -= digest.sizeBytes;
  }

  #find(digest: Digest): Uint8Array {
    const bytes = isEmptyBlob(digest) ? new Uint8Array() : this.#bytesByKey.get(digestKey(digest));
    if (bytes === undefined) throw absent(digest);
    return bytes;
  }

  #keep(digest: Digest, bytes: Uint8Array): void {
    if (isEmptyBlob(digest) || this.#bytesByKey.has(digestKey(digest))) return;
    this.#bytesByKey.set(digestKey(digest), bytes);
    this.#total += bytes.length;
  }

  #checkRoom(bytes: number): void {
    if (this.#total + bytes <= this.#bytesMax) return;
    throw new MeshError("RESOURCE_EXHAUSTED", `The store is full (${this.#bytesMax} bytes).`);
  }
}

/** Action results in memory. */
export class MemoryActionCache implements ActionCache {
  readonly #resultByKey = new Map<string, CachedResult>();
  readonly #now: () => number;

  constructor(deps: { readonly now: () => number }) {
    this.#now = deps.now;
  }

  async get(key: ActionKey): Promise<CachedResult | undefined> {
    return this.#resultByKey.get(actionKeyText(key));
  }

  async put(key: ActionKey, bytes: Uint8Array): Promise<void> {
    this.#resultByKey.set(actionKeyText(key), { bytes, storedAtMs: this.#now() });
  }
}
