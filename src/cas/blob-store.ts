// The door to content-addressed storage. Memory, disk and (later) mesh stores implement it;
// `test/conformance/blob-store.ts` is what they all must pass.

import type { Digest, DigestFunction } from "../core/digest.ts";

/** A slice of a blob: from `offset`, at most `limit` bytes (all the rest when 0). */
export interface BlobRange {
  readonly offset: number;
  readonly limit: number;
}

/**
 * Blobs by digest. Existence is exact: `missing` and reads agree with what can be had now.
 * The empty blob always exists and is never stored (REAPI, ContentAddressableStorage).
 */
export interface BlobStore {
  /** Which of these cannot be had. Extends the life of those that can. */
  missing(digests: readonly Digest[]): Promise<Digest[]>;
  /** Streams a blob in chunks of at most 1 MiB. NOT_FOUND, or OUT_OF_RANGE past the end. */
  read(digest: Digest, range?: BlobRange): AsyncGenerator<Uint8Array>;
  /** A whole blob in memory, for messages. NOT_FOUND; RESOURCE_EXHAUSTED above `bytesMax`. */
  get(digest: Digest, bytesMax: number): Promise<Uint8Array>;
  /**
   * Stores a stream under the digest it claims. INVALID_ARGUMENT where hash or size differ:
   * nothing is stored then. Writing a blob that exists succeeds without reading on.
   */
  write(digest: Digest, chunks: AsyncIterable<Uint8Array>): Promise<void>;
  /** Stores bytes that this process made itself and names them. */
  put(bytes: Uint8Array, fn: DigestFunction): Promise<Digest>;
}

/** What a store on this host's disk can do besides: hand files over without copying bytes. */
export interface LocalFiles {
  /**
   * Makes `path` a file with the blob's content that its user cannot alter through the store. At
   * once where it can, and then answers nothing or throws at once: promises for 2,000 files take
   * more than a ms.
   */
  materialize(
    digest: Digest,
    path: string,
    file: { readonly executable: boolean },
  ): Promise<void> | undefined;
  /** Takes the file at `path` into the store (the file may be consumed) and names it. */
  adopt(path: string, fn: DigestFunction): Promise<Digest>;
}

/** Keeps blobs from eviction while work that needs them is unfinished. */
export interface Holds {
  /**
   * Nothing that was used since `sinceMs` (Unix ms) is evicted until released, or until this
   * process dies. Whatever an invocation needs, it has uploaded or asked for since it began.
   */
  hold(sinceMs: number): { release(): void };
}

/** Finds blobs where only the hash is known, as in checksums that people publish. */
export interface HashLookup {
  /** A blob that can be had, with its size; extends its life. Undefined where there is none. */
  findByHash(fn: DigestFunction, hash: string): Promise<Digest | undefined>;
}
