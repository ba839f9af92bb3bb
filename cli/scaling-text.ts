// Scaling as people read it: the block of `builder remote status`, and decisions line by line.

import type { RecordedDecision } from "../src/core/scaling-record.ts";
import type { ScalingStatus } from "../src/node/status.ts";
import { printable } from "../src/telemetry/logger.ts";

/** A trend within so much a minute is no trend. */
const steadyWithin = 0.02;

/** The block; nothing where autoscaling is off and nobody changed a number. */
export function renderScaling(scaling: ScalingStatus | undefined): readonly string[] {
  if (scaling === undefined || scaling.mode === "off") return [];
  const { mode, provider, ready, booting, draining, min, max, decision } = scaling;
  const where = provider === "" ? "worker processes" : printable(provider);
  const moving = [
    ...(booting > 0 ? [`${booting} booting`] : []),
    ...(draining > 0 ? [`${draining} draining`] : []),
  ];
  const counts = [`${ready} ready`, ...moving].join(" + ");
  const head = ["Autoscaling:", `  Mode: ${mode} (${where}), ${counts} of ${min}..${max}`];
  const none = provider === "" ? "yet" : "here: the coordinator decides, once it knows what runs";
  if (decision === undefined) return [...head, `  No decision ${none}`, ""];
  const { busySlots, slots, queued, queuedWorkMs, load, predictedLoad, horizonMs } = decision;
  const queue =
    queued === 0 ? "nothing queued" : `${queued} queued = ${span(queuedWorkMs)} of work`;
  const error = decision.forecastError;
  const missed = error === undefined ? "" : `, forecasts were ${percent(error)} off lately`;
  return [
    ...head,
    `  Load now: ${percent(load)} (${busySlots} of ${slots} slots, ${queue})`,
    `  Predicted load: ${percent(predictedLoad)} (in ${span(horizonMs)}${missed})`,
    `  Trend: ${trend(decision.trendPerMinute)}`,
    `  Next action: ${nextAction(decision, mode)}`,
    `  Because: ${printable(decision.because)}`,
    `  Held back by: ${decision.heldBackBy === "" ? "nothing" : printable(decision.heldBackWhy)}`,
    `  Cost: ${cost(scaling)}`,
    "",
  ];
}

/** A decision, as a line of the record, for people; what a later version says is left as it is. */
export function renderDecision(line: string): string {
  const record: unknown = JSON.parse(line);
  if (!isDecision(record)) return printable(line.trimEnd());
  const { atMs, mode, demand, decision } = record;
  const { launch, drain, keep, target, because, heldBack } = decision;
  const count = launch["on-demand"] + launch.spot;
  const steps = [
    ...(count > 0 ? [`start ${count}${launch.spot > 0 ? ` (${launch.spot} spot)` : ""}`] : []),
    ...(drain.length > 0 ? [`drain ${drain.length}`] : []),
    ...(keep.length > 0 ? [`keep ${keep.length}`] : []),
  ];
  const time = new Date(atMs).toISOString().slice(0, 19).replace("T", " ");
  const there = demand.machines.filter(({ state }) => state !== "draining").length;
  const held = heldBack === undefined ? "" : `; held back: ${heldBack.why}`;
  const what = steps.length > 0 ? steps.join(", ") : "nothing to do";
  const said = mode === "advise" ? "would " : "";
  return printable(`${time}  ${there} → ${target}  ${said}${what}: ${because}${held}`);
}

function isDecision(value: unknown): value is RecordedDecision {
  const has = (of: unknown, ...names: string[]) =>
    typeof of === "object" && of !== null && names.every((name) => Object.hasOwn(of, name));
  if (!has(value, "atMs", "mode", "demand", "decision")) return false;
  const { atMs, demand, decision } = value as Record<string, unknown>;
  const { drain, keep, launch } = Object(decision);
  const lists = [Object(demand).machines, drain, keep];
  return Number.isFinite(atMs) && lists.every(Array.isArray) && has(launch, "on-demand", "spot");
}

function nextAction(
  { nextChange, nextInMs, ageMs }: NonNullable<ScalingStatus["decision"]>,
  mode: string,
): string {
  if (nextChange === undefined || nextChange === 0) return "none";
  const inMs = Math.max(0, (nextInMs ?? 0) - ageMs);
  const workers = `${Math.abs(nextChange)} worker${Math.abs(nextChange) === 1 ? "" : "s"}`;
  const what = nextChange > 0 ? `Scale up (add ${workers}` : `Scale down (drain ${workers}`;
  return `${mode === "advise" ? "(advised) " : ""}${what} ${inMs === 0 ? "now" : `in ${span(inMs)}`})`;
}

function trend(perMinute: number): string {
  const rounded = `${perMinute < 0 ? "" : "+"}${perMinute.toFixed(2)}`;
  if (Math.abs(perMinute) <= steadyWithin) return "+0.00 (steady)";
  return `${rounded} (${perMinute > 0 ? "increasing" : "decreasing"})`;
}

function cost({ machineMs, spotMs, slotMs, idleSlotMs }: ScalingStatus): string {
  const hours = (ms: number) => (ms / 3_600_000).toFixed(1);
  const spot = spotMs === 0 ? "" : ` (${hours(spotMs)} spot)`;
  const idle = slotMs === 0 ? "" : `, idle share ${percent(idleSlotMs / slotMs)}`;
  return `${hours(machineMs)} worker-hours today${spot}${idle}`;
}

function percent(share: number): string {
  return `${Math.round(100 * share)}%`;
}

function span(ms: number): string {
  return ms < 60_000 ? `${Math.round(ms / 1000)}s` : `${Math.round(ms / 60_000)}m`;
}
