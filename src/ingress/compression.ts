// zstd, as REAPI frames it: streams for ByteStream, single frames for batches (RFC 8878). What
// comes in is bounded twice: by the blob's declared size and by the memory a frame may ask for.

import { Readable } from "node:stream";
import { promisify } from "node:util";
import * as zlib from "node:zlib";
import { MeshError } from "../core/error.ts";

const compress = promisify(zlib.zstdCompress);
const decompress = promisify(zlib.zstdDecompress);

/**
 * Largest window a frame may ask for, as a power of two: 8 MiB, what zstd's own level 19 uses. A
 * frame that wants more would cost this node up to 2 GiB before its first byte.
 */
const windowLogMax = 23;
const limits = { params: { [zlib.constants.ZSTD_d_windowLogMax]: windowLogMax } };
/** Level 1 costs least; builds wait for the network more often than for a better ratio. */
const fast = { params: { [zlib.constants.ZSTD_c_compressionLevel]: 1 } };

/** One blob as one frame. */
export function zstdFrame(bytes: Uint8Array): Promise<Uint8Array> {
  return compress(bytes, fast);
}

/** A blob of `sizeBytes` from its frame. INVALID_ARGUMENT where it is none, or of another size. */
export async function fromZstdFrame(frame: Uint8Array, sizeBytes: number): Promise<Uint8Array> {
  // A limit of 0 would mean none, and one byte too many is as telling as a billion.
  const options = { ...limits, maxOutputLength: sizeBytes + 1 };
  const bytes = await decompress(frame, options).catch((cause: unknown) => {
    throw badFrame(cause);
  });
  if (bytes.length === sizeBytes) return bytes;
  throw new MeshError(
    "INVALID_ARGUMENT",
    `The zstd frame holds ${bytes.length} bytes where the digest says ${sizeBytes}.`,
  );
}

/** A blob as a zstd stream. */
export async function* zstdStream(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield* piped(chunks, zlib.createZstdCompress(fast));
}

/**
 * A blob from its zstd stream, as it comes. INVALID_ARGUMENT for bytes that are no zstd. Whoever
 * reads stops at the size he expects: no more than one buffer is expanded ahead.
 */
export async function* fromZstdStream(
  chunks: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  const iterator = chunks[Symbol.asyncIterator]();
  const first = await iterator.next();
  // No bytes are no frame, but an upload that is resumed at its end sends just that.
  if (first.done === true) return;
  const all = (async function* () {
    yield first.value;
    yield* { [Symbol.asyncIterator]: () => iterator };
  })();
  try {
    yield* piped(all, zlib.createZstdDecompress(limits));
  } catch (error) {
    throw error instanceof MeshError ? error : badFrame(error);
  }
}

async function* piped(
  chunks: AsyncIterable<Uint8Array>,
  through: zlib.ZstdCompress | zlib.ZstdDecompress,
): AsyncGenerator<Uint8Array> {
  const source = Readable.from(chunks, { objectMode: true });
  source.on("error", (error) => through.destroy(error));
  source.pipe(through);
  try {
    for await (const chunk of through) yield chunk;
  } finally {
    source.destroy();
    through.destroy();
  }
}

function badFrame(cause: unknown): MeshError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new MeshError("INVALID_ARGUMENT", `The bytes are no zstd that is taken here: ${why}.`, {
    cause,
  });
}
