// What a run came to: the figures of mesh science, and series for charts.

import type { ScalingDecision } from "../../src/core/scaling.ts";
import type { BuildProgress } from "./build-progress.ts";
import { Histogram } from "./histogram.ts";
import type { MachineLife, MachinePark } from "./machine-park.ts";
import type { ScalingScenario } from "./scaling-scenario.ts";

/** Growth so soon after shrinking is a flap, in ms. */
const flapMs = 300_000;

/** Points of each series, at most; a run is cut into as many equal pieces. */
const pointsMax = 720;

const hourMs = 3_600_000;

/** How a run went over time; all arrays are as long as `atMs`. */
export interface ScalingSeries {
  /** Begin of each piece, in ms. */
  readonly atMs: number[];
  /** Most actions that waited at once. */
  readonly queued: number[];
  /** Means of machines that were ready, of booting ones, and of the target. */
  readonly ready: number[];
  readonly booting: number[];
  readonly target: number[];
  /** Mean of busy slots. */
  readonly busySlots: number[];
  /** Longest wait of an action that started then, in ms. */
  readonly waitMs: number[];
  /** Spent until then. */
  readonly cost: number[];
}

/** What is judged. */
export interface ScalingResult {
  readonly policy: string;
  readonly actions: number;
  readonly waitMs: { readonly p50: number; readonly p95: number; readonly p99: number };
  readonly meanWaitMs: number;
  readonly buildMs: { readonly p50: number; readonly p95: number };
  /** Build time over that with slots for all. */
  readonly stretchP95: number;
  /** From the begin to the last end, in ms. */
  readonly makespanMs: number;
  /** Billed. */
  readonly workerHours: number;
  readonly spotHours: number;
  readonly cost: number;
  readonly launches: number;
  readonly drains: number;
  /** Growth within five minutes of shrinking, a day. */
  readonly flapsPerDay: number;
  /** Billed slot time that did nothing. */
  readonly idleShare: number;
  readonly interrupted: number;
  /** Slot time of actions that had to run again, of all. */
  readonly repeatedShare: number;
  readonly failed: number;
  /** Machines that a policy wanted to drain while they worked. */
  readonly busyKilled: number;
  /** The same for the same scenario and seed. */
  readonly hash: string;
  /** State changes: actions submitted, started, ended, and everything else that happened. */
  readonly events: number;
  readonly series: ScalingSeries;
  readonly machines: readonly MachineLife[];
}

/** Collects them. */
export class Measures {
  events = 0;
  interrupted = 0;
  repeatedMs = 0;
  failed = 0;
  busyKilled = 0;
  drains = 0;
  readonly #scenario: ScalingScenario;
  readonly #waits = new Histogram();
  readonly #binMs: number;
  readonly #series: ScalingSeries;
  #samples = 0;
  #target = 0;
  #flaps = 0;
  #hash = 0x811c9dc5;

  constructor(scenario: ScalingScenario) {
    this.#scenario = scenario;
    const lastMs = scenario.workload.builds.at(-1)?.atMs ?? 0;
    this.#binMs = Math.max(1000, Math.ceil(Math.max(scenario.durationMs, lastMs) / pointsMax));
    this.#series = {
      ...{ atMs: [], queued: [], ready: [], booting: [], target: [], busySlots: [] },
      ...{ waitMs: [], cost: [] },
    };
  }

  started(action: number, row: number, nowMs: number, waitedMs: number): void {
    this.#waits.record(waitedMs);
    const hash = Math.imul(this.#hash ^ action, 0x01000193);
    this.#hash = Math.imul(hash ^ (nowMs + row), 0x01000193) >>> 0;
    const { waitMs } = this.#series;
    const last = waitMs.length - 1;
    if (last >= 0 && waitedMs > (waitMs[last] as number)) waitMs[last] = waitedMs;
  }

  decided({ target }: ScalingDecision, nowMs: number): void {
    this.#target = target;
    this.#hash = Math.imul(this.#hash ^ (nowMs + target), 0x01000193) >>> 0;
  }

  /** Machines were launched so long after the last drain. */
  grew(sinceDrainMs: number): void {
    if (sinceDrainMs <= flapMs) this.#flaps += 1;
  }

  sample(nowMs: number, queued: number, park: MachinePark): void {
    const series = this.#series;
    const binAtMs = Math.floor(nowMs / this.#binMs) * this.#binMs;
    const isLate = series.atMs.length >= 2 * pointsMax;
    if ((series.atMs.at(-1) ?? -1) < binAtMs && !isLate) {
      this.#samples = 0;
      series.atMs.push(binAtMs);
      for (const values of Object.values(series)) if (values !== series.atMs) values.push(0);
    }
    this.#samples += 1;
    const at = series.atMs.length - 1;
    series.queued[at] = Math.max(series.queued[at] ?? 0, queued);
    this.#mean(series.ready, park.count("ready") + park.count("owned"));
    this.#mean(series.booting, park.count("booting"));
    this.#mean(series.target, this.#target);
    this.#mean(series.busySlots, park.busySlots);
    series.cost[at] = this.#cost(park, nowMs);
  }

  result(policy: string, builds: BuildProgress, park: MachinePark, nowMs: number): ScalingResult {
    const took = new Histogram();
    const stretch = new Histogram();
    let lastMs = 0;
    for (const { atMs, tookMs, idealMs } of builds.ended) {
      took.record(tookMs);
      stretch.record(Math.round((tookMs / Math.max(1, idealMs)) * 1000));
      lastMs = Math.max(lastMs, atMs);
    }
    const { billedMsMin, bounds } = this.#scenario;
    const { machineMs, spotMs, busyMs } = park.times(billedMsMin, nowMs);
    const ownedMs = this.#scenario.owned.reduce((sum, slots) => sum + slots * nowMs, 0);
    const slotMs = machineMs * bounds.slotsPerMachine + ownedMs;
    const at = (quantile: number) => this.#waits.quantile(quantile);
    return {
      ...{ policy, actions: this.#waits.count, makespanMs: lastMs },
      ...{ waitMs: { p50: at(0.5), p95: at(0.95), p99: at(0.99) }, meanWaitMs: this.#waits.mean },
      ...{ buildMs: { p50: took.quantile(0.5), p95: took.quantile(0.95) } },
      ...{ stretchP95: stretch.quantile(0.95) / 1000, workerHours: machineMs / hourMs },
      ...{ spotHours: spotMs / hourMs, cost: this.#cost(park, nowMs), launches: park.launches },
      ...{ drains: this.drains, flapsPerDay: this.#flaps / Math.max(1, nowMs / (24 * hourMs)) },
      ...{ idleShare: slotMs === 0 ? 0 : 1 - busyMs / slotMs, interrupted: this.interrupted },
      ...{ repeatedShare: busyMs === 0 ? 0 : this.repeatedMs / busyMs, failed: this.failed },
      ...{ busyKilled: this.busyKilled, hash: this.#hash.toString(16).padStart(8, "0") },
      // Submissions and starts are no entries of the heap; there is one of each for each end.
      ...{ events: this.events + 2 * this.#waits.count, series: this.#series },
      machines: park.lives,
    };
  }

  #cost(park: MachinePark, nowMs: number): number {
    const { prices, billedMsMin } = this.#scenario;
    const { machineMs, spotMs } = park.times(billedMsMin, nowMs);
    const onDemandMs = machineMs - spotMs;
    return (onDemandMs * prices.onDemandPerHour + spotMs * prices.spotPerHour) / hourMs;
  }

  /** The mean of the samples of the last piece. */
  #mean(values: number[], value: number): void {
    const at = values.length - 1;
    const old = values[at] ?? 0;
    values[at] = old + (value - old) / this.#samples;
  }
}
