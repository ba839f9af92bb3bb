// The policy of the mesh: how many worker machines there should be, and why.
//
// It scales on work, never on how busy a processor is: slots for what is busy and queued, for the
// builds that are open, for what is expected when a machine launched now would be ready, and for
// builds that are open, for what is expected when a machine launched now is ready, and for
// for a while, and a few at a time. It keeps no counts of events: every decision starts from the
// truth, and deciding twice about one moment gives one answer.
//
// Machines whose drain must not be cancelled (somebody asked for it) do not belong into the demand.
// What was tried and what it came to: docs/adr/0027-scaling-policy.md, docs/simulation.md.

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
import { Drains, growth, type Moves } from "./scaling-moves.ts";

/** What is tuned in the simulator; users set `ScalingBounds`. */
export interface AutoscalerOptions {
  /** Time between two decisions in ms; also the step of the forecast. */
  readonly tickMs: number;
  /** Queued work is to be done in so many times the target wait. */
  readonly drainPerTargetWait: number;
  /** The share of actions that may have to wait at the forecast load. */
  readonly waitProbability: number;
  /** Boot time in ms before one was seen. */
  readonly bootMsAssumed: number;
  /** A forecast that missed by more than this share of what was counts for nothing. */
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
}

/** Chosen by sweeps over the day-long workload; see docs/simulation.md. */
export const autoscalerDefaults: AutoscalerOptions = {
  tickMs: 10_000,
  drainPerTargetWait: 6,
  waitProbability: 0.2,
  bootMsAssumed: 60_000,
  forecastErrorMax: 0.6,
  warmMs: 1_800_000,
  warmQuantile: 0.8,
  usualQuantile: undefined,
  lifeMsMin: 300_000,
  flapMs: 300_000,
  flapsPerDay: 3,
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
  /** Since when only the forecast wants more; undefined while it does not. */
  #expectsSinceMs: number | undefined;

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
    const drainMs = bounds.targetWaitMs * this.#options.drainPerTargetWait;
    const slots = Math.max(1, count.slots);
    return {
      ...moves,
      because: reason(needs, wanted, count, demand, horizonMs),
      needs,
      load: slotsNow(demand, count.busySlots, drainMs) / Math.max(1, count.readySlots),
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
    const options = this.#options;
    const drainMs = Math.max(1, bounds.targetWaitMs * options.drainPerTargetWait);
    const slotsMax = Math.max(1, bounds.max) * Math.max(1, bounds.slotsPerMachine);
    const now = slotsNow(demand, count.busySlots, drainMs);
    const build = slotsForBuilds(demand, drainMs);
    this.#forecast.observe(now, nowMs, horizonMs);
    const within = Math.min(slotsMax, Math.max(now, build));
    this.#recent.observe(within, nowMs, options.warmMs);
    const isTrusted = (this.#forecast.error ?? 0) <= options.forecastErrorMax;
    const expected = isTrusted ? this.#forecast.expected : 0;
    const usual =
      options.usualQuantile === undefined
        ? 0
        : (this.#forecast.usualAt(nowMs, options.usualQuantile) ?? 0);
    return {
      now: wholeSlots(now),
      build: wholeSlots(build),
      trend: erlangSlots(Math.min(expected, slotsMax), options.waitProbability, slotsMax),
      floor: wholeSlots(Math.max(usual, this.#recent.quantile(options.warmQuantile))),
    };
  }

  #moves(
    demand: ScalingDemand,
    count: ScalingCount,
    bounds: ScalingBounds,
    needs: Needs,
    nowMs: number,
  ): Moves {
    const { tickMs } = this.#options;
    const urgent = Math.max(needs.now, needs.build);
    const wanted = Math.max(urgent, needs.trend, needs.floor);
    const min = Math.min(bounds.min, bounds.max);
    // Only what is there or was asked for launches at once; what is merely expected must hold.
    const isExpected = urgent <= count.slots && wanted > count.slots && count.machines >= min;
    this.#expectsSinceMs = isExpected ? Math.min(this.#expectsSinceMs ?? nowMs, nowMs) : undefined;
    const heldMs = nowMs - (this.#expectsSinceMs ?? nowMs);
    if (isExpected && heldMs < tickMs) return waiting(count, wanted, bounds, tickMs - heldMs);
    const atOnce = urgent > count.slots ? urgent : wanted;
    const more = growth(demand.machines, count, atOnce, bounds, nowMs);
    if (more !== undefined) {
      if (more.launch["on-demand"] + more.launch.spot > 0) this.#drains.grew(nowMs);
      return more;
    }
    return this.#drains.shrink(count, wanted, bounds, nowMs);
  }
}

/** Nothing yet: only the forecast wants more, and not for long enough. */
function waiting(count: ScalingCount, wanted: number, bounds: ScalingBounds, inMs: number): Moves {
  const short = Math.ceil((wanted - count.slots) / Math.max(1, bounds.slotsPerMachine));
  const change = Math.min(short, Math.max(0, bounds.max - count.machines));
  const heldBack: HeldBack =
    change === 0
      ? { by: "max", why: `${bounds.max} machines are the most that is allowed` }
      : { by: "hold", why: "what is only expected must stay so until the next decision" };
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
