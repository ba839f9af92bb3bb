import fc from "fast-check";
import { expect, test } from "vitest";
import {
  formatReadResource,
  formatWriteResource,
  fromDuration,
  fromTimestamp,
  fromWireDigest,
  fromWireFunction,
  parseBlobResource,
  toDuration,
  toTimestamp,
} from "../../../src/wire/reapi.ts";

const hash = "ab".repeat(32);

test("resource names of every published form are understood", () => {
  const digest = { fn: "sha256", hash, sizeBytes: 12 };
  expect(parseBlobResource(`blobs/${hash}/12`)).toMatchObject({
    kind: "read",
    instance: "",
    digest,
  });
  expect(parseBlobResource(`a/b/c/blobs/${hash}/12`)).toMatchObject({ instance: "a/b/c" });
  expect(parseBlobResource(`i/uploads/u-1/blobs/${hash}/12/some/tail`)).toMatchObject({
    kind: "write",
    instance: "i",
    upload: "u-1",
    digest,
  });
  expect(parseBlobResource(`blobs/blake3/${hash}/12`).digest.fn).toBe("blake3");
  expect(parseBlobResource(`compressed-blobs/zstd/${hash}/12`).compressor).toBe("zstd");
});

test("what is no blob's name is refused with the name in the message", () => {
  const bad = [
    "",
    "blobs",
    `blobs/${hash}`,
    `blobs/${hash}/x`,
    `blobs/${hash}/-1`,
    `uploads//blobs/${hash}/1`,
    `blobs/${hash}/1/tail`,
    `compressed-blobs//${hash}/1`,
    `compressed-blobs/${hash}/1`,
  ];
  bad.push(
    `blobs/${hash.toUpperCase()}/1`,
    `blobs/${hash.slice(1)}/1`,
    `blobs/${hash}/99999999999999999`,
  );
  for (const name of bad) expect(() => parseBlobResource(name)).toThrow(/resource_name/);
});

test("what is formatted parses back to the same blob", () => {
  const instance = fc.constantFrom("", "main", "projects/p/instances/i");
  const fn = fc.constantFrom("sha256" as const, "blake3" as const);
  fc.assert(
    fc.property(instance, fn, fc.nat(), (name, digestFunction, sizeBytes) => {
      const digest = { fn: digestFunction, hash, sizeBytes };
      expect(parseBlobResource(formatReadResource(name, digest))).toMatchObject({
        instance: name,
        digest,
      });
      const write = parseBlobResource(formatWriteResource(name, "id", digest));
      expect(write).toMatchObject({ kind: "write", instance: name, upload: "id", digest });
    }),
  );
});

test("no text makes the parser throw anything but INVALID_ARGUMENT", () => {
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom("blobs", "uploads", "x", hash, "1", "", "..", "blake3")),
      (parts) => {
        try {
          parseBlobResource(parts.join("/"));
        } catch (error) {
          expect(error).toMatchObject({ code: "INVALID_ARGUMENT" });
        }
      },
    ),
  );
});

test("digests from outside are checked field by field", () => {
  expect(() => fromWireDigest(undefined, "sha256", "action_digest")).toThrow(
    /action_digest is missing/,
  );
  expect(() => fromWireDigest({ hash: "xyz", sizeBytes: 1 }, "sha256", "f")).toThrow(
    /64 lower-case/,
  );
  expect(() => fromWireDigest({ hash, sizeBytes: -1 }, "sha256", "f")).toThrow(/size -1/);
  expect(fromWireFunction(0, undefined)).toBe("sha256");
  expect(() => fromWireFunction(3, undefined)).toThrow(/not served/);
});

test("times survive the wire to the microsecond", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 42 }), (ms) => {
      expect(fromTimestamp(toTimestamp(ms))).toBeCloseTo(ms, 3);
      expect(fromDuration(toDuration(ms))).toBeCloseTo(ms, 3);
    }),
  );
});

test("nanos stay below a second where rounding fills one", () => {
  expect(toTimestamp(999.9999999)).toEqual({ seconds: 1, nanos: 0 });
  expect(toDuration(1999.9999999)).toEqual({ seconds: 2, nanos: 0 });
  expect(toDuration(-1999.9999999)).toEqual({ seconds: -2, nanos: 0 });
  expect(toTimestamp(-1)).toEqual({ seconds: -1, nanos: 999_000_000 });
  fc.assert(
    fc.property(fc.double({ min: -1e12, max: 1e12, noNaN: true }), (ms) => {
      const { nanos } = toTimestamp(ms);
      expect(nanos >= 0 && nanos < 1e9).toBe(true);
      const duration = toDuration(ms);
      expect(Math.abs(duration.nanos)).toBeLessThan(1e9);
      expect(duration.seconds * duration.nanos).toBeGreaterThanOrEqual(0);
    }),
  );
});
