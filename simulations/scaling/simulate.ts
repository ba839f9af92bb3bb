// `builder simulate` and `npm run simulate -- scaling`: policies side by side in one world, a sweep
// over parameters, and the flags that fit.

import { readFileSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { failureOf, MeshError } from "../../src/core/error.ts";
import { contenders, oracles } from "../policies.ts";
import { type MeanSummary, meanOf, paretoFront, regret } from "./front.ts";
import type { ScalingResult } from "./measures.ts";
import { renderReport } from "./report.ts";
import { runScaling } from "./scaling-run.ts";
import type { Contender, ScalingScenario } from "./scaling-scenario.ts";
import { loadScenario, parseScenario, type ScenarioPlan } from "./scenario-file.ts";
import { type SweepPoint, type SweptPoint, sweep, sweepPoints } from "./sweep.ts";
import { renderSweep, renderTable } from "./text-report.ts";

/** What was asked for. */
export interface SimulateChoices {
  /** A scenario file; undefined: the day of the research. */
  readonly scenario: string | undefined;
  /** A trace in place of the scenario's workload. */
  readonly trace: string | undefined;
  /** Names of policies; empty: all. */
  readonly policies: readonly string[];
  readonly seed: number;
  /** Seeds from that one on. */
  readonly seeds: number;
  /** `NAME=VALUE,VALUE,…`. */
  readonly sweep: readonly string[];
  readonly recommend: boolean;
  /** Where the report goes. */
  readonly report: string | undefined;
  readonly json: boolean;
}

/** The outside of it. */
export interface SimulateShell {
  readonly print: (text: string) => unknown;
  /** A line that the next one replaces; "" takes it away. */
  readonly progress: (line: string) => unknown;
  readonly nowMs: () => number;
}

/** One contender's runs; the first one's with series. */
export interface Played {
  readonly contender: Contender;
  readonly first: ScalingResult;
  readonly mean: MeanSummary;
}

/** Everything that a report shows. */
export interface Comparison {
  readonly scenario: ScalingScenario;
  readonly seeds: readonly number[];
  readonly played: readonly Played[];
  readonly oracles: readonly MeanSummary[];
  readonly swept: readonly SweptPoint[];
}

/** Does it. Throws MeshError for what was asked wrongly. */
export async function simulate(choices: SimulateChoices, shell: SimulateShell): Promise<void> {
  const plan = readPlan(choices);
  const seeds = Array.from({ length: choices.seeds }, (_, at) => choices.seed + at);
  const chosen = choose(choices.policies);
  const points = choices.sweep.length > 0 ? sweepPoints(choices.sweep) : [];
  const grid = points.length === 0 && choices.recommend ? usualGrid(plan) : points;
  const comparison = await compare(plan, seeds, chosen, shell);
  const swept = grid.length === 0 ? [] : await sweepWithProgress(plan, grid, seeds, shell);
  const all = { ...comparison, swept };
  if (choices.json) shell.print(`${JSON.stringify(asJson(all))}\n`);
  else {
    shell.print(renderTable(all));
    if (swept.length > 0) shell.print(renderSweep(all));
  }
  if (choices.report !== undefined) {
    write(choices.report, renderReport(all));
    if (!choices.json) shell.print(`Report: ${resolve(choices.report)}\n`);
  }
  if (choices.recommend && !choices.json) shell.print(recommendation(all));
}

function readPlan({ scenario, trace }: SimulateChoices): ScenarioPlan {
  const plan = parseScenario(
    scenario === undefined ? "name: a day of builds" : read(scenario),
    scenario ?? "",
  );
  if (trace === undefined) return plan;
  const source = { kind: "trace", file: resolve(trace), parallelism: undefined } as const;
  return { world: { ...plan.world, name: trace, durationMs: 0 }, source };
}

function read(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    throw new MeshError("NOT_FOUND", `${file} cannot be read: ${failureOf(error).message}`);
  }
}

function write(file: string, text: string): void {
  try {
    writeFileSync(file, text);
  } catch (error) {
    throw new MeshError(
      "INVALID_ARGUMENT",
      `${file} cannot be written: ${failureOf(error).message}`,
    );
  }
}

function choose(names: readonly string[]): readonly Contender[] {
  const unknown = names.find((name) => !contenders.some((one) => one.name === name));
  if (unknown !== undefined) {
    const known = contenders.map(({ name }) => name).join(", ");
    throw new MeshError("INVALID_ARGUMENT", `There is no policy ${unknown}; there are ${known}.`);
  }
  return names.length === 0 ? contenders : contenders.filter(({ name }) => names.includes(name));
}

async function compare(
  plan: ScenarioPlan,
  seeds: readonly number[],
  chosen: readonly Contender[],
  shell: SimulateShell,
): Promise<Comparison> {
  const resultsBy = new Map<Contender, ScalingResult[]>();
  const all = [...new Set([...chosen, ...oracles])];
  let first: ScalingScenario | undefined;
  for (const seed of seeds) {
    shell.progress(`seed ${seed}: reading the work`);
    const scenario = await loadScenario(plan, seed);
    first ??= scenario;
    for (const contender of all) {
      shell.progress(`seed ${seed}: ${contender.name}`);
      const results = resultsBy.get(contender) ?? [];
      const result = runScaling(scenario, contender);
      // Only the first seed is drawn.
      results.push(results.length === 0 ? result : { ...result, machines: [] });
      resultsBy.set(contender, results);
    }
  }
  shell.progress("");
  if (first === undefined) throw new MeshError("INVALID_ARGUMENT", "Give at least one seed.");
  const meanBy = (contender: Contender) => meanOf(contender.name, resultsBy.get(contender) ?? []);
  const played = chosen.flatMap((contender): Played[] => {
    const [result] = resultsBy.get(contender) ?? [];
    return result === undefined ? [] : [{ contender, first: result, mean: meanBy(contender) }];
  });
  return { scenario: first, seeds, played, oracles: oracles.map(meanBy), swept: [] };
}

async function sweepWithProgress(
  plan: ScenarioPlan,
  points: readonly SweepPoint[],
  seeds: readonly number[],
  { progress, nowMs }: SimulateShell,
): Promise<SweptPoint[]> {
  const beganAtMs = nowMs();
  const swept = await sweep(plan, points, seeds, (done, all) => {
    const leftS = Math.ceil((((nowMs() - beganAtMs) / done) * (all - done)) / 1000);
    progress(`swept ${done} of ${all} runs, about ${leftS} s left`);
  });
  progress("");
  return swept;
}

/** What is tried where nothing was said. */
function usualGrid({ world: { bounds } }: ScenarioPlan): SweepPoint[] {
  const seconds = [...new Set([3, 5, 8, 10, 15, 20, 30, bounds.targetWaitMs / 1000])];
  const waits = seconds.sort((a, b) => a - b).map((second) => `${second}s`);
  return sweepPoints([`target-wait=${waits.join(",")}`, "idle=2m,5m,10m"]);
}

/** The cheapest point whose wait is within the scenario's target; else the quickest. */
export function recommended({ scenario, swept }: Comparison): SweptPoint | undefined {
  const means = swept.map((point) => ({ point, mean: meanOf(point.label, point.runs) }));
  const calm = means.filter(({ mean }) => mean.flapsPerDay <= 3);
  const candidates = calm.length > 0 ? calm : means;
  const within = candidates.filter(({ mean }) => mean.waitP95Ms <= scenario.bounds.targetWaitMs);
  const byHours = [...within].sort((a, b) => a.mean.workerHours - b.mean.workerHours);
  const byWait = [...candidates].sort((a, b) => a.mean.waitP95Ms - b.mean.waitP95Ms);
  return (byHours[0] ?? byWait[0])?.point;
}

function recommendation(comparison: Comparison): string {
  const point = recommended(comparison);
  if (point === undefined) return "There is nothing to recommend from.\n";
  const bounds = { ...comparison.scenario.bounds, ...point.bounds };
  const { waitP95Ms, workerHours, flapsPerDay } = meanOf(point.label, point.runs);
  const wantedMs = comparison.scenario.bounds.targetWaitMs;
  const isWithin = waitP95Ms <= wantedMs;
  const spot = bounds.spot ? ` --spot --on-demand-base ${bounds.onDemandBase}` : "";
  const advanced = Object.keys(point.options).length > 0;
  return [
    `\nTo wait at most ${wantedMs / 1000} s in 95 of 100 actions${isWithin ? "" : " (none does; this is the quickest)"}:`,
    "",
    `  builder remote configure --autoscale on --workers-min ${bounds.min} --workers-max ${bounds.max} ` +
      `--target-wait ${time(bounds.targetWaitMs)} --idle-time ${time(bounds.idleMs)}${spot}`,
    "",
    `p95 wait ${(waitP95Ms / 1000).toFixed(1)} s, ${workerHours.toFixed(1)} worker-hours, ` +
      `${flapsPerDay.toFixed(1)} flaps a day at most.`,
    ...(advanced ? [`Built-in values that were swept too, and have no flag: ${point.label}.`] : []),
    "",
  ].join("\n");
}

function time(ms: number): string {
  if (ms % 60_000 === 0) return `${ms / 60_000}m`;
  return ms % 1000 === 0 ? `${ms / 1000}s` : `${ms}ms`;
}

function asJson({ scenario, seeds, played, oracles: known, swept }: Comparison): unknown {
  const sweptMeans = swept.map((point) => ({ ...meanOf(point.label, point.runs) }));
  return {
    scenario: scenario.name,
    workload: scenario.workload.name,
    seeds,
    policies: played.map(({ mean }) => ({ ...mean, regret: regret(mean, known) })),
    oracles: known,
    sweep: sweptMeans,
    front: paretoFront(sweptMeans).map(({ name }) => name),
  };
}
