// Made-up days: builds that come and go as people do, of actions as long as those of a real build.

import type { Rng } from "../../src/core/rng.ts";
import { recordedDurationsMs } from "../recorded-durations.ts";
import { type ScalingWorkload, WorkloadWriter } from "./workload.ts";

/** A day of builds. */
export interface DiurnalOptions {
  readonly days: number;
  /** Builds of a day, on average. */
  readonly buildsPerDay: number;
  readonly parallelism: number;
  /** Projects, each with run times so many times those recorded; builds choose among them. */
  readonly scales: readonly number[];
  /** Builds of 100 that touch little. */
  readonly smallPercent: number;
}

/** The day of the research: 350 builds, two thirds of them small, 100 actions at once. */
export const diurnalDefaults: DiurnalOptions = {
  days: 1,
  buildsPerDay: 350,
  parallelism: 100,
  scales: [2, 4, 6],
  smallPercent: 70,
};

/** How many of 1,000 builds begin in each hour: two humps around lunch, little at night. */
const perHour = [
  6, 4, 3, 3, 4, 8, 18, 42, 74, 92, 96, 88, 62, 76, 92, 94, 86, 62, 38, 20, 12, 8, 7, 5,
];

/** Draws one. Small builds touch 0.2 to 3% of a project's actions, others 3 to 60% or all. */
export function diurnalWorkload(options: DiurnalOptions, rng: Rng): ScalingWorkload {
  const { days, buildsPerDay, parallelism, scales, smallPercent } = options;
  const writer = new WorkloadWriter(`${days} ${days === 1 ? "day" : "days"} of builds`);
  const arrivals = rng.fork("arrivals");
  const sizes = rng.fork("sizes");
  const total = perHour.reduce((sum, share) => sum + share, 0);
  for (let second = 0; second < days * 86_400; second += 1) {
    // Each second has a small chance of one build: as good as a Poisson process.
    const share = perHour[Math.floor(second / 3600) % 24] ?? 0;
    const chance = Math.round((buildsPerDay * share * 1e6) / (total * 3600));
    for (let left = chance; left > 0; left -= 1e6) {
      if (arrivals.below(1e6) >= left) continue;
      drawBuild(writer, scales[sizes.below(scales.length)] ?? 1, smallPercent, sizes);
      writer.build(second * 1000 + arrivals.below(1000), parallelism);
    }
  }
  return writer.finish();
}

function drawBuild(writer: WorkloadWriter, scale: number, smallPercent: number, rng: Rng): void {
  const all = recordedDurationsMs.length;
  const perMille = rng.below(100) < smallPercent ? 2 + rng.below(29) : 30 + rng.below(600);
  const isWhole = perMille > 600;
  const count = isWhole ? all : Math.max(1, Math.round((all * perMille) / 1000));
  for (let action = 0; action < count; action += 1) {
    const recordedMs = recordedDurationsMs[rng.below(all)] ?? 1;
    writer.action(recordedMs * scale, scale);
  }
}

/** Equal actions at a steady pace: for what must be exact, and for measuring the simulator. */
export function steadyWorkload(
  builds: number,
  everyMs: number,
  actions: number,
  durationMs: number,
  parallelism: number,
): ScalingWorkload {
  const writer = new WorkloadWriter(`${builds} equal builds`);
  for (let at = 0; at < builds; at += 1) {
    for (let action = 0; action < actions; action += 1) writer.action(durationMs);
    writer.build(at * everyMs, parallelism);
  }
  return writer.finish();
}
