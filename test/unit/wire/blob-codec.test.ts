import fc from "fast-check";
import { expect, test } from "vitest";
import { MemoryBlobStore } from "../../../src/cas/memory-blob-store.ts";
import { type Digest, digestFunctions, hashDigits } from "../../../src/core/digest.ts";
import { MeshError } from "../../../src/core/error.ts";
import { type PackedParts, packParts } from "../../../src/mesh/pack-parts.ts";
import { createPartsTaker } from "../../../src/mesh/take-parts.ts";
import {
  type BlobFrame,
  blobBounds,
  decodeBlobFrame,
  encodeFramedPartsHead,
  encodePlainFrame,
  type PlainFrame,
} from "../../../src/wire/blob-codec.ts";
import { encodeFrame, FrameDecoder } from "../../../src/wire/frame.ts";

const seed = 72;
const id = fc.nat({ max: 0xffff_ffff });
const place = fc.nat({ max: blobBounds.digestsMax - 1 });
const places = fc.array(place, { maxLength: 50 });
const hex = (digits: number) =>
  fc
    .array(fc.nat({ max: 15 }), { minLength: digits, maxLength: digits })
    .map((all) => all.map((one) => one.toString(16)).join(""));

const digest = fc
  .constantFrom(...digestFunctions)
  .chain((fn) =>
    fc.record({ fn: fc.constant(fn), hash: hex(hashDigits[fn]), sizeBytes: fc.maxSafeNat() }),
  );
const digests = fc
  .constantFrom(...digestFunctions)
  .chain((fn) =>
    fc.array(
      fc.record({ fn: fc.constant(fn), hash: hex(hashDigits[fn]), sizeBytes: fc.maxSafeNat() }),
      { minLength: 1, maxLength: 20 },
    ),
  );
const key = fc.record({ instance: fc.string({ maxLength: 40 }), action: digest });
const bytes = fc.uint8Array({ minLength: 1, maxLength: 2000 });

const frame: fc.Arbitrary<PlainFrame> = fc.oneof(
  fc.record({ kind: fc.constant("want" as const), id, digests }),
  fc.record({ kind: fc.constant("ask" as const), id, digests }),
  fc.record({ kind: fc.constant("put" as const), id, digests }),
  fc.record({ kind: fc.constant("getResult" as const), id, key }),
  fc.record({ kind: fc.constant("putResult" as const), id, key, bytes }),
  fc.record({ kind: fc.constant("enough" as const), id }),
  fc.record({ kind: fc.constant("end" as const), id, missing: places }),
  fc.record({ kind: fc.constant("missing" as const), id, missing: places }),
  fc.record({
    ...{ kind: fc.constant("stored" as const), id, refused: places },
    code: fc.constantFrom(undefined, "RESOURCE_EXHAUSTED" as const),
    message: fc.string({ maxLength: 100 }),
  }),
  fc.record({
    ...{ kind: fc.constant("cachedResult" as const), id },
    result: fc.option(fc.record({ bytes, storedAtMs: fc.maxSafeNat() }), { nil: undefined }),
  }),
);

test("frames come back as they were", () => {
  fc.assert(
    fc.property(frame, (one) => {
      expect(decodeBlobFrame(encodePlainFrame(one))).toEqual(one);
    }),
    { seed, numRuns: 500 },
  );
});

test("damaged and random frames are refused with a reason or are other frames", () => {
  const flipped = fc.tuple(frame, fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 }))));
  const damaged = flipped.map(([one, flips]) => {
    const bytes = Uint8Array.from(encodePlainFrame(one));
    for (const [at, value] of flips) bytes[at % bytes.length] = value;
    return bytes;
  });
  fc.assert(
    fc.property(fc.oneof(damaged, fc.uint8Array({ maxLength: 300 })), (input) => {
      let decoded: BlobFrame | undefined;
      try {
        decoded = decodeBlobFrame(input);
      } catch (error) {
        expect(error).toBeInstanceOf(MeshError);
        expect(error).toMatchObject({ code: "INVALID_ARGUMENT" });
        return;
      }
      if (decoded?.kind === "want") {
        for (const one of decoded.digests) expect(one.hash.length).toBe(hashDigits[one.fn]);
      }
    }),
    { seed, numRuns: 3000 },
  );
});

test("what is too much is refused", () => {
  const many = Array.from({ length: blobBounds.digestsMax + 1 }, (): Digest => {
    return { fn: "sha256", hash: "0".repeat(64), sizeBytes: 1 };
  });
  const big = new Uint8Array(blobBounds.resultBytesMax + 1);
  const wrong: PlainFrame[] = [
    { kind: "want", id: 1, digests: many },
    { kind: "want", id: 1, digests: [] },
    { kind: "end", id: 1, missing: [blobBounds.digestsMax] },
    { kind: "cachedResult", id: 1, result: { bytes: big, storedAtMs: 1 } },
  ];
  for (const one of wrong) expect(() => decodeBlobFrame(encodePlainFrame(one))).toThrow(MeshError);
  // The largest request that is allowed fits a frame, with the longest hashes there are.
  const longest = many.slice(1).map((): Digest => {
    return { fn: "sha512", hash: "f".repeat(128), sizeBytes: Number.MAX_SAFE_INTEGER };
  });
  const encoded = encodePlainFrame({ kind: "want", id: 1, digests: longest });
  expect(encoded.length).toBeLessThan(blobBounds.frameBytesMax);
});

function parts(head: Parameters<typeof encodeFramedPartsHead>[0], data: Uint8Array): Uint8Array {
  const framed = Buffer.concat([encodeFramedPartsHead(head, data.length), data]);
  const [only] = new FrameDecoder({ frameBytesMax: blobBounds.frameBytesMax }).push(framed);
  return only!;
}

test("lengths that do not add up, or expand to more than said, are refused", () => {
  const data = Buffer.alloc(100);
  const said = (lengths: number[], expandedBytes = 0) =>
    decodeBlobFrame(
      parts({ id: 1, blobs: lengths.map((_, at) => at), lengths, expandedBytes }, data),
    );
  expect(said([60, 40])).toMatchObject({ kind: "parts" });
  for (const lengths of [[60], [60, 41], [100, 0], []]) expect(() => said(lengths)).toThrow();
  expect(() => said([100], 100)).toThrow(/zstd/);
  expect(() => said([100], blobBounds.partBytesMax + 1)).toThrow(/expands/);
});

async function joined(packed: AsyncIterable<PackedParts>): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const { head, data } of packed) pieces.push(head, ...data);
  return Buffer.concat(pieces);
}

test("blobs of any sizes, some missing, come over whole through any cuts of the stream", async () => {
  const size = fc.oneof(fc.nat({ max: 300 }), fc.nat({ max: 300_000 }));
  const blobs = fc.array(fc.record({ size, fill: fc.nat({ max: 255 }), lost: fc.boolean() }), {
    minLength: 1,
    maxLength: 12,
  });
  await fc.assert(
    fc.asyncProperty(blobs, fc.integer({ min: 1, max: 70_000 }), async (given, cut) => {
      const [from, to] = [new MemoryBlobStore(), new MemoryBlobStore()];
      const wanted: Digest[] = [];
      for (const [at, { size: length, fill, lost }] of given.entries()) {
        const bytes = Buffer.alloc(length, fill);
        bytes.write(`${at}`);
        const made = await from.put(bytes, "sha256");
        wanted.push(made);
        if (lost) from.delete(made);
      }
      const missing: number[] = [];
      const bytes = await joined(packParts(from, 7, wanted, missing));
      const decoder = new FrameDecoder({ frameBytesMax: blobBounds.frameBytesMax });
      let waiting = 0;
      const taker = createPartsTaker(to, wanted, {
        waiting: (change) => {
          waiting += change;
        },
      });
      for (let at = 0; at < bytes.length; at += cut) {
        for (const one of decoder.push(bytes.subarray(at, at + cut))) {
          const decoded = decodeBlobFrame(one);
          if (decoded?.kind === "parts") taker.take(decoded);
        }
      }
      await taker.end(missing);
      expect(await to.missing(wanted)).toEqual(await from.missing(wanted));
      expect(waiting).toBe(0);
    }),
    { seed, numRuns: 60 },
  );
});

test("an empty frame is nothing", () => {
  expect(
    decodeBlobFrame(new FrameDecoder({ frameBytesMax: 9 }).push(encodeFrame(new Uint8Array()))[0]!),
  ).toBeUndefined();
});
