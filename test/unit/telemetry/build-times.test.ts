import { expect, test } from "vitest";
import { drawLanes } from "../../../src/telemetry/build-lanes.ts";
import {
  atOnce,
  chainOf,
  phaseSums,
  placed,
  type TimedAction,
} from "../../../src/telemetry/build-times.ts";

/** An action from `acceptedMs` to `toMs` of a build that began `beganMs` before now. */
function action(
  kind: string,
  acceptedMs: number,
  toMs: number,
  more: Partial<TimedAction> = {},
  beganMs = 10_000,
): TimedAction {
  const { waitMs = 0 } = more;
  return {
    ...{ action: "0", kind, worker: "w1", state: "done", stolen: false },
    ...{ ageMs: beganMs - acceptedMs, endedMs: beganMs - toMs, waitMs, fetchMs: 0, setUpMs: 0 },
    ...{ runMs: toMs - acceptedMs - waitMs, storeMs: 0 },
    ...more,
  };
}

test("phases are summed, and what no phase tells of is the way back", () => {
  const spans = { waitMs: 100, fetchMs: 10, setUpMs: 20, runMs: 300, storeMs: 30 };
  const all = placed([action("a", 0, 500, spans), action("b", 500, 900)], 10_000);
  expect(phaseSums(all)).toEqual({ ...spans, runMs: 700, returnMs: 40 });
  expect(atOnce(all, 1000)).toEqual({ mean: 0.7, most: 1 });
});

test("commands that touch did not run at once, those that overlap did", () => {
  const all = placed([action("a", 0, 500), action("b", 500, 900), action("c", 450, 550)], 10_000);
  expect(atOnce(all, 1000).most).toBe(2);
});

test("the chain goes back from the last end to what had ended last when that was asked for", () => {
  const all = placed(
    [
      action("compile quick", 0, 200),
      action("compile slow", 0, 900),
      action("beside", 100, 1000),
      action("link", 950, 1500),
      action("test", 1500, 2000),
    ],
    10_000,
  );
  expect(chainOf(all).map(({ of }) => of.kind)).toEqual(["compile slow", "link", "test"]);
  expect(chainOf([])).toEqual([]);
});

test("actions that take no time at all end the chain", () => {
  const all = placed([action("a", 5, 5), action("b", 5, 5), action("c", 5, 5)], 10_000);
  expect(chainOf(all)).toHaveLength(3);
});

test("each worker has as many lanes as it had actions at once, and is named on the first", () => {
  const all = placed(
    [
      action("a", 0, 1000),
      action("b", 100, 900, { waitMs: 50 }),
      action("c", 900, 1200, { worker: "w0", state: "failed" }),
      action("d", 900, 2000),
    ],
    10_000,
  );
  const { lanes, path } = drawLanes(all, chainOf(all), 2000);
  expect(lanes.map(({ worker, bars }) => [worker, bars.map(({ kind }) => kind)])).toEqual([
    ["w0", ["c"]],
    ["w1", ["a"]],
    ["", ["b", "d"]],
  ]);
  expect(lanes[2]?.bars[0]).toMatchObject({ fromMs: 150, toMs: 900, waitMs: 50, runMs: 750 });
  expect(lanes[0]?.bars[0]).toMatchObject({ failed: true, onPath: false });
  expect(path.bars.map(({ kind }) => kind)).toEqual(["b", "d"]);
});

test("neighbours too short to be told apart are one bar, long ones keep theirs", () => {
  const short = Array.from({ length: 100 }, (_, at) =>
    action(`short ${at}`, 10 + at, 11 + at, at === 50 ? { state: "failed" } : {}),
  );
  const all = placed([...short, action("long", 110, 9000)], 10_000);
  const { lanes } = drawLanes(all, [], 100_000, { points: 100, lanesMax: 5, barsMax: 50 });
  const bars = lanes[0]?.bars ?? [];
  expect(bars.map(({ actions, runMs, failed }) => [actions, runMs, failed])).toEqual([
    [100, 100, true],
    [1, 8890, false],
  ]);
  expect(bars[0]).toMatchObject({ fromMs: 10, toMs: 110 });
});

test("10,000 actions on 300 workers are a bounded picture of all workers that have room", () => {
  const many = Array.from({ length: 10_000 }, (_, at) =>
    action(
      `t${at}`,
      at,
      at + 1 + (at % 40),
      { worker: `w${String(at % 300).padStart(3, "0")}` },
      20_000,
    ),
  );
  const all = placed(many, 20_000);
  const drawn = drawLanes(all, chainOf(all), 10_040);
  const bars = drawn.lanes.reduce((sum, lane) => sum + lane.bars.length, drawn.path.bars.length);
  expect(bars).toBeLessThanOrEqual(2000);
  expect(drawn.lanes).toHaveLength(60);
  expect(drawn.lanesLeftOut).toBe(240);
  const shown = drawn.lanes.flatMap((lane) => lane.bars.map((bar) => bar.actions));
  expect(shown.reduce((sum, count) => sum + count, 0)).toBe(60 * 34);
});

test("a build of no time at all is drawn too", () => {
  const all = placed([action("a", 0, 0)], 10_000);
  expect(drawLanes(all, chainOf(all), 0).lanes).toHaveLength(1);
});
