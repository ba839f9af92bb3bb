// The order in which waiting work is served, for an ingress's actions and a worker's reservations.
//
// Priority first; then fairness: of two invocations the one that was served less goes first, in
// virtual time (start-time fair queueing, Goyal et al., SIGCOMM 1996), so that a huge build cannot
// hold up a small one; then the longest expected run, because long actions started late set the
// makespan; then arrival.

import { assert } from "./assert.ts";
import { Heap } from "./heap.ts";

/** What the queue must know of an item. */
export interface Queueable {
  /** Unique within the queue. */
  readonly key: string;
  /** Items of a lane can be served by the same workers; "" where all are alike. */
  readonly lane: string;
  /** Lower goes first. Any int32. */
  readonly priority: number;
  /** Fairness key. */
  readonly invocation: string;
  /** Expected run time in ms, undefined when it was never seen. */
  readonly estimateMs: number | undefined;
}

/** Bounds of a queue. */
export interface QueueOptions {
  /** Items it holds at most; more are turned away. */
  readonly itemsMax: number;
}

/** Expected ms of an action whose kind never ran; Dask guesses the same half second. */
export const estimateMsUnknown = 500;

/** Invocations without waiting items whose service is remembered. */
const idleInvocationsMax = 1_000;

interface Waiting<T> {
  readonly item: T;
  readonly flow: Flow<T>;
  readonly costMs: number;
  readonly order: number;
}

/** The items of one invocation with one priority in one lane. */
interface Flow<T> {
  readonly key: string;
  readonly lane: Lane<T>;
  readonly priority: number;
  readonly invocation: string;
  readonly waiting: Heap<Waiting<T>>;
  /** What the lane was sorted by; the invocation may have been served elsewhere since. */
  servedMs: number;
}

interface Lane<T> {
  readonly name: string;
  readonly flowByKey: Map<string, Flow<T>>;
  readonly flows: Heap<Flow<T>>;
}

/** A bounded fair priority queue; every operation is O(log n) per lane looked at. */
export class Queue<T extends Queueable> {
  readonly #waitingByKey = new Map<string, Waiting<T>>();
  readonly #laneByName = new Map<string, Lane<T>>();
  readonly #servedMsByInvocation = new Map<string, number>();
  readonly #countByInvocation = new Map<string, number>();
  readonly #itemsMax: number;
  #virtualMs = 0;
  #order = 0;

  constructor(options: QueueOptions) {
    this.#itemsMax = options.itemsMax;
  }

  get size(): number {
    return this.#waitingByKey.size;
  }

  has(key: string): boolean {
    return this.#waitingByKey.has(key);
  }

  hasLane(lane: string): boolean {
    return this.#laneByName.has(lane);
  }

  /** All items, in no particular order; do not change the queue while reading. */
  *items(): Iterable<T> {
    for (const { item } of this.#waitingByKey.values()) yield item;
  }

  /** False where the queue is full or holds the key already. */
  add(item: T): boolean {
    if (this.size >= this.#itemsMax || this.has(item.key)) return false;
    const flow = this.#flowFor(item);
    const costMs = Math.max(1, item.estimateMs ?? estimateMsUnknown);
    const waiting = { item, flow, costMs, order: this.#order };
    this.#order += 1;
    this.#waitingByKey.set(item.key, waiting);
    flow.waiting.add(waiting);
    if (flow.waiting.size === 1) flow.lane.flows.add(flow);
    else flow.lane.flows.update(flow);
    return true;
  }

  /** Takes the next item of the lanes that `accepts` lets through; undefined when there is none. */
  take(accepts: (lane: string) => boolean = () => true): T | undefined {
    let next: Flow<T> | undefined;
    for (const lane of this.#laneByName.values()) {
      if (!accepts(lane.name)) continue;
      const flow = this.#firstFlow(lane);
      if (next === undefined || isFlowBefore(flow, next)) next = flow;
    }
    const waiting = next?.waiting.peek();
    if (next === undefined || waiting === undefined) return undefined;
    this.#virtualMs = Math.max(this.#virtualMs, next.servedMs);
    this.#servedMsByInvocation.set(next.invocation, next.servedMs + waiting.costMs);
    this.#drop(waiting);
    return waiting.item;
  }

  /** Takes an item out of turn; undefined when it is not here. */
  remove(key: string): T | undefined {
    const waiting = this.#waitingByKey.get(key);
    if (waiting !== undefined) this.#drop(waiting);
    return waiting?.item;
  }

  #flowFor(item: T): Flow<T> {
    const { lane: name, priority, invocation } = item;
    let lane = this.#laneByName.get(name);
    if (lane === undefined) {
      lane = { name, flowByKey: new Map(), flows: new Heap(isFlowBefore) };
      this.#laneByName.set(name, lane);
    }
    const count = this.#countByInvocation.get(invocation) ?? 0;
    this.#countByInvocation.set(invocation, count + 1);
    if (count === 0) {
      // Who comes back cannot claim the time it was away for.
      const servedMs = Math.max(this.#servedMsByInvocation.get(invocation) ?? 0, this.#virtualMs);
      this.#servedMsByInvocation.set(invocation, servedMs);
    }
    const key = `${priority}/${invocation}`;
    let flow = lane.flowByKey.get(key);
    if (flow === undefined) {
      const servedMs = this.#servedMs(invocation);
      flow = { key, lane, priority, invocation, waiting: new Heap(isWaitingBefore), servedMs };
      lane.flowByKey.set(key, flow);
    }
    return flow;
  }

  /** Service only grows, so re-sorting the first flow until it is current finds the minimum. */
  #firstFlow(lane: Lane<T>): Flow<T> {
    for (;;) {
      const flow = lane.flows.peek();
      assert(flow !== undefined, "a lane without items is removed");
      const servedMs = this.#servedMs(flow.invocation);
      if (flow.servedMs === servedMs) return flow;
      flow.servedMs = servedMs;
      lane.flows.update(flow);
    }
  }

  #servedMs(invocation: string): number {
    return this.#servedMsByInvocation.get(invocation) ?? 0;
  }

  #drop(waiting: Waiting<T>): void {
    const { flow } = waiting;
    this.#waitingByKey.delete(waiting.item.key);
    if (flow.waiting.size > 1) {
      flow.waiting.remove(waiting);
      flow.lane.flows.update(flow);
    } else {
      // The order of a flow looks at its first item, so the flow leaves the lane before it empties.
      flow.lane.flows.remove(flow);
      flow.lane.flowByKey.delete(flow.key);
      flow.waiting.remove(waiting);
      if (flow.lane.flows.size === 0) this.#laneByName.delete(flow.lane.name);
    }
    this.#leave(flow.invocation);
  }

  #leave(invocation: string): void {
    const count = (this.#countByInvocation.get(invocation) ?? 0) - 1;
    if (count > 0) {
      this.#countByInvocation.set(invocation, count);
      return;
    }
    this.#countByInvocation.delete(invocation);
    const servedMs = this.#servedMs(invocation);
    this.#servedMsByInvocation.delete(invocation);
    if (servedMs > this.#virtualMs) this.#servedMsByInvocation.set(invocation, servedMs);
    this.#forgetIdle();
  }

  /** Bound: remembers the service of at most `idleInvocationsMax` invocations that are not here. */
  #forgetIdle(): void {
    if (this.#servedMsByInvocation.size <= this.#countByInvocation.size + idleInvocationsMax)
      return;
    for (const invocation of this.#servedMsByInvocation.keys()) {
      if (this.#countByInvocation.has(invocation)) continue;
      this.#servedMsByInvocation.delete(invocation);
      return;
    }
  }
}

function isWaitingBefore<T>(a: Waiting<T>, b: Waiting<T>): boolean {
  return a.costMs === b.costMs ? a.order < b.order : a.costMs > b.costMs;
}

function isFlowBefore<T>(a: Flow<T>, b: Flow<T>): boolean {
  if (a.priority !== b.priority) return a.priority < b.priority;
  if (a.servedMs !== b.servedMs) return a.servedMs < b.servedMs;
  const [first, second] = [a.waiting.peek(), b.waiting.peek()];
  assert(first !== undefined && second !== undefined, "a sorted flow has items");
  return isWaitingBefore(first, second);
}
