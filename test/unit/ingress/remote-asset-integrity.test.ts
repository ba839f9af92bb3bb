import { createHash } from "node:crypto";
import fc from "fast-check";
import { expect, test } from "vitest";
import { parseIntegrity } from "../../../src/ingress/remote-asset-integrity.ts";

const sri = (algorithm: string, text: string) =>
  `${algorithm}-${createHash(algorithm).update(text).digest("base64")}`;
const hex = (algorithm: string, text: string) => createHash(algorithm).update(text).digest("hex");

test("one hash of each algorithm is read", () => {
  for (const algorithm of ["sha1", "sha256", "sha384", "sha512"] as const) {
    const hashes = [hex(algorithm, "x")];
    expect(parseIntegrity(sri(algorithm, "x"))).toEqual({ algorithm, hashes });
  }
});

test("only the strongest algorithm counts, with all of its hashes (W3C SRI)", () => {
  const text = [sri("sha256", "a"), sri("sha512", "b"), sri("sha384", "c"), sri("sha512", "d")];
  const wanted = { algorithm: "sha512", hashes: [hex("sha512", "b"), hex("sha512", "d")] };
  expect(parseIntegrity(text.join(" \n\t"))).toEqual(wanted);
});

test("options and unknown algorithms are passed over; nothing known is nothing", () => {
  const text = `md5-AAAA ${sri("sha256", "a")}?ct=text/plain`;
  expect(parseIntegrity(text)).toEqual({ algorithm: "sha256", hashes: [hex("sha256", "a")] });
  expect(parseIntegrity("md5-AAAA")).toBeUndefined();
  expect(parseIntegrity("  ")).toBeUndefined();
});

test("hashes in URL-safe base64 are read, dashes in them included", () => {
  const url = createHash("sha256").update("27").digest("base64url");
  expect(parseIntegrity(`sha256-${url}`)?.hashes).toEqual([hex("sha256", "27")]);
});

test.each([
  "sha256-",
  "sha256-AAAA",
  `sha256-${hex("sha256", "hex is no base64")}`,
  `sha512-${sri("sha256", "x").slice(7)}`,
  "sha256-*".padEnd(52, "A"),
])("a hash that cannot be one is refused: %s", (text) => {
  expect(() => parseIntegrity(text)).toThrow(/checksum.sri/);
});

test("no text at all makes it throw anything but INVALID_ARGUMENT", () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      try {
        parseIntegrity(`sha256-${text} ${text}`);
      } catch (error) {
        expect(error).toMatchObject({ code: "INVALID_ARGUMENT" });
      }
    }),
  );
});
