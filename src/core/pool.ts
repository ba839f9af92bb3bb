// Keeps a serving node's worker processes running: starts `workersMin` of them, and starts one
// again when it ended, later each time it ends early.

import { assert } from "./assert.ts";
import type { Effect, Input, Machine } from "./machine.ts";

/** How many worker processes a node keeps and how eagerly it starts them again. */
export interface PoolOptions {
  /** Worker processes kept running, 0 or more; slots are numbered from 1. */
  readonly workersMin: number;
  /** Processes that may exist at once, starting ones included; at least `workersMin`. */
  readonly workersMax: number;
  /** Wait before the first restart in ms; doubled for each further one. */
  readonly backoffMs: number;
  /** Longest wait before a restart in ms. */
  readonly backoffMsMax: number;
  /** A process that lived this long in ms starts again as if it were the first. */
  readonly steadyMs: number;
}

/** The defaults; how many workers is for the caller to say. */
export const poolDefaults: Omit<PoolOptions, "workersMin" | "workersMax"> = {
  backoffMs: 100,
  backoffMsMax: 5_000,
  steadyMs: 30_000,
};

interface Slot {
  /** Undefined while no process exists. */
  startedAtMs: number | undefined;
  relaunchAtMs: number;
  delayMs: number;
  /** Early ends in a row. */
  failures: number;
}

/** The machine that launches worker processes and launches them again. */
export class Pool implements Machine {
  readonly #slotByNumber = new Map<number, Slot>();
  readonly #options: PoolOptions;
  #isDraining = false;

  constructor(options: PoolOptions) {
    assert(options.workersMin <= options.workersMax, "workersMin is at most workersMax");
    this.#options = options;
    for (let slot = 1; slot <= options.workersMin; slot += 1) {
      const idle = { startedAtMs: undefined, relaunchAtMs: 0, delayMs: 0, failures: 0 };
      this.#slotByNumber.set(slot, idle);
    }
  }

  /** Processes that exist, starting ones included. */
  get processes(): number {
    let count = 0;
    for (const slot of this.#slotByNumber.values()) count += slot.startedAtMs === undefined ? 0 : 1;
    return count;
  }

  get wakeAtMs(): number {
    let wakeAtMs = Number.POSITIVE_INFINITY;
    if (this.#isDraining) return wakeAtMs;
    for (const slot of this.#slotByNumber.values()) {
      if (slot.startedAtMs === undefined) wakeAtMs = Math.min(wakeAtMs, slot.relaunchAtMs);
    }
    return wakeAtMs;
  }

  handle(input: Input, nowMs: number): readonly Effect[] {
    if (input.kind === "drain") return this.#drain();
    if (input.kind === "terminated") return this.#terminated(input.slot, input.why, nowMs);
    return input.kind === "wake" ? this.#launch(nowMs) : [];
  }

  #launch(nowMs: number): Effect[] {
    const effects: Effect[] = [];
    if (this.#isDraining) return effects;
    for (const [number, slot] of this.#slotByNumber) {
      if (slot.startedAtMs !== undefined || slot.relaunchAtMs > nowMs) continue;
      slot.startedAtMs = nowMs;
      const { delayMs } = slot;
      effects.push({ kind: "note", note: { name: "worker-launching", slot: number, delayMs } });
      effects.push({ kind: "launch", slot: number });
    }
    assert(this.processes <= this.#options.workersMax, "the pool is within workersMax");
    return effects;
  }

  #terminated(number: number, why: string, nowMs: number): Effect[] {
    const slot = this.#slotByNumber.get(number);
    if (slot?.startedAtMs === undefined) return [];
    const { backoffMs, backoffMsMax, steadyMs } = this.#options;
    if (nowMs - slot.startedAtMs >= steadyMs) slot.failures = 0;
    slot.startedAtMs = undefined;
    slot.delayMs = Math.min(backoffMsMax, backoffMs * 2 ** Math.min(slot.failures, 30));
    slot.relaunchAtMs = nowMs + slot.delayMs;
    slot.failures += 1;
    return this.#isDraining
      ? []
      : [{ kind: "note", note: { name: "worker-ended", slot: number, why } }];
  }

  #drain(): Effect[] {
    if (this.#isDraining) return [];
    this.#isDraining = true;
    const started = [...this.#slotByNumber].filter(([, slot]) => slot.startedAtMs !== undefined);
    return started.map(([slot]) => ({ kind: "retire", slot }));
  }
}
