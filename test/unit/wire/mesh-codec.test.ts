import fc from "fast-check";
import { expect, test } from "vitest";
import { decodeMessage, encodeMessage, type PeerMessage } from "../../../src/wire/mesh-codec.ts";
import { digest, messages, request, token } from "../../support/right-inputs.ts";

test.each(messages.map((message) => [message.kind, message] as const))(
  "a %s message survives the wire",
  (_, message) => {
    expect(decodeMessage(encodeMessage(message))).toEqual(message);
  },
);

test("no bytes of a peer make decoding throw anything but INVALID_ARGUMENT", () => {
  const known = messages.map(encodeMessage);
  const flipped = fc
    .tuple(fc.constantFrom(...known), fc.nat(), fc.integer({ min: 0, max: 255 }))
    .map(([bytes, at, value]) => {
      const copy = Uint8Array.from(bytes);
      copy[at % copy.length] = value;
      return copy;
    });
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), flipped), (bytes) => {
      try {
        decodeMessage(bytes);
      } catch (error) {
        expect(error).toMatchObject({ code: "INVALID_ARGUMENT" });
      }
    }),
    { numRuns: 2000 },
  );
});

test("lies about sizes and slots are refused", () => {
  const load = messages[0]!;
  if (load.kind !== "load") throw new Error("the first message is a load");
  expect(() => decodeMessage(encodeMessage({ ...load, free: 9 }))).toThrow(/slots/);
  expect(() => decodeMessage(encodeMessage({ ...load, name: "x".repeat(300) }))).toThrow(
    /Load.name/,
  );
  const tokens = Array.from({ length: 5000 }, () => token);
  expect(() => decodeMessage(encodeMessage({ kind: "renew", tokens }))).toThrow(/too many tokens/);
});

test("numbers beyond the wire's range are sent as the nearest that fits", () => {
  const done = (exitCode: number, runMs: number): PeerMessage => ({
    kind: "done",
    token,
    outcome: { kind: "result", response: digest, exitCode, runMs },
  });
  expect(decodeMessage(encodeMessage(done(3_221_225_477, 5e9)))).toEqual(
    done(-1_073_741_819, 4_294_967_295),
  );
  expect(decodeMessage(encodeMessage(done(1, -0.4)))).toEqual(done(1, 0));
  expect(
    decodeMessage(encodeMessage({ kind: "offer", token, request, estimateMs: 5e9 })),
  ).toMatchObject({ estimateMs: 4_294_967_295 });
});
