// Everything outside the cores: virtual time, links between nodes, and what becomes of effects.
// Single-threaded and seeded: the same seed is the same run, to the last line of the trace.

import type { PeerId } from "../src/core/action.ts";
import { assert } from "../src/core/assert.ts";
import { Heap } from "../src/core/heap.ts";
import type { Effect, Input, Machine } from "../src/core/machine.ts";
import type { Network } from "./network.ts";
import { bytesOf } from "./sizes.ts";
import { describeEffect, describeInput, TraceHash } from "./trace.ts";

/** Sees every input before a core handles it and every effect after. */
export interface Observer {
  onInput?(peer: PeerId, input: Input, nowMs: number): void;
  onEffect?(peer: PeerId, effect: Effect, nowMs: number): void;
  /** After a node handled an input and its effects were seen. */
  onHandled?(peer: PeerId, nowMs: number): void;
}

interface Event {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
}

interface Node {
  readonly peer: PeerId;
  core: Machine | undefined;
  /** Inputs that wait while the process is stopped; undefined while it runs. */
  frozen: Input[] | undefined;
  readonly links: Set<PeerId>;
  /** In the world's time. */
  wakeAtMs: number;
  /** How far its clock is ahead of the world's in ms. */
  aheadMs: number;
}

/** Inputs a stopped process may find when it goes on. */
const frozenInputsMax = 1_000_000;

/** N cores in virtual time. */
export class World {
  readonly network: Network;
  readonly hash = new TraceHash();
  readonly #events = new Heap<Event>(isEarlier);
  readonly #nodeByPeer = new Map<PeerId, Node>();
  readonly #observers: Observer[] = [];
  readonly #onTrace: ((line: string) => void) | undefined;
  #nowMs = 0;
  #order = 0;

  constructor(network: Network, onTrace?: (line: string) => void) {
    this.network = network;
    this.#onTrace = onTrace;
  }

  get nowMs(): number {
    return this.#nowMs;
  }

  observe(observer: Observer): void {
    this.#observers.push(observer);
  }

  /** Runs something at a virtual time, not before now. */
  at(atMs: number, run: () => void): void {
    this.#events.add({ atMs: Math.max(atMs, this.#nowMs), order: this.#order, run });
    this.#order += 1;
  }

  after(delayMs: number, run: () => void): void {
    this.at(this.#nowMs + delayMs, run);
  }

  /** Runs events until `isOver` says so, time passes `untilMs`, or nothing is left. */
  run(untilMs: number, isOver: () => boolean = () => false): void {
    while (!isOver()) {
      const event = this.#events.peek();
      if (event === undefined || event.atMs > untilMs) return;
      this.#events.take();
      this.#nowMs = event.atMs;
      event.run();
    }
  }

  /** Starts a process under that name, its clock `aheadMs` off; a former one must be stopped. */
  start(peer: PeerId, core: Machine, aheadMs = 0): void {
    const node = this.#node(peer);
    assert(node.core === undefined, "a process starts where none runs");
    node.core = core;
    node.aheadMs = aheadMs;
    node.frozen = undefined;
    this.trace(`${peer} starts`);
    this.tell(peer, { kind: "wake" });
  }

  /** Kills a process: its peers notice a moment later. */
  kill(peer: PeerId, noticeMs: number): void {
    const node = this.#node(peer);
    node.core = undefined;
    node.frozen = undefined;
    node.wakeAtMs = Number.POSITIVE_INFINITY;
    this.trace(`${peer} dies`);
    for (const other of [...node.links]) {
      node.links.delete(other);
      this.after(noticeMs, () => this.unlinkEnd(other, peer));
    }
  }

  /** Stops a process without ending it, as SIGSTOP or a closed lid does. */
  freeze(peer: PeerId): void {
    const node = this.#node(peer);
    if (node.core === undefined || node.frozen !== undefined) return;
    node.frozen = [];
    this.trace(`${peer} freezes`);
  }

  /** Lets it go on: it finds everything that came meanwhile, in order. */
  thaw(peer: PeerId): void {
    const node = this.#node(peer);
    const inputs = node.frozen;
    if (inputs === undefined) return;
    node.frozen = undefined;
    this.trace(`${peer} thaws`);
    for (const input of inputs) this.tell(peer, input);
    this.#wake(node);
  }

  isUp(peer: PeerId): boolean {
    const node = this.#node(peer);
    return node.core !== undefined && node.frozen === undefined;
  }

  isLinked(a: PeerId, b: PeerId): boolean {
    return this.#node(a).links.has(b) && this.#node(b).links.has(a);
  }

  /** Links two running nodes; nothing where they are linked or one is down. */
  link(a: PeerId, b: PeerId): void {
    for (const [one, other] of [[a, b] as const, [b, a] as const]) {
      if (this.#node(other).core === undefined || this.#node(one).core === undefined) continue;
      if (this.#node(one).links.has(other)) continue;
      this.#node(one).links.add(other);
      this.tell(one, { kind: "linked", peer: other });
    }
  }

  /** Ends a link at both ends. */
  unlink(a: PeerId, b: PeerId): void {
    this.unlinkEnd(a, b);
    this.unlinkEnd(b, a);
  }

  /** Ends a link at the end of `peer` only: it does not hear the other. */
  unlinkEnd(peer: PeerId, other: PeerId): void {
    const node = this.#node(peer);
    if (node.links.delete(other)) this.tell(peer, { kind: "unlinked", peer: other });
  }

  /** True where `peer` takes `other` to be linked. */
  hasLinkEnd(peer: PeerId, other: PeerId): boolean {
    return this.#node(peer).links.has(other);
  }

  /** Those that `peer` takes to be linked, sorted. */
  linksOf(peer: PeerId): readonly PeerId[] {
    return [...this.#node(peer).links].sort();
  }

  /** Hands an input to a node, if it is there. */
  tell(peer: PeerId, input: Input): void {
    const node = this.#node(peer);
    if (node.core === undefined) return;
    if (node.frozen !== undefined) {
      assert(node.frozen.length < frozenInputsMax, "a frozen node's inputs are bounded");
      node.frozen.push(input);
      return;
    }
    for (const observer of this.#observers) observer.onInput?.(peer, input, this.#nowMs);
    this.trace(`${peer} < ${describeInput(input)}`);
    for (const effect of node.core.handle(input, this.#nowMs + node.aheadMs)) {
      this.trace(`${peer} > ${describeEffect(effect)}`);
      for (const observer of this.#observers) observer.onEffect?.(peer, effect, this.#nowMs);
      if (effect.kind === "send") this.#send(peer, effect.to, effect.message);
    }
    for (const observer of this.#observers) observer.onHandled?.(peer, this.#nowMs);
    this.#schedule(node);
  }

  trace(line: string): void {
    const stamped = `${this.#nowMs} ${line}`;
    this.hash.add(stamped);
    this.#onTrace?.(stamped);
  }

  #send(from: PeerId, to: PeerId, message: (Effect & { kind: "send" })["message"]): void {
    for (const atMs of this.network.arrivals(from, to, this.#nowMs, bytesOf(message))) {
      this.at(atMs, () => this.tell(to, { kind: "message", from, message }));
    }
  }

  #schedule(node: Node): void {
    const wakeAtMs = (node.core?.wakeAtMs ?? Number.POSITIVE_INFINITY) - node.aheadMs;
    if (wakeAtMs >= node.wakeAtMs) return;
    node.wakeAtMs = wakeAtMs;
    this.at(wakeAtMs, () => {
      if (node.wakeAtMs !== wakeAtMs) return;
      node.wakeAtMs = Number.POSITIVE_INFINITY;
      this.#wake(node);
    });
  }

  /** Wakes a node that is due; one that is not asks again for its later time. */
  #wake(node: Node): void {
    if (node.core === undefined || node.frozen !== undefined) return;
    if (node.core.wakeAtMs <= this.#nowMs + node.aheadMs) this.tell(node.peer, { kind: "wake" });
    else this.#schedule(node);
  }

  #node(peer: PeerId): Node {
    const known = this.#nodeByPeer.get(peer);
    if (known !== undefined) return known;
    const wakeAtMs = Number.POSITIVE_INFINITY;
    const links = new Set<PeerId>();
    const node = { peer, core: undefined, frozen: undefined, links, wakeAtMs, aheadMs: 0 };
    this.#nodeByPeer.set(peer, node);
    return node;
  }
}

function isEarlier(a: Event, b: Event): boolean {
  return a.atMs === b.atMs ? a.order < b.order : a.atMs < b.atMs;
}
