// What every blob store must do; run for each implementation.

import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { BlobStore } from "../../src/cas/blob-store.ts";
import { digestOf, emptyDigest } from "../../src/cas/hash.ts";
import type { Digest } from "../../src/core/digest.ts";

/** A store to test; `lose` takes a blob away behind its back. */
export interface StoreUnderTest {
  readonly store: BlobStore;
  lose(digest: Digest): void;
  close(): Promise<void>;
}

async function* chunks(...parts: (string | Uint8Array)[]): AsyncGenerator<Uint8Array> {
  for (const part of parts) yield typeof part === "string" ? Buffer.from(part) : part;
}

async function readAll(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of stream) pieces.push(piece);
  return Buffer.concat(pieces);
}

export function describeBlobStore(name: string, create: () => Promise<StoreUnderTest>): void {
  describe(`${name} as a blob store`, () => {
    let subject: StoreUnderTest;
    let store: BlobStore;
    beforeEach(async () => {
      subject = await create();
      store = subject.store;
    });
    afterEach(() => subject.close());

    test.each(["sha256", "blake3"] as const)("gives back what was written (%s)", async (fn) => {
      const bytes = Buffer.from("hello, blob");
      const digest = await digestOf(bytes, fn);
      expect(await store.missing([digest])).toEqual([digest]);
      await store.write(digest, chunks("hello, ", "blob"));
      expect(await store.missing([digest])).toEqual([]);
      expect(Buffer.from(await store.get(digest, 100))).toEqual(bytes);
      expect(await store.put(bytes, fn)).toEqual(digest);
    });

    test("functions do not alias: the same hash under another function is another blob", async () => {
      const digest = await store.put(Buffer.from("x"), "sha256");
      expect(await store.missing([{ ...digest, fn: "blake3" }])).toHaveLength(1);
    });

    test("the empty blob is always there", async () => {
      for (const fn of ["sha256", "blake3"] as const) {
        const empty = emptyDigest(fn);
        expect(empty).toEqual(await digestOf(new Uint8Array(), fn));
        expect(await store.missing([empty])).toEqual([]);
        expect((await store.get(empty, 0)).length).toBe(0);
        expect((await readAll(store.read(empty))).length).toBe(0);
      }
    });

    test("wrong hashes, wrong sizes, truncation and excess are refused and leave nothing", async () => {
      const digest = await digestOf(Buffer.from("right"), "sha256");
      const attempts = [
        () => store.write(digest, chunks("wrong")),
        () => store.write(digest, chunks("righ")),
        () => store.write(digest, chunks("right", " and more")),
        () => store.write({ ...digest, sizeBytes: 4 }, chunks("right")),
        () => store.write({ ...digest, hash: "0".repeat(64) }, chunks("right")),
      ];
      for (const attempt of attempts) {
        await expect(attempt()).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
      }
      expect(await store.missing([digest])).toEqual([digest]);
    });

    test("a sender that fails in mid-stream leaves nothing", async () => {
      const digest = await digestOf(Buffer.from("half and half"), "sha256");
      async function* failing() {
        yield Buffer.from("half ");
        throw new Error("the client vanished");
      }
      await expect(store.write(digest, failing())).rejects.toThrow(/vanished/);
      expect(await store.missing([digest])).toEqual([digest]);
    });

    test("a blob that exists is not read again from its sender", async () => {
      const digest = await store.put(Buffer.from("known"), "sha256");
      async function* never(): AsyncGenerator<Uint8Array> {
        yield await Promise.reject(new Error("was read"));
      }
      await store.write(digest, never());
    });

    test("many writers of one blob all succeed", async () => {
      const bytes = Buffer.alloc(300_000, "z");
      const digest = await digestOf(bytes, "sha256");
      await Promise.all(Array.from({ length: 8 }, () => store.write(digest, chunks(bytes))));
      expect((await readAll(store.read(digest))).equals(bytes)).toBe(true);
    });

    test("slices are exact, and a slice past the end is OUT_OF_RANGE", async () => {
      const bytes = Buffer.alloc(2_500_000, "0123456789");
      const digest = await store.put(bytes, "sha256");
      const slice = (offset: number, limit: number) =>
        readAll(store.read(digest, { offset, limit }));
      expect((await slice(1_048_570, 20)).toString()).toBe(
        bytes.toString("utf8", 1_048_570, 1_048_590),
      );
      expect((await slice(2_499_995, 100)).length).toBe(5);
      expect((await slice(2_500_000, 0)).length).toBe(0);
      await expect(slice(2_500_001, 0)).rejects.toMatchObject({ code: "OUT_OF_RANGE" });
      await expect(slice(-1, 0)).rejects.toMatchObject({ code: "OUT_OF_RANGE" });
    });

    test("what is lost is reported missing at once, and reads say so", async () => {
      const digest = await store.put(Buffer.from("soon gone"), "sha256");
      subject.lose(digest);
      expect(await store.missing([digest])).toEqual([digest]);
      await expect(store.get(digest, 100)).rejects.toMatchObject({ code: "NOT_FOUND" });
      await expect(readAll(store.read(digest))).rejects.toMatchObject({ code: "NOT_FOUND" });
      await store.put(Buffer.from("soon gone"), "sha256");
      expect(await store.missing([digest])).toEqual([]);
    });

    test("a blob too large for memory is refused before it is read", async () => {
      const digest = await store.put(Buffer.alloc(100), "sha256");
      await expect(store.get(digest, 99)).rejects.toMatchObject({ code: "RESOURCE_EXHAUSTED" });
    });
  });
}
