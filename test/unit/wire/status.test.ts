import fc from "fast-check";
import { expect, test } from "vitest";
import { codes, MeshError } from "../../../src/core/error.ts";
import { Code } from "../../../src/wire/gen/google/rpc/code.ts";
import { missingDigests, numberByCode, toStatus } from "../../../src/wire/status.ts";

const typeUrl = "type.googleapis.com/google.rpc.PreconditionFailure";

test("codes have gRPC's numbers", () => {
  for (const code of codes) expect(numberByCode[code]).toBe(Code[code]);
});

test("missing blobs survive the wire, with their functions", () => {
  const missing = [
    { fn: "sha256" as const, hash: "ab".repeat(32), sizeBytes: 12 },
    { fn: "blake3" as const, hash: "cd".repeat(32), sizeBytes: 0 },
  ];
  const status = toStatus(new MeshError("FAILED_PRECONDITION", "Upload it.", { missing }));
  expect(status).toMatchObject({ code: 9, message: "Upload it." });
  expect(missingDigests(status)).toEqual(missing);
});

test("a status names 100 missing blobs at most", () => {
  const hash = "ab".repeat(32);
  const missing = Array.from({ length: 150 }, (_, sizeBytes) => ({
    fn: "sha256" as const,
    hash,
    sizeBytes,
  }));
  const status = toStatus(new MeshError("FAILED_PRECONDITION", "Upload them.", { missing }));
  expect(missingDigests(status)).toEqual(missing.slice(0, 100));
});

test("details that cannot be read name no blobs", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (value) => {
      expect(missingDigests({ details: [{ typeUrl, value }] })).toEqual([]);
    }),
  );
  expect(missingDigests({ details: [{ typeUrl, value: Uint8Array.of(0xff) }] })).toEqual([]);
});
