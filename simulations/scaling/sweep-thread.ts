// A thread of a sweep: gets a scenario once, then points and seeds, and answers what they came to.

import { parentPort, workerData } from "node:worker_threads";
import { failureOf } from "../../src/core/error.ts";
import { ours } from "../policies.ts";
import { runScaling } from "./scaling-run.ts";
import type { ScalingScenario } from "./scaling-scenario.ts";
import { loadScenario, type ScenarioPlan } from "./scenario-file.ts";
import type { SweepAnswer, SweepJob } from "./sweep.ts";

const plan: ScenarioPlan = workerData;
let loaded: ScalingScenario | undefined;

async function play({ number, seed, bounds, options }: SweepJob): Promise<SweepAnswer> {
  if (loaded?.seed !== seed) loaded = await loadScenario(plan, seed);
  const scenario = { ...loaded, bounds: { ...loaded.bounds, ...bounds } };
  const { series: _, machines: __, ...summary } = runScaling(scenario, ours(options));
  return { number, summary };
}

parentPort?.on("message", (job: SweepJob) => {
  play(job).then(
    (answer) => parentPort?.postMessage(answer),
    (error: unknown) => parentPort?.postMessage(failureOf(error).message),
  );
});
