// Associations on disk: found again after a restart or a kill, bounded, let go in order.

import { fork } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type AssetRecordsOptions, openAssetRecords } from "../../src/cas/asset-records.ts";
import { associationOf, keyOf } from "../support/asset-writer.ts";
import { eventually } from "../support/eventually.ts";

let base: string;
let count = 0;
beforeAll(() => {
  base = mkdtempSync(join(tmpdir(), "assets-"));
});
afterAll(() => rmSync(base, { recursive: true }));

const clock = { nowMs: 1e12, now: () => clock.nowMs };

function open(options: Partial<AssetRecordsOptions> = {}) {
  count += 1;
  const folder = join(base, `${count}`);
  return openAssetRecords(clock, { folder, recordsMax: 1000, bytesMax: 1e6, ...options });
}

test("every part of a key counts, but not the order of qualifiers", async () => {
  const records = open();
  const key = {
    ...keyOf(1),
    qualifiers: [
      { name: "a", value: "1" },
      { name: "b", value: "2" },
    ],
  };
  await records.put([key], associationOf(1));
  expect(records.find({ ...key, qualifiers: key.qualifiers.toReversed() })).toEqual(
    associationOf(1),
  );
  const others = [
    { ...key, instance: "other" },
    { ...key, kind: "directory" as const },
    { ...key, fn: "blake3" as const },
    { ...key, uri: "urn:other" },
    { ...key, qualifiers: key.qualifiers.slice(1) },
    {
      ...key,
      qualifiers: [
        { name: "a", value: "2" },
        { name: "b", value: "1" },
      ],
    },
  ];
  for (const other of others) expect(records.find(other)).toBeUndefined();
  await records.close();
});

test("a second one takes the place of the first, and a time of expiry ends it", async () => {
  const records = open();
  await records.put([keyOf(1), keyOf(2)], associationOf(1));
  await records.put([keyOf(1)], { ...associationOf(3), expireAtMs: clock.nowMs + 10 });
  expect(records.count()).toBe(2);
  expect(records.find(keyOf(1))?.digest).toEqual(associationOf(3).digest);
  clock.nowMs += 10;
  expect(records.find(keyOf(1))).toBeUndefined();
  expect(records.find(keyOf(2))?.digest).toEqual(associationOf(1).digest);
  await records.close();
});

test("those that were not used for longest go when there are too many", async () => {
  const records = open({ recordsMax: 3 });
  for (const n of [1, 2, 3]) {
    await records.put([keyOf(n)], associationOf(n));
    clock.nowMs += 60_000;
  }
  clock.nowMs += 600_000;
  expect(records.find(keyOf(1))).toBeDefined();
  await records.put([keyOf(4)], associationOf(4));
  expect(records.count()).toBe(3);
  expect([1, 2, 3, 4].map((n) => records.find(keyOf(n)) !== undefined)).toEqual([
    true,
    false,
    true,
    true,
  ]);
  await records.close();
});

test("references count: their bytes are bounded too", async () => {
  const records = open({ bytesMax: 200_000 });
  const blobs = Array.from({ length: 1000 }, (_, n) => associationOf(n).digest);
  await records.put([keyOf(1)], { ...associationOf(1), blobs });
  clock.nowMs += 60_000;
  await records.put([keyOf(2)], { ...associationOf(2), blobs });
  expect(records.find(keyOf(1))).toBeUndefined();
  expect(records.find(keyOf(2))?.blobs).toHaveLength(1000);
  await records.close();
});

test("all is found again by another process that opens the folder, or has it open", async () => {
  const folder = join(base, "again");
  const first = open({ folder });
  const second = open({ folder });
  await first.put([keyOf(7)], associationOf(7));
  expect(await eventually("seen", () => second.find(keyOf(7)))).toEqual(associationOf(7));
  await first.close();
  await second.close();
  const third = open({ folder });
  expect(third.find(keyOf(7))).toEqual(associationOf(7));
  await third.close();
});

test("what was acknowledged survives a kill", async () => {
  const folder = join(base, "killed");
  const program = new URL("../support/asset-writer.ts", import.meta.url);
  const child = fork(program, [folder]);
  let acknowledged = -1;
  child.on("message", (n) => {
    acknowledged = Number(n);
  });
  await eventually("some are kept", () => acknowledged > 100);
  const exited = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGKILL");
  await exited;
  const records = open({ folder, recordsMax: 1e6, bytesMax: 1e9 });
  for (let n = 0; n <= acknowledged; n += 1) {
    expect(records.find(keyOf(n)), `${n}`).toEqual(associationOf(n));
  }
  await records.put([keyOf(0)], associationOf(5));
  expect(records.find(keyOf(0))).toEqual(associationOf(5));
  await records.close();
});

test("after it is closed nothing is found and nothing fails", async () => {
  const records = open();
  await records.close();
  await records.put([keyOf(1)], associationOf(1));
  expect(records.find(keyOf(1))).toBeUndefined();
});
