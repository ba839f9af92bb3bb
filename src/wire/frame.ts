// Frames on a byte stream: an unsigned varint length (LEB128), then that many bytes.

import { MeshError } from "../core/error.ts";

/** Bound: bytes of a length prefix; enough for 2^35. */
const prefixBytesMax = 5;

/** A frame around `payload`. An empty payload is a frame too. */
export function encodeFrame(payload: Uint8Array): Uint8Array {
  const prefix: number[] = [];
  let rest = payload.length;
  do {
    prefix.push(rest > 0x7f ? (rest % 0x80) | 0x80 : rest);
    rest = Math.floor(rest / 0x80);
  } while (rest > 0);
  const frame = new Uint8Array(prefix.length + payload.length);
  frame.set(prefix);
  frame.set(payload, prefix.length);
  return frame;
}

/**
 * Bound: pieces held for one frame. Each pins the buffer it arrived in, so a peer that sends single
 * bytes would otherwise hold many times the frame's size.
 */
const piecesMax = 1024;

/** Cuts a stream, fed in any pieces, into frames. One decoder a stream. */
export class FrameDecoder {
  readonly #frameBytesMax: number;
  #pieces: Uint8Array[] = [];
  #held = 0;

  /** Frames above `frameBytesMax` bytes are refused before anything is allocated for them. */
  constructor(options: { readonly frameBytesMax: number }) {
    this.#frameBytesMax = options.frameBytesMax;
  }

  /**
   * Every frame that this piece completes. RESOURCE_EXHAUSTED for an oversize frame,
   * INVALID_ARGUMENT for a malformed length; the stream is of no use after either.
   */
  push(piece: Uint8Array): Uint8Array[] {
    if (piece.length > 0) {
      this.#pieces.push(piece);
      this.#held += piece.length;
      if (this.#pieces.length > piecesMax) this.#join();
    }
    const frames: Uint8Array[] = [];
    for (let frame = this.#next(); frame !== undefined; frame = this.#next()) frames.push(frame);
    return frames;
  }

  #next(): Uint8Array | undefined {
    const prefix = this.#readPrefix();
    if (prefix === undefined || this.#held < prefix.bytes + prefix.length) return undefined;
    const joined = this.#join();
    const end = prefix.bytes + prefix.length;
    this.#pieces = end < joined.length ? [joined.subarray(end)] : [];
    this.#held = joined.length - end;
    return joined.subarray(prefix.bytes, end);
  }

  #readPrefix(): { length: number; bytes: number } | undefined {
    if (this.#held === 0) return undefined;
    const head = (this.#pieces[0]?.length ?? 0) >= prefixBytesMax ? this.#pieces[0] : this.#join();
    let length = 0;
    for (let index = 0; index < prefixBytesMax; index += 1) {
      const byte = head?.[index];
      if (byte === undefined) return undefined;
      length += (byte & 0x7f) * 0x80 ** index;
      if (length > this.#frameBytesMax) {
        throw new MeshError(
          "RESOURCE_EXHAUSTED",
          `A frame of over ${this.#frameBytesMax} bytes was announced.`,
        );
      }
      if ((byte & 0x80) === 0) return { length, bytes: index + 1 };
    }
    throw new MeshError("INVALID_ARGUMENT", "A frame's length prefix never ends.");
  }

  #join(): Uint8Array {
    const [first] = this.#pieces;
    if (this.#pieces.length === 1 && first !== undefined) return first;
    const joined = Buffer.concat(this.#pieces);
    this.#pieces = [joined];
    return joined;
  }
}
