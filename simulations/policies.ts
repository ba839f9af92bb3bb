// Policies to hold ours against: what people use today, parts of ours, and one that knows the
// future. All are a `ScalingPolicy` and shrink as ours does: only machines without work go.

import { Autoscaler, type AutoscalerOptions, autoscalerDefaults } from "../src/core/autoscaler.ts";
import { erlangSlots } from "../src/core/erlang.ts";
import { Forecast, forecastDefaults } from "../src/core/forecast.ts";
import type {
  ScalingBounds,
  ScalingDecision,
  ScalingDemand,
  ScalingPolicy,
} from "../src/core/scaling.ts";
import { countMachines, type ScalingCount } from "../src/core/scaling-count.ts";
import type { Contender, ScalingScenario } from "./scaling/scaling-scenario.ts";

/** Machines that a simple policy wants now; undefined: as many as before. */
type Want = (
  demand: ScalingDemand,
  bounds: ScalingBounds,
  count: ScalingCount,
  nowMs: number,
) => number | undefined;

interface SimpleOptions {
  /** The largest wish of this time in ms counts on the way down. */
  readonly steadyMs: number;
  /** Growth within 15 s at most, as a share and as a number, whichever is more. */
  readonly growth: readonly [share: number, machines: number];
}

/** As Kubernetes' autoscaler does by default. */
const usual: SimpleOptions = { steadyMs: 300_000, growth: [1, 4] };

/** Wants a number and gets there: up at once, down where it was wanted for a while. */
class SimplePolicy implements ScalingPolicy {
  readonly name: string;
  readonly #want: Want;
  readonly #options: SimpleOptions;
  #wishes: { readonly atMs: number; readonly machines: number }[] = [];
  #last = 0;

  constructor(name: string, want: Want, options: SimpleOptions = usual) {
    this.name = name;
    this.#want = want;
    this.#options = options;
  }

  decide(demand: ScalingDemand, bounds: ScalingBounds, nowMs: number): ScalingDecision {
    const count = countMachines(demand);
    this.#last = this.#want(demand, bounds, count, nowMs) ?? this.#last;
    const machines = Math.min(bounds.max, Math.max(bounds.min, this.#last));
    const { steadyMs, growth } = this.#options;
    this.#wishes = this.#wishes.filter(({ atMs }) => atMs > nowMs - steadyMs);
    this.#wishes.push({ atMs: nowMs, machines });
    const steady = Math.max(...this.#wishes.map((wish) => wish.machines));
    const target = machines > count.machines ? machines : Math.min(count.machines, steady);
    const young = demand.machines.filter((one) => one.launchedAtMs > nowMs - 15_000).length;
    const speed = Math.max(growth[0] * (count.machines - young), growth[1]) - young;
    const launched = Math.max(0, Math.min(target - count.machines, Math.floor(speed)));
    const spare = Math.max(0, count.machines - Math.max(target, bounds.min));
    const onDemand = bounds.spot
      ? Math.min(launched, Math.max(0, bounds.onDemandBase - count.onDemand))
      : launched;
    return {
      ...{ target, launch: { "on-demand": onDemand, spot: launched - onDemand } },
      ...{ drain: count.idle.slice(0, spare).map(({ id }) => id), keep: [], next: undefined },
      ...{ because: this.name, heldBack: undefined, load: 0, predictedLoad: 0, horizonMs: 0 },
      ...{ needs: { now: 0, build: 0, trend: 0, floor: 0 }, trendPerMinute: 0 },
      forecastError: undefined,
    };
  }
}

function simple(
  name: string,
  about: string,
  tickMs: number,
  want: (scenario: ScalingScenario) => Want,
  options: SimpleOptions = usual,
): Contender {
  const create = (scenario: ScalingScenario) => new SimplePolicy(name, want(scenario), options);
  return { name, about, tickMs, actsOnBuilds: false, create };
}

function machinesFor(slots: number, { slotsPerMachine }: ScalingBounds): number {
  return Math.ceil(slots / slotsPerMachine - 1e-6);
}

const drainMs = 30_000;

/** Busy slots, and those that would do the queued work in half a minute. */
function outstanding(demand: ScalingDemand, { busySlots }: ScalingCount): number {
  return busySlots + Math.min(demand.queued, demand.queuedWorkMs / drainMs);
}

/** Ours with other options; for sweeps. */
export function ours(options: Partial<AutoscalerOptions> = {}, name = "builder"): Contender {
  const create = () => new Autoscaler({ ...autoscalerDefaults, ...options });
  const { tickMs } = { ...autoscalerDefaults, ...options };
  return { name, about: "the policy of the mesh", tickMs, actsOnBuilds: true, create };
}

/** Always so many machines, within the bounds. */
export function fixed(name: string, about: string, machines: "min" | "max"): Contender {
  return simple(
    name,
    about,
    10_000,
    ({ bounds }) =>
      () =>
        bounds[machines],
  );
}

const hpa = simple(
  "hpa-70",
  "Kubernetes' formula on busy slots: 70% wanted, every 15 s, a tenth is tolerated",
  15_000,
  () =>
    (_demand, _bounds, { machines, readySlots, busySlots, slots }) => {
      if (machines === 0) return 1;
      const share = busySlots / Math.max(1, readySlots) / 0.7;
      if (Math.abs(share - 1) <= 0.1) return machines;
      // Machines that are not ready count as idle on the way up.
      const up = busySlots / Math.max(1, slots) / 0.7;
      return Math.ceil(machines * (share > 1 ? Math.max(1, up) : share));
    },
);

const queueCount = simple(
  "queue-count",
  "as many slots as actions that run or wait (KEDA, Buildkite), every 10 s",
  10_000,
  () =>
    (demand, bounds, { busySlots }) =>
      machinesFor(demand.queued + busySlots, bounds),
);

const tracking = simple(
  "target-tracking",
  "70% busy, up after three minutes above, down after fifteen below (AWS)",
  60_000,
  () => {
    let above = 0;
    let below = 0;
    return (_demand, _bounds, { machines, readySlots, busySlots }) => {
      const share = busySlots / Math.max(1, readySlots) / 0.7;
      above = share > 1 ? above + 1 : 0;
      below = share < 0.9 ? below + 1 : 0;
      if (above >= 3 || below >= 15) return Math.ceil(Math.max(1, machines) * share);
      return undefined;
    };
  },
);

const ewma = simple(
  "ewma",
  "a moving average of the outstanding work, weight 0.1 each 10 s",
  10_000,
  () => {
    let mean = 0;
    return (demand, bounds, count) => {
      mean += 0.1 * (outstanding(demand, count) - mean);
      return machinesFor(mean, bounds);
    };
  },
);

const holt = simple(
  "holt",
  "Holt's forecast of the outstanding work a boot ahead, with room by Erlang-C",
  10_000,
  ({ boot }) => {
    const forecast = new Forecast(forecastDefaults);
    return (demand, bounds, count, nowMs) => {
      forecast.observe(outstanding(demand, count), nowMs, boot.maxMs);
      const slotsMax = bounds.max * bounds.slotsPerMachine;
      return machinesFor(erlangSlots(Math.min(forecast.expected, slotsMax), 0.2, slotsMax), bounds);
    };
  },
);

/** Width of the oracle's picture of the future. */
const pieceMs = 5_000;

/**
 * Knows every build before it begins, but machines boot no faster for it. It has a share `room` of
 * the slots that all builds would use if nothing ever waited; ahead of time by the longest boot.
 */
export function oracle(name: string, room: number): Contender {
  return simple(
    name,
    `knows the future; ${Math.round(room * 100)}% of the slots that builds would use`,
    pieceMs,
    (scenario) => {
      const wanted = futureSlots(scenario);
      const ahead = Math.ceil(scenario.boot.maxMs / pieceMs) + 2;
      return (_demand, bounds, _count, nowMs) => {
        const from = Math.floor(nowMs / pieceMs);
        let most = 0;
        for (let at = from; at <= from + ahead; at += 1) most = Math.max(most, wanted[at] ?? 0);
        return machinesFor(most * room, bounds);
      };
    },
    { steadyMs: 60_000, growth: [Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER] },
  );
}

/** Slots that builds use in each piece of time if there are slots for all. */
function futureSlots({ workload }: ScalingScenario): Float64Array {
  const lastMs = workload.builds.at(-1)?.atMs ?? 0;
  const slots = new Float64Array(Math.ceil(lastMs / pieceMs) + 20_000);
  for (const { atMs, parallelism, first, count } of workload.builds) {
    const width = Math.min(parallelism, count);
    let workMs = 0;
    for (let at = first; at < first + count; at += 1) workMs += workload.durationsMs[at] ?? 0;
    const begin = Math.floor(atMs / pieceMs);
    const end = Math.min(slots.length - 1, Math.floor((atMs + workMs / width) / pieceMs));
    for (let at = begin; at <= end; at += 1) slots[at] = (slots[at] ?? 0) + width;
  }
  return slots;
}

/** All that take part, ours first. */
export const contenders: readonly Contender[] = [
  ours(),
  fixed("fixed-min", "always the minimum", "min"),
  fixed("fixed-max", "always the maximum", "max"),
  ...[hpa, queueCount, tracking, ewma, holt],
  oracle("oracle", 1),
];

/** The oracle at several prices: what others are held against at equal waits. */
export const oracles: readonly Contender[] = [0.15, 0.25, 0.35, 0.5, 0.7, 1].map((room) =>
  oracle(room === 1 ? "oracle" : `oracle-${Math.round(room * 100)}`, room),
);
