// A store that is cut at any instant, hundreds of times: by kill -9, and by a full disk.

import { type ChildProcess, fork, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { CompletenessCheckingActionCache } from "../../src/cas/completeness.ts";
import { statStore, verifyStore } from "../../src/cas/maintenance.ts";
import { openStore, type Store } from "../../src/cas/open-store.ts";
import { createRng } from "../../src/core/rng.ts";
import { ActionResult } from "../../src/wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import { fromWireDigest } from "../../src/wire/reapi.ts";
import type { Filled } from "../support/store-filler.ts";
import { writersBytesMax } from "../support/store-writer.ts";

let base: string;
beforeAll(() => {
  base = fs.mkdtempSync(join(tmpdir(), "cuts-"));
});
afterAll(() => fs.rmSync(base, { recursive: true, force: true }));

const program = new URL("../support/store-writer.ts", import.meta.url).pathname;
const filler = new URL("../support/store-filler.ts", import.meta.url).pathname;
const cuts = 240;
/** Writers that wait for their turn. */
const ahead = 3;

function startWriter(folder: string, seed: number): ChildProcess {
  return fork(program, [folder, `${seed}`], { stdio: ["ignore", "ignore", "inherit", "ipc"] });
}

/** What must hold of any store at any time. */
async function checkWhole(store: Store, folder: string): Promise<void> {
  const report = await verifyStore(store, folder, { repair: false, onProgress: () => undefined });
  expect(report.damaged).toEqual([]);
  const files = [...store.index.entries()].reduce((sum, [, { size }]) => sum + size, 0);
  const results = [...store.index.results()].reduce((sum, [, { bytes }]) => sum + bytes.length, 0);
  expect(store.totalBytes()).toBe(files + results);
  const cache = new CompletenessCheckingActionCache({ base: store.actions, store: store.blobs });
  let served = 0;
  for (const [key, { bytes }] of store.index.results()) {
    const [name = "", instance = ""] = key.split(" ");
    const [hash = "", size] = name.replace("sha256:", "").split("/");
    const action = { fn: "sha256" as const, hash, sizeBytes: Number(size) };
    if ((await cache.get({ instance, action })) === undefined) continue;
    served += 1;
    for (const file of ActionResult.decode(bytes).outputFiles) {
      const digest = fromWireDigest(file.digest, "sha256", file.path);
      expect(await store.blobs.get(digest, 1 << 20)).toHaveLength(digest.sizeBytes);
    }
  }
  expect(served).toBeGreaterThan(0);
}

test(`${cuts} writers are killed, and the store is whole`, { timeout: 600_000 }, async () => {
  const folder = join(base, "killed");
  const rng = createRng(20_261_123);
  const steady = startWriter(folder, 1);
  steady.send("go");
  const waiting = Array.from({ length: ahead }, (_, at) => startWriter(folder, 2 + at));
  // One at a time beside the steady one. Where three contend, and one is killed in the instant
  // between its waking and its waiting again, the others may sleep for ever on a free LMDB lock:
  // a gap in robust mutexes that only fewer contenders close (docs/adr/0009-store.md).
  for (let killed = 0; killed < cuts; killed += 1) {
    const doomed = waiting.shift();
    if (doomed === undefined) throw new Error("no writer is waiting");
    if (killed + ahead < cuts) waiting.push(startWriter(folder, 2 + killed + ahead));
    doomed.send("go");
    await new Promise((wrote, ended) => {
      doomed.once("message", wrote);
      doomed.once("exit", () => ended(new Error("a writer ended by itself; see above why")));
    });
    await new Promise((later) => setTimeout(later, rng.below(30)));
    doomed.kill("SIGKILL");
    await new Promise((ended) => doomed.once("exit", ended));
  }
  expect(steady.exitCode).toBeNull();
  steady.kill("SIGKILL");
  await new Promise((ended) => steady.once("exit", ended));

  // As if all of it lay in the past: what is stored may be looked at without being young.
  const options = { folder, bytesMax: writersBytesMax, protectMs: 0 };
  const store = openStore({ now: () => Date.now() + cuts * 120_000 }, options);
  expect(fs.readdirSync(join(folder, "tmp"))).toEqual([]);
  await checkWhole(store, folder);
  // Files of killed writers may wait to be counted; they must not pile up.
  expect(store.totalBytes()).toBeLessThan(2 * writersBytesMax);
  await store.blobs.put(Buffer.alloc(200_000, "still works"), "sha256");
  const late = startWriter(folder, 1);
  late.send("go");
  await new Promise((wrote) => late.once("message", wrote));
  late.kill("SIGKILL");
  await new Promise((ended) => late.once("exit", ended));
  expect(fs.readdirSync(join(folder, "open"))).toHaveLength(2);
  await store.close();
  expect(fs.readdirSync(join(folder, "open"))).toEqual([]);
});

test("a machine that went down: what it had not written for sure is gone, the rest is there", async () => {
  const folder = join(base, "power");
  const store = openStore({ now: Date.now }, { folder, bytesMax: 1e9 });
  const old = await store.blobs.put(Buffer.alloc(9000, "old"), "sha256");
  const young = await store.blobs.put(Buffer.alloc(9000, "young"), "sha256");
  const small = await store.blobs.put(Buffer.from("small"), "sha256");
  const path = join(folder, "blobs/sha256", old.hash.slice(0, 2), `${old.hash}-9000`);
  fs.utimesSync(path, 1_700_000_000, 1_700_000_000);
  // The process never closed the store, and its mark is of another boot.
  const [mark = ""] = fs.readdirSync(join(folder, "open"));
  fs.writeFileSync(join(folder, "open", mark), "another boot");
  const again = openStore({ now: Date.now }, { folder, bytesMax: 1e9 });
  expect(await again.blobs.missing([old, young, small])).toEqual([young, small]);
  expect(again.totalBytes()).toBe(9000);
  await again.close();
});

test.skipIf(process.getuid?.() !== 0).each([1, 2, 3, 4, 5, 6])(
  "a disk that fills up hundreds of times refuses writes, and nothing else breaks (seed %i)",
  async (seed) => {
    const folder = join(base, `full-${seed}`);
    fs.mkdirSync(folder);
    const size = ["-t", "tmpfs", "-o", "size=12m", "tmpfs", folder];
    expect(spawnSync("mount", size).status).toBe(0);
    try {
      const run = spawnSync(process.execPath, [filler, folder, `${seed}`], { encoding: "utf8" });
      // The library prints what it could not write, and then breaks: it must not come to that.
      expect([run.signal, run.stderr]).toEqual([null, ""]);
      const filled: Filled = JSON.parse(run.stdout);
      expect(filled.codes).toEqual(["RESOURCE_EXHAUSTED"]);
      expect(filled.refused).toBeGreaterThan(300);

      // Whoever comes to a full disk finds what is there.
      const store = openStore({ now: Date.now }, { folder, bytesMax: 1e9 });
      expect(fs.readdirSync(join(folder, "tmp"))).toEqual([]);
      const how = { repair: false, onProgress: () => undefined };
      expect((await verifyStore(store, folder, how)).damaged).toEqual([]);
      // Room that is made is used again.
      store.blobs.shrink(1_000_000, Date.now() + 120_000);
      expect(statStore(store).bytes).toBeLessThanOrEqual(1_000_000);
      for (let i = 0; i < 100; i += 1) {
        await store.blobs.put(Buffer.alloc(3000, `fits again ${i}`), "sha256");
      }
      await store.close();
    } finally {
      spawnSync("umount", ["--lazy", folder]);
    }
  },
);
