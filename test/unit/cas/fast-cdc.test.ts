// FastCDC against a second writing of the paper's algorithm, with BigInt and one byte at a time.

import { hash } from "node:crypto";
import fc from "fast-check";
import { expect, test } from "vitest";
import { type CdcOptions, createChunker, reapiChunks } from "../../../src/cas/fast-cdc.ts";
import { createRng } from "../../../src/core/rng.ts";

const gear = Array.from({ length: 256 }, (_, byte) =>
  BigInt(`0x${hash("md5", Buffer.alloc(64, byte)).slice(0, 16)}`),
);
/** Masks of the published table for chunks of 16 KiB and 512 KiB at level 2. */
const masks = new Map([
  [16 << 10, [0x0000d90303537000n, 0x0000d90103530000n]],
  [512 << 10, [0x0000d91767537000n, 0x0000d90703537000n]],
]);

function plainCut(bytes: Uint8Array, options: CdcOptions): number {
  const [early = 0n, late = 0n] = masks.get(options.averageBytes) ?? [];
  const end = Math.min(bytes.length, options.maxBytes);
  if (end <= options.minBytes) return end;
  let rolling = 0n;
  for (let at = options.minBytes; at < end - (end % 2); at += 1) {
    rolling = ((rolling << 1n) + (gear[bytes[at]!]! ^ BigInt(options.seed))) & 0xffffffffffffffffn;
    const center = Math.min(options.averageBytes, end) - (Math.min(options.averageBytes, end) % 2);
    if ((rolling & (at < center ? early : late)) === 0n) return at;
  }
  return end;
}

function randomBytes(seed: number, length: number): Uint8Array {
  const rng = createRng(seed);
  return Uint8Array.from({ length }, () => rng.below(256));
}

function cuts(bytes: Uint8Array, options: CdcOptions): number[] {
  const { cut } = createChunker(options);
  const lengths: number[] = [];
  for (let at = 0; at < bytes.length; at += lengths.at(-1)!) lengths.push(cut(bytes.subarray(at)));
  return lengths;
}

const small: CdcOptions = { averageBytes: 16 << 10, minBytes: 4096, maxBytes: 65_535, seed: 0 };

test("the gear table begins as published", () => {
  expect(gear[0]).toBe(0x3b5d3c7d207e37dcn);
  expect(gear[1]).toBe(0x784d68ba91123086n);
});

test.each([0, 666])("cuts where the plain algorithm cuts, seed %i", (seed) => {
  const options = { ...small, seed };
  const run = fc.property(fc.integer(), fc.integer({ min: 0, max: 90_000 }), (random, length) => {
    const bytes = randomBytes(random, length);
    expect(createChunker(options).cut(bytes)).toBe(plainCut(bytes, options));
  });
  fc.assert(run, { numRuns: 40 });
});

test("REAPI's own parameters cut as the plain algorithm does", () => {
  const bytes = randomBytes(7, 3 << 20);
  expect(createChunker(reapiChunks).cut(bytes)).toBe(plainCut(bytes, reapiChunks));
});

test("an insertion moves the cuts near it and no others", () => {
  const before = randomBytes(3, 1 << 20);
  const after = Buffer.concat([
    before.subarray(0, 300_000),
    Buffer.from("new"),
    before.subarray(300_000),
  ]);
  const ends = (bytes: Uint8Array) => {
    let at = 0;
    return cuts(bytes, small).map((length) => {
      at += length;
      return hash("sha1", bytes.subarray(at - length, at));
    });
  };
  const kept = ends(before).filter((chunk) => ends(after).includes(chunk));
  expect(kept.length).toBeGreaterThan(ends(before).length - 4);
});

test("bytes without any cut end at the largest chunk", () => {
  expect(cuts(new Uint8Array(200_000), small)).toEqual([65_535, 65_535, 65_535, 3395]);
});
