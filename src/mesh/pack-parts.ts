// Blobs of this host's store as frames of the blob protocol: small ones many to a frame, large
// ones as they are read, compressed where that pays. Each is hashed on its way out: a host whose
// disk has damaged a blob would otherwise look like one that lies, and be left alone by all others.

import type { BlobStore } from "../cas/blob-store.ts";
import { digestOf, isEmptyBlob } from "../cas/hash.ts";
import { verified } from "../cas/verify.ts";
import { type Digest, sameDigest } from "../core/digest.ts";
import { failureOf } from "../core/error.ts";
import { blobBounds, encodeFramedPartsHead } from "../wire/blob-codec.ts";
import { zstdFrame } from "../wire/zstd-frame.ts";

/** A store that serves others. */
export interface ServedStore extends BlobStore {
  /** Takes out a blob that turned out to be damaged. */
  remove?(digest: Digest): void;
}

/** A Parts frame, ready to be written: bytes of blobs are not copied into it. */
export interface PackedParts {
  readonly head: Uint8Array;
  readonly data: readonly Uint8Array[];
}

/** Blobs up to this size are read whole and share frames. */
const smallBytesMax = 64 * 1024;
/** Bound: pieces in one frame. */
const piecesMax = 1024;
/** Frames below this are sent as they are: a frame of zstd costs about as much as it would save. */
const packBytesMin = 1024;
/** A frame of zstd that is not at least this much smaller is not worth its expanding. */
const worthwhileShare = 0.9;

interface Piece {
  readonly blob: number;
  readonly bytes: Uint8Array;
}

/**
 * Frames of the blobs in order; the places of what the store lacks are added to `missing`, also of
 * a blob whose first half was sent before it turned out to be damaged. Whoever stops early must
 * return the generator, as `for await` does: it may hold a file open.
 */
export async function* packParts(
  store: ServedStore,
  id: number,
  digests: readonly Digest[],
  missing: number[],
): AsyncGenerator<PackedParts> {
  let pieces: Piece[] = [];
  let waiting = 0;
  for (const [blob, digest] of digests.entries()) {
    if (isEmptyBlob(digest)) continue;
    if (digest.sizeBytes > smallBytesMax) {
      if (pieces.length > 0) yield (await pack(id, pieces, true)).parts;
      [pieces, waiting] = [[], 0];
      if (!(yield* packLarge(store, id, blob, digest))) missing.push(blob);
      continue;
    }
    const bytes = await checkedBytes(store, digest);
    if (bytes === undefined) {
      missing.push(blob);
      continue;
    }
    if (waiting + bytes.length > blobBounds.partBytesMax || pieces.length >= piecesMax) {
      yield (await pack(id, pieces, true)).parts;
      [pieces, waiting] = [[], 0];
    }
    pieces.push({ blob, bytes });
    waiting += bytes.length;
  }
  if (pieces.length > 0) yield (await pack(id, pieces, true)).parts;
}

/**
 * One blob in frames of its own; false where it is not there, or not whole. Each part decides
 * whether the next is compressed.
 */
async function* packLarge(
  store: ServedStore,
  id: number,
  blob: number,
  digest: Digest,
): AsyncGenerator<PackedParts, boolean> {
  let compress = true;
  try {
    for await (const bytes of checkedParts(store, digest)) {
      const { parts, shrank } = await pack(id, [{ blob, bytes }], compress);
      compress = shrank;
      yield parts;
    }
    return true;
  } catch (error) {
    if (failureOf(error).code === "INVALID_ARGUMENT") store.remove?.(digest);
    return false;
  }
}

/** A blob in parts, the last one only once all of it has proved to be the blob. */
async function* checkedParts(store: ServedStore, digest: Digest): AsyncGenerator<Uint8Array> {
  let held: Uint8Array | undefined;
  for await (const chunk of verified(digest, store.read(digest))) {
    for (let at = 0; at < chunk.length; at += blobBounds.partBytesMax) {
      if (held !== undefined) yield held;
      held = chunk.subarray(at, at + blobBounds.partBytesMax);
    }
  }
  if (held !== undefined) yield held;
}

/** A small blob; undefined where there is none, or one that is damaged. */
async function checkedBytes(store: ServedStore, digest: Digest): Promise<Uint8Array | undefined> {
  const bytes = await store.get(digest, smallBytesMax).catch(() => undefined);
  if (bytes === undefined || sameDigest(await digestOf(bytes, digest.fn), digest)) return bytes;
  store.remove?.(digest);
  return undefined;
}

async function pack(
  id: number,
  pieces: readonly Piece[],
  compress: boolean,
): Promise<{ readonly parts: PackedParts; readonly shrank: boolean }> {
  const data = pieces.map(({ bytes }) => bytes);
  const total = data.reduce((sum, bytes) => sum + bytes.length, 0);
  const blobs = pieces.map(({ blob }) => blob);
  const lengths = data.map((bytes) => bytes.length);
  const [only] = data;
  if (compress && total >= packBytesMin) {
    const whole = data.length === 1 && only !== undefined ? only : Buffer.concat(data);
    const frame = await zstdFrame(whole);
    if (frame.length < total * worthwhileShare) {
      const head = encodeFramedPartsHead(
        { id, blobs, lengths, expandedBytes: total },
        frame.length,
      );
      return { parts: { head, data: [frame] }, shrank: true };
    }
  }
  const head = encodeFramedPartsHead({ id, blobs, lengths, expandedBytes: 0 }, total);
  return { parts: { head, data }, shrank: false };
}
