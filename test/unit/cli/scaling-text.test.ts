import { expect, test } from "vitest";
import { renderDecision, renderScaling } from "../../../cli/scaling-text.ts";
import type { ScalingStatus } from "../../../src/node/status.ts";

const decision = {
  ...{ ageMs: 5_000, target: 12, because: "23 busy slots and 12 queued actions want 48 slots" },
  ...{ heldBackBy: "", heldBackWhy: "", nextChange: 4, nextInMs: 20_000 },
  ...{ busySlots: 23, slots: 32, queued: 12, queuedWorkMs: 41_000, load: 0.71 },
  ...{ predictedLoad: 0.82, horizonMs: 70_000, trendPerMinute: 0.15, forecastError: 0.18 },
};
const scaling: ScalingStatus = {
  ...{ mode: "on", provider: "ec2 us-east-1", min: 2, max: 20, ready: 8, booting: 2, draining: 0 },
  ...{ machineMs: 22_320_000, spotMs: 17_640_000, slotMs: 100, idleSlotMs: 31 },
  decision,
};

test("the block says what is, what is to be, and why", () => {
  expect(renderScaling(scaling)).toEqual([
    "Autoscaling:",
    "  Mode: on (ec2 us-east-1), 8 ready + 2 booting of 2..20",
    "  Load now: 71% (23 of 32 slots, 12 queued = 41s of work)",
    "  Predicted load: 82% (in 1m, forecasts were 18% off lately)",
    "  Trend: +0.15 (increasing)",
    "  Next action: Scale up (add 4 workers in 15s)",
    "  Because: 23 busy slots and 12 queued actions want 48 slots",
    "  Held back by: nothing",
    "  Cost: 6.2 worker-hours today (4.9 spot), idle share 31%",
    "",
  ]);
});

test("without autoscaling there is no block, and before a decision nothing is invented", () => {
  expect(renderScaling(undefined)).toEqual([]);
  expect(renderScaling({ ...scaling, mode: "off" })).toEqual([]);
  expect(renderScaling({ ...scaling, decision: undefined }).join()).toMatch(
    /No decision here: the coordinator decides/,
  );
});

test("a countdown ends at now, and small trends are none", () => {
  const late = { ...decision, ageMs: 60_000, nextChange: -1, trendPerMinute: -0.01 };
  const lines = renderScaling({ ...scaling, decision: late });
  expect(lines).toContain("  Next action: Scale down (drain 1 worker now)");
  expect(lines).toContain("  Trend: +0.00 (steady)");
});

test("a line that is no decision as this version knows it is shown as it came", () => {
  expect(renderDecision('{"record":"decision","decision":{"target":"\\u001b[2J"}}\n')).toBe(
    '{"record":"decision","decision":{"target":"\\u001b[2J"}}',
  );
});
