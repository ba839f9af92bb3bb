// What is asked of a mesh: builds, when they begin, and their actions, in flat arrays, so that ten
// million actions take a few hundred MiB.

import { MeshError } from "../../src/core/error.ts";

/** One build. Its actions are `count` places of the workload's arrays from `first` on. */
export interface SimulatedBuild {
  /** When it begins, in ms from the workload's begin. */
  readonly atMs: number;
  /** Actions its client keeps open at once. */
  readonly parallelism: number;
  readonly first: number;
  readonly count: number;
}

/** A workload. Builds are in the order of their begin. */
export interface ScalingWorkload {
  /** What it is and where it comes from, for people. */
  readonly name: string;
  readonly builds: readonly SimulatedBuild[];
  /** Run time of each action in ms, at least 1. */
  readonly durationsMs: Int32Array;
  /** What each action resembles, for estimates. */
  readonly kinds: Uint8Array;
  /** What waits for what; undefined where actions wait for nothing. */
  readonly graph: WorkloadGraph | undefined;
}

/** Who waits for action `a`: `waiters[firstWaiter[a]]` to before `waiters[firstWaiter[a + 1]]`. */
export interface WorkloadGraph {
  readonly firstWaiter: Int32Array;
  readonly waiters: Int32Array;
  /** For how many each action waits. */
  readonly awaited: Int32Array;
}

/** Actions that a workload may hold; more would not fit into memory on small machines. */
export const actionsMax = 20_000_000;

/** Longest action in ms: longer ones are a mistake of units. */
export const durationMsMax = 7 * 86_400_000;

/** Its size for people, such as `336 builds, 126928 actions`. */
export function workloadSize({ builds, durationsMs }: ScalingWorkload): string {
  const count = (of: number, noun: string) => `${of} ${noun}${of === 1 ? "" : "s"}`;
  return `${count(builds.length, "build")}, ${count(durationsMs.length, "action")}`;
}

/** Collects a workload row by row. */
export class WorkloadWriter {
  readonly #name: string;
  readonly #actionsMax: number;
  #durationsMs = new Int32Array(4096);
  #kinds = new Uint8Array(4096);
  #actions = 0;
  readonly #builds: SimulatedBuild[] = [];
  /** Pairs: who waits, for whom. */
  #edges = new Int32Array(0);
  #edgeCount = 0;

  constructor(name: string, max = actionsMax) {
    this.#name = name;
    this.#actionsMax = max;
  }

  get actions(): number {
    return this.#actions;
  }

  /** Adds an action to the build that is to be closed next; returns its place. */
  action(durationMs: number, kind = 0): number {
    if (this.#actions === this.#actionsMax) {
      throw new MeshError(
        "RESOURCE_EXHAUSTED",
        `${this.#name} holds more than ${this.#actionsMax} actions; cut it, or take every n-th.`,
      );
    }
    if (this.#actions === this.#durationsMs.length) this.#grow();
    this.#durationsMs[this.#actions] = Math.min(durationMsMax, Math.max(1, Math.round(durationMs)));
    this.#kinds[this.#actions] = kind & 255;
    return this.#actions++;
  }

  /** `waiter` begins only once `awaited`, another action of its build, has ended. */
  edge(waiter: number, awaited: number): void {
    if (this.#edgeCount + 2 > this.#edges.length) {
      const edges = new Int32Array(Math.max(4096, this.#edges.length * 2));
      edges.set(this.#edges);
      this.#edges = edges;
    }
    this.#edges[this.#edgeCount++] = waiter;
    this.#edges[this.#edgeCount++] = awaited;
  }

  /** Closes a build of all actions since the last one; an empty one is left out. */
  build(atMs: number, parallelism: number): void {
    const last = this.#builds.at(-1);
    const first = last === undefined ? 0 : last.first + last.count;
    const count = this.#actions - first;
    if (count === 0) return;
    this.#builds.push({ atMs: Math.max(0, Math.round(atMs)), parallelism, first, count });
  }

  /** The workload; refuses one without work and a graph that goes in circles. */
  finish(): ScalingWorkload {
    if (this.#actions === 0) {
      throw new MeshError("INVALID_ARGUMENT", `${this.#name} holds no action that ran.`);
    }
    const builds = [...this.#builds].sort((a, b) => a.atMs - b.atMs || a.first - b.first);
    const graph = this.#graph();
    if (graph !== undefined) refuseCircles(this.#name, graph);
    const durationsMs = this.#durationsMs.subarray(0, this.#actions);
    return {
      ...{ name: this.#name, builds, durationsMs, graph },
      kinds: this.#kinds.subarray(0, this.#actions),
    };
  }

  #grow(): void {
    const length = Math.min(this.#actionsMax, this.#durationsMs.length * 2);
    const durationsMs = new Int32Array(length);
    const kinds = new Uint8Array(length);
    durationsMs.set(this.#durationsMs);
    kinds.set(this.#kinds);
    this.#durationsMs = durationsMs;
    this.#kinds = kinds;
  }

  #graph(): WorkloadGraph | undefined {
    if (this.#edgeCount === 0) return undefined;
    const firstWaiter = new Int32Array(this.#actions + 1);
    const awaited = new Int32Array(this.#actions);
    for (let at = 0; at < this.#edgeCount; at += 2) {
      const [waiter = 0, other = 0] = [this.#edges[at], this.#edges[at + 1]];
      firstWaiter[other + 1] = (firstWaiter[other + 1] ?? 0) + 1;
      awaited[waiter] = (awaited[waiter] ?? 0) + 1;
    }
    for (let at = 0; at < this.#actions; at += 1) {
      firstWaiter[at + 1] = (firstWaiter[at + 1] ?? 0) + (firstWaiter[at] ?? 0);
    }
    const next = firstWaiter.slice();
    const waiters = new Int32Array(this.#edgeCount / 2);
    for (let at = 0; at < this.#edgeCount; at += 2) {
      const other = this.#edges[at + 1] ?? 0;
      const place = next[other] ?? 0;
      waiters[place] = this.#edges[at] ?? 0;
      next[other] = place + 1;
    }
    return { firstWaiter, waiters, awaited };
  }
}

/** The longest chain of run times that begins with each action, in ms; circles are refused. */
export function chainsMs({ graph, durationsMs }: ScalingWorkload): Float64Array {
  const chains = Float64Array.from(durationsMs);
  if (graph === undefined) return chains;
  const order = topological(graph);
  for (let at = order.length - 1; at >= 0; at -= 1) {
    const action = order[at] ?? 0;
    let longest = 0;
    const end = graph.firstWaiter[action + 1] ?? 0;
    for (let edge = graph.firstWaiter[action] ?? 0; edge < end; edge += 1) {
      longest = Math.max(longest, chains[graph.waiters[edge] ?? 0] ?? 0);
    }
    chains[action] = (durationsMs[action] ?? 0) + longest;
  }
  return chains;
}

function refuseCircles(name: string, graph: WorkloadGraph): void {
  if (topological(graph).length === graph.awaited.length) return;
  throw new MeshError("INVALID_ARGUMENT", `${name}: some actions wait for each other in a circle.`);
}

/** Actions in an order in which each comes after those it waits for; circles are left out. */
function topological({ firstWaiter, waiters, awaited }: WorkloadGraph): Int32Array {
  const left = awaited.slice();
  const order = new Int32Array(left.length);
  let known = 0;
  for (let action = 0; action < left.length; action += 1) {
    if (left[action] === 0) order[known++] = action;
  }
  for (let at = 0; at < known; at += 1) {
    const action = order[at] ?? 0;
    for (let edge = firstWaiter[action] ?? 0; edge < (firstWaiter[action + 1] ?? 0); edge += 1) {
      const waiter = waiters[edge] ?? 0;
      left[waiter] = (left[waiter] ?? 0) - 1;
      if (left[waiter] === 0) order[known++] = waiter;
    }
  }
  return order.subarray(0, known);
}
