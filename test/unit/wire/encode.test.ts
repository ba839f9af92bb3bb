import { expect, test } from "vitest";
import { encodeBytes } from "../../../src/wire/encode.ts";
import {
  Digest,
  Directory,
} from "../../../src/wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";

const digest = (at: number) => ({ hash: at.toString(16).padStart(64, "0"), sizeBytes: at });
const folder = (files: number) =>
  Directory.fromPartial({
    files: Array.from({ length: files }, (_, at) => ({ name: `f${at}`, digest: digest(at) })),
  });

test("messages of all sizes are encoded as a writer of their own would", () => {
  for (const files of [0, 1, 40, 20_000, 3, 0, 2]) {
    const bytes = encodeBytes(Directory, folder(files));
    expect(Buffer.compare(bytes, Directory.encode(folder(files)).finish())).toBe(0);
  }
});

test("what was encoded earlier does not change", () => {
  const first = encodeBytes(Digest, digest(1));
  const copy = Buffer.from(first);
  encodeBytes(Digest, digest(0xffff));
  expect(copy.equals(first)).toBe(true);
});

test("a message that cannot be encoded leaves nothing in the next one", () => {
  const broken = { hash: "a".repeat(64), sizeBytes: Number.NaN };
  expect(() => encodeBytes(Digest, broken)).toThrow();
  expect(Digest.decode(encodeBytes(Digest, digest(7)))).toEqual(digest(7));
});
