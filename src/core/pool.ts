// A serving node's worker processes: starts as many as are wanted, starts one again when it ended,
// later each time it ends early, and lets idle ones go in two steps. First such a worker is paused:
// it takes nothing new, and is as good as before once it is wanted again. Only after a while is it
// retired, and even then what it runs ends first.

import type { PeerId } from "./action.ts";
import { assert } from "./assert.ts";
import type { Effect, Input, Machine } from "./machine.ts";
import type { WorkerView } from "./roster.ts";
import type { ScaledMachine } from "./scaling.ts";

/** How many worker processes a node keeps and how eagerly it starts them again. */
export interface PoolOptions {
  /** Worker processes started first, 0 or more; slots are numbered from 1. */
  readonly workersMin: number;
  /** Processes that may exist at once, starting and ending ones included; at least `workersMin`. */
  readonly workersMax: number;
  /** Wait before the first restart in ms; doubled for each further one. */
  readonly backoffMs: number;
  /** Longest wait before a restart in ms. */
  readonly backoffMsMax: number;
  /** A process that lived this long in ms starts again as if it were the first. */
  readonly steadyMs: number;
  /** A paused worker is retired after this many ms. */
  readonly pauseMs: number;
  /** The same for one that somebody asked to have drained: there is time to think better of it. */
  readonly askedPauseMs: number;
}

/** The defaults; how many workers is for the caller to say. */
export const poolDefaults: Omit<PoolOptions, "workersMin" | "workersMax"> = {
  backoffMs: 100,
  backoffMsMax: 5_000,
  steadyMs: 30_000,
  pauseMs: 5_000,
  askedPauseMs: 30_000,
};

interface Slot {
  /** Undefined while no process exists. */
  startedAtMs: number | undefined;
  relaunchAtMs: number;
  delayMs: number;
  /** Early ends in a row. */
  failures: number;
  /** When a paused one is retired; undefined where it is not paused. */
  retireAtMs: number | undefined;
  /** Somebody asked for its drain; whoever scales does not undo that. */
  isAsked: boolean;
  /** It was told to end and does not start again. */
  isRetired: boolean;
}

/** The machine that launches worker processes, launches them again and lets them go. */
export class Pool implements Machine {
  readonly #slotByNumber = new Map<number, Slot>();
  readonly #options: PoolOptions;
  #isHeld = false;
  #isDraining = false;

  constructor(options: PoolOptions) {
    assert(options.workersMin <= options.workersMax, "workersMin is at most workersMax");
    this.#options = options;
    this.#add(options.workersMin, 0);
  }

  /** Processes that exist, starting and ending ones included. */
  get processes(): number {
    let count = 0;
    for (const slot of this.#slotByNumber.values()) count += slot.startedAtMs === undefined ? 0 : 1;
    return count;
  }

  /** Names of the workers that are paused. */
  get paused(): ReadonlySet<number> {
    const isPaused = ({ retireAtMs }: Slot) => this.#isHeld || retireAtMs !== undefined;
    return new Set([...this.#slotByNumber].flatMap(([n, slot]) => (isPaused(slot) ? [n] : [])));
  }

  get wakeAtMs(): number {
    let wakeAtMs = Number.POSITIVE_INFINITY;
    if (this.#isDraining) return wakeAtMs;
    for (const slot of this.#slotByNumber.values()) {
      const { startedAtMs, relaunchAtMs, retireAtMs, isRetired } = slot;
      if (startedAtMs === undefined) wakeAtMs = Math.min(wakeAtMs, relaunchAtMs);
      else if (retireAtMs !== undefined && !isRetired) wakeAtMs = Math.min(wakeAtMs, retireAtMs);
    }
    return wakeAtMs;
  }

  /**
   * The processes as machines, by `worker-N`: those of `home` that are linked, and those that
   * start. What was told to end, or is drained because somebody asked, is not among them.
   */
  machines(workers: readonly WorkerView[], home: PeerId, slotsEach: number): ScaledMachine[] {
    const workerBySlot = new Map<number, WorkerView>();
    for (const worker of workers) {
      const number = worker.home === home ? slotNumber(worker.name) : undefined;
      if (number !== undefined) workerBySlot.set(number, worker);
    }
    const machines = [...this.#slotByNumber].flatMap(([number, slot]): ScaledMachine[] => {
      if (slot.isRetired || slot.isAsked) return [];
      const worker = workerBySlot.get(number);
      const isReady = worker !== undefined && slot.startedAtMs !== undefined;
      const { retireAtMs, startedAtMs, relaunchAtMs } = slot;
      return [
        {
          id: `worker-${number}`,
          state: retireAtMs !== undefined ? "draining" : isReady ? "ready" : "booting",
          market: "on-demand",
          slots: worker?.slots ?? slotsEach,
          busySlots: worker?.busy ?? 0,
          launchedAtMs: startedAtMs ?? relaunchAtMs,
          idleSinceMs: worker?.idleSinceMs,
        },
      ];
    });
    return machines.sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  /** Wants `count` more; fewer where `workersMax`, or a higher `max` for a while, is reached. */
  launch(count: number, max: number, nowMs: number): readonly Effect[] {
    if (this.#isDraining) return [];
    const limit = Math.max(this.#options.workersMax, max);
    this.#add(Math.min(count, limit - this.#slotByNumber.size), nowMs);
    return this.#start(nowMs);
  }

  /** Lets a worker take nothing new, to be retired soon. One whose process is away just goes. */
  pause(id: string, nowMs: number, isAsked = false): readonly Effect[] {
    const number = slotNumber(id);
    const slot = number === undefined ? undefined : this.#slotByNumber.get(number);
    if (number === undefined || slot === undefined || slot.isRetired) return [];
    if (slot.startedAtMs === undefined) {
      this.#slotByNumber.delete(number);
      return [];
    }
    if (slot.retireAtMs !== undefined && (slot.isAsked || !isAsked)) return [];
    const { pauseMs, askedPauseMs } = this.#options;
    slot.retireAtMs = nowMs + (isAsked ? askedPauseMs : pauseMs);
    slot.isAsked ||= isAsked;
    return [{ kind: "pause", slot: number }];
  }

  /** Undoes `pause`; nothing where it is too late. */
  resume(id: string): readonly Effect[] {
    const number = slotNumber(id);
    const slot = number === undefined ? undefined : this.#slotByNumber.get(number);
    if (number === undefined || slot?.retireAtMs === undefined || slot.isRetired) return [];
    slot.retireAtMs = undefined;
    slot.isAsked = false;
    return this.#isHeld ? [] : [{ kind: "resume", slot: number }];
  }

  /** True for a worker that `resume` would still keep. */
  isPaused(id: string): boolean {
    const slot = this.#slotByNumber.get(slotNumber(id) ?? 0);
    return slot?.retireAtMs !== undefined && !slot.isRetired;
  }

  /** True where it has a worker of that name, `worker-3` or `desk/worker-3`, that stays. */
  has(id: string): boolean {
    const slot = this.#slotByNumber.get(slotNumber(id) ?? 0);
    return slot !== undefined && !slot.isRetired;
  }

  /** Pauses all workers, those to come too, or lets all go on; none is retired for it. */
  hold(isHeld: boolean): readonly Effect[] {
    if (this.#isHeld === isHeld) return [];
    this.#isHeld = isHeld;
    const running = [...this.#slotByNumber].filter(
      ([, slot]) => slot.startedAtMs !== undefined && slot.retireAtMs === undefined,
    );
    return running.map(([slot]) => ({ kind: isHeld ? "pause" : "resume", slot }));
  }

  handle(input: Input, nowMs: number): readonly Effect[] {
    if (input.kind === "drain") return this.#drain();
    if (input.kind === "terminated") return this.#terminated(input.slot, input.why, nowMs);
    if (input.kind === "launched") return this.#launched(input.slot);
    if (input.kind !== "wake" || this.#isDraining) return [];
    return [...this.#retire(nowMs), ...this.#start(nowMs)];
  }

  #add(count: number, relaunchAtMs: number): void {
    for (let number = 1, left = count; left > 0; number += 1) {
      if (this.#slotByNumber.has(number)) continue;
      const idle = { startedAtMs: undefined, relaunchAtMs, delayMs: 0, failures: 0 };
      const kept = { retireAtMs: undefined, isAsked: false, isRetired: false };
      this.#slotByNumber.set(number, { ...idle, ...kept });
      left -= 1;
    }
  }

  #start(nowMs: number): Effect[] {
    const effects: Effect[] = [];
    for (const [number, slot] of this.#slotByNumber) {
      if (slot.startedAtMs !== undefined || slot.relaunchAtMs > nowMs) continue;
      slot.startedAtMs = nowMs;
      const { delayMs } = slot;
      effects.push({ kind: "note", note: { name: "worker-launching", slot: number, delayMs } });
      effects.push({ kind: "launch", slot: number });
    }
    return effects;
  }

  #retire(nowMs: number): Effect[] {
    const effects: Effect[] = [];
    for (const [number, slot] of this.#slotByNumber) {
      if (slot.isRetired || slot.retireAtMs === undefined || slot.retireAtMs > nowMs) continue;
      slot.isRetired = true;
      effects.push({ kind: "retire", slot: number });
    }
    return effects;
  }

  /** A process that starts while all are held, or was paused before it could listen, is told so. */
  #launched(number: number): readonly Effect[] {
    const slot = this.#slotByNumber.get(number);
    if (slot === undefined || slot.isRetired) return [];
    return this.#isHeld || slot.retireAtMs !== undefined ? [{ kind: "pause", slot: number }] : [];
  }

  #terminated(number: number, why: string, nowMs: number): Effect[] {
    const slot = this.#slotByNumber.get(number);
    if (slot?.startedAtMs === undefined) return [];
    if (slot.retireAtMs !== undefined || this.#isDraining) {
      this.#slotByNumber.delete(number);
      return [];
    }
    const { backoffMs, backoffMsMax, steadyMs } = this.#options;
    if (nowMs - slot.startedAtMs >= steadyMs) slot.failures = 0;
    slot.startedAtMs = undefined;
    slot.delayMs = Math.min(backoffMsMax, backoffMs * 2 ** Math.min(slot.failures, 30));
    slot.relaunchAtMs = nowMs + slot.delayMs;
    slot.failures += 1;
    return [{ kind: "note", note: { name: "worker-ended", slot: number, why } }];
  }

  #drain(): Effect[] {
    if (this.#isDraining) return [];
    this.#isDraining = true;
    const started = [...this.#slotByNumber].filter(
      ([, slot]) => slot.startedAtMs !== undefined && !slot.isRetired,
    );
    return started.map(([slot]) => ({ kind: "retire", slot }));
  }
}

/** The slot of `worker-3` or `desk/worker-3`. */
function slotNumber(name: string): number | undefined {
  const digits = /(?:^|\/)worker-(\d{1,7})$/.exec(name)?.[1];
  return digits === undefined ? undefined : Number(digits);
}
