// The order in which waiting work is served, for an ingress's actions and a worker's reservations.
//
// Priority first; then fairness (fair-shares.ts): of two users the one that was served less goes
// first, and of a user's invocations likewise, so that neither a huge build nor many builds of one
// user hold up the others; then the longest expected run, because long actions started late set
// the makespan; then arrival.

import { assert } from "./assert.ts";
import { FairShares } from "./fair-shares.ts";
import { Heap } from "./heap.ts";

/** What the queue must know of an item. */
export interface Queueable {
  /** Unique within the queue. */
  readonly key: string;
  /** Items of a lane can be served by the same workers; "" where all are alike. */
  readonly lane: string;
  /** Lower goes first. Any int32. */
  readonly priority: number;
  /** Whose it is: users share evenly. */
  readonly user: string;
  /** Of which of the user's builds: these share evenly what the user gets. */
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

interface Waiting<T> {
  readonly item: T;
  readonly flow: Flow<T>;
  readonly costMs: number;
  readonly order: number;
}

/** The items of one invocation in a group. */
interface Flow<T> {
  readonly group: Group<T>;
  readonly invocation: string;
  readonly waiting: Heap<Waiting<T>>;
  /** What the group was sorted by; the invocation may have been served elsewhere since. */
  servedMs: number;
}

/** The items of one user with one priority in one lane. */
interface Group<T> {
  readonly key: string;
  readonly lane: Lane<T>;
  readonly priority: number;
  readonly user: string;
  /** The accounts of the user's invocations, in all lanes. */
  readonly invocations: FairShares;
  readonly flowByInvocation: Map<string, Flow<T>>;
  readonly flows: Heap<Flow<T>>;
  /** What the lane was sorted by; the user may have been served elsewhere since. */
  servedMs: number;
}

interface Lane<T> {
  readonly name: string;
  readonly groupByKey: Map<string, Group<T>>;
  readonly groups: Heap<Group<T>>;
}

/** A bounded fair priority queue; every operation is O(log n) per lane looked at. */
export class Queue<T extends Queueable> {
  readonly #waitingByKey = new Map<string, Waiting<T>>();
  readonly #laneByName = new Map<string, Lane<T>>();
  readonly #users = new FairShares();
  /** Of every user that `#users` knows. */
  readonly #invocationsByUser = new Map<string, FairShares>();
  readonly #itemsMax: number;
  #order = 0;

  constructor(options: QueueOptions) {
    this.#itemsMax = options.itemsMax;
  }

  get size(): number {
    return this.#waitingByKey.size;
  }

  /** Users that wait or whose service is remembered. */
  get usersKnown(): number {
    return this.#invocationsByUser.size;
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
    const { flows, lane } = flow.group;
    if (flow.waiting.size > 1) flows.update(flow);
    else {
      flows.add(flow);
      if (flows.size === 1) lane.groups.add(flow.group);
    }
    return true;
  }

  /** Takes the next item of the lanes that `accepts` lets through; undefined when there is none. */
  take(accepts: (lane: string) => boolean = () => true): T | undefined {
    let next: Flow<T> | undefined;
    for (const lane of this.#laneByName.values()) {
      if (!accepts(lane.name)) continue;
      const flow = this.#firstFlow(lane);
      if (next === undefined || isServedBefore(flow, next)) next = flow;
    }
    const waiting = next?.waiting.peek();
    if (next === undefined || waiting === undefined) return undefined;
    this.#users.serve(next.group.user, waiting.costMs);
    next.group.invocations.serve(next.invocation, waiting.costMs);
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
    const group = this.#groupFor(item);
    const { invocation } = item;
    this.#users.join(item.user);
    group.invocations.join(invocation);
    let flow = group.flowByInvocation.get(invocation);
    if (flow === undefined) {
      const servedMs = group.invocations.servedMs(invocation);
      flow = { group, invocation, waiting: new Heap(isWaitingBefore), servedMs };
      group.flowByInvocation.set(invocation, flow);
    }
    return flow;
  }

  #groupFor({ lane: name, priority, user }: T): Group<T> {
    let lane = this.#laneByName.get(name);
    if (lane === undefined) {
      lane = { name, groupByKey: new Map(), groups: new Heap(isGroupBefore) };
      this.#laneByName.set(name, lane);
    }
    const key = `${priority}/${user}`;
    let group = lane.groupByKey.get(key);
    if (group === undefined) {
      const invocations = this.#invocationsByUser.get(user) ?? new FairShares();
      this.#invocationsByUser.set(user, invocations);
      const flows = new Heap<Flow<T>>(isFlowBefore);
      const servedMs = this.#users.servedMs(user);
      const flowByInvocation = new Map<string, Flow<T>>();
      group = { key, lane, priority, user, invocations, flowByInvocation, flows, servedMs };
      lane.groupByKey.set(key, group);
    }
    return group;
  }

  /** Service only grows, so re-sorting the first one until it is current finds the minimum. */
  #firstFlow({ groups }: Lane<T>): Flow<T> {
    const group = current(groups, ({ user }) => this.#users.servedMs(user));
    return current(group.flows, ({ invocation }) => group.invocations.servedMs(invocation));
  }

  #drop(waiting: Waiting<T>): void {
    const { flow } = waiting;
    const { group } = flow;
    this.#waitingByKey.delete(waiting.item.key);
    if (flow.waiting.size > 1) {
      flow.waiting.remove(waiting);
      group.flows.update(flow);
    } else {
      // The order of a flow looks at its first item, so the flow leaves before it empties.
      group.flows.remove(flow);
      group.flowByInvocation.delete(flow.invocation);
      flow.waiting.remove(waiting);
      if (group.flows.size === 0) this.#dropGroup(group);
    }
    group.invocations.leave(flow.invocation);
    this.#users.leave(group.user);
    if (this.#users.size < this.#invocationsByUser.size) this.#forgetUsers();
  }

  #dropGroup(group: Group<T>): void {
    const { lane } = group;
    lane.groups.remove(group);
    lane.groupByKey.delete(group.key);
    if (lane.groups.size === 0) this.#laneByName.delete(lane.name);
  }

  /** Users whose service is forgotten take their invocations along. */
  #forgetUsers(): void {
    for (const user of this.#invocationsByUser.keys()) {
      if (!this.#users.knows(user)) this.#invocationsByUser.delete(user);
    }
  }
}

function isWaitingBefore<T>(a: Waiting<T>, b: Waiting<T>): boolean {
  return a.costMs === b.costMs ? a.order < b.order : a.costMs > b.costMs;
}

function isFlowBefore<T>(a: Flow<T>, b: Flow<T>): boolean {
  if (a.servedMs !== b.servedMs) return a.servedMs < b.servedMs;
  const [first, second] = [a.waiting.peek(), b.waiting.peek()];
  assert(first !== undefined && second !== undefined, "a sorted flow has items");
  return isWaitingBefore(first, second);
}

function isGroupBefore<T>(a: Group<T>, b: Group<T>): boolean {
  if (a.priority !== b.priority) return a.priority < b.priority;
  if (a.servedMs !== b.servedMs) return a.servedMs < b.servedMs;
  return a.user < b.user;
}

/** Of flows in different lanes: a user has a group in each. */
function isServedBefore<T>(a: Flow<T>, b: Flow<T>): boolean {
  if (isGroupBefore(a.group, b.group)) return true;
  return !isGroupBefore(b.group, a.group) && isFlowBefore(a, b);
}

/** The first of a heap once its order is that of the accounts. */
function current<S extends { servedMs: number }>(heap: Heap<S>, servedMs: (of: S) => number): S {
  for (;;) {
    const first = heap.peek();
    assert(first !== undefined, "a lane without items is removed");
    const now = servedMs(first);
    if (first.servedMs === now) return first;
    first.servedMs = now;
    heap.update(first);
  }
}
