import { expect, test } from "vitest";
import { encodeReadResponse } from "../../../src/wire/byte-stream.ts";
import { ReadResponse } from "../../../src/wire/gen/google/bytestream/bytestream.ts";

test("a read response is encoded as the generated code would, at every width of its length", () => {
  for (const length of [0, 1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152]) {
    const data = Buffer.alloc(length, "some bytes");
    const expected = ReadResponse.encode({ data }).finish();
    expect(encodeReadResponse({ data }).equals(expected), `${length} bytes`).toBe(true);
  }
});
