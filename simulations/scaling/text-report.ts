// Tables for a terminal.

import { meanOf, paretoFront, regret } from "./front.ts";
import type { Comparison } from "./simulate.ts";
import { workloadSize } from "./workload.ts";

/** Policies side by side. */
export function renderTable({ scenario, seeds, played, oracles }: Comparison): string {
  const { workload, bounds } = scenario;
  const workMs = workload.durationsMs.reduce((sum, ms) => sum + ms, 0);
  const work = workMs / 3_600_000 / bounds.slotsPerMachine;
  const rows = played.map(({ mean }) => {
    const share = regret(mean, oracles);
    return [
      mean.name,
      seconds(mean.waitP50Ms),
      seconds(mean.waitP95Ms),
      seconds(mean.waitP99Ms),
      seconds(mean.buildP95Ms),
      mean.workerHours.toFixed(1),
      mean.cost.toFixed(2),
      share === undefined ? "" : `${Math.round(share * 100)}%`,
      mean.launches.toFixed(0),
      mean.flapsPerDay.toFixed(1),
      `${Math.round(mean.idleShare * 100)}%`,
      mean.busyKilled.toFixed(0),
    ];
  });
  const head = [
    ...["policy", "wait p50", "p95", "p99 (s)", "build p95 (s)", "worker-hours", "cost"],
    ...["regret", "launches", "flaps/day", "idle", "busy killed"],
  ];
  const named =
    seeds.length === 1 ? `seed ${seeds[0]}` : `means of seeds ${seeds[0]} to ${seeds.at(-1)}`;
  const builds = workloadSize(workload);
  return [
    `${scenario.name}: ${workload.name}, ${builds}, ${work.toFixed(1)} worker-hours of work; ${named}`,
    "",
    ...columns([head, ...rows]),
    "",
    "regret: worker-hours over those of an oracle that waits as long; flaps: the worst seed's",
    `hash ${played.map(({ mean }) => mean.hash).join(" ")}`,
    "",
  ].join("\n");
}

/** The points of a sweep, those of the front marked. */
export function renderSweep({ swept, oracles }: Comparison): string {
  const means = swept.map((point) => meanOf(point.label, point.runs));
  const front = new Set(paretoFront(means));
  const rows = means.map((mean) => {
    const share = regret(mean, oracles);
    return [
      `${front.has(mean) ? "* " : "  "}${mean.name}`,
      seconds(mean.waitP95Ms),
      mean.workerHours.toFixed(1),
      mean.flapsPerDay.toFixed(1),
      share === undefined ? "" : `${Math.round(share * 100)}%`,
    ];
  });
  const head = ["  point", "wait p95 (s)", "worker-hours", "flaps/day", "regret"];
  return `${["", ...columns([head, ...rows]), "", "* no other point is better in both", ""].join("\n")}`;
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(1);
}

/** Columns as wide as their widest cell; the first to the left, the others to the right. */
function columns(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, at) =>
    Math.max(...rows.map((row) => row[at]?.length ?? 0)),
  );
  return rows.map((row) =>
    row
      .map((cell, at) => (at === 0 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0)))
      .join("  ")
      .trimEnd(),
  );
}
