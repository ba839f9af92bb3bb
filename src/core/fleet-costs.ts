// What the machines of a mesh cost since midnight, in machine-time: counted at each look, so that a
// price can be put on it.

import type { ScaledMachine } from "./scaling.ts";

/** Sums of this day, UTC; ms of machines and of slots. */
export interface FleetCost {
  readonly machineMs: number;
  readonly spotMs: number;
  readonly slotMs: number;
  readonly idleSlotMs: number;
}

const dayMs = 86_400_000;
/** Nobody looked for so long: the process stood still, and what was is not known. */
const gapMsMax = 60_000;
const nothing: FleetCost = { machineMs: 0, spotMs: 0, slotMs: 0, idleSlotMs: 0 };

/** Adds up. */
export class FleetCosts {
  #today = nothing;
  #day = 0;
  #lookedAtMs: number | undefined;

  get today(): FleetCost {
    return this.#today;
  }

  /** Takes what is there now as what was there since the last look. */
  look(machines: readonly ScaledMachine[], nowMs: number): void {
    const day = Math.floor(nowMs / dayMs);
    if (day !== this.#day) this.#today = nothing;
    this.#day = day;
    const sinceMs = Math.max(0, nowMs - (this.#lookedAtMs ?? nowMs));
    this.#lookedAtMs = nowMs;
    if (sinceMs > gapMsMax) return;
    let { machineMs, spotMs, slotMs, idleSlotMs } = this.#today;
    for (const { market, slots, busySlots } of machines) {
      machineMs += sinceMs;
      if (market === "spot") spotMs += sinceMs;
      slotMs += slots * sinceMs;
      idleSlotMs += Math.max(0, slots - busySlots) * sinceMs;
    }
    this.#today = { machineMs, spotMs, slotMs, idleSlotMs };
  }
}
