// From slots wanted to machines launched, kept and drained: speeds, waits and who goes first.

import type { RecentNeed } from "./recent-need.ts";
import type { HeldBack, ScaledMachine, ScalingBounds, ScalingDecision } from "./scaling.ts";
import type { ScalingCount } from "./scaling-count.ts";

/** The part of a decision that does something. */
export type Moves = Pick<
  ScalingDecision,
  "target" | "launch" | "drain" | "keep" | "next" | "heldBack"
>;

/** In this time the machines may double, or grow by a few where there are fewer. */
const growMs = 15_000;
const growMin = 4;

/** In this time a tenth of the machines may go, and one more. */
const shrinkMs = 60_000;

/** Once the flaps of a day are used up, machines must be idle for so many times longer. */
export const patienceMax = 8;

const dayMs = 86_400_000;
const nothing = { "on-demand": 0, spot: 0 };

/** Drains cancelled and machines launched where slots or the minimum are short, else undefined. */
export function growth(
  machines: readonly ScaledMachine[],
  count: ScalingCount,
  wantedSlots: number,
  bounds: ScalingBounds,
  nowMs: number,
): Moves | undefined {
  const each = Math.max(1, bounds.slotsPerMachine);
  const min = Math.min(bounds.min, bounds.max);
  let slotsShort = Math.max(wantedSlots - count.slots, (min - count.machines) * each);
  if (slotsShort <= 0) return undefined;
  const wanted = count.machines + Math.ceil(slotsShort / each);
  const room = Math.max(0, bounds.max - count.machines);
  const keep: string[] = [];
  // The last to be drained has the warmest caches; a launch costs more than a word.
  for (const machine of [...count.draining].sort(latestFirst)) {
    if (slotsShort <= 0 || keep.length >= room) break;
    keep.push(machine.id);
    slotsShort -= machine.slots;
  }
  const short = Math.min(Math.ceil(Math.max(0, slotsShort) / each), room - keep.length);
  const young = machines.filter(({ launchedAtMs }) => launchedAtMs > nowMs - growMs);
  const before = machines.length - young.length;
  const speed = Math.max(0, Math.max(growMin, before) - young.length);
  const launched = Math.min(short, speed);
  return {
    target: Math.max(count.machines, Math.min(wanted, bounds.max)),
    launch: byMarket(launched, count, bounds),
    drain: [],
    keep: keep.sort(),
    next: launched < short ? nextGrowth(short - launched, young, nowMs) : undefined,
    heldBack: heldBackGrowing(launched < short, wanted, bounds),
  };
}

function heldBackGrowing(
  isTooFast: boolean,
  wanted: number,
  bounds: ScalingBounds,
): HeldBack | undefined {
  if (isTooFast) {
    const why = `in ${growMs / 1000} s the machines may double, or grow by ${growMin}`;
    return { by: "velocity", why };
  }
  if (wanted <= bounds.max) return undefined;
  return { by: "max", why: `${bounds.max} machines are the most that is allowed` };
}

function nextGrowth(change: number, young: readonly ScaledMachine[], nowMs: number) {
  const oldest = young.reduce((at, { launchedAtMs }) => Math.min(at, launchedAtMs), nowMs);
  return { change, inMs: Math.max(0, oldest + growMs - nowMs) };
}

/** The first ones on demand up to the base, the others spot where that is allowed. */
function byMarket(launched: number, count: ScalingCount, bounds: ScalingBounds) {
  if (!bounds.spot) return { "on-demand": launched, spot: 0 };
  const onDemand = Math.min(launched, Math.max(0, bounds.onDemandBase - count.onDemand));
  return { "on-demand": onDemand, spot: launched - onDemand };
}

/** What `Drains` must know; see `AutoscalerOptions`. */
export interface DrainOptions {
  readonly lifeMsMin: number;
  readonly flapMs: number;
  readonly flapsPerDay: number;
}

/** Chooses who goes, remembers who was told to, and how often that was regretted. */
export class Drains {
  readonly #options: DrainOptions;
  /** When each machine was told to drain, in ms; the latest at the end. */
  #toldAtMs = new Map<string, number>();
  /** When growth followed shrinking too soon, in ms; of the last day. */
  #flapsAtMs: number[] = [];
  #lastDrainAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: DrainOptions) {
    this.#options = options;
  }

  /** Machines are launched now. */
  grew(nowMs: number): void {
    const sinceMs = nowMs - this.#lastDrainAtMs;
    if (sinceMs < 0 || sinceMs > this.#options.flapMs) return;
    // One flap for each drain that was regretted, however many launches follow it.
    this.#lastDrainAtMs = Number.NEGATIVE_INFINITY;
    this.#flapsAtMs.push(nowMs);
  }

  /**
   * Idle machines to drain where there are more slots than wanted: each once it was idle for long
   * itself, or once so few slots were needed for as long. The second is what counts where work is
   * spread over all machines, and none is ever idle for long.
   */
  shrink(
    count: ScalingCount,
    wantedSlots: number,
    bounds: ScalingBounds,
    recent: RecentNeed,
    nowMs: number,
  ): Moves {
    const spare = spareMachines(count, wantedSlots, bounds);
    const target = count.machines - spare.length;
    const moves = { target, launch: nothing, drain: [], keep: [], next: undefined };
    if (spare.length === 0) return { ...moves, heldBack: heldByMin(count, wantedSlots, bounds) };
    this.#forget(nowMs);
    const idleMs = bounds.idleMs * patience(this.#flapsAtMs.length, this.#options.flapsPerDay);
    const lifeMs = Math.min(this.#options.lifeMsMin, bounds.idleMs * 3);
    const mayGoAtMs = spare.map(({ idleSinceMs, launchedAtMs, slots }, at) => {
      const left = spare.slice(0, at).reduce((sum, one) => sum - one.slots, count.slots - slots);
      const sinceMs = Math.min(idleSinceMs ?? nowMs, recent.enoughSinceMs(left));
      return Math.max(sinceMs + idleMs, launchedAtMs + lifeMs);
    });
    const ripe = spare.filter((_, at) => (mayGoAtMs[at] ?? 0) <= nowMs);
    if (ripe.length === 0) {
      const inMs = Math.min(...mayGoAtMs) - nowMs;
      const why = `idle machines stay warm; the first may go in ${Math.ceil(inMs / 1000)} s`;
      const next = { change: -spare.length, inMs };
      return { ...moves, next, heldBack: { by: "warm", why } };
    }
    return { ...moves, ...this.#drain(ripe, count.machines, nowMs) };
  }

  #drain(
    ripe: readonly ScaledMachine[],
    machines: number,
    nowMs: number,
  ): Pick<Moves, "drain" | "next" | "heldBack"> {
    let mayGo = Math.floor(machines / 10) + 1;
    let oldestMs = nowMs;
    for (const atMs of this.#toldAtMs.values()) {
      // Those told in this very moment are told again below.
      if (atMs === nowMs) continue;
      mayGo -= 1;
      oldestMs = Math.min(oldestMs, atMs);
    }
    const drain: string[] = [];
    for (const { id } of ripe) {
      const wasTold = (this.#toldAtMs.get(id) ?? nowMs) !== nowMs;
      if (!wasTold && mayGo <= 0) continue;
      drain.push(id);
      if (wasTold) continue;
      this.#toldAtMs.set(id, nowMs);
      mayGo -= 1;
    }
    if (drain.length > 0) this.#lastDrainAtMs = nowMs;
    const left = ripe.length - drain.length;
    if (left === 0) return { drain: drain.sort(), next: undefined, heldBack: undefined };
    const inMs = Math.max(0, oldestMs + shrinkMs - nowMs);
    const why = "in a minute a tenth of the machines may go, and one more";
    const heldBack: HeldBack = { by: "velocity", why };
    return { drain: drain.sort(), next: { change: -left, inMs }, heldBack };
  }

  /** Drops what is older than its window, and what a clock that went back left in the future. */
  #forget(nowMs: number): void {
    for (const [id, atMs] of this.#toldAtMs) {
      if (atMs > nowMs || atMs <= nowMs - shrinkMs) this.#toldAtMs.delete(id);
    }
    this.#flapsAtMs = this.#flapsAtMs.filter((atMs) => atMs <= nowMs && atMs > nowMs - dayMs);
  }
}

/** By how many times longer machines stay after so many flaps in a day. */
function patience(flaps: number, flapsPerDay: number): number {
  if (flaps >= flapsPerDay) return patienceMax;
  let times = 1;
  for (let flap = 0; flap < flaps; flap += 1) times *= 2;
  return Math.min(times, patienceMax);
}

/** Idle machines without which there are still slots enough, in the order in which they go. */
function spareMachines(
  count: ScalingCount,
  wantedSlots: number,
  bounds: ScalingBounds,
): ScaledMachine[] {
  const min = Math.min(bounds.min, bounds.max);
  const spare: ScaledMachine[] = [];
  let slots = count.slots;
  // Over the maximum slots do not matter: idle machines go however many slots are wanted.
  const isSpare = (machine: ScaledMachine) => {
    const machines = count.machines - spare.length;
    return machines > bounds.max || (machines > min && slots - machine.slots >= wantedSlots);
  };
  for (const machine of inOrderOfGoing(count, bounds.onDemandBase)) {
    if (!isSpare(machine)) continue;
    spare.push(machine);
    slots -= machine.slots;
  }
  return spare;
}

/** What is on demand beyond the base costs most; then spot; the base goes last. */
function inOrderOfGoing(count: ScalingCount, onDemandBase: number): ScaledMachine[] {
  const idle = [...count.idle].sort(idleLongestFirst);
  const onDemand = idle.filter(({ market }) => market === "on-demand");
  const beyond = Math.max(0, count.onDemand - onDemandBase);
  const spot = idle.filter(({ market }) => market === "spot");
  return [...onDemand.slice(0, beyond), ...spot, ...onDemand.slice(beyond)];
}

function heldByMin(
  count: ScalingCount,
  wantedSlots: number,
  bounds: ScalingBounds,
): HeldBack | undefined {
  const each = Math.max(1, bounds.slotsPerMachine);
  const isHeld = count.machines <= bounds.min && count.slots - each >= wantedSlots;
  return isHeld ? { by: "min", why: `${bounds.min} machines are always kept` } : undefined;
}

/** Who is idle longest: what it wrote another host has as well, but for what nobody took. */
function idleLongestFirst(a: ScaledMachine, b: ScaledMachine): number {
  return (a.idleSinceMs ?? 0) - (b.idleSinceMs ?? 0) || byId(a, b);
}

function latestFirst(a: ScaledMachine, b: ScaledMachine): number {
  return (b.idleSinceMs ?? 0) - (a.idleSinceMs ?? 0) || byId(a, b);
}

function byId(a: ScaledMachine, b: ScaledMachine): number {
  return a.id < b.id ? -1 : Number(a.id > b.id);
}
