// The policy of the mesh: how many worker machines there should be, and why.
//
// It scales on work, never on how busy a processor is: slots for what is busy and queued, for the
// builds that are open, for what is expected when a machine launched now is ready, and for what was
// needed lately. It grows at once, and lets go only of what was idle for a while, and a few at a
// time. It keeps no counts of events: every decision starts from the truth, and deciding twice
// about one moment gives one answer.
//
// Machines whose drain must not be cancelled (somebody asked for it) do not belong into the demand.
// What was tried and what it came to: docs/adr/0027-scaling-policy.md, 0039, docs/simulation.md.

import { BootTimes } from "./boot-times.ts";
import { erlangSlots } from "./erlang.ts";
import { Forecast, forecastDefaults } from "./forecast.ts";
import { RecentNeed } from "./recent-need.ts";
import type {
  HeldBack,
  ScalingBounds,
  ScalingDecision,
  ScalingDemand,
  ScalingPolicy,
} from "./scaling.ts";
import {
  countMachines,
  type ScalingCount,
  slotsForBuilds,
  slotsNow,
  wholeSlots,
} from "./scaling-count.ts";
import { Drains, growth, type Moves, patienceMax } from "./scaling-moves.ts";

/** What is tuned in the simulator; users set `ScalingBounds`. */
export interface AutoscalerOptions {
  /** Time between two decisions in ms; also the step of the forecast. */
  readonly tickMs: number;
  /** The share of actions that may have to wait at the forecast load. */
  readonly waitProbability: number;
  /** Boot time in ms before one was seen. */
  readonly bootMsAssumed: number;
  /** A forecast that missed by more than this share, or was never tried, counts for nothing. */
  readonly forecastErrorMax: number;
  /** For so long in ms what was needed keeps machines warm. */
  readonly warmMs: number;
  /** Of the needs in that time, the share that is to be met. */
  readonly warmQuantile: number;
  /** What a share of the last seven days needed at this time is kept; undefined: not. */
  readonly usualQuantile: number | undefined;
  /** A machine lives so long in ms, or three times the idle time where that is less. */
  readonly lifeMsMin: number;
  /** Growth after shrinking within this time in ms is a flap. */
  readonly flapMs: number;
  /** After so many flaps in a day machines must be idle for longer before they go. */
  readonly flapsPerDay: number;
  /** A machine is launched once it was wanted for this share of a boot: bursts pass. */
  readonly holdShare: number;
}

/** Chosen by sweeps over the day-long workload; see docs/simulation.md. */
export const autoscalerDefaults: AutoscalerOptions = {
  tickMs: 10_000,
  waitProbability: 0.2,
  bootMsAssumed: 60_000,
  forecastErrorMax: 0.6,
  warmMs: 1_500_000,
  warmQuantile: 0.85,
  usualQuantile: undefined,
  lifeMsMin: 300_000,
  flapMs: 300_000,
  flapsPerDay: 3,
  holdShare: 0.3,
};

type Needs = ScalingDecision["needs"];

/** The policy; its memory is one coordinator's. */
export class Autoscaler implements ScalingPolicy {
  readonly name = "builder";
  readonly #options: AutoscalerOptions;
  readonly #forecast: Forecast;
  readonly #boots: BootTimes;
  readonly #recent: RecentNeed;
  readonly #drains: Drains;
  /** Since when more slots are wanted than there are; undefined while there are enough. */
  #shortSinceMs: number | undefined;
  /** Expected run time of what was queued last, in ms. */
  #meanMs = Number.POSITIVE_INFINITY;

  constructor(options: AutoscalerOptions = autoscalerDefaults) {
    this.#options = options;
    this.#forecast = new Forecast({ ...forecastDefaults, stepMs: options.tickMs });
    this.#boots = new BootTimes(options.bootMsAssumed);
    this.#recent = new RecentNeed(options.tickMs);
    this.#drains = new Drains(options);
  }

  decide(demand: ScalingDemand, bounds: ScalingBounds, nowMs: number): ScalingDecision {
    const count = countMachines(demand);
    this.#boots.observe(demand.machines, nowMs);
    const horizonMs = this.#boots.p90Ms + this.#options.tickMs;
    const needs = this.#needs(demand, count, bounds, horizonMs, nowMs);
    const wanted = Math.max(needs.now, needs.build, needs.trend, needs.floor);
    const moves = this.#moves(demand, count, bounds, needs, nowMs);
    const { expected, trendPerStep, error } = this.#forecast;
    const slots = Math.max(1, count.slots);
    return {
      ...moves,
      because: reason(needs, wanted, count, demand, horizonMs),
      needs,
      load: this.#now(demand, count, bounds) / Math.max(1, count.readySlots),
      predictedLoad: expected / slots,
      horizonMs,
      trendPerMinute: (trendPerStep * 60_000) / this.#options.tickMs / slots,
      forecastError: error,
    };
  }

  #needs(
    demand: ScalingDemand,
    count: ScalingCount,
    bounds: ScalingBounds,
    horizonMs: number,
    nowMs: number,
  ): Needs {
    const { warmMs, warmQuantile, usualQuantile, ...options } = this.#options;
    const slotsMax = Math.max(1, bounds.max) * Math.max(1, bounds.slotsPerMachine);
    if (demand.queued > 0) this.#meanMs = demand.queuedWorkMs / demand.queued;
    const now = this.#now(demand, count, bounds);
    const build = slotsForBuilds(demand, this.#meanMs, withinMs(bounds), horizonMs);
    this.#forecast.observe(now, nowMs, horizonMs);
    const keptMs = Math.max(warmMs, patienceMax * bounds.idleMs);
    this.#recent.observe(Math.min(slotsMax, Math.max(now, build)), nowMs, keptMs);
    // A forecast that has not been tried yet is none.
    const isTrusted = (this.#forecast.error ?? 1) <= options.forecastErrorMax;
    const expected = isTrusted ? Math.min(slotsMax, this.#forecast.expected) : 0;
    const usual = usualQuantile && this.#forecast.usualAt(nowMs, usualQuantile);
    return {
      now: wholeSlots(now),
      build: wholeSlots(build),
      trend: Math.max(
        erlangSlots(expected, options.waitProbability, slotsMax),
        wholeSlots(Math.min(slotsMax, usual ?? 0)),
      ),
      floor: wholeSlots(this.#recent.quantile(warmQuantile, warmMs)),
    };
  }

  #now(demand: ScalingDemand, { busySlots }: ScalingCount, bounds: ScalingBounds): number {
    return slotsNow(demand, busySlots, this.#meanMs, withinMs(bounds));
  }

  #moves(
    demand: ScalingDemand,
    count: ScalingCount,
    bounds: ScalingBounds,
    needs: Needs,
    nowMs: number,
  ): Moves {
    // What was needed lately keeps machines that are there and launches none.
    const wanted = Math.max(needs.now, needs.build, needs.trend);
    const isShort = wanted > count.slots;
    this.#shortSinceMs = isShort ? Math.min(this.#shortSinceMs ?? nowMs, nowMs) : undefined;
    const leftMs = this.#holdMs(needs, count) - (nowMs - (this.#shortSinceMs ?? nowMs));
    const isBelowMin = count.machines < Math.min(bounds.min, bounds.max);
    if (isShort && leftMs > 0 && !isBelowMin) return waiting(count, wanted, bounds, leftMs);
    const more = growth(demand.machines, count, wanted, bounds, nowMs);
    if (more === undefined) {
      const kept = Math.max(wanted, needs.floor);
      return this.#drains.shrink(count, kept, bounds, this.#recent, nowMs);
    }
    if (more.launch["on-demand"] + more.launch.spot > 0) this.#drains.grew(nowMs);
    return more;
  }

  /** For how long in ms more must be wanted before it is launched. */
  #holdMs(needs: Needs, { slots }: ScalingCount): number {
    // With nothing there, or for a build that will last, there is nothing to wait for.
    if (slots === 0 || needs.build > slots) return 0;
    const burstMs = this.#boots.p90Ms * this.#options.holdShare;
    return needs.now > slots ? burstMs : Math.max(burstMs, this.#options.tickMs);
  }
}

/** In this time what waits now should have begun; at least 1 ms. */
function withinMs({ targetWaitMs }: ScalingBounds): number {
  return Math.max(1, targetWaitMs);
}

/** Nothing yet: more is wanted, but not for long enough. */
function waiting(count: ScalingCount, wanted: number, bounds: ScalingBounds, inMs: number): Moves {
  const short = Math.ceil((wanted - count.slots) / Math.max(1, bounds.slotsPerMachine));
  const change = Math.min(short, Math.max(0, bounds.max - count.machines));
  const heldBack: HeldBack =
    change === 0
      ? { by: "max", why: `${bounds.max} machines are the most that is allowed` }
      : { by: "hold", why: "what may be over before a machine is ready must last for a moment" };
  return {
    target: count.machines,
    launch: { "on-demand": 0, spot: 0 },
    drain: [],
    keep: [],
    next: change === 0 ? undefined : { change, inMs },
    heldBack,
  };
}

function reason(
  needs: Needs,
  wanted: number,
  count: ScalingCount,
  demand: ScalingDemand,
  horizonMs: number,
): string {
  const slots = `${wanted} ${wanted === 1 ? "slot" : "slots"}`;
  if (wanted === 0) return "nothing runs, waits or is expected";
  if (needs.now === wanted) {
    const seconds = Math.round(demand.queuedWorkMs / 1000);
    return `${count.busySlots} busy slots and ${demand.queued} queued actions (${seconds} s of work) want ${slots}`;
  }
  if (needs.build === wanted) {
    const builds = demand.invocations.length;
    return `the rest of ${builds === 1 ? "one open build" : `${builds} open builds`} wants ${slots}`;
  }
  if (needs.floor === wanted)
    return `what was needed lately or is usual at this time wants ${slots}`;
  return `what is expected in ${Math.round(horizonMs / 1000)} s wants ${slots}`;
}
