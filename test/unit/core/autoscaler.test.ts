import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Autoscaler, autoscalerDefaults } from "../../../src/core/autoscaler.ts";
import type {
  ScaledMachine,
  ScalingBounds,
  ScalingDecision,
  ScalingDemand,
} from "../../../src/core/scaling.ts";

const bounds: ScalingBounds = {
  min: 2,
  max: 20,
  onDemandBase: 2,
  spot: false,
  targetWaitMs: 5_000,
  idleMs: 300_000,
  slotsPerMachine: 4,
};

function machine(id: string, over: Partial<ScaledMachine> = {}): ScaledMachine {
  return {
    ...{ id, state: "ready", market: "on-demand", slots: 4, busySlots: 0, launchedAtMs: 0 },
    ...{ idleSinceMs: 0, ...over },
  };
}

function machines(count: number, over: Partial<ScaledMachine> = {}): ScaledMachine[] {
  return Array.from({ length: count }, (_, at) => machine(`m${`${at}`.padStart(3, "0")}`, over));
}

function demand(over: Partial<ScalingDemand> = {}): ScalingDemand {
  return { queued: 0, queuedWorkMs: 0, invocations: [], machines: [], ...over };
}

function launched({ launch }: ScalingDecision): number {
  return launch["on-demand"] + launch.spot;
}

const hourMs = 3_600_000;

describe("growing", () => {
  test("an empty mesh grows to its minimum without any work", () => {
    const decision = new Autoscaler().decide(demand(), bounds, 0);
    expect([launched(decision), decision.target]).toEqual([2, 2]);
  });

  test("what is outstanding is to begin within the target wait, by slots that turn over", () => {
    const busy = machines(2, { busySlots: 4, idleSinceMs: undefined });
    const queue = { queued: 92, queuedWorkMs: 92_000 };
    const scaler = new Autoscaler();
    const first = scaler.decide(demand({ ...queue, machines: busy }), bounds, hourMs);
    expect(first.needs.now).toBe((8 + 92) / 5);
    expect([launched(first), first.heldBack?.by]).toEqual([0, "hold"]);
    expect(first.next).toEqual({ change: 3, inMs: 18_000 });
    const second = scaler.decide(demand({ ...queue, machines: busy }), bounds, hourMs + 18_000);
    expect([launched(second), second.target]).toEqual([3, 5]);
    const launchedAtMs = hourMs + 18_000;
    const booting = machines(3, { state: "booting", launchedAtMs, idleSinceMs: undefined });
    const all = [...busy, ...booting.map((one) => ({ ...one, id: `b${one.id}` }))];
    const third = scaler.decide(demand({ ...queue, machines: all }), bounds, hourMs + 18_001);
    expect([launched(third), third.target]).toEqual([0, 5]);
  });

  test("a burst that is over before the next decision launches nothing", () => {
    const scaler = new Autoscaler();
    const busy = machines(2, { busySlots: 4, idleSinceMs: undefined });
    const queue = { queued: 92, queuedWorkMs: 92_000 };
    scaler.decide(demand({ ...queue, machines: busy }), bounds, hourMs);
    const over = scaler.decide(demand({ machines: busy }), bounds, hourMs + 10_000);
    expect([launched(over), over.heldBack]).toEqual([0, undefined]);
  });

  test("with nothing there, and where boots are quick, nothing is held", () => {
    const queue = { queued: 1, queuedWorkMs: 60_000 };
    const cold = new Autoscaler().decide(demand(queue), { ...bounds, min: 0 }, hourMs);
    expect(launched(cold)).toBe(1);
    const quick = new Autoscaler({ ...autoscalerDefaults, bootMsAssumed: 1_000 });
    const busy = machines(2, { busySlots: 4, idleSinceMs: undefined });
    const slow = { queued: 4, queuedWorkMs: 60_000, machines: busy };
    quick.decide(demand(slow), bounds, hourMs);
    expect(launched(quick.decide(demand(slow), bounds, hourMs + 300))).toBe(1);
  });

  test("a build that lasts longer than a boot is grown for at once, by what it keeps open", () => {
    const invocations = [{ parallelism: 24, remainingMs: 3_600_000 }];
    const decision = new Autoscaler().decide(
      demand({ invocations, machines: machines(2) }),
      bounds,
      hourMs,
    );
    expect(decision.needs.build).toBe(24);
    expect([launched(decision), decision.target]).toEqual([4, 6]);
    const short = [{ parallelism: 24, remainingMs: 140_000 }];
    const none = new Autoscaler().decide(
      demand({ invocations: short, machines: machines(2) }),
      bounds,
      hourMs,
    );
    expect([none.needs.build, launched(none)]).toEqual([2, 0]);
  });

  test("growth is limited in its speed, and says when it goes on", () => {
    const invocations = [{ parallelism: 30, remainingMs: 3_600_000 }];
    const decision = new Autoscaler().decide(
      demand({ invocations, machines: machines(2) }),
      bounds,
      hourMs,
    );
    expect([launched(decision), decision.heldBack?.by]).toEqual([4, "velocity"]);
    expect(decision.next).toEqual({ change: 2, inMs: 15_000 });
  });

  test("a build of one action at a time wants one slot, however long it takes", () => {
    const invocations = [{ parallelism: 1, remainingMs: 10 * hourMs }];
    const decision = new Autoscaler().decide(
      demand({ invocations, machines: machines(2) }),
      bounds,
      hourMs,
    );
    expect(launched(decision)).toBe(0);
  });

  test("the maximum holds, and is named", () => {
    const all = machines(20, { busySlots: 4, idleSinceMs: undefined });
    const decision = new Autoscaler().decide(
      demand({ queued: 9_999, queuedWorkMs: 1e9, machines: all }),
      bounds,
      hourMs,
    );
    expect([launched(decision), decision.heldBack?.by]).toEqual([0, "max"]);
    expect(decision.heldBack?.why).toContain("20 machines");
  });

  test("the base is on demand and the rest is spot, where spot is allowed", () => {
    const queue = { queued: 500, queuedWorkMs: 1e7 };
    const { launch } = new Autoscaler().decide(demand(queue), { ...bounds, spot: true }, 0);
    expect(launch).toEqual({ "on-demand": 2, spot: 2 });
  });

  test("a drain is cancelled before anything is launched", () => {
    const all = [
      ...machines(4, { busySlots: 4, idleSinceMs: undefined }),
      machine("old", { state: "draining", idleSinceMs: 10 }),
      machine("young", { state: "draining", idleSinceMs: 20 }),
    ];
    const scaler = new Autoscaler();
    const wanted = demand({ queued: 4, queuedWorkMs: 120_000, machines: all });
    scaler.decide(wanted, bounds, hourMs);
    const decision = scaler.decide(wanted, bounds, hourMs + 20_000);
    expect([decision.keep, launched(decision)]).toEqual([["young"], 0]);
  });
});

describe("shrinking", () => {
  test("idle machines go once they were idle for long, a tenth and one in a minute", () => {
    const scaler = new Autoscaler();
    const all = machines(10);
    const early = scaler.decide(demand({ machines: all }), bounds, 299_000);
    expect(early.drain).toEqual([]);
    expect([early.heldBack?.by, early.next]).toEqual(["warm", { change: -8, inMs: 1_000 }]);
    const first = scaler.decide(demand({ machines: all }), bounds, 300_000);
    expect(first.drain).toEqual(["m000", "m001"]);
    expect(first.next).toEqual({ change: -6, inMs: 60_000 });
    const left = all.map(
      (one): ScaledMachine => (first.drain.includes(one.id) ? { ...one, state: "draining" } : one),
    );
    expect(scaler.decide(demand({ machines: left }), bounds, 330_000).drain).toEqual([]);
    expect(scaler.decide(demand({ machines: left }), bounds, 360_000).drain).toEqual(["m002"]);
  });

  test("what was needed in the last 25 minutes stays warm", () => {
    const scaler = new Autoscaler();
    const invocations = [{ parallelism: 32, remainingMs: 2e7 }];
    scaler.decide(demand({ invocations, machines: machines(8) }), bounds, hourMs);
    const idle = demand({ machines: machines(8, { idleSinceMs: hourMs }) });
    for (let ms = hourMs; ms < hourMs + 1_490_000; ms += 10_000) {
      expect(scaler.decide(idle, bounds, ms).drain).toEqual([]);
    }
    expect(scaler.decide(idle, bounds, hourMs + 1_510_000).drain).not.toEqual([]);
  });

  test("who is idle longest goes first, the base on demand last", () => {
    const all = [
      machine("a", { idleSinceMs: 5 }),
      machine("b", { idleSinceMs: 1, market: "spot" }),
      machine("c", { idleSinceMs: 0, market: "spot" }),
      machine("d", { idleSinceMs: 9 }),
    ];
    const some = { ...bounds, min: 0, onDemandBase: 1, spot: true };
    const order: string[] = [];
    const scaler = new Autoscaler();
    for (let ms = hourMs; order.length < 4; ms += 60_000) {
      const left = all.filter(({ id }) => !order.includes(id));
      order.push(...scaler.decide(demand({ machines: left }), some, ms).drain);
    }
    expect(order).toEqual(["a", "c", "b", "d"]);
  });

  test("machines of others and busy ones never go, even over the maximum", () => {
    const all = [
      ...machines(3, { state: "owned" }),
      machine("x", { busySlots: 1, idleSinceMs: undefined }),
    ];
    const decision = new Autoscaler().decide(
      demand({ machines: all }),
      { ...bounds, min: 0, max: 1 },
      hourMs,
    );
    expect(decision.drain).toEqual([]);
  });

  test("idle machines go though none is idle for long, once so few were needed for as long", () => {
    const scaler = new Autoscaler();
    const some = { ...bounds, min: 0 };
    // Work goes round: every machine worked a moment ago.
    const at = (ms: number) => {
      const all = machines(5, { idleSinceMs: ms - 1_000 });
      const one = { ...machine("z"), busySlots: 1, idleSinceMs: undefined };
      return scaler.decide(demand({ machines: [...all, one] }), some, ms);
    };
    for (let ms = hourMs; ms < hourMs + 300_000; ms += 10_000) expect(at(ms).drain).toEqual([]);
    expect(at(hourMs + 300_000).drain).toEqual(["m000"]);
  });

  test("each regretted drain of a day makes machines stay longer, the third for long", () => {
    const scaler = new Autoscaler();
    const some = { ...bounds, min: 0 };
    const idleForS: number[] = [];
    let nowMs = hourMs;
    for (let flap = 0; flap < 4; flap += 1) {
      nowMs += 2 * hourMs;
      let idleMs = 0;
      const at = () => demand({ machines: machines(1, { idleSinceMs: nowMs }) });
      while (scaler.decide(at(), some, nowMs + idleMs).drain.length === 0) idleMs += 10_000;
      idleForS.push(idleMs / 1000);
      nowMs += idleMs;
      const queue = { queued: 1, queuedWorkMs: 60_000 };
      expect(launched(scaler.decide(demand(queue), some, nowMs + 20_000))).toBe(1);
    }
    expect(idleForS).toEqual([300, 600, 1200, 2400]);
  });
});

describe("expecting", () => {
  test("a steady climb launches before anything waits, once it was expected twice", () => {
    const scaler = new Autoscaler();
    let first: number | undefined;
    for (let step = 0; step < 200 && first === undefined; step += 1) {
      const busySlots = Math.min(40, step >> 1);
      const busy = machines(10, { idleSinceMs: undefined }).map((one, at) => ({
        ...one,
        busySlots: Math.min(4, Math.max(0, busySlots - at * 4)),
      }));
      const decision = scaler.decide(demand({ machines: busy }), bounds, step * 10_000);
      if (decision.heldBack?.by === "hold") expect(launched(decision)).toBe(0);
      if (launched(decision) > 0) first = busySlots;
    }
    expect(first).toBeGreaterThan(20);
    expect(first).toBeLessThan(40);
  });
});

const anyMachine = fc.record({
  state: fc.constantFrom("booting", "ready", "draining", "owned"),
  market: fc.constantFrom("on-demand", "spot"),
  slots: fc.integer({ min: 1, max: 8 }),
  busySlots: fc.integer({ min: 0, max: 3 }),
  launchedAtMs: fc.integer({ min: 0, max: 2_000_000 }),
  idleMs: fc.integer({ min: 0, max: 2_000_000 }),
});

const anyDemand = fc
  .record({
    queued: fc.nat(10_000),
    meanMs: fc.nat(100_000),
    invocations: fc.array(
      fc.record({ parallelism: fc.nat(500), remainingMs: fc.nat(10_000_000) }),
      { maxLength: 3 },
    ),
    drawn: fc.array(anyMachine, { maxLength: 40 }),
  })
  .map(({ queued, meanMs, invocations, drawn }): ScalingDemand => {
    const all = drawn.map(({ idleMs, ...one }, at): ScaledMachine => {
      const busySlots = one.state === "booting" ? 0 : Math.min(one.slots, one.busySlots);
      const isIdle = busySlots === 0 && one.state !== "booting";
      const idleSinceMs = isIdle ? Math.max(0, 2_000_000 - idleMs) : undefined;
      return { ...one, id: `m${`${at}`.padStart(3, "0")}`, busySlots, idleSinceMs };
    });
    return { queued, queuedWorkMs: queued * meanMs, invocations, machines: all };
  });

const anyBounds = fc.record({
  min: fc.nat(30),
  max: fc.nat(30),
  onDemandBase: fc.nat(10),
  spot: fc.boolean(),
  targetWaitMs: fc.integer({ min: 1, max: 60_000 }),
  idleMs: fc.integer({ min: 0, max: 600_000 }),
  slotsPerMachine: fc.integer({ min: 1, max: 8 }),
});

const anyRun = fc.array(fc.tuple(anyDemand, fc.integer({ min: -100_000, max: 200_000 })), {
  minLength: 1,
  maxLength: 8,
});

test("whatever comes: bounds hold, only idle machines go, asking twice changes nothing", () => {
  fc.assert(
    fc.property(anyBounds, anyRun, (some, run) => {
      const scaler = new Autoscaler();
      let nowMs = 2_000_000;
      for (const [what, stepMs] of run) {
        nowMs = Math.max(0, nowMs + stepMs);
        const decision = scaler.decide(what, some, nowMs);
        expect(scaler.decide(what, some, nowMs)).toEqual(decision);
        checkBounds(decision, what, some);
        const goes = what.machines.filter(({ id }) => decision.drain.includes(id));
        expect(goes).toHaveLength(decision.drain.length);
        for (const one of goes) expect([one.state, one.busySlots]).toEqual(["ready", 0]);
        const kept = what.machines.filter(({ id }) => decision.keep.includes(id));
        expect(kept.map(({ state }) => state)).toEqual(decision.keep.map(() => "draining"));
        for (const figure of [decision.load, decision.predictedLoad, decision.trendPerMinute]) {
          expect(Number.isFinite(figure)).toBe(true);
        }
      }
    }),
    { numRuns: 300 },
  );
});

function checkBounds(decision: ScalingDecision, what: ScalingDemand, some: ScalingBounds): void {
  const supply = what.machines.filter(({ state }) => state !== "draining").length;
  const more = launched(decision) + decision.keep.length;
  const min = Math.min(some.min, some.max);
  expect(launched(decision)).toBeGreaterThanOrEqual(0);
  if (more > 0) expect(supply + more).toBeLessThanOrEqual(some.max);
  if (decision.drain.length > 0) {
    expect(supply - decision.drain.length).toBeGreaterThanOrEqual(min);
    expect(more).toBe(0);
  }
  if (!some.spot) expect(decision.launch.spot).toBe(0);
  if (decision.next !== undefined) expect(decision.next.inMs).toBeGreaterThanOrEqual(0);
}
