import fc from "fast-check";
import { expect, test } from "vitest";
import { MemoryBlobStore } from "../../../src/cas/memory-blob-store.ts";
import {
  buildTree,
  readTree,
  readTreeMessage,
  type TreeEntry,
  treeOf,
} from "../../../src/cas/merkle.ts";
import type { Digest } from "../../../src/core/digest.ts";
import { Directory } from "../../../src/wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";

const digest: Digest = { fn: "sha256", hash: "ab".repeat(32), sizeBytes: 3 };
const wire = { hash: digest.hash, sizeBytes: 3 };

async function stored(directory: Parameters<typeof Directory.fromPartial>[0]) {
  const store = new MemoryBlobStore();
  const bytes = Directory.encode(Directory.fromPartial(directory)).finish();
  return { store, root: await store.put(bytes, "sha256") };
}

test("a tree survives being built, stored and read, in any order of its entries", async () => {
  const name = fc.constantFrom("a", "b", "ü", "-", "a.b");
  const path = fc.array(name, { minLength: 1, maxLength: 4 }).map((parts) => parts.join("/"));
  await fc.assert(
    fc.asyncProperty(fc.uniqueArray(path, { maxLength: 12 }), async (paths) => {
      const files = paths.filter((p) => !paths.some((other) => other.startsWith(`${p}/`)));
      const entries: TreeEntry[] = files.map((p, i) =>
        i % 3 === 0
          ? { kind: "symlink", path: p, target: "../x" }
          : { kind: "file", path: p, digest, executable: i % 2 === 0 },
      );
      const built = await buildTree(entries, "sha256");
      expect((await buildTree([...entries].reverse(), "sha256")).root).toEqual(built.root);
      const store = new MemoryBlobStore();
      for (const { bytes } of built.bytesByKey.values()) await store.put(bytes, "sha256");
      const byPath = (list: readonly TreeEntry[]) =>
        list.filter(({ kind }) => kind !== "directory").sort((a, b) => (a.path < b.path ? -1 : 1));
      expect(byPath(await readTree(store, built.root))).toEqual(byPath(entries));
      expect(byPath(await readTreeMessage(treeOf(built), "sha256"))).toEqual(byPath(entries));
    }),
    { numRuns: 60 },
  );
});

test.each(["..", ".", "", "a/b", "/etc", "a\0b", "x".repeat(256)])(
  "the name %j in a tree is refused with its path",
  async (name) => {
    for (const list of ["files", "symlinks", "directories"]) {
      const node = { name, digest: wire, target: "t" };
      const { store, root } = await stored({ [list]: [node] });
      await expect(readTree(store, root)).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    }
  },
);

test("a name that occurs twice is refused, across kinds too", async () => {
  const { store, root } = await stored({
    files: [{ name: "x", digest: wire }],
    symlinks: [{ name: "x", target: "y" }],
  });
  await expect(readTree(store, root)).rejects.toThrow(/"x" twice/);
});

test("missing folders are named, so that the client can upload them", async () => {
  const { store, root } = await stored({ directories: [{ name: "d", digest: wire }] });
  await expect(readTree(store, root)).rejects.toMatchObject({
    code: "FAILED_PRECONDITION",
    context: { missing: [digest] },
  });
});

test("a folder that contains itself many times over is bounded", async () => {
  const store = new MemoryBlobStore();
  let below = await store.put(Directory.encode(Directory.fromPartial({})).finish(), "sha256");
  for (let depth = 0; depth < 40; depth += 1) {
    const names = ["a", "b", "c"];
    const directories = names.map((name) => ({
      name,
      digest: { hash: below.hash, sizeBytes: below.sizeBytes },
    }));
    below = await store.put(
      Directory.encode(Directory.fromPartial({ directories })).finish(),
      "sha256",
    );
  }
  await expect(readTree(store, below)).rejects.toThrow(/over 1000000 entries/);
});

test("bytes that are no Directory are refused", async () => {
  const store = new MemoryBlobStore();
  const root = await store.put(Buffer.from([0xff, 0xff, 0xff]), "sha256");
  await expect(readTree(store, root)).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
});
