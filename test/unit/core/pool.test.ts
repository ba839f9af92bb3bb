import { expect, test } from "vitest";
import type { Effect } from "../../../src/core/machine.ts";
import { Pool, poolDefaults } from "../../../src/core/pool.ts";

function poolOf(workersMin: number, workersMax = workersMin): Pool {
  return new Pool({ ...poolDefaults, workersMin, workersMax });
}

function launched(effects: readonly Effect[]): number[] {
  return effects.flatMap((effect) => (effect.kind === "launch" ? [effect.slot] : []));
}

test("a pool launches its workers at the first wake", () => {
  const pool = poolOf(3, 5);
  expect(pool.wakeAtMs).toBe(0);
  expect(launched(pool.handle({ kind: "wake" }, 7))).toEqual([1, 2, 3]);
  expect([pool.processes, pool.wakeAtMs]).toEqual([3, Number.POSITIVE_INFINITY]);
});

test("a worker that ends early is launched again, each time later, up to five seconds", () => {
  const pool = poolOf(1);
  let nowMs = 0;
  pool.handle({ kind: "wake" }, nowMs);
  const delays = Array.from({ length: 8 }, () => {
    const ended = pool.handle({ kind: "terminated", slot: 1, why: "exit 1" }, nowMs);
    expect(ended).toMatchObject([{ note: { name: "worker-ended", slot: 1, why: "exit 1" } }]);
    const delayMs = pool.wakeAtMs - nowMs;
    expect(launched(pool.handle({ kind: "wake" }, pool.wakeAtMs - 1))).toEqual([]);
    nowMs = pool.wakeAtMs;
    expect(pool.handle({ kind: "wake" }, nowMs)).toMatchObject([
      { note: { name: "worker-launching", slot: 1, delayMs } },
      { kind: "launch", slot: 1 },
    ]);
    return delayMs;
  });
  expect(delays).toEqual([100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]);
});

test("a worker that lived for half a minute starts again at once", () => {
  const pool = poolOf(1);
  pool.handle({ kind: "wake" }, 0);
  pool.handle({ kind: "terminated", slot: 1, why: "exit 1" }, 10);
  pool.handle({ kind: "wake" }, 110);
  pool.handle({ kind: "terminated", slot: 1, why: "exit 1" }, 30_110);
  expect(pool.wakeAtMs).toBe(30_210);
});

test("ends that are told twice or of unknown slots change nothing", () => {
  const pool = poolOf(1);
  pool.handle({ kind: "wake" }, 0);
  pool.handle({ kind: "terminated", slot: 1, why: "exit 1" }, 10);
  expect(pool.handle({ kind: "terminated", slot: 1, why: "again" }, 20)).toEqual([]);
  expect(pool.handle({ kind: "terminated", slot: 9, why: "who" }, 20)).toEqual([]);
  expect(pool.wakeAtMs).toBe(110);
});

test("after a drain workers are retired and never launched again", () => {
  const pool = poolOf(2);
  pool.handle({ kind: "wake" }, 0);
  pool.handle({ kind: "terminated", slot: 1, why: "exit 1" }, 10);
  expect(pool.handle({ kind: "drain" }, 20)).toEqual([{ kind: "retire", slot: 2 }]);
  expect(pool.handle({ kind: "terminated", slot: 2, why: "exit 0" }, 30)).toEqual([]);
  expect(pool.handle({ kind: "wake" }, 99_999)).toEqual([]);
  expect([pool.processes, pool.wakeAtMs]).toEqual([0, Number.POSITIVE_INFINITY]);
  expect(pool.handle({ kind: "drain" }, 40)).toEqual([]);
});

test("a minimum above the maximum is a broken invariant", () => {
  expect(() => poolOf(3, 2)).toThrow(/workersMin/);
});
