import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import {
  configuredCloud,
  fleetSize,
  loadWishes,
  parseWishes,
  saveWishes,
  scalingSettings,
} from "../../../src/node/scaling-config.ts";
import { parseSchedule, scheduledMinimum } from "../../../src/node/schedule.ts";

const aws = {
  ...{ provider: "aws", region: "us-east-1", instanceTypes: ["c5.2xlarge"] },
  imageId: "ami-builder-worker-v1",
};

test("wishes survive their file, and a damaged one names the remedy", () => {
  const store = mkdtempSync(join(tmpdir(), "builder-wishes-"));
  expect(loadWishes(store)).toEqual({});
  const wishes = parseWishes(
    JSON.stringify({ workersMax: 9, schedules: ["mon-fri 08:00-18:00 min=4"], provider: aws }),
  );
  saveWishes(store, wishes);
  expect(loadWishes(store)).toEqual(wishes);
  writeFileSync(join(store, "scaling.json"), '{"workersMax": -1}');
  expect(() => loadWishes(store)).toThrow(/scaling.json is damaged .*--workers-max/);
  rmSync(store, { recursive: true });
});

test.each([
  ["[]", /JSON object/],
  ["{", /JSON object/],
  ['{"autoscale":"maybe"}', /--autoscale/],
  ['{"workersMin":3,"workersMax":2}', /--workers-max 2 is below --workers-min 3/],
  ['{"workersMin":1.5}', /--workers-min is out of range/],
  ['{"idleMs":1}', /--idle-time/],
  ['{"spot":"yes"}', /--spot/],
  ['{"schedules":["whenever"]}', /schedule "whenever" is not understood/],
  ['{"schedules":"mon"}', /--schedule/],
  ['{"provider":{"provider":"azure"}}', /--provider/],
  ['{"provider":{"provider":"aws"}}', /--instance-type/],
  ['{"provider":{"provider":"local","region":"us-east-1"}}', /--provider local/],
])("%s is refused", (json, message) => {
  expect(() => parseWishes(json)).toThrow(message);
});

test("sizes have defaults that fit where workers come from", () => {
  expect(fleetSize({}, undefined)).toEqual({ mode: "off", min: 2, max: 2 });
  expect(fleetSize({ workersMax: 1 }, undefined)).toMatchObject({ min: 1, max: 1 });
  expect(fleetSize({ autoscale: "on", workersMin: 1 }, undefined)).toMatchObject({
    mode: "on",
    max: Math.max(1, availableParallelism()),
  });
  expect(fleetSize({}, "aws")).toEqual({ mode: "on", min: 2, max: 10 });
  expect(() => fleetSize({ workersMin: 5, workersMax: 4 }, undefined)).toThrow(/--workers-max/);
});

test("a schedule raises the minimum up to the maximum, a floor beyond it", () => {
  const noon = new Date(2026, 0, 5, 12, 0);
  const wishes = { workersMin: 1, workersMax: 6, schedules: ["mon 08:00-18:00 min=9"] };
  expect(scalingSettings(wishes, undefined, noon).bounds).toMatchObject({ min: 6, max: 6 });
  const bounds = scalingSettings({ ...wishes, floor: 20 }, undefined, noon).bounds;
  expect(bounds).toMatchObject({ min: 20, max: 20 });
  const night = new Date(2026, 0, 5, 22, 0);
  expect(scalingSettings(wishes, undefined, night).bounds).toMatchObject({ min: 1, max: 6 });
});

test("a cloud wants to be configured first", () => {
  expect(() => configuredCloud({}, "aws")).toThrow(/remote configure --provider aws/);
  const wishes = parseWishes(JSON.stringify({ provider: aws }));
  expect(configuredCloud(wishes, "aws")).toMatchObject({ region: "us-east-1" });
  expect(() => configuredCloud(wishes, "k8s")).toThrow(/--provider k8s/);
});

test("hours are those of the days they begin on, also past midnight", () => {
  const weekdays = parseSchedule("mon-fri 08:00-18:00 min=4");
  const nights = parseSchedule("fri,sat 22:00-06:00 min=2");
  const all = [weekdays, nights, parseSchedule("daily 00:00-24:00 min=1")];
  // The fifth of January 2026 is a Monday.
  const minimum = (day: number, hour: number) =>
    scheduledMinimum(all, new Date(2026, 0, day, hour, 0));
  expect([minimum(5, 7), minimum(5, 8), minimum(5, 17), minimum(5, 18)]).toEqual([1, 4, 4, 1]);
  expect([minimum(9, 23), minimum(10, 5), minimum(10, 6), minimum(11, 5)]).toEqual([2, 2, 1, 2]);
  expect([minimum(10, 12), minimum(12, 5)]).toEqual([1, 1]);
});

test.each(["", "mon", "mon 8-18 min=1", "mon 08:00-08:00 min=1", "mon 25:00-26:00 min=1"])(
  "%j is no schedule",
  (text) => {
    expect(() => parseSchedule(text)).toThrow(/mon-fri 08:00-18:00 min=4/);
  },
);
test.each([
  "foo 08:00-09:00 min=1",
  "mon 08:60-09:00 min=1",
  "mon 08:00-09:00 max=1",
  "mon 08:00-09:00 min=9999",
])("%j is no schedule either", (text) => {
  expect(() => parseSchedule(text)).toThrow(/mon-fri 08:00-18:00 min=4/);
});
