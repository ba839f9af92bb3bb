import fc from "fast-check";
import { expect, test } from "vitest";
import { compareNames, decodeDirectory } from "../../../src/cas/directory-message.ts";
import { MemoryBlobStore } from "../../../src/cas/memory-blob-store.ts";
import { buildTree, readFolderTree, readTree, treeOf } from "../../../src/cas/merkle.ts";
import {
  Directory,
  Tree,
} from "../../../src/wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";

const wire = { hash: "ab".repeat(32), sizeBytes: 3 };
const encode = (directory: Parameters<typeof Directory.fromPartial>[0]) =>
  Directory.encode(Directory.fromPartial(directory)).finish();
const files = (...names: string[]) =>
  encode({ files: names.map((name) => ({ name, digest: wire })) });

test("names are ordered as their UTF-8 bytes are", () => {
  const text = fc.string({ unit: "binary", maxLength: 4 }).filter((name) => name.isWellFormed());
  fc.assert(
    fc.property(text, text, (a, b) => {
      const bytes = Buffer.compare(Buffer.from(a), Buffer.from(b));
      expect(Math.sign(compareNames(a, b))).toBe(bytes);
    }),
  );
});

test("lists sorted by bytes or by UTF-16 are taken, others refused by the folder's path", () => {
  const high = ["\ufffc", "\u{1f600}"];
  expect(decodeDirectory(files(...high), "d").files).toHaveLength(2);
  expect(decodeDirectory(files(...high.toReversed()), "d").files).toHaveLength(2);
  expect(() => decodeDirectory(files("a", "c", "b"), "d/e")).toThrow(/"d\/e" is not sorted.*"c"/);
});

test("names are bounded in bytes, not in characters", () => {
  expect(decodeDirectory(files("ü".repeat(127)), "").files).toHaveLength(1);
  expect(() => decodeDirectory(files("ü".repeat(128)), "")).toThrow(/forbidden name/);
  const target = { symlinks: [{ name: "l", target: "x".repeat(4096) }] };
  expect(() => decodeDirectory(encode(target), "")).toThrow(/forbidden target/);
});

test("bytes that are not UTF-8 are refused; U+FFFD, where it is meant, is taken", () => {
  const bytes = files("caf_");
  bytes[bytes.indexOf(0x5f)] = 0xe9;
  expect(() => decodeDirectory(bytes, "d")).toThrow(/"d" holds a name that is not UTF-8/);
  expect(decodeDirectory(files("caf\ufffd"), "d").files[0]?.name).toBe("caf\ufffd");
});

test("a time that is none is refused by the node's path", async () => {
  const store = new MemoryBlobStore();
  const nodeProperties = { mtime: { seconds: 0, nanos: 2e9 } };
  const bytes = encode({ files: [{ name: "f", digest: wire, nodeProperties }] });
  await expect(readTree(store, await store.put(bytes, "sha256"))).rejects.toThrow(/mtime at "f"/);
});

test("modes and times of all kinds of nodes survive being built, stored and read", async () => {
  const traits = { unixMode: 0o640, mtime: { seconds: 5, nanos: 7 } };
  const digest = { fn: "sha256" as const, ...wire };
  const entries = [
    { kind: "file" as const, path: "d/f", digest, executable: true, traits },
    { kind: "directory" as const, path: "d", traits },
    { kind: "symlink" as const, path: "l", target: "t", traits },
  ];
  const built = await buildTree(entries, "sha256", traits);
  const store = new MemoryBlobStore();
  for (const { bytes } of built.bytesByKey.values()) await store.put(bytes, "sha256");
  const read = await readFolderTree(store, built.root);
  expect(read.traits).toEqual(traits);
  expect(read.entries.toSorted((a, b) => (a.path < b.path ? -1 : 1))).toEqual(
    entries.toSorted((a, b) => (a.path < b.path ? -1 : 1)),
  );
});

test("a Tree has every folder once and before those it holds, whatever order it was made in", async () => {
  const digest = { fn: "sha256" as const, ...wire };
  const paths = fc.uniqueArray(
    fc.array(fc.constantFrom("a", "b", "c"), { minLength: 2, maxLength: 5 }),
    { selector: (parts) => parts.join("/"), minLength: 1, maxLength: 10 },
  );
  await fc.assert(
    fc.asyncProperty(paths, async (list) => {
      const entries = list.map((parts) => {
        const path = `${parts.join("/")}/file`;
        return { kind: "file" as const, path, digest, executable: false };
      });
      const bytes = treeOf(await buildTree(entries, "sha256"));
      expect(treeOf(await buildTree(entries.toReversed(), "sha256"))).toEqual(bytes);
      const tree = Tree.decode(bytes);
      const store = new MemoryBlobStore();
      const named = new Set<string>();
      const seen = new Set<string>();
      for (const child of tree.root!.directories) named.add(child.digest!.hash);
      for (const child of tree.children) {
        const { hash } = await store.put(Directory.encode(child).finish(), "sha256");
        expect(named.has(hash) && !seen.has(hash)).toBe(true);
        seen.add(hash);
        for (const inner of child.directories) {
          expect(seen.has(inner.digest!.hash)).toBe(false);
          named.add(inner.digest!.hash);
        }
      }
      expect(seen).toEqual(named);
    }),
    { numRuns: 50 },
  );
});

test("a chain of folders deeper than the bound is refused before it is read to its end", async () => {
  const store = new MemoryBlobStore();
  let below = await store.put(encode({}), "sha256");
  for (let depth = 0; depth < 1000; depth += 1) {
    const digest = { hash: below.hash, sizeBytes: below.sizeBytes };
    below = await store.put(encode({ directories: [{ name: "d", digest }] }), "sha256");
  }
  await expect(readTree(store, below)).rejects.toThrow(/over 256 deep/);
});
