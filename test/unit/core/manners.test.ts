import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  allowanceFor,
  idleSpanMs,
  type MachineState,
  Manners,
  type MannersOptions,
  settleMs,
  shareOf,
} from "../../../src/core/manners.ts";

const calm: MachineState = {
  power: "mains",
  isHot: false,
  idleMs: 0,
  cores: 8,
  otherCpus: 0,
  memoryFreeBytes: 64 * 2 ** 30,
  running: 0,
};
const lax: MannersOptions = {
  slots: 8,
  onBattery: "slow",
  whenHot: "run",
  whenIdle: false,
  cpusMax: undefined,
  memoryBytesMax: undefined,
};

function slotsOf(state: Partial<MachineState>, options: Partial<MannersOptions>): number {
  return allowanceFor({ ...calm, ...state }, { ...lax, ...options }).slots;
}

describe("one reading", () => {
  test("a calm machine on mains gives all", () => {
    expect(allowanceFor(calm, lax)).toEqual({ slots: 8, reason: "" });
  });

  test("on battery it gives nothing, half, or all, as its owner says", () => {
    const power = "battery" as const;
    expect(slotsOf({ power }, {})).toBe(4);
    expect(slotsOf({ power }, { slots: 1 })).toBe(1);
    expect(slotsOf({ power }, { slots: 0 })).toBe(0);
    expect(slotsOf({ power }, { onBattery: "pause" })).toBe(0);
    expect(slotsOf({ power }, { onBattery: "run" })).toBe(8);
    expect(slotsOf({ power: "unknown" }, { onBattery: "pause" })).toBe(8);
    expect(allowanceFor({ ...calm, power }, lax).reason).toBe("it runs on battery");
  });

  test("heat counts only where that is asked for", () => {
    expect(slotsOf({ isHot: true }, {})).toBe(8);
    expect(slotsOf({ isHot: true }, { whenHot: "slow" })).toBe(4);
    expect(slotsOf({ isHot: undefined }, { whenHot: "pause" })).toBe(8);
  });

  test("--when-idle runs nothing while somebody is there, nor where nothing tells", () => {
    const whenIdle = true;
    expect(slotsOf({ idleMs: idleSpanMs - 1 }, { whenIdle })).toBe(0);
    expect(slotsOf({ idleMs: idleSpanMs }, { whenIdle })).toBe(8);
    expect(slotsOf({ idleMs: Number.POSITIVE_INFINITY }, { whenIdle })).toBe(8);
    expect(slotsOf({ idleMs: undefined }, { whenIdle })).toBe(0);
    expect(slotsOf({ idleMs: 0 }, {})).toBe(8);
  });

  test("--max-cpu is a ceiling, and other programs go first", () => {
    expect(slotsOf({}, { cpusMax: 4 })).toBe(4);
    expect(slotsOf({}, { cpusMax: 0.5 })).toBe(1);
    expect(slotsOf({ otherCpus: 3 }, { cpusMax: 4 })).toBe(4);
    expect(slotsOf({ otherCpus: 5.9 }, { cpusMax: 4 })).toBe(2);
    expect(slotsOf({ otherCpus: 8 }, { cpusMax: 4 })).toBe(0);
    expect(slotsOf({ otherCpus: 8 }, {})).toBe(8);
    expect(slotsOf({ otherCpus: undefined }, { cpusMax: 4 })).toBe(4);
  });

  test("--max-memory starts more only where a slot's share is free", () => {
    const memoryBytesMax = 8 * 2 ** 30;
    expect(slotsOf({ memoryFreeBytes: 3.5 * 2 ** 30 }, { memoryBytesMax })).toBe(3);
    expect(slotsOf({ memoryFreeBytes: 3.5 * 2 ** 30, running: 2 }, { memoryBytesMax })).toBe(5);
    expect(slotsOf({ memoryFreeBytes: 0, running: 9 }, { memoryBytesMax })).toBe(8);
    expect(slotsOf({ memoryFreeBytes: undefined }, { memoryBytesMax })).toBe(8);
  });

  test("the strictest wish is the reason given", () => {
    const state = { ...calm, power: "battery" as const, otherCpus: 7 };
    expect(allowanceFor(state, { ...lax, cpusMax: 8 })).toEqual({
      slots: 1,
      reason: "other programs leave 1 of 8 cores",
    });
  });
});

describe("over time", () => {
  test("gives way at once and takes back after a while, as much as was free all along", () => {
    const manners = new Manners({ ...lax, cpusMax: 8 });
    const at = (otherCpus: number, nowMs: number) =>
      manners.decide({ ...calm, otherCpus }, nowMs).slots;
    expect(at(0, 0)).toBe(8);
    expect(at(6, 5_000)).toBe(2);
    expect(at(0, 10_000)).toBe(2);
    expect(at(4, 20_000)).toBe(2);
    expect(at(0, 39_999)).toBe(2);
    expect(at(0, 40_000)).toBe(4);
    expect(at(0, 45_000)).toBe(4);
    expect(at(0, 75_000)).toBe(8);
  });

  test("a relapse starts the wait anew", () => {
    const manners = new Manners({ ...lax, onBattery: "pause" });
    const at = (power: MachineState["power"], nowMs: number) =>
      manners.decide({ ...calm, power }, nowMs).slots;
    expect(at("battery", 0)).toBe(0);
    expect(at("mains", 10_000)).toBe(0);
    expect(at("battery", 39_000)).toBe(0);
    expect(at("mains", 41_000)).toBe(0);
    expect(at("mains", 70_999)).toBe(0);
    expect(at("mains", 71_000)).toBe(8);
  });

  test("a clock that is set back delays by one wait at most", () => {
    const manners = new Manners({ ...lax, onBattery: "pause" });
    const at = (power: MachineState["power"], nowMs: number) =>
      manners.decide({ ...calm, power }, nowMs).slots;
    at("battery", 1_000_000);
    at("mains", 1_001_000);
    expect(at("mains", 5_000)).toBe(0);
    expect(at("mains", 10_000)).toBe(0);
    expect(at("mains", 10_000 + settleMs)).toBe(8);
  });
});

const states = fc.record({
  power: fc.constantFrom<MachineState["power"]>("mains", "battery", "unknown"),
  isHot: fc.constantFrom(true, false, undefined),
  idleMs: fc.option(fc.integer({ min: 0, max: 2 * idleSpanMs }), { nil: undefined }),
  cores: fc.integer({ min: 1, max: 64 }),
  otherCpus: fc.option(fc.double({ min: 0, max: 70, noNaN: true }), { nil: undefined }),
  memoryFreeBytes: fc.option(fc.integer({ min: 0, max: 2 ** 36 }), { nil: undefined }),
  running: fc.integer({ min: 0, max: 64 }),
});
const restraints = fc.constantFrom("pause" as const, "slow" as const, "run" as const);
const wishes = fc.record({
  slots: fc.integer({ min: 0, max: 64 }),
  onBattery: restraints,
  whenHot: restraints,
  whenIdle: fc.boolean(),
  cpusMax: fc.option(fc.double({ min: 0.1, max: 64, noNaN: true }), { nil: undefined }),
  memoryBytesMax: fc.option(fc.integer({ min: 1, max: 2 ** 36 }), { nil: undefined }),
});
const readings = fc.array(fc.tuple(states, fc.integer({ min: 0, max: 40_000 })), { maxLength: 60 });

test("on any noise: whole slots within bounds, never more than the reading allows, and slots open at most once in 30 s", () => {
  fc.assert(
    fc.property(wishes, readings, (options, noise) => {
      const manners = new Manners(options);
      let [nowMs, before, openedAtMs] = [0, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
      for (const [state, waitMs] of noise) {
        nowMs += waitMs;
        const { slots, reason } = manners.decide(state, nowMs);
        expect(Number.isInteger(slots) && slots >= 0 && slots <= options.slots).toBe(true);
        expect(slots).toBeLessThanOrEqual(allowanceFor(state, options).slots);
        expect(slots === options.slots || reason !== "").toBe(true);
        if (slots > before) {
          expect(nowMs - openedAtMs).toBeGreaterThanOrEqual(settleMs);
          openedAtMs = nowMs;
        }
        before = slots;
      }
    }),
    { seed: 20261124, numRuns: 500 },
  );
});

test("the shares of equal workers add up to the whole", () => {
  fc.assert(
    fc.property(fc.nat(200), fc.integer({ min: 1, max: 32 }), (slots, count) => {
      const shares = Array.from({ length: count }, (_, index) => shareOf(slots, index, count));
      expect(shares.reduce((sum, share) => sum + share, 0)).toBe(slots);
      expect(Math.max(...shares) - Math.min(...shares)).toBeLessThanOrEqual(1);
    }),
    { seed: 20261125, numRuns: 200 },
  );
});
