// Where to cut a blob so that equal parts of different blobs become equal chunks: FastCDC (Xia et
// al., "The Design of Fast Content-Defined Chunking", IEEE TPDS 2020), with normalization level 2
// and the gear table of the published vectors that REAPI refers to (FastCdc2020Params).

import { hash as hashOnce } from "node:crypto";

/** How chunks are cut. */
export interface CdcOptions {
  /** Wanted size in bytes, a power of two from 1 KiB to 1 MiB. */
  readonly averageBytes: number;
  /** Smallest and largest size; REAPI: a quarter of the average, and four times it. */
  readonly minBytes: number;
  readonly maxBytes: number;
  /** Changes where is cut; who shares chunks shares it. */
  readonly seed: number;
}

/** REAPI's recommended chunks: 512 KiB on average. */
export const reapiChunks: CdcOptions = {
  averageBytes: 512 << 10,
  minBytes: 128 << 10,
  maxBytes: 2 << 20,
  seed: 0,
};

/** Bits that must be zero at a cut, by the binary logarithm of the size, from 2^8 (the paper). */
const maskByLog: readonly bigint[] = [
  0x0000001800035300n,
  0x0000019000353000n,
  0x0000590003530000n,
  0x0000d90003530000n,
  0x0000d90103530000n,
  0x0000d90303530000n,
  0x0000d90313530000n,
  0x0000d90f03530000n,
  0x0000d90303537000n,
  0x0000d90703537000n,
  0x0000d90707537000n,
  0x0000d91707537000n,
  0x0000d91747537000n,
  0x0000d91767537000n,
  0x0000d93767537000n,
];
const firstLog = 8;
const normalization = 2;

/** Finds cuts. The rolling hash has 64 bits, kept as two halves: BigInt is fifty times slower. */
export interface Chunker {
  /** Length of the first chunk of `bytes`, of which the last one may be cut short by their end. */
  cut(bytes: Uint8Array): number;
}

/** Prepares the tables for one way of cutting. */
export function createChunker(options: CdcOptions): Chunker {
  const { averageBytes, minBytes, maxBytes, seed } = options;
  const log = Math.log2(averageBytes);
  const early = halves(maskByLog[log + normalization - firstLog] ?? 0n);
  const late = halves(maskByLog[log - normalization - firstLog] ?? 0n);
  const gear = gearTable(seed);

  /** The first cut in `[from, to)`, or `to`; the hash goes on from where it was. */
  function scan(bytes: Uint8Array, from: number, to: number, mask: Halves, state: Halves): number {
    let { high, low } = state;
    for (let at = from; at < to; at += 1) {
      const byte = bytes[at] ?? 0;
      const sum = ((low << 1) >>> 0) + (gear.low[byte] ?? 0);
      high =
        (((high << 1) | (low >>> 31)) + (gear.high[byte] ?? 0) + (sum > 0xffffffff ? 1 : 0)) | 0;
      low = sum >>> 0;
      if ((high & mask.high) === 0 && (low & mask.low) === 0) return at;
    }
    state.high = high;
    state.low = low;
    return to;
  }

  return {
    cut: (bytes) => {
      const end = Math.min(bytes.length, maxBytes);
      if (end <= minBytes) return end;
      const state = { high: 0, low: 0 };
      // The published form takes two bytes at a time, so every bound is even.
      const center = even(Math.min(averageBytes, end));
      const cut = scan(bytes, even(minBytes), center, early, state);
      if (cut < center) return cut;
      const last = even(end);
      const later = scan(bytes, center, last, late, state);
      return later < last ? later : end;
    },
  };
}

interface Halves {
  high: number;
  low: number;
}

function halves(value: bigint): Halves {
  return { high: Number(value >> 32n) | 0, low: Number(value & 0xffffffffn) | 0 };
}

/** For each byte the high 64 bits of the MD5 of 64 times that byte, with the seed mixed in. */
function gearTable(seed: number): { readonly high: Int32Array; readonly low: Uint32Array } {
  const high = new Int32Array(256);
  const low = new Uint32Array(256);
  for (let byte = 0; byte < 256; byte += 1) {
    const md5 = hashOnce("md5", Buffer.alloc(64, byte), "buffer");
    high[byte] = md5.readInt32BE(0);
    low[byte] = md5.readUInt32BE(4) ^ seed;
  }
  return { high, low };
}

function even(value: number): number {
  return value - (value % 2);
}
