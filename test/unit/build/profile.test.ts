import { expect, test } from "vitest";
import type { BuildEvent } from "../../../src/build/build-event.ts";
import { renderChromeTrace } from "../../../src/build/chrome-trace.ts";
import { type ExecutedNow, type ProfiledAction, profileOf } from "../../../src/build/profile.ts";

const base: Omit<ProfiledAction, "id" | "how" | "worker" | "ms"> = {
  ...{ kind: "action", target: "//:t", mnemonic: "Custom", exitCode: 0, isolation: "none" },
  ...{ storedAtMs: 0, stdout: "", stderr: "", failure: "", attempt: 1, again: false },
};

/** Sent, begun by its worker, and done; the command in the middle. */
function ran(
  id: string,
  at: readonly [number, number, number],
  worker: string,
  ...needs: string[]
): ExecutedNow {
  const [sentMs, startMs, doneMs] = at;
  const work = {
    ...{ startMs, fetchedMs: startMs + 1, laidOutMs: startMs + 3 },
    ...{ ranMs: doneMs - 4, endMs: doneMs - 2 },
  };
  const times = { sentMs, work, doneMs };
  return { ...base, id, how: "ran", worker, ms: doneMs - sentMs, times, needs };
}

function reused(id: string, runMs: number | undefined): ProfiledAction {
  const told = runMs === undefined ? {} : { runMs };
  return { ...base, id, how: "cached", worker: "w", ms: 1, ...told };
}

//  a ─┐
//  b ─┴─ link ── test     (c is beside the way)
const events: readonly BuildEvent[] = [
  ran("a", [0, 10, 100], "one"),
  ran("b", [0, 10, 300], "two"),
  ran("c", [0, 100, 320], "one"),
  ran("link", [301, 310, 400], "two", "a", "b"),
  ran("test", [400, 410, 500], "one", "link"),
  reused("d", 1000),
  reused("e", undefined),
];
const profile = profileOf(events, 0, 500);

test("the critical path is what each later action had waited for", () => {
  expect(profile.criticalPath.map(({ id }) => id)).toEqual(["b", "link", "test"]);
});

test("phases add up to the time that each action took", () => {
  const total = Object.values(profile.phases).reduce((sum, ms) => sum + ms, 0);
  expect(total).toBe(profile.executed.reduce((sum, { ms }) => sum + ms, 0));
  expect(profile.phases).toMatchObject({ fetch: 5, "set-up": 10, upload: 10, return: 10 });
});

test("commands at once are counted, not actions that wait", () => {
  expect(profile.parallelism.most).toBe(2);
  expect(profile.parallelism.mean).toBeCloseTo(profile.phases.run / 500);
});

test("what was reused saves what its command had taken, where that is known", () => {
  expect(profile.savedMs).toBe(1000);
  expect(profile.reused).toHaveLength(2);
});

test("the slowest command comes first", () => {
  expect(profile.slowest[0]?.id).toBe("b");
});

test("without a word of its worker all of an action's time is its run", () => {
  const silent = ran("s", [0, 0, 50], "one");
  const { phases } = profileOf(
    [{ ...silent, times: { sentMs: 0, work: undefined, doneMs: 50 } }],
    0,
    50,
  );
  expect(phases).toMatchObject({ wait: 0, run: 50, return: 0 });
});

test("actions that need each other in a circle, as no build has, do not hang it", () => {
  const circle = [ran("x", [0, 1, 10], "one", "y"), ran("y", [0, 1, 11], "one", "x")];
  expect(profileOf(circle, 0, 20).criticalPath).toHaveLength(2);
});

test("a build of nothing has a profile of nothing", () => {
  const empty = profileOf([], 5, 5);
  expect(empty.criticalPath).toEqual([]);
  expect(empty.parallelism).toEqual({ mean: 0, most: 0 });
  expect(JSON.parse(renderChromeTrace(empty)).traceEvents.length).toBeGreaterThan(0);
});

test("trace viewers get lanes without overlaps, phases within actions, arrows along the path", () => {
  interface Shown {
    readonly ph: string;
    readonly name: string;
    readonly pid: number;
    readonly tid: number;
    readonly ts: number;
    readonly dur: number;
    readonly id: number;
    readonly cat: string;
    readonly args: { readonly name?: string };
  }
  const trace: { traceEvents: Shown[] } = JSON.parse(renderChromeTrace(profile));
  const of = (ph: string) => trace.traceEvents.filter((event) => event.ph === ph);
  const workers = of("M").filter(({ name }) => name === "process_name");
  expect(workers.map(({ args }) => args.name)).toEqual(["build", "one", "two"]);
  const atWorkers = of("X").filter(({ pid }) => pid > 1);
  const ids = new Set(events.flatMap((event) => (event.kind === "action" ? [event.id] : [])));
  const actions = atWorkers.filter(({ name }) => ids.has(name));
  expect(actions).toHaveLength(5);
  const isWithin = (inner: Shown, outer: Shown) =>
    inner.ts >= outer.ts && inner.ts + inner.dur <= outer.ts + outer.dur;
  for (const one of actions) {
    const mates = actions.filter(({ pid, tid }) => pid === one.pid && tid === one.tid);
    for (const other of mates) {
      const apart = other.ts >= one.ts + one.dur || one.ts >= other.ts + other.dur;
      expect(one === other || apart, `${one.name} beside ${other.name}`).toBe(true);
    }
  }
  for (const phase of atWorkers.filter(({ name }) => !ids.has(name))) {
    const around = actions.filter(
      (one) => one.pid === phase.pid && one.tid === phase.tid && isWithin(phase, one),
    );
    expect(around, phase.name).toHaveLength(1);
  }
  expect(of("s").map(({ id }) => id)).toEqual(of("f").map(({ id }) => id));
  expect(of("s")).toHaveLength(2);
  expect(of("b").map(({ id }) => id)).toEqual(of("e").map(({ id }) => id));
});
