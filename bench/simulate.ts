// How fast a scaling decision is, and how fast the simulator that tunes it.

import { createWriteStream } from "node:fs";
import { join } from "node:path";
import { finished } from "node:stream/promises";
import { ours } from "../simulations/policies.ts";
import { diurnalDefaults, diurnalWorkload } from "../simulations/scaling/generators.ts";
import { readTrace } from "../simulations/scaling/read-trace.ts";
import { runScaling } from "../simulations/scaling/scaling-run.ts";
import type { ScalingScenario } from "../simulations/scaling/scaling-scenario.ts";
import { parseScenario } from "../simulations/scaling/scenario-file.ts";
import { Autoscaler } from "../src/core/autoscaler.ts";
import { createRng } from "../src/core/rng.ts";
import type { ScaledMachine } from "../src/core/scaling.ts";
import { fleetDecisions } from "./fleet-decision.ts";
import { median, percentile, type Row } from "./table.ts";

/** Measures them; traces are written below `folder`. */
export async function* benchSimulate(folder: string): AsyncGenerator<Row> {
  yield decisions();
  yield fleetDecisions();
  yield wholeDay();
  yield manyNodes();
  yield await longTrace(folder);
}

/** 10,000 queued actions of 100 builds, 1,000 machines of which a third is idle. */
function decisions(): Row {
  const scaler = new Autoscaler();
  const { bounds } = parseScenario("nodes: {max: 2000}", "").world;
  const rng = createRng(1);
  const machines = Array.from({ length: 1000 }, (_, at): ScaledMachine => {
    const busySlots = at % 3 === 0 ? 0 : 1 + rng.below(4);
    const idleSinceMs = busySlots === 0 ? rng.below(1e6) : undefined;
    const id = `m${`${at}`.padStart(4, "0")}`;
    const state = at % 50 === 1 ? "booting" : "ready";
    const rest = { market: "spot", slots: 4, launchedAtMs: 0 } as const;
    return { id, state, busySlots, idleSinceMs, ...rest };
  });
  const invocations = Array.from({ length: 100 }, () => {
    return { parallelism: 100, remainingMs: 1e5 };
  });
  const tookMs: number[] = [];
  for (let at = 0; at < 2000; at += 1) {
    // Now busy, now quiet, so that both growth and shrinking are measured.
    const queued = at % 400 < 200 ? 10_000 : 0;
    const demand = { queued, queuedWorkMs: queued * 900, machines };
    const startMs = performance.now();
    scaler.decide({ ...demand, invocations: queued > 0 ? invocations : [] }, bounds, at * 10_000);
    tookMs.push(performance.now() - startMs);
  }
  return {
    what: "a scaling decision: 10,000 queued actions, 1,000 machines",
    figure: `${median(tookMs).toFixed(2)} ms (p99 ${percentile(tookMs, 0.99).toFixed(2)} ms)`,
    beside: "wanted: 5 ms",
  };
}

function wholeDay(): Row {
  const rates: number[] = [];
  for (let seed = 1; seed <= 5; seed += 1) {
    const { events, tookMs } = played(dayOf(350, 40, seed));
    rates.push(events / tookMs / 1000);
  }
  return {
    what: "simulated day of 350 builds, at most 40 machines",
    figure: `${median(rates).toFixed(2)} million events/s on one core`,
    beside: "wanted: 1 million; an action is submitted, starts and ends",
  };
}

function manyNodes(): Row {
  const day = dayOf(15_000, 1000, 1);
  const { events, tookMs, actions } = played({ ...day, bounds: { ...day.bounds, min: 1000 } });
  return {
    what: `simulated day of 1,000 machines: ${actions} actions`,
    figure: `${(tookMs / 1000).toFixed(1)} s of processor time`,
    beside: `wanted: 60 s; ${(events / tookMs / 1000).toFixed(2)} million events/s`,
  };
}

/** A log of ten million rows, 0.4 GB: read in pieces. */
async function longTrace(folder: string): Promise<Row> {
  const file = join(folder, "long.ninja_log");
  const out = createWriteStream(file);
  out.write("# ninja log v5\n");
  const rows = 10_000_000;
  for (let from = 0; from < rows; from += 10_000) {
    const lines = Array.from({ length: 10_000 }, (_, at) => {
      const row = from + at;
      return `${row}\t${row + 400}\t0\tobj/some/folder/f${row}.o\t${row.toString(16)}\n`;
    });
    if (!out.write(lines.join(""))) await new Promise((resolve) => out.once("drain", resolve));
  }
  await finished(out.end());
  const before = process.cpuUsage();
  const workload = await readTrace(file);
  const { user, system } = process.cpuUsage(before);
  const tookS = (user + system) / 1e6;
  const residentMiB = process.resourceUsage().maxRSS / 1024;
  return {
    what: `reading a .ninja_log of ${workload.durationsMs.length} actions`,
    figure: `${tookS.toFixed(1)} s of processor time`,
    beside: `the process had at most ${residentMiB.toFixed(0)} MiB`,
  };
}

function dayOf(buildsPerDay: number, max: number, seed: number): ScalingScenario {
  const { world } = parseScenario(`nodes: {max: ${max}}`, "");
  const workload = diurnalWorkload({ ...diurnalDefaults, buildsPerDay }, createRng(seed));
  return { ...world, seed, workload };
}

function played(scenario: ScalingScenario) {
  // Processor time: whoever else works on this machine does not count.
  const before = process.cpuUsage();
  const { events, actions } = runScaling(scenario, ours());
  const { user, system } = process.cpuUsage(before);
  return { events, actions, tookMs: (user + system) / 1000 };
}
