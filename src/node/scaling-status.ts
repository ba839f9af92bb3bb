// Scaling as people see it: the core's last decision and its count of machines, as plain figures.

import type { NodeCore } from "../core/node.ts";
import type { WorkerView } from "../core/roster.ts";
import type { RecordedDecision } from "../core/scaling-record.ts";
import type { Scaling } from "./scaling.ts";
import type { ScalingStatus } from "./status.ts";

/** The figures at this moment. */
export function describeScaling(
  { providerName }: Scaling,
  core: NodeCore,
  nowMs: number,
): ScalingStatus {
  const { settings, decided, cost } = core.scaling;
  const machines = core.machines;
  const inState = (...states: string[]) =>
    machines.filter(({ state }) => states.includes(state)).length;
  return {
    mode: settings.mode,
    provider: providerName,
    min: settings.bounds.min,
    max: settings.bounds.max,
    ready: inState("ready", "owned"),
    booting: inState("booting"),
    draining: inState("draining"),
    decision: settings.mode === "off" ? undefined : decided && describeDecision(decided, nowMs),
    machineMs: cost.machineMs,
    spotMs: cost.spotMs,
    slotMs: cost.slotMs,
    idleSlotMs: cost.idleSlotMs,
  };
}

function describeDecision({ atMs, demand, decision }: RecordedDecision, nowMs: number) {
  const usable = demand.machines.filter(({ state }) => state === "ready" || state === "owned");
  const { target, because, heldBack, next, load, predictedLoad } = decision;
  const { horizonMs, trendPerMinute, forecastError } = decision;
  return {
    ...{ ageMs: Math.max(0, nowMs - atMs), target, because, load, predictedLoad },
    ...{ horizonMs: Math.round(horizonMs), trendPerMinute, forecastError },
    heldBackBy: heldBack?.by ?? "",
    heldBackWhy: heldBack?.why ?? "",
    nextChange: next?.change,
    nextInMs: next && Math.round(next.inMs),
    busySlots: usable.reduce((sum, { busySlots }) => sum + busySlots, 0),
    slots: usable.reduce((sum, { slots }) => sum + slots, 0),
    queued: demand.queued,
    queuedWorkMs: Math.round(demand.queuedWorkMs),
  };
}

/** True for a worker process of this host that takes nothing new for now. */
export function isPaused(
  core: NodeCore,
  { name, home }: Pick<WorkerView, "name" | "home">,
): boolean {
  const slot = /(?:^|\/)worker-(\d+)$/.exec(name)?.[1];
  return home === core.self && slot !== undefined && core.paused.has(Number(slot));
}
