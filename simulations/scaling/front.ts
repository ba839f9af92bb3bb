// Means over seeds, the best trade-offs, and how far from the oracle.

import type { RunSummary } from "./sweep.ts";

/** Means of what several seeds came to; flaps and kills are the most of any. */
export interface MeanSummary {
  readonly name: string;
  readonly waitP50Ms: number;
  readonly waitP95Ms: number;
  readonly waitP99Ms: number;
  readonly buildP95Ms: number;
  readonly stretchP95: number;
  readonly workerHours: number;
  readonly cost: number;
  readonly launches: number;
  readonly flapsPerDay: number;
  readonly idleShare: number;
  readonly repeatedShare: number;
  readonly failed: number;
  readonly busyKilled: number;
  /** Of all runs, in order. */
  readonly hash: string;
}

/** The means of one contender's runs. */
export function meanOf(name: string, runs: readonly RunSummary[]): MeanSummary {
  const mean = (of: (run: RunSummary) => number) =>
    runs.reduce((sum, run) => sum + of(run), 0) / Math.max(1, runs.length);
  const most = (of: (run: RunSummary) => number) => Math.max(0, ...runs.map(of));
  return {
    name,
    waitP50Ms: mean(({ waitMs }) => waitMs.p50),
    waitP95Ms: mean(({ waitMs }) => waitMs.p95),
    waitP99Ms: mean(({ waitMs }) => waitMs.p99),
    buildP95Ms: mean(({ buildMs }) => buildMs.p95),
    stretchP95: mean(({ stretchP95 }) => stretchP95),
    workerHours: mean(({ workerHours }) => workerHours),
    cost: mean(({ cost }) => cost),
    launches: mean(({ launches }) => launches),
    flapsPerDay: most(({ flapsPerDay }) => flapsPerDay),
    idleShare: mean(({ idleShare }) => idleShare),
    repeatedShare: most(({ repeatedShare }) => repeatedShare),
    failed: most(({ failed }) => failed),
    busyKilled: most(({ busyKilled }) => busyKilled),
    hash: runs.map(({ hash }) => hash).join("-"),
  };
}

/** A point of the plane of waits and hours. */
export type Tradeoff = Pick<MeanSummary, "waitP95Ms" | "workerHours">;

/** Those that no other beats in both, by rising hours. */
export function paretoFront<T extends Tradeoff>(points: readonly T[]): T[] {
  const sorted = [...points].sort(
    (a, b) => a.workerHours - b.workerHours || a.waitP95Ms - b.waitP95Ms,
  );
  let best = Number.POSITIVE_INFINITY;
  return sorted.filter(({ waitP95Ms }) => {
    if (waitP95Ms >= best) return false;
    best = waitP95Ms;
    return true;
  });
}

/**
 * By which share more hours it took than the oracle takes for the same wait, between two of its
 * points on a straight line; undefined where the oracle has none so quick.
 */
export function regret(of: Tradeoff, oracles: readonly Tradeoff[]): number | undefined {
  const front = paretoFront(oracles);
  const at = front.findIndex(({ waitP95Ms }) => waitP95Ms <= of.waitP95Ms);
  const quicker = front[at];
  if (quicker === undefined) return undefined;
  const slower = front[at - 1];
  let hours = quicker.workerHours;
  if (slower !== undefined) {
    const share = (of.waitP95Ms - quicker.waitP95Ms) / (slower.waitP95Ms - quicker.waitP95Ms);
    hours += share * (slower.workerHours - quicker.workerHours);
  }
  return of.workerHours / hours - 1;
}
