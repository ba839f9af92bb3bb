// Hostile bytes: what is right, damaged in the ways that find mistakes in decoders.

import type { Rng } from "../../src/core/rng.ts";

/** Longest input made, in bytes; decoders bound what they take themselves. */
const bytesMax = 8192;

/** An input made from a corpus of right ones, or from nothing. The corpus stays as it is. */
export function mutate(rng: Rng, corpus: readonly Uint8Array[]): Uint8Array {
  if (corpus.length === 0 || rng.below(8) === 0) return noise(rng, rng.below(200));
  let bytes = pick(rng, corpus);
  for (let rounds = rng.below(4); rounds >= 0; rounds -= 1) bytes = damaged(rng, bytes, corpus);
  return bytes.subarray(0, bytesMax);
}

function damaged(rng: Rng, bytes: Uint8Array, corpus: readonly Uint8Array[]): Uint8Array {
  const [from, to] = span(rng, bytes.length);
  switch (rng.below(8)) {
    case 0:
      return bytes.subarray(0, from);
    case 1:
      return Buffer.concat([bytes.subarray(0, to), bytes.subarray(from)]);
    case 2:
      return Buffer.concat([bytes.subarray(0, from), bytes.subarray(to)]);
    case 3: {
      const other = pick(rng, corpus);
      const [at] = span(rng, other.length);
      return Buffer.concat([bytes.subarray(0, from), other.subarray(at)]);
    }
    case 4:
      return Buffer.concat([
        bytes.subarray(0, from),
        noise(rng, rng.below(12)),
        bytes.subarray(to),
      ]);
    case 5: {
      // Lengths and numbers of the largest kind.
      const huge = new Uint8Array(1 + rng.below(11)).fill(0xff);
      return Buffer.concat([bytes.subarray(0, from), huge, bytes.subarray(from)]);
    }
    case 6:
      return bytes;
    default: {
      const flipped = Buffer.from(bytes);
      const at = rng.below(Math.max(1, bytes.length));
      if (at < flipped.length) flipped[at] = (flipped[at] ?? 0) ^ (1 << rng.below(8));
      return flipped;
    }
  }
}

function span(rng: Rng, length: number): [number, number] {
  const [a, b] = [rng.below(length + 1), rng.below(length + 1)];
  return a < b ? [a, b] : [b, a];
}

function noise(rng: Rng, length: number): Uint8Array {
  return Uint8Array.from({ length }, () => rng.below(256));
}

function pick(rng: Rng, corpus: readonly Uint8Array[]): Uint8Array {
  return corpus[rng.below(corpus.length)] ?? new Uint8Array();
}
