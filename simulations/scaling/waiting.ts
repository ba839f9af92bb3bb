// Actions that wait for a slot, in one of the orders that meshes know.

/**
 * `fair`: of the build that has the fewest running, as the mesh does; `fifo`: as they came;
 * `recorded`: as they stand in the trace; `longest`: the longest first, by its true run time;
 * `critical`: the longest chain first.
 */
export const waitingOrders = ["fair", "fifo", "recorded", "longest", "critical"] as const;

/** One of them. */
export type WaitingOrder = (typeof waitingOrders)[number];

/** The waiting actions. */
export interface Waiting {
  readonly size: number;
  push(action: number, build: number): void;
  /** The next action, taken out; -1 where none waits. */
  pop(): number;
}

/** First come, first served. */
export class FifoWaiting implements Waiting {
  #ring = new Int32Array(1024);
  #head = 0;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  push(action: number): void {
    if (this.#size === this.#ring.length) this.#grow();
    this.#ring[(this.#head + this.#size) & (this.#ring.length - 1)] = action;
    this.#size += 1;
  }

  pop(): number {
    if (this.#size === 0) return -1;
    const action = this.#ring[this.#head] as number;
    this.#head = (this.#head + 1) & (this.#ring.length - 1);
    this.#size -= 1;
    return action;
  }

  #grow(): void {
    const ring = new Int32Array(this.#ring.length * 2);
    for (let at = 0; at < this.#size; at += 1) {
      ring[at] = this.#ring[(this.#head + at) & (this.#ring.length - 1)] as number;
    }
    this.#ring = ring;
    this.#head = 0;
  }
}

/** The build with the fewest running actions first; within it, first come. */
export class FairWaiting implements Waiting {
  readonly #running: Int32Array;
  readonly #byBuild = new Map<number, FifoWaiting>();
  /** Emptied ones, to be used again. */
  readonly #spare: FifoWaiting[] = [];
  #size = 0;

  /** `running`: how many actions of each build run now; kept by the caller. */
  constructor(running: Int32Array) {
    this.#running = running;
  }

  get size(): number {
    return this.#size;
  }

  push(action: number, build: number): void {
    let own = this.#byBuild.get(build);
    if (own === undefined) {
      own = this.#spare.pop() ?? new FifoWaiting();
      this.#byBuild.set(build, own);
    }
    own.push(action);
    this.#size += 1;
  }

  pop(): number {
    let best = -1;
    let fewest = Number.POSITIVE_INFINITY;
    for (const build of this.#byBuild.keys()) {
      const running = this.#running[build] as number;
      if (running < fewest) {
        fewest = running;
        best = build;
      }
    }
    const own = this.#byBuild.get(best);
    if (own === undefined) return -1;
    const action = own.pop();
    if (own.size === 0) {
      this.#byBuild.delete(best);
      this.#spare.push(own);
    }
    this.#size -= 1;
    return action;
  }
}

/** The highest rank first; of equal ones the lower action. */
export class RankedWaiting implements Waiting {
  readonly #ranks: ArrayLike<number>;
  readonly #heap: number[] = [];

  constructor(ranks: ArrayLike<number>) {
    this.#ranks = ranks;
  }

  get size(): number {
    return this.#heap.length;
  }

  push(action: number): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(action);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.#isBefore(action, heap[parent] as number)) break;
      heap[at] = heap[parent] as number;
      at = parent;
    }
    heap[at] = action;
  }

  pop(): number {
    const heap = this.#heap;
    const top = heap[0];
    const last = heap.pop();
    if (top === undefined || last === undefined) return -1;
    if (heap.length === 0) return top;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      const right = heap[child + 1];
      if (right !== undefined && this.#isBefore(right, heap[child] as number)) child += 1;
      if (!this.#isBefore(heap[child] as number, last)) break;
      heap[at] = heap[child] as number;
      at = child;
    }
    heap[at] = last;
    return top;
  }

  #isBefore(a: number, b: number): boolean {
    const difference = (this.#ranks[a] as number) - (this.#ranks[b] as number);
    return difference > 0 || (difference === 0 && a < b);
  }
}
