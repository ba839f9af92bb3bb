// How far each build is: what its client has submitted, what runs, what is left, and what a
// coordinator would know of it.

import type { Rng } from "../../src/core/rng.ts";
import type { OpenInvocation, ScalingDemand } from "../../src/core/scaling.ts";
import { FifoWaiting } from "./waiting.ts";
import type { ScalingWorkload } from "./workload.ts";

/** Expected run time of an action of which nothing is known, in ms. */
const unknownMs = 1_000;

interface OpenBuild {
  readonly beganAtMs: number;
  readonly wholeMs: number;
  /** By how much the known size is wrong, as a factor. */
  readonly knownAs: number;
  /** Actions that may be submitted, where there is a graph. */
  readonly ready: FifoWaiting;
  /** The next action, where there is none. */
  next: number;
  open: number;
  left: number;
  /** Run time of what has not been started. */
  leftMs: number;
}

/** A build that ended. */
export interface EndedBuild {
  readonly atMs: number;
  readonly tookMs: number;
  /** What it would take with slots for all, in ms. */
  readonly idealMs: number;
}

/** Builds of one run. */
export class BuildProgress {
  /** Running actions of each build. */
  readonly running: Int32Array;
  readonly ended: EndedBuild[] = [];
  readonly #workload: ScalingWorkload;
  readonly #sizesKnown: "queued" | number;
  readonly #dice: Rng;
  readonly #buildOf: Int32Array;
  readonly #submittedAtMs: Float64Array;
  readonly #awaited: Int32Array | undefined;
  readonly #open = new Map<number, OpenBuild>();
  #begun = 0;
  /** Waiting actions and mean run time of each kind. */
  readonly #queuedByKind = new Int32Array(256);
  readonly #meanByKind = new Float64Array(256).fill(-1);
  readonly #runsByKind = new Uint8Array(256);

  constructor(workload: ScalingWorkload, sizesKnown: "queued" | number, dice: Rng) {
    this.#workload = workload;
    this.#sizesKnown = sizesKnown;
    this.#dice = dice;
    const actions = workload.durationsMs.length;
    this.running = new Int32Array(workload.builds.length);
    this.#buildOf = new Int32Array(actions);
    for (const [at, { first, count }] of workload.builds.entries()) {
      this.#buildOf.fill(at, first, first + count);
    }
    this.#submittedAtMs = new Float64Array(actions);
    this.#awaited = workload.graph?.awaited.slice();
  }

  /** Builds under way. */
  get open(): number {
    return this.#open.size;
  }

  /** Whether all builds have ended. */
  get isDone(): boolean {
    return this.#begun === this.#workload.builds.length && this.#open.size === 0;
  }

  buildOf(action: number): number {
    return this.#buildOf[action] as number;
  }

  runMs(action: number): number {
    return this.#workload.durationsMs[action] as number;
  }

  waitedMs(action: number, nowMs: number): number {
    return nowMs - (this.#submittedAtMs[action] as number);
  }

  begin(index: number, nowMs: number): void {
    const { builds, graph } = this.#workload;
    const { first, count } = builds[index] ?? { first: 0, count: 0 };
    let wholeMs = 0;
    const ready = new FifoWaiting();
    for (let action = first; action < first + count; action += 1) {
      wholeMs += this.runMs(action);
      if (graph !== undefined && this.#awaited?.[action] === 0) ready.push(action);
    }
    const wrong = this.#sizesKnown === "queued" ? 0 : this.#sizesKnown;
    const knownAs = 1 - wrong + (2 * wrong * this.#dice.below(1001)) / 1000;
    const build = { beganAtMs: nowMs, wholeMs, knownAs, ready, next: first };
    this.#open.set(index, { ...build, open: 0, left: count, leftMs: wholeMs });
    this.#begun += 1;
  }

  /** The next action that its client submits now; −1 where there is none. */
  submit(index: number, nowMs: number): number {
    const build = this.#open.get(index);
    const { parallelism, first, count } = this.#workload.builds[index] ?? none;
    if (build === undefined || build.open >= parallelism) return -1;
    let action = -1;
    if (this.#awaited !== undefined) action = build.ready.pop();
    else if (build.next < first + count) action = build.next++;
    if (action < 0) return -1;
    build.open += 1;
    this.#submittedAtMs[action] = nowMs;
    this.#queued(action, 1);
    return action;
  }

  /** A slot took it; returns its run time in ms. */
  start(action: number, index: number): number {
    const runMs = this.runMs(action);
    const build = this.#open.get(index);
    if (build !== undefined) build.leftMs -= runMs;
    this.#queued(action, -1);
    this.running[index] = (this.running[index] as number) + 1;
    return runMs;
  }

  /** Its machine went away: it waits anew. */
  takeBack(action: number, index: number, nowMs: number): void {
    const build = this.#open.get(index);
    if (build !== undefined) build.leftMs += this.runMs(action);
    this.#queued(action, 1);
    this.#submittedAtMs[action] = nowMs;
    this.running[index] = (this.running[index] as number) - 1;
  }

  finish(action: number, index: number, nowMs: number): void {
    const build = this.#open.get(index);
    if (build === undefined) return;
    this.#learn(action);
    this.running[index] = (this.running[index] as number) - 1;
    build.open -= 1;
    build.left -= 1;
    this.#release(action, build);
    if (build.left > 0) return;
    this.#open.delete(index);
    const { parallelism, first, count } = this.#workload.builds[index] ?? none;
    const longestMs = this.#longest(first, count);
    const idealMs = Math.max(longestMs, build.wholeMs / Math.min(parallelism, count));
    this.ended.push({ atMs: nowMs, tookMs: nowMs - build.beganAtMs, idealMs });
  }

  /** What a coordinator would know, without machines. */
  demand(queued: number): Omit<ScalingDemand, "machines"> {
    let queuedWorkMs = 0;
    for (let kind = 0; kind < 256; kind += 1) {
      const count = this.#queuedByKind[kind] as number;
      if (count > 0) queuedWorkMs += count * this.#expectedMs(kind);
    }
    const meanMs = queued === 0 ? 0 : queuedWorkMs / queued;
    const invocations: OpenInvocation[] = [];
    for (const [index, build] of this.#open) {
      const parallelism = this.#workload.builds[index]?.parallelism ?? 0;
      const waiting = build.open - (this.running[index] as number);
      const known = this.#sizesKnown === "queued" ? waiting * meanMs : build.leftMs * build.knownAs;
      invocations.push({ parallelism, remainingMs: known });
    }
    return { queued, queuedWorkMs, invocations };
  }

  #expectedMs(kind: number): number {
    const meanMs = this.#meanByKind[kind] as number;
    return meanMs < 0 ? unknownMs : meanMs;
  }

  #queued(action: number, change: number): void {
    const kind = this.#workload.kinds[action] as number;
    this.#queuedByKind[kind] = (this.#queuedByKind[kind] as number) + change;
  }

  /** As `Estimates` of the mesh: the mean of the first four, then a quarter for each new one. */
  #learn(action: number): void {
    const kind = this.#workload.kinds[action] as number;
    const runs = Math.min(4, (this.#runsByKind[kind] as number) + 1);
    const meanMs = Math.max(0, this.#meanByKind[kind] as number);
    this.#runsByKind[kind] = runs;
    this.#meanByKind[kind] = meanMs + Math.round((this.runMs(action) - meanMs) / runs);
  }

  #release(action: number, build: OpenBuild): void {
    const graph = this.#workload.graph;
    const awaited = this.#awaited;
    if (graph === undefined || awaited === undefined) return;
    const last = graph.firstWaiter[action + 1] as number;
    for (let edge = graph.firstWaiter[action] as number; edge < last; edge += 1) {
      const waiter = graph.waiters[edge] as number;
      const left = (awaited[waiter] as number) - 1;
      awaited[waiter] = left;
      if (left === 0) build.ready.push(waiter);
    }
  }

  #longest(first: number, count: number): number {
    let longestMs = 0;
    for (let action = first; action < first + count; action += 1) {
      longestMs = Math.max(longestMs, this.runMs(action));
    }
    return longestMs;
  }
}

const none = { parallelism: 0, first: 0, count: 0 };
