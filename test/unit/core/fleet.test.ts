import { describe, expect, test } from "vitest";
import { Fleet, type FleetView, tickMs } from "../../../src/core/fleet.ts";
import type { Effect, Input } from "../../../src/core/machine.ts";
import { Pool, poolDefaults } from "../../../src/core/pool.ts";
import { ProvidedMachines } from "../../../src/core/provided.ts";
import { providedDefaults } from "../../../src/core/provided-options.ts";
import type { WorkerView } from "../../../src/core/roster.ts";
import type { ScalingPolicy } from "../../../src/core/scaling.ts";
import { type ScalingMode, scalingDefaults } from "../../../src/core/scaling-settings.ts";
import { actionRequest, loadOf, ofKind } from "../../support/core-values.ts";

/** As many machines as actions wait or run; idle ones go at once. */
const countQueue: ScalingPolicy = {
  name: "count",
  decide: ({ queued, machines }, { min, max }) => {
    const busy = machines.filter(({ busySlots }) => busySlots > 0).length;
    const supply = machines.filter(({ state }) => state !== "draining");
    const paused = machines.filter(({ state }) => state === "draining");
    const target = Math.max(min, Math.min(max, queued + busy));
    const kept = paused.slice(0, Math.max(0, target - supply.length));
    const idle = supply.filter(({ state, busySlots }) => state === "ready" && busySlots === 0);
    return {
      ...{ target, because: `${queued} wait`, heldBack: undefined, next: undefined },
      launch: { "on-demand": Math.max(0, target - supply.length - kept.length), spot: 0 },
      drain: idle.slice(0, Math.max(0, supply.length - target)).map(({ id }) => id),
      keep: kept.map(({ id }) => id),
      needs: { now: queued, build: 0, trend: 0, floor: 0 },
      ...{ load: 0, predictedLoad: 0, horizonMs: 0, trendPerMinute: 0, forecastError: undefined },
    };
  },
};

interface World {
  nowMs: number;
  readonly view: { -readonly [K in keyof FleetView]: FleetView[K] };
  readonly fleet: Fleet;
  tell(input: Input): readonly Effect[];
  /** Wakes it at every time it asks for until `untilMs`. */
  pass(untilMs: number): readonly Effect[];
}

function worldOf(
  how: { mode?: ScalingMode; min?: number; max?: number; isProvided?: boolean } = {},
): World {
  const { mode = "on", min = 0, max = 4, isProvided = false } = how;
  const view: World["view"] = {
    ...{ self: "h", name: "desk", pending: 0, pendingMs: 0, invocations: [], workers: [] },
    ...{ hosts: [], leader: "h", scalingTerm: undefined },
  };
  const pool = new Pool({ ...poolDefaults, workersMin: isProvided ? 0 : min, workersMax: max });
  const provided = isProvided
    ? new ProvidedMachines({ ...providedDefaults, tag: "mesh" }, [])
    : undefined;
  const bounds = { ...scalingDefaults, min, max };
  const options = { mode, bounds, policy: countQueue, slotsPerWorker: 1 };
  const fleet = new Fleet({ view, pool, provided }, options);
  const world: World = {
    ...{ nowMs: 1_000, view, fleet },
    tell: (input) => fleet.handle(input, world.nowMs),
    pass: (untilMs) => {
      const effects: Effect[] = [];
      for (let wakes = 0; fleet.wakeAtMs <= untilMs; wakes += 1) {
        if (wakes > 10_000) throw new Error("it never rests");
        world.nowMs = Math.max(world.nowMs, fleet.wakeAtMs);
        effects.push(...fleet.handle({ kind: "wake" }, world.nowMs));
      }
      world.nowMs = untilMs;
      return effects;
    },
  };
  return world;
}

function workerOf(slot: number, changes: Partial<WorkerView> = {}): WorkerView {
  const name = `worker-${slot}`;
  return {
    ...{ peer: `w${slot}`, name, slots: 1, free: 1, queued: 0, draining: false, isolation: "none" },
    ...{ busy: 0, home: "h", idleSinceMs: 0, properties: {}, ...changes },
  };
}

const submit = (invocation: string): Input => {
  return { kind: "submit", operation: "o", request: actionRequest("a", { invocation }) };
};
const slots = (effects: readonly Effect[], kind: "launch" | "pause" | "resume" | "retire") =>
  ofKind(effects, kind).map(({ slot }) => slot);

describe("worker processes of a host", () => {
  test("the first action of a build starts a worker at once", () => {
    const world = worldOf();
    world.pass(5_000);
    world.view.pending = 1;
    expect(slots(world.tell(submit("one")), "launch")).toEqual([1]);
  });

  test("what waits is looked at again soon where it grew, and else every ten seconds", () => {
    const world = worldOf();
    world.pass(1_000);
    world.view.pending = 1;
    world.view.invocations = [
      { user: "ann", invocation: "one", pending: 1, executing: 0, pendingMs: 9 },
    ];
    world.tell(submit("one"));
    world.view.pending = 9;
    world.tell(submit("one"));
    expect(world.fleet.wakeAtMs).toBe(world.nowMs + 250);
    expect(slots(world.pass(1_250), "launch")).toEqual([2, 3, 4]);
    expect(world.fleet.wakeAtMs).toBe(1_250 + tickMs);
  });

  test("an idle worker is paused, kept when it is wanted again, and else retired", () => {
    const world = worldOf({ min: 0 });
    world.view.pending = 1;
    world.pass(1_000);
    world.view.pending = 0;
    world.view.workers = [workerOf(1)];
    expect(slots(world.pass(11_000), "pause")).toEqual([1]);
    world.view.pending = 1;
    expect(slots(world.tell(submit("two")), "resume")).toEqual([1]);
    world.view.pending = 0;
    expect(slots(world.pass(21_500), "pause")).toEqual([1]);
    expect(slots(world.pass(30_000), "retire")).toEqual([1]);
    world.tell({ kind: "terminated", slot: 1, why: "exit 0" });
    world.view.workers = [];
    expect(slots(world.pass(60_000), "launch")).toEqual([]);
  });

  test("advice starts nothing and says so", () => {
    const world = worldOf({ mode: "advise" });
    world.view.pending = 3;
    const effects = world.pass(30_000);
    expect(slots(effects, "launch")).toEqual([]);
    const [first, ...others] = ofKind(effects, "note").map(({ note }) => note);
    expect(first).toMatchObject({
      name: "scaling-decided",
      decided: { decision: { target: 3, heldBack: { by: "advise" } } },
    });
    expect(others).toEqual([]);
  });

  test("switched off it keeps the minimum, and rests", () => {
    const world = worldOf({ mode: "off", min: 2 });
    world.view.pending = 50;
    expect(slots(world.pass(1_000), "launch")).toEqual([1, 2]);
    world.view.workers = [workerOf(1), workerOf(2)];
    expect(world.fleet.wakeAtMs).toBe(Number.POSITIVE_INFINITY);
    const bounds = { ...scalingDefaults, min: 3, max: 4 };
    const effects = world.tell({ kind: "scaling", settings: { mode: "off", bounds } });
    expect(slots(effects, "launch")).toEqual([3]);
  });

  test("a floor above the maximum counts while it lasts, and busy workers outlive it", () => {
    const world = worldOf({ mode: "off", min: 1, max: 1 });
    world.pass(1_000);
    const floor = { ...scalingDefaults, min: 3, max: 3 };
    const raised = world.tell({ kind: "scaling", settings: { mode: "off", bounds: floor } });
    expect(slots(raised, "launch")).toEqual([2, 3]);
    world.view.workers = [workerOf(1, { busy: 1 }), workerOf(2, { busy: 1 }), workerOf(3)];
    const bounds = { ...scalingDefaults, min: 1, max: 1 };
    const released = world.tell({ kind: "scaling", settings: { mode: "off", bounds } });
    expect(slots(released, "pause")).toEqual([3]);
    world.view.workers = [workerOf(1, { busy: 1 }), workerOf(2)];
    expect(slots(world.pass(world.nowMs + tickMs), "pause")).toEqual([2]);
  });

  test("a drain that somebody asked for is nobody's to cancel but theirs", () => {
    const world = worldOf({ min: 1, max: 2 });
    world.pass(1_000);
    world.view.workers = [workerOf(1)];
    const asked = world.tell({ kind: "ask-drain", node: "desk/worker-1", cancel: false });
    expect(slots(asked, "pause")).toEqual([1]);
    // It is no supply any more: another one is started for the minimum.
    expect(slots(world.pass(12_000), "launch")).toEqual([2]);
    expect(world.fleet.whyNoDrain("worker-1", true)).toBeUndefined();
    expect(
      slots(world.tell({ kind: "ask-drain", node: "worker-1", cancel: true }), "resume"),
    ).toEqual([1]);
    expect(world.fleet.whyNoDrain("worker-1", true)?.code).toBe("FAILED_PRECONDITION");
    expect(world.fleet.whyNoDrain("worker-9", false)?.code).toBe("NOT_FOUND");
  });

  test("the coordinator alone is obeyed", () => {
    const world = worldOf({ min: 2 });
    world.pass(1_000);
    world.view.leader = "c";
    const say = (from: string, phase: "pause" | "resume" | "leave"): readonly Effect[] =>
      world.tell({ kind: "message", from, message: { kind: "drain", worker: "", phase } });
    expect(say("x", "leave")).toEqual([]);
    expect(slots(say("c", "pause"), "pause")).toEqual([1, 2]);
    expect(slots(world.tell({ kind: "launched", slot: 2 }), "pause")).toEqual([2]);
    expect(slots(say("c", "resume"), "resume")).toEqual([1, 2]);
    expect(say("c", "leave")).toEqual([{ kind: "depart" }]);
  });

  test("who leaves decides nothing any more", () => {
    const world = worldOf({ min: 1 });
    world.pass(1_000);
    expect(slots(world.tell({ kind: "drain" }), "retire")).toEqual([1]);
    world.view.pending = 9;
    expect(world.tell(submit("late"))).toEqual([]);
    expect(world.fleet.wakeAtMs).toBe(Number.POSITIVE_INFINITY);
  });
});

describe("machines of a provider", () => {
  test("nothing is started before this node may scale and knows what there is", () => {
    const world = worldOf({ isProvided: true });
    world.view.pending = 2;
    world.view.leader = "c";
    expect(world.pass(9_000)).toEqual([]);
    world.view.leader = "h";
    world.view.scalingTerm = 4;
    expect(world.fleet.wakeAtMs).toBe(0);
    const leading = world.tell({ kind: "wake" });
    expect(leading.map(({ kind }) => kind)).toEqual(["list", "note"]);
    expect(ofKind(leading, "note")[0]?.note).toMatchObject({
      decided: { decision: { heldBack: { by: "provider" } } },
    });
    world.tell({ kind: "listed", machines: [] });
    const tokens = ofKind(world.pass(world.nowMs + 2_000), "provide").map(({ token }) => token);
    expect(tokens).toHaveLength(2);
    for (const token of tokens) expect(token).toMatch(/^mesh-4-[a-z0-9]+$/);
  });

  test("what waits at other hosts counts, and their workers are machines that stay", () => {
    const world = worldOf({ isProvided: true, max: 9 });
    world.view.scalingTerm = 1;
    world.view.workers = [workerOf(1, { home: "other" })];
    const load = loadOf("other", { serves: true, pending: 3, pendingMs: 1_500, slots: 0 });
    world.tell({ kind: "message", from: "other", message: load });
    world.tell({ kind: "listed", machines: [] });
    const effects = world.pass(world.nowMs + 2_000);
    expect(ofKind(effects, "provide")).toHaveLength(2);
    const { demand } = world.fleet.standing.decided ?? {};
    expect(demand).toMatchObject({ queued: 3, queuedWorkMs: 1_500 });
    expect(demand?.machines.map(({ state }) => state)).toContain("owned");
    world.tell({ kind: "unlinked", peer: "other" });
    world.pass(world.nowMs + tickMs);
    expect(world.fleet.standing.decided?.demand.queued).toBe(0);
  });
});
