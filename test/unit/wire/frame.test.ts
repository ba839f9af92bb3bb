import fc from "fast-check";
import { expect, test } from "vitest";
import { encodeFrame, FrameDecoder } from "../../../src/wire/frame.ts";

test("frames survive any cutting of the stream", () => {
  const payloads = fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 20 });
  fc.assert(
    fc.property(
      payloads,
      fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1 }),
      (frames, cuts) => {
        const stream = Buffer.concat(frames.map(encodeFrame));
        const decoder = new FrameDecoder({ frameBytesMax: 300 });
        const found: Uint8Array[] = [];
        for (let at = 0, next = 0; at < stream.length; next += 1) {
          const size = cuts[next % cuts.length]!;
          found.push(...decoder.push(stream.subarray(at, at + size)));
          at += size;
        }
        expect(found.map((frame) => [...frame])).toEqual(frames.map((frame) => [...frame]));
      },
    ),
  );
});

test("an oversize frame is refused before its bytes arrive", () => {
  const decoder = new FrameDecoder({ frameBytesMax: 10 });
  expect(() => decoder.push(encodeFrame(new Uint8Array(11)).subarray(0, 1))).toThrow(
    expect.objectContaining({ code: "RESOURCE_EXHAUSTED" }),
  );
});

test("a length that never ends is refused", () => {
  const decoder = new FrameDecoder({ frameBytesMax: 2 ** 40 });
  expect(() => decoder.push(new Uint8Array(9).fill(0x80))).toThrow(/never ends/);
});

test("garbage either waits for more, yields frames or is refused; it never hangs", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 500 }), (bytes) => {
      try {
        new FrameDecoder({ frameBytesMax: 1000 }).push(bytes);
      } catch (error) {
        expect(["RESOURCE_EXHAUSTED", "INVALID_ARGUMENT"]).toContain(
          (error as { code: string }).code,
        );
      }
    }),
  );
});

test("a long frame that arrives in single bytes is whole", () => {
  const payload = new Uint8Array(5000).map((_, index) => index);
  const decoder = new FrameDecoder({ frameBytesMax: 5000 });
  const frames = [...encodeFrame(payload)].flatMap((byte) => decoder.push(Uint8Array.of(byte)));
  expect(frames.map((frame) => [...frame])).toEqual([[...payload]]);
});
