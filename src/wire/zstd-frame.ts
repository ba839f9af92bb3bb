// One blob, or one frame's bytes, as one zstd frame (RFC 8878). What comes in is bounded twice: by
// the size it is said to have and by the memory a frame may ask for.

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

/** For whoever expands zstd from outside. */
export const zstdLimits = { params: { [zlib.constants.ZSTD_d_windowLogMax]: windowLogMax } };

/** Level 1 costs least; builds wait for the network more often than for a better ratio. */
export const zstdFast = { params: { [zlib.constants.ZSTD_c_compressionLevel]: 1 } };

/** Bytes as one frame. */
export function zstdFrame(bytes: Uint8Array): Promise<Uint8Array> {
  return compress(bytes, zstdFast);
}

/** `sizeBytes` bytes from their frame. INVALID_ARGUMENT where it is none, or of another size. */
export async function fromZstdFrame(frame: Uint8Array, sizeBytes: number): Promise<Uint8Array> {
  const bytes = await decompress(frame, limitsFor(sizeBytes)).catch((cause: unknown) => {
    throw badZstd(cause);
  });
  return ofSize(bytes, sizeBytes);
}

/** `fromZstdFrame` at once, for frames of so few bytes that a turn costs more. */
export function fromZstdFrameNow(frame: Uint8Array, sizeBytes: number): Uint8Array {
  let bytes: Uint8Array;
  try {
    bytes = zlib.zstdDecompressSync(frame, limitsFor(sizeBytes));
  } catch (cause) {
    throw badZstd(cause);
  }
  return ofSize(bytes, sizeBytes);
}

/** INVALID_ARGUMENT for bytes that cannot be expanded. */
export function badZstd(cause: unknown): MeshError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new MeshError("INVALID_ARGUMENT", `The bytes are no zstd that is taken here: ${why}.`, {
    cause,
  });
}

/** A limit of 0 would mean none, and one byte too many is as telling as a billion. */
function limitsFor(sizeBytes: number) {
  return { ...zstdLimits, maxOutputLength: sizeBytes + 1 };
}

function ofSize(bytes: Uint8Array, sizeBytes: number): Uint8Array {
  if (bytes.length === sizeBytes) return bytes;
  throw new MeshError(
    "INVALID_ARGUMENT",
    `The zstd frame holds ${bytes.length} bytes where the digest says ${sizeBytes}.`,
  );
}
