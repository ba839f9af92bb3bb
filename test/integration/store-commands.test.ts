// `builder store …` through the real program, on a store with good, damaged and hostile things.

import { createHash } from "node:crypto";
import * as fs from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openStore, type Store } from "../../src/cas/open-store.ts";
import type { Digest } from "../../src/core/digest.ts";
import { ActionResult } from "../../src/wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import { toWireDigest } from "../../src/wire/reapi.ts";
import { createPlace, type Place, run } from "../support/programs.ts";

let place: Place;
let folder: string;
let store: Store;
let small: Digest;
let large: Digest;
const action: Digest = { fn: "sha256", hash: "a".repeat(64), sizeBytes: 7 };
const hostile: Digest = { ...action, hash: "b".repeat(64) };

let resultBytes: number[] = [];
beforeAll(async () => {
  place = createPlace();
  folder = join(place.folder, "store");
  store = openStore({ now: Date.now }, { folder, bytesMax: 1e9 });
  small = await store.blobs.put(Buffer.from("small"), "sha256");
  large = await store.blobs.put(Buffer.alloc(100_000, "large "), "sha256");
  const outputFiles = [
    { path: "out/app", digest: toWireDigest(large), isExecutable: true },
    { path: "out/note.txt", digest: toWireDigest(small) },
  ];
  const bytes = (result: Parameters<typeof ActionResult.fromPartial>[0]) =>
    ActionResult.encode(ActionResult.fromPartial(result)).finish();
  const results = [
    { outputFiles },
    { outputFiles: [{ ...outputFiles[1], path: "../escaped" }] },
  ].map(bytes);
  resultBytes = results.map(({ length }) => length);
  for (const [at, key] of [action, hostile].entries()) {
    await store.actions.put({ instance: "", action: key }, results[at] ?? new Uint8Array());
  }
});
afterAll(async () => {
  await store.close();
  place.remove();
});

const builder = (...args: string[]) =>
  run(place, place.folder, "builder", ["store", ...args, "--store", folder]);
const name = ({ hash, sizeBytes }: Digest) => `${hash}/${sizeBytes}`;

test("stats count what is there, for people and for programs", async () => {
  const shown = await builder("stats");
  expect(shown.stdout).toMatch(/^Blobs: 2 \(100 KB\)\n {2}up to 4 KB: 1\n/);
  expect(shown.stdout).toMatch(/Results: 2\nLast used: /);
  const figures: unknown = JSON.parse((await builder("stats", "--json")).stdout);
  const bytes = 100_005 + resultBytes.reduce((sum, length) => sum + length);
  expect(figures).toMatchObject({ blobs: 2, bytes, results: 2 });
});

test("blobs and actions come out as they went in, and nothing leaves the folder", async () => {
  const blob = join(place.folder, "blob");
  expect(await builder("export", name(large), "--to", blob)).toMatchObject({ code: 0, stderr: "" });
  const hash = createHash("sha256").update(fs.readFileSync(blob)).digest("hex");
  expect(hash).toBe(large.hash);
  const out = join(place.folder, "exported");
  const done = await builder("export", "--action", name(action), "--to", out);
  expect(done.stdout).toBe("2 files\n");
  expect(fs.readFileSync(join(out, "out/note.txt"), "utf8")).toBe("small");
  expect(fs.statSync(join(out, "out/app")).mode & 0o111).toBe(0o111);
  const trick = await builder("export", "--action", name(hostile), "--to", join(out, "trick"));
  expect(trick.stderr).toMatch(/leads out of the folder/);
  expect(fs.existsSync(join(out, "escaped"))).toBe(false);
});

test.each([
  [["export", "nonsense", "--to", "x"], /is no digest/],
  [["export", `${"c".repeat(64)}/3`, "--to", "x"], /is not in the store/],
  [["export", "--to", "x"], /Name a blob, or an action/],
  [["gc", "--max", "much"], /wants a size/],
])("%j is refused with a sentence", async (args, reason) => {
  const refused = await builder(...args);
  expect(refused.stderr).toMatch(reason);
  expect(refused.code).toBe(2);
});

test("a folder that is no store is not made one", async () => {
  const empty = join(place.folder, "empty");
  const refused = await run(place, place.folder, "builder", ["store", "stats", "--store", empty]);
  expect(refused.stderr).toMatch(/There is no store/);
  expect(fs.existsSync(empty)).toBe(false);
});

test("verify finds a file that changed, and repairs, while others use the store", async () => {
  expect((await builder("verify")).stdout).toMatch(/^2 checked .* 0 damaged, 0 results/);
  const path = join(folder, "blobs/sha256", large.hash.slice(0, 2), `${large.hash}-100000`);
  fs.chmodSync(path, 0o644);
  fs.writeFileSync(path, Buffer.alloc(100_000, "other "));
  const found = await builder("verify");
  expect(found.stdout).toMatch(new RegExp(`damaged: .*${large.hash}`));
  expect(found.code).toBe(1);
  await builder("verify", "--repair");
  const after = await builder("verify");
  expect(after).toMatchObject({ code: 0 });
  expect(after.stdout).toMatch(/^1 checked .* 0 damaged, 0 results/);
});

test("gc spares what was used lately, unless told otherwise", async () => {
  // The small blob and the result that names only it.
  const stored = `${5 + (resultBytes[1] ?? 0)} B are stored.`;
  const spared = await builder("gc", "--max", "1KiB");
  expect(spared.stdout).toContain(`Freed 0 B; ${stored}`);
  const old = openStore({ now: () => Date.now() - 86_400_000 }, { folder, bytesMax: 1e9 });
  await old.blobs.put(Buffer.alloc(50_000, "old"), "sha256");
  await old.close();
  const freed = await builder("gc", "--max", "1KiB");
  expect(freed.stdout).toContain(`Freed 50 KB; ${stored}`);
});
