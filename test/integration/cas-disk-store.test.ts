import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { CompletenessCheckingActionCache } from "../../src/cas/completeness.ts";
import { MemoryBlobStore } from "../../src/cas/memory-blob-store.ts";
import { openStore, type Store } from "../../src/cas/open-store.ts";
import type { Digest } from "../../src/core/digest.ts";
import { ActionResult } from "../../src/wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import { describeBlobStore } from "../conformance/blob-store.ts";

let base: string;
let count = 0;
beforeAll(() => {
  base = fs.mkdtempSync(join(tmpdir(), "store-"));
});
afterAll(() => fs.rmSync(base, { recursive: true, force: true }));

function folder(): string {
  count += 1;
  return join(base, `s${count}`);
}

function fileOf(where: string, { fn, hash, sizeBytes }: Digest): string {
  return join(where, "blobs", fn, hash.slice(0, 2), `${hash}-${sizeBytes}`);
}

function open(where: string, options: Partial<Parameters<typeof openStore>[1]> = {}): Store {
  return openStore({ now: Date.now }, { folder: where, bytesMax: 1e9, ...options });
}

describeBlobStore("MemoryBlobStore", async () => {
  const store = new MemoryBlobStore();
  return { store, lose: (digest) => store.delete(digest), close: async () => undefined };
});
describeBlobStore("DiskBlobStore", async () => {
  const where = folder();
  const store = open(where);
  return {
    store: store.blobs,
    lose: (digest) => store.blobs.remove(digest),
    close: () => store.close(),
  };
});

describe("files of this host", () => {
  test.each(["link", "copy"] as const)(
    "are handed out read-only, with the right bit (%s)",
    async (shareBy) => {
      const where = folder();
      const store = open(where, { shareBy });
      const digest = await store.blobs.put(Buffer.from("#!/bin/sh\n"), "sha256");
      for (const executable of [false, true]) {
        const path = join(where, `out-${executable}`);
        await store.blobs.materialize(digest, path, { executable });
        expect(fs.statSync(path).mode & 0o777).toBe(executable ? 0o555 : 0o444);
        expect(fs.readFileSync(path, "utf8")).toBe("#!/bin/sh\n");
      }
      const lost = { ...digest, hash: "1".repeat(64) };
      const materialize = async () =>
        store.blobs.materialize(lost, join(where, "x"), { executable: false });
      await expect(materialize()).rejects.toMatchObject({ code: "NOT_FOUND" });
      await store.close();
    },
  );

  test("are taken in, but never through a symlink, and one with other names is copied", async () => {
    const where = folder();
    const store = open(where);
    const path = join(where, "made");
    const made = Buffer.alloc(9000, "made by an action ");
    fs.writeFileSync(path, made);
    const digest = await store.blobs.adopt(path, "sha256");
    expect(made.equals(await store.blobs.get(digest, 9000))).toBe(true);
    expect(fs.statSync(fileOf(where, digest)).mode & 0o777).toBe(0o444);
    fs.symlinkSync("/etc/passwd", join(where, "planted"));
    await expect(store.blobs.adopt(join(where, "planted"), "sha256")).rejects.toThrow(/ELOOP/);
    const named = Buffer.alloc(9000, "two names ");
    fs.writeFileSync(join(where, "one"), named);
    fs.linkSync(join(where, "one"), join(where, "other"));
    const copied = await store.blobs.adopt(join(where, "one"), "sha256");
    fs.writeFileSync(join(where, "other"), Buffer.alloc(9000, "altered"));
    expect(named.equals(await store.blobs.get(copied, 9000))).toBe(true);
    await store.close();
  });

  test("a damaged file is never served", async () => {
    const where = folder();
    const store = open(where);
    const digest = await store.blobs.put(Buffer.alloc(9000, "whole"), "sha256");
    fs.chmodSync(fileOf(where, digest), 0o644);
    fs.truncateSync(fileOf(where, digest), 2);
    await expect(store.blobs.get(digest, 9000)).rejects.toMatchObject({ code: "NOT_FOUND" });
    expect(await store.blobs.missing([digest])).toEqual([digest]);
    await store.close();
  });
});

describe("the size", () => {
  test("is kept below its bound by letting the least recently used go", async () => {
    let now = 0;
    const where = folder();
    const options = { folder: where, bytesMax: 10_000, protectMs: 0 };
    const store = openStore({ now: () => now }, options);
    const made: Digest[] = [];
    for (let i = 0; i < 30; i += 1) {
      now += 60_000;
      made.push(await store.blobs.put(Buffer.alloc(1000, `${i} `), "sha256"));
      await store.blobs.missing([made[1] ?? made[0]!]);
      await new Promise((recorded) => setTimeout(recorded, 30));
    }
    const gone = await store.blobs.missing(made);
    expect(store.totalBytes()).toBeLessThanOrEqual(10_000);
    expect(gone).toContainEqual(made[0]);
    expect(gone).not.toContainEqual(made[1]);
    expect(gone).toContainEqual(made[2]);
    expect(gone).not.toContainEqual(made[29]);
    await store.close();
  });

  test("keeps whatever was used since a hold began, until it is released", async () => {
    let now = 600_000;
    const options = { folder: folder(), bytesMax: 10_000, protectMs: 0 };
    const store = openStore({ now: () => now }, options);
    const old = await store.blobs.put(Buffer.alloc(5000, "old"), "sha256");
    now += 120_000;
    const hold = store.blobs.hold(now);
    const held = await store.blobs.put(Buffer.alloc(4500, "held"), "sha256");
    now += 3_600_000;
    const next = await store.blobs.put(Buffer.alloc(4600, "next"), "sha256");
    expect(await store.blobs.missing([old, held, next])).toEqual([old]);
    now += 120_000;
    const refused = store.blobs.put(Buffer.alloc(4700, "more"), "sha256");
    await expect(refused).rejects.toMatchObject({ code: "RESOURCE_EXHAUSTED" });
    hold.release();
    now += 120_000;
    await store.blobs.put(Buffer.alloc(4700, "more"), "sha256");
    await store.close();
  });

  test("where everything is in use, a write is refused with the flag to raise", async () => {
    const store = open(folder(), { bytesMax: 5000 });
    await store.blobs.put(Buffer.alloc(4000, "a"), "sha256");
    await new Promise((recorded) => setTimeout(recorded, 50));
    const refused = store.blobs.put(Buffer.alloc(4000, "b"), "sha256");
    await expect(refused).rejects.toThrow(/--store-max/);
    await store.close();
  });

  test("results are counted, and go when nobody has used them for longest", async () => {
    let nowMs = Date.now();
    const store = openStore({ now: () => nowMs }, { folder: folder(), bytesMax: 1e9 });
    const key = (name: string) => ({
      instance: "i",
      action: { fn: "sha256" as const, hash: name.repeat(64), sizeBytes: 1 },
    });
    await store.actions.put(key("a"), Buffer.alloc(100));
    await store.actions.put(key("b"), Buffer.alloc(100));
    await store.actions.put(key("b"), Buffer.alloc(300));
    expect(store.totalBytes()).toBe(400);
    expect([...store.index.entries()]).toEqual([]);
    nowMs += 600_000;
    expect(await store.actions.get(key("a"))).toBeDefined();
    // Uses are written soon, not at once.
    await new Promise((written) => setTimeout(written, 60));
    expect(store.blobs.shrink(100, nowMs - 300_000)).toBe(300);
    expect(await store.actions.get(key("b"))).toBeUndefined();
    expect(await store.actions.get(key("a"))).toBeDefined();
    await store.index.removeResult([...store.index.results()][0]?.[0] ?? "");
    expect(store.totalBytes()).toBe(0);
    await store.close();
  });

  test("an eviction cut off between its two steps counts nothing and is finished", async () => {
    const where = folder();
    let nowMs = Date.now();
    const store = openStore({ now: () => nowMs }, { folder: where, bytesMax: 1e9 });
    const digest = await store.blobs.put(Buffer.alloc(9000, "going"), "sha256");
    nowMs += 120_000;
    const cut = () => {
      throw new Error("killed here");
    };
    expect(() => store.index.evict(nowMs, 1, cut)).toThrow("killed here");
    expect([...store.index.entries()]).toEqual([]);
    expect(store.totalBytes()).toBe(0);
    expect(fs.existsSync(fileOf(where, digest))).toBe(true);
    await store.blobs.put(Buffer.alloc(9000, "other"), "sha256");
    store.blobs.shrink(0, nowMs + 120_000);
    expect(store.totalBytes()).toBe(0);
    expect(fs.existsSync(fileOf(where, digest))).toBe(false);
    await store.close();
  });

  test.skipIf(process.getuid?.() !== 0)(
    "a full disk is RESOURCE_EXHAUSTED and leaves nothing behind",
    async () => {
      const where = folder();
      fs.mkdirSync(where, { recursive: true });
      const mount = spawnSync("mount", ["-t", "tmpfs", "-o", "size=6m", "tmpfs", where]);
      expect(mount.status).toBe(0);
      try {
        const store = open(where);
        const bytes = Buffer.alloc(8 << 20, "full");
        const refused = store.blobs.put(bytes, "sha256");
        await expect(refused).rejects.toMatchObject({ code: "RESOURCE_EXHAUSTED" });
        expect(fs.readdirSync(join(where, "tmp"))).toEqual([]);
        await store.blobs.put(Buffer.from("small still fits"), "sha256");
        await store.close();
      } finally {
        spawnSync("umount", [where]);
      }
    },
  );
});

test("a result that names a lost blob is a miss, folders included", async () => {
  const store = open(folder());
  const cache = new CompletenessCheckingActionCache({ base: store.actions, store: store.blobs });
  const output = await store.blobs.put(Buffer.from("output"), "sha256");
  const key = { instance: "", action: output };
  const digest = { hash: output.hash, sizeBytes: output.sizeBytes };
  const whole = ActionResult.fromPartial({ outputFiles: [{ path: "o", digest }] });
  await cache.put(key, ActionResult.encode(whole).finish());
  expect(await cache.get(key)).toBeDefined();
  const lost = { hash: "2".repeat(64), sizeBytes: 5 };
  for (const incomplete of [
    { outputFiles: [{ path: "o", digest: lost }] },
    { outputDirectories: [{ path: "d", treeDigest: lost }] },
    { stdoutDigest: lost },
  ]) {
    await cache.put(key, ActionResult.encode(ActionResult.fromPartial(incomplete)).finish());
    expect(await cache.get(key)).toBeUndefined();
  }
  expect(await cache.get({ ...key, instance: "other" })).toBeUndefined();
  await store.close();
});
