import type { ConnectionEncrypter } from "@libp2p/interface";
import { Uint8ArrayList } from "uint8arraylist";
import { expect, test } from "vitest";
import { quickLengths } from "../../../src/mesh/quick-lengths.ts";

function encrypterOf(connection: object): ConnectionEncrypter {
  const secure = () => Promise.resolve({ connection } as never);
  return { protocol: "/sealed", secureInbound: secure, secureOutbound: secure };
}

/** What a connection reads lengths with once it is secured. */
async function readerOf(way: "secureInbound" | "secureOutbound") {
  const decoder = { lengthDecoder: (_: Uint8ArrayList) => Number.NaN };
  await quickLengths(() => encrypterOf({ decoder }))({})[way]({} as never);
  return decoder.lengthDecoder;
}

const ways = ["secureInbound", "secureOutbound"] as const;

test.each(ways)("%s: two bytes are a length, wherever they are cut", async (way) => {
  const read = await readerOf(way);
  for (const length of [0, 1, 255, 256, 300, 65_535]) {
    const [high, low] = [Uint8Array.of(length >> 8), Uint8Array.of(length & 255, 7, 7)];
    expect(read(new Uint8ArrayList(high, low))).toBe(length);
    expect(read(new Uint8ArrayList(Buffer.concat([high, low])))).toBe(length);
  }
});

test.each(ways)("%s: fewer are the RangeError that the library waits for", async (way) => {
  const read = await readerOf(way);
  expect(() => read(new Uint8ArrayList())).toThrow(RangeError);
  expect(() => read(new Uint8ArrayList(Uint8Array.of(1)))).toThrow(RangeError);
});

test("a connection of another kind stays as it is", async () => {
  const connection = Object.freeze({ send: () => true });
  const secured = await quickLengths(() => encrypterOf(connection))({}).secureInbound({} as never);
  expect(secured.connection).toBe(connection);
});
