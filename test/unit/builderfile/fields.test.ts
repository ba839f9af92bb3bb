import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { renderFieldTable } from "../../../src/builderfile/fields.ts";
import { parseDuration, parseSize } from "../../../src/builderfile/quantity.ts";
import { suggest } from "../../../src/builderfile/suggest.ts";

test("the reference in docs is the parser's own table", () => {
  const doc = readFileSync(new URL("../../../docs/builderfile.md", import.meta.url), "utf8");
  expect(doc).toContain(renderFieldTable());
});

test("sizes and durations read as people write them", () => {
  expect(["2GiB", "512 MB", "1.5KiB", "7"].map(parseSize)).toEqual([2 ** 31, 512e6, 1536, 7]);
  expect(["GiB", "-1", "1 PiB", "1e3", ""].map(parseSize)).toEqual(Array(5).fill(undefined));
  expect(["90s", "5m", "250ms", "1h"].map(parseDuration)).toEqual([
    90_000, 300_000, 250, 3_600_000,
  ]);
  expect(["5", "m", "5 weeks"].map(parseDuration)).toEqual(Array(3).fill(undefined));
});

test("a slip of the finger is recognised, another word is not", () => {
  expect(suggest("suorces", ["sources", "outputs"])).toBe("sources");
  expect(suggest("banana", ["sources", "outputs"])).toBeUndefined();
});
