// Known answers of every served function: FIPS 180-4, Git, BLAKE3's paper, REAPI's SHA256TREE.

import { execFileSync } from "node:child_process";
import fc from "fast-check";
import { expect, test } from "vitest";
import { createHasher, digestOf, emptyDigest } from "../../../src/cas/hash.ts";
import { digestFunctions, hashDigits, isHash } from "../../../src/core/digest.ts";

/** REAPI's own sequence for SHA256TREE: 0, 1, … 250, 0, 1, … */
const sequence = (length: number) => Uint8Array.from({ length }, (_, i) => i % 251);

test.each([
  [1025, "36c0998b21839ef74300b9de47d96d1f62323dc81f2b4231e98ce70cd6ffe750"],
  [2048, "b584996386f01793751c5cf0c39561f51b7e9924b818943b3cb2f6928cea0fa9"],
  [2049, "7318d2029b0392edf4cf109edb5a086b4bdadbb7950f710a1483eb881d9e5d44"],
  [3073, "517d20c0e5835f060a1bd6388ed68574f63424bdac2a2c3a35a5c2ef859d8fe2"],
  [5121, "98f987c3e9fc057a70873715b679b89a663d0df806859b6ce73f8379b06a10ff"],
  [6145, "6dc4b78efd770453417b2ffdc74b27054793efe6122ecd7ee098670ed7c4651c"],
])("SHA256TREE of %i bytes is the published one", async (length, hash) => {
  expect((await digestOf(sequence(length), "sha256tree")).hash).toBe(hash);
});

test("SHA256TREE is SHA-256 up to one leaf", async () => {
  const bytes = sequence(1024);
  expect((await digestOf(bytes, "sha256tree")).hash).toBe((await digestOf(bytes, "sha256")).hash);
});

test("GITSHA1 names a file as Git does", async () => {
  const digest = await digestOf(Buffer.from("hello\n"), "gitsha1");
  expect(digest.hash).toBe("ce013625030ba8dba906f756967f9e9ca394464a");
});

test("the other functions agree with this machine's own programs", async () => {
  for (const fn of ["sha1", "sha256", "sha384", "sha512"] as const) {
    const input = Buffer.alloc(300_000, fn);
    const [hash] = execFileSync(`${fn}sum`, { input }).toString().split(" ");
    expect((await digestOf(input, fn)).hash).toBe(hash);
  }
  expect((await digestOf(Buffer.from("abc"), "blake3")).hash).toBe(
    "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85",
  );
});

test.each(digestFunctions)(
  "%s: pieces hash like the whole, and nothing is the empty blob",
  async (fn) => {
    expect(await digestOf(new Uint8Array(), fn)).toEqual(emptyDigest(fn));
    const cut = fc.array(fc.integer({ min: 0, max: 5000 }), { maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(cut, async (lengths) => {
        const pieces = lengths.map((length, at) => sequence(length).fill(at, 0, 3));
        const whole = Buffer.concat(pieces);
        const hasher = await createHasher(fn, whole.length);
        for (const piece of pieces) hasher.update(piece);
        const hash = hasher.hex();
        expect(hash).toBe((await digestOf(whole, fn)).hash);
        expect(isHash(fn, hash)).toBe(true);
        expect(hash).toHaveLength(hashDigits[fn]);
      }),
      { numRuns: 30 },
    );
  },
);
