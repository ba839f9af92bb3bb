// zstd streams, as REAPI frames them for ByteStream (RFC 8878).

import { Readable } from "node:stream";
import * as zlib from "node:zlib";
import { MeshError } from "../core/error.ts";
import { badZstd, zstdFast, zstdLimits } from "../wire/zstd-frame.ts";

/** A blob as a zstd stream. */
export async function* zstdStream(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield* piped(chunks, zlib.createZstdCompress(zstdFast));
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
    yield* piped(all, zlib.createZstdDecompress(zstdLimits));
  } catch (error) {
    throw error instanceof MeshError ? error : badZstd(error);
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
