import { afterAll, beforeAll, expect, test } from "vitest";
import { type Fuzzed, fuzz, fuzzedDecoders } from "../../fuzz/decoders.ts";

const seed = 20_261_124;
const inputs = 20_000;

let decoders: Awaited<ReturnType<typeof fuzzedDecoders>>;
beforeAll(async () => {
  decoders = await fuzzedDecoders();
});
afterAll(() => decoders.remove());

function decoder(name: string): Fuzzed {
  const found = decoders.all.find((one) => one.name === name);
  if (found === undefined) throw new Error(`there is no decoder ${name}`);
  return found;
}

const names = [
  ...["frame", "message", "blob frame", "join request", "join answer", "punch", "invitation link"],
  ...["knock request", "knock reply", "certificate", "revocation"],
  ...["membership.json", "settings.json"],
  ...["members.json", "port.json", "revocations.json", "admitted.json", "invites.json"],
];

test("every decoder is tried", () => {
  expect(decoders.all.map(({ name }) => name)).toEqual(names);
});

test.each(names)("damaged inputs: %s", async (name) => {
  const { taken } = await fuzz(decoder(name), inputs, seed);
  // Some are right and some are not, or the test tries nothing.
  expect(taken).toBeGreaterThan(inputs / 200);
  expect(taken).toBeLessThan(inputs);
});
