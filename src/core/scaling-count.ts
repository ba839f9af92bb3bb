// Counts of one moment's demand: what there is and what is busy. Counted anew for each decision, so
// that no lost event can leave a count wrong.

import type { ScaledMachine, ScalingDemand } from "./scaling.ts";

/** The machines and slots of one demand. */
export interface ScalingCount {
  /** Booting, ready and owned machines; draining ones are no supply. */
  readonly machines: number;
  /** Slots of these. */
  readonly slots: number;
  /** Slots that can run something now. */
  readonly readySlots: number;
  /** Busy ones of these; what a draining machine still runs needs no other slot. */
  readonly busySlots: number;
  /** Machines that are on demand, owned ones included. */
  readonly onDemand: number;
  readonly draining: readonly ScaledMachine[];
  /** Ready machines without work that are not owned, in the order of the demand. */
  readonly idle: readonly ScaledMachine[];
}

/** Counts them. */
export function countMachines({ machines }: ScalingDemand): ScalingCount {
  let supply = 0;
  let slots = 0;
  let readySlots = 0;
  let busySlots = 0;
  let onDemand = 0;
  const draining: ScaledMachine[] = [];
  const idle: ScaledMachine[] = [];
  for (const machine of machines) {
    if (machine.state === "draining") {
      draining.push(machine);
      continue;
    }
    supply += 1;
    busySlots += machine.busySlots;
    slots += machine.slots;
    if (machine.market === "on-demand") onDemand += 1;
    if (machine.state === "booting") continue;
    readySlots += machine.slots;
    const isIdle = machine.busySlots === 0 && machine.idleSinceMs !== undefined;
    if (machine.state === "ready" && isIdle) idle.push(machine);
  }
  return { machines: supply, slots, readySlots, busySlots, onDemand, draining, idle };
}

/**
 * Slots with which nothing waits for longer than about `withinMs`: all that is outstanding, each
 * for the share of that time which it takes. A slot that ends sooner takes what waits as well.
 *
 * @param meanMs - Expected run time of an action.
 */
export function slotsNow(
  { queued }: ScalingDemand,
  busySlots: number,
  meanMs: number,
  withinMs: number,
): number {
  return (busySlots + Math.max(0, queued)) * Math.min(1, meanMs / withinMs);
}

/**
 * Slots that the open builds can use: as many actions as each keeps open, as `slotsNow` counts
 * them, but no more than still have something to do when a machine launched now is ready.
 */
export function slotsForBuilds(
  { invocations }: ScalingDemand,
  meanMs: number,
  withinMs: number,
  readyInMs: number,
): number {
  const share = Math.min(1, meanMs / withinMs);
  let slots = 0;
  for (const { parallelism, remainingMs } of invocations) {
    slots += Math.min(Math.max(0, parallelism) * share, Math.max(0, remainingMs) / readyInMs);
  }
  return slots;
}

/** Whole slots; what is a rounding error above one is that one. */
export function wholeSlots(slots: number): number {
  return Number.isFinite(slots) ? Math.max(0, Math.ceil(slots - 1e-6)) : 0;
}
