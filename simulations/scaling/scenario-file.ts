// A scenario as people write it: YAML or JSON, every field optional, nothing unknown accepted.
// docs/simulation.md has an example with all fields.

import { dirname, resolve } from "node:path";
import { parseDocument } from "yaml";
import { failureOf, MeshError } from "../../src/core/error.ts";
import { createRng } from "../../src/core/rng.ts";
import { Fields } from "./fields.ts";
import { type DiurnalOptions, diurnalDefaults, diurnalWorkload } from "./generators.ts";
import { readTrace } from "./read-trace.ts";
import type { Interruption, ScalingScenario } from "./scaling-scenario.ts";
import { waitingOrders } from "./waiting.ts";
import type { ScalingWorkload } from "./workload.ts";

/** Longest run in ms: 60 days. */
const durationMsMax = 60 * 86_400_000;
const machinesMax = 10_000;
const dayMs = 86_400_000;

/** Where a scenario's work comes from. */
export type WorkloadSource =
  | { readonly kind: "trace"; readonly file: string; readonly parallelism: number | undefined }
  | { readonly kind: "diurnal"; readonly options: DiurnalOptions };

/** A scenario whose workload has not been read yet; it can be sent to another thread. */
export interface ScenarioPlan {
  readonly world: Omit<ScalingScenario, "workload" | "seed">;
  readonly source: WorkloadSource;
}

/** Parses a scenario. Throws MeshError INVALID_ARGUMENT with the field's name. */
export function parseScenario(text: string, file: string): ScenarioPlan {
  const document = parseDocument(text, { prettyErrors: false, uniqueKeys: true });
  const [error] = document.errors;
  if (error !== undefined) {
    throw new MeshError("INVALID_ARGUMENT", `${file} is neither YAML nor JSON: ${error.message}`);
  }
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: 100 }) ?? {};
  } catch (cause) {
    throw new MeshError("INVALID_ARGUMENT", `${file}: ${failureOf(cause).message}`);
  }
  const fields = new Fields(value, file, "");
  const world = readWorld(fields, file);
  const source = readSource(fields.object("workload"), file);
  fields.refuseOthers();
  return { world, source };
}

/** The scenario of a seed. A trace is the same for every seed, boots and interruptions are not. */
export async function loadScenario(plan: ScenarioPlan, seed: number): Promise<ScalingScenario> {
  return { ...plan.world, seed, workload: await loadWorkload(plan.source, seed) };
}

/** What is asked for. */
export async function loadWorkload(source: WorkloadSource, seed: number): Promise<ScalingWorkload> {
  if (source.kind === "diurnal") return diurnalWorkload(source.options, createRng(seed));
  const { file, parallelism } = source;
  return await readTrace(file, { parallelism });
}

function readWorld(fields: Fields, file: string): ScenarioPlan["world"] {
  const nodes = fields.object("nodes");
  const slots = nodes.whole("slots", 1, 1024, 4);
  const max = nodes.whole("max", 0, machinesMax, 40);
  const min = nodes.whole("min", 0, machinesMax, Math.min(2, max));
  if (min > max) {
    throw new MeshError(
      "INVALID_ARGUMENT",
      `${file}: nodes.min is ${min}, over nodes.max (${max}).`,
    );
  }
  const bounds = {
    ...{ min, max, slotsPerMachine: slots },
    onDemandBase: nodes.whole("onDemandBase", 0, machinesMax, min),
    spot: nodes.truth("spot", false),
    targetWaitMs: fields.duration("targetWait", 1, 3_600_000, 12_500),
    idleMs: fields.duration("idle", 0, 86_400_000, 300_000),
  };
  const owned = nodes.wholes("owned", 1, 1024, machinesMax);
  const boot = nodes.durations("boot", 0, 3_600_000, [45_000, 75_000]);
  const drainMs = nodes.duration("drain", 0, 600_000, 10_000);
  nodes.refuseOthers();
  const network = fields.object("network");
  const dispatchMs = network.duration("dispatch", 0, 60_000, 0);
  const roundTripMs = network.duration("roundTrip", 0, 60_000, 0);
  network.refuseOthers();
  const prices = fields.object("prices");
  const onDemandPerHour = prices.amount("onDemandPerHour", 0.17);
  const spotPerHour = prices.amount("spotPerHour", 0.06);
  const billedMsMin = prices.duration("billedAtLeast", 0, 86_400_000, 60_000);
  prices.refuseOthers();
  return {
    ...{ name: fields.text("name", file), bounds, owned, drainMs, dispatchMs, roundTripMs },
    ...{ boot: { minMs: Math.min(...boot), maxMs: Math.max(...boot) }, billedMsMin },
    prices: { onDemandPerHour, spotPerHour },
    order: fields.choice("order", waitingOrders, "fair"),
    placement: fields.choice("placement", ["spread", "pack"] as const, "spread"),
    sizesKnown: fields.maybeShare("sizesKnown") ?? "queued",
    interruptions: fields.objects("interruptions", 100).map(readInterruption),
    durationMs: fields.duration("duration", 0, durationMsMax, 86_400_000),
  };
}

function readInterruption(fields: Fields): Interruption {
  const interruption = {
    atMs: fields.duration("at", 0, durationMsMax, 0),
    withinMs: fields.duration("within", 0, dayMs, 3_600_000),
    share: fields.maybeShare("share") ?? 0.3,
    noticeMs: fields.duration("notice", 0, 3_600_000, 120_000),
  };
  fields.refuseOthers();
  return interruption;
}

function readSource(fields: Fields, file: string): WorkloadSource {
  const trace = fields.text("trace", "");
  const parallelism = fields.maybeWhole("parallelism", 1, 1_000_000);
  if (trace !== "") {
    fields.refuseOthers();
    return { kind: "trace", file: resolve(dirname(file), trace), parallelism };
  }
  const scales = fields.wholes("scales", 1, 10_000, 100);
  const options = {
    days: fields.whole("days", 1, 60, diurnalDefaults.days),
    buildsPerDay: fields.whole("buildsPerDay", 1, 1_000_000, diurnalDefaults.buildsPerDay),
    parallelism: parallelism ?? diurnalDefaults.parallelism,
    scales: scales.length === 0 ? diurnalDefaults.scales : scales,
    smallPercent: fields.whole("smallPercent", 0, 100, diurnalDefaults.smallPercent),
  };
  fields.refuseOthers();
  return { kind: "diurnal", options };
}
