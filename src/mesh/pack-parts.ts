// Blobs of this host's store as frames of the blob protocol: small ones many to a frame, large ones
// as they are read, compressed where that pays.

import type { BlobStore } from "../cas/blob-store.ts";
import { isEmptyBlob } from "../cas/hash.ts";
import type { Digest } from "../core/digest.ts";
import { blobBounds, encodeFramedPartsHead } from "../wire/blob-codec.ts";
import { zstdFrame } from "../wire/zstd-frame.ts";

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
 * Frames of the blobs in order; the places of what the store lacks are added to `missing`. A blob
 * that goes while it is read is missing after its first half, which ends the batch: all behind it
 * counts as missing too. Whoever stops early must return the generator, as `for await` does: it may
 * hold a file open.
 */
export async function* packParts(
  store: BlobStore,
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
      const how = yield* packLarge(store, id, blob, digest);
      if (how !== "sent") missing.push(blob);
      if (how === "half") missing.push(...rest(blob + 1, digests.length));
      if (how === "half") return;
      continue;
    }
    const bytes = await store.get(digest, smallBytesMax).catch(() => undefined);
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

/** One blob in frames of its own. Whether the rest is compressed is decided by its first part. */
async function* packLarge(
  store: BlobStore,
  id: number,
  blob: number,
  digest: Digest,
): AsyncGenerator<PackedParts, "sent" | "absent" | "half"> {
  let compress = true;
  let begun = false;
  try {
    for await (const chunk of store.read(digest)) {
      for (let at = 0; at < chunk.length; at += blobBounds.partBytesMax) {
        const bytes = chunk.subarray(at, at + blobBounds.partBytesMax);
        const { parts, shrank } = await pack(id, [{ blob, bytes }], compress);
        compress = shrank;
        begun = true;
        yield parts;
      }
    }
    return "sent";
  } catch {
    return begun ? "half" : "absent";
  }
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

function rest(from: number, to: number): number[] {
  return Array.from({ length: Math.max(0, to - from) }, (_, at) => from + at);
}
