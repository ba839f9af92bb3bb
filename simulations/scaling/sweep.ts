// Many runs on all cores: a grid of parameters, each point for several seeds.

import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import type { AutoscalerOptions } from "../../src/core/autoscaler.ts";
import { MeshError } from "../../src/core/error.ts";
import type { ScalingBounds } from "../../src/core/scaling.ts";
import { readDurationMs } from "./fields.ts";
import type { ScalingResult } from "./measures.ts";
import type { ScenarioPlan } from "./scenario-file.ts";

/** What one run came to, without its series. */
export type RunSummary = Omit<ScalingResult, "series" | "machines">;

/** One point of a grid. */
export interface SweepPoint {
  readonly bounds: Partial<ScalingBounds>;
  readonly options: Partial<AutoscalerOptions>;
  /** Such as `target-wait=15s idle=5m`. */
  readonly label: string;
}

/** A point for one seed. */
export interface SweepJob extends SweepPoint {
  readonly number: number;
  readonly seed: number;
}

/** A point and what its seeds came to, in their order. */
export interface SweptPoint extends SweepPoint {
  readonly runs: readonly RunSummary[];
}

/** Bound: runs of one sweep. */
const runsMax = 20_000;

interface Parameter {
  readonly of: "bounds" | "options";
  readonly field: keyof ScalingBounds | keyof AutoscalerOptions;
  readonly kind: "time" | "share" | "count";
}

/** What can be swept, by the name in `--sweep`. */
export const sweepParameters: Readonly<Record<string, Parameter>> = {
  min: { of: "bounds", field: "min", kind: "count" },
  max: { of: "bounds", field: "max", kind: "count" },
  "target-wait": { of: "bounds", field: "targetWaitMs", kind: "time" },
  idle: { of: "bounds", field: "idleMs", kind: "time" },
  warm: { of: "options", field: "warmMs", kind: "time" },
  "warm-quantile": { of: "options", field: "warmQuantile", kind: "share" },
  "hold-share": { of: "options", field: "holdShare", kind: "share" },
  "wait-probability": { of: "options", field: "waitProbability", kind: "share" },
  "usual-quantile": { of: "options", field: "usualQuantile", kind: "share" },
  "forecast-error": { of: "options", field: "forecastErrorMax", kind: "share" },
};

/** The points of `NAME=VALUE,VALUE,…` lists, every combination. Throws MeshError. */
export function sweepPoints(texts: readonly string[]): SweepPoint[] {
  let points: SweepPoint[] = [{ bounds: {}, options: {}, label: "" }];
  for (const text of texts) {
    const [name = "", list = ""] = text.split("=");
    const parameter = sweepParameters[name];
    if (parameter === undefined) {
      const known = Object.keys(sweepParameters).join(", ");
      throw new MeshError("INVALID_ARGUMENT", `${name} cannot be swept; there are ${known}.`);
    }
    const values = list.split(",").map((word) => parsedValue(name, parameter, word));
    points = points.flatMap((point) =>
      values.map(([value, word]) => {
        const label = `${point.label} ${name}=${word}`.trim();
        return {
          ...point,
          [parameter.of]: { ...point[parameter.of], [parameter.field]: value },
          label,
        };
      }),
    );
  }
  return points;
}

function parsedValue(name: string, { kind, of, field }: Parameter, word: string): [number, string] {
  const value = kind === "time" ? readDurationMs(word) : Number(word);
  const isWrong = word === "" || value === undefined || !Number.isFinite(value) || value < 0;
  const isShare = of === "options" && field === "waitProbability" ? (value ?? 0) > 0 : true;
  const most = kind === "share" && name !== "forecast-error" ? 0.999 : 1e9;
  if (isWrong || !isShare || value > most || (kind === "count" && !Number.isInteger(value))) {
    const wanted = {
      time: "times such as 15s",
      share: "shares from 0 to 1",
      count: "whole numbers",
    };
    throw new MeshError("INVALID_ARGUMENT", `${name} wants ${wanted[kind]}, not "${word}".`);
  }
  return [value, word];
}

/** Plays every point for the seeds, on all cores. `onProgress` hears of each run that ended. */
export async function sweep(
  plan: ScenarioPlan,
  points: readonly SweepPoint[],
  seeds: readonly number[],
  onProgress: (done: number, all: number) => void,
): Promise<SweptPoint[]> {
  const jobs = points.flatMap((point, at) =>
    seeds.map((seed, seedAt): SweepJob => ({ ...point, seed, number: at * seeds.length + seedAt })),
  );
  if (jobs.length > runsMax) {
    const what = `${jobs.length} runs are more than ${runsMax}; sweep fewer values or seeds.`;
    throw new MeshError("RESOURCE_EXHAUSTED", what);
  }
  // A thread reads a workload once for all runs of its seed.
  const queue = [...jobs].sort((a, b) => a.seed - b.seed || a.number - b.number);
  const results = new Array<RunSummary | undefined>(jobs.length);
  let done = 0;
  const threads = Math.min(availableParallelism(), jobs.length);
  await Promise.all(
    Array.from({ length: threads }, () =>
      thread(plan, queue, ({ number, summary }) => {
        results[number] = summary;
        done += 1;
        onProgress(done, jobs.length);
      }),
    ),
  );
  return points.map((point, at) => {
    const runs = results.slice(at * seeds.length, (at + 1) * seeds.length);
    return { ...point, runs: runs.flatMap((run) => run ?? []) };
  });
}

/** What a thread answers. */
export interface SweepAnswer {
  readonly number: number;
  readonly summary: RunSummary;
}

/** A thread that takes jobs from the queue until that is empty. */
function thread(
  plan: ScenarioPlan,
  queue: SweepJob[],
  onAnswer: (answer: SweepAnswer) => void,
): Promise<void> {
  const worker = new Worker(new URL("./sweep-thread.ts", import.meta.url), { workerData: plan });
  return new Promise((resolve, reject) => {
    const next = () => {
      const job = queue.shift();
      if (job === undefined) void worker.terminate().then(() => resolve());
      else worker.postMessage(job);
    };
    worker.on("message", (answer: SweepAnswer | string) => {
      if (typeof answer === "string") {
        queue.length = 0;
        void worker.terminate();
        reject(new MeshError("INVALID_ARGUMENT", answer));
        return;
      }
      onAnswer(answer);
      next();
    });
    worker.on("error", reject);
    next();
  });
}
