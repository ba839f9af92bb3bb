// When to dial whom: each peer by itself, later each time nothing came of it, at a random moment
// of its span so that a mesh that lost one node does not return to it all at once.

import type { PeerId } from "./action.ts";
import type { Rng } from "./rng.ts";

/** Times and bounds of dialling. */
export interface DiallingOptions {
  /** Longest wait before the first dial in ms; doubled for each further one. */
  readonly dialMs: number;
  /** Longest wait before any dial in ms. */
  readonly dialMsMax: number;
  /** A dial that is not answered for this many ms has failed. */
  readonly dialTimeoutMs: number;
  /** Dials that wait for an answer at once; further ones wait. */
  readonly dialsMax: number;
  /** A link that lived this long in ms makes the next dial count as the first. */
  readonly steadyLinkMs: number;
}

interface Plan {
  failures: number;
  /** When to dial; of a dial that runs: when it counts as failed. */
  atMs: number;
  isRunning: boolean;
}

/** The dials that are planned or wait for their answer. */
export class Dialling {
  readonly #rng: Rng;
  readonly #options: DiallingOptions;
  readonly #planByPeer = new Map<PeerId, Plan>();
  /** The plans of those that are not linked. */
  readonly #open = new Map<PeerId, Plan>();
  #running = 0;
  /** Undefined where it is to be found out. */
  #wakeAtMs: number | undefined;

  constructor(rng: Rng, options: DiallingOptions) {
    this.#rng = rng;
    this.#options = options;
  }

  /** Absolute ms of the next thing to do; Infinity for none. */
  get wakeAtMs(): number {
    this.#wakeAtMs ??= this.#findWake();
    return this.#wakeAtMs;
  }

  /** Plans to dial a peer soon, as if nothing had failed before; not while a dial runs. */
  want(peer: PeerId, nowMs: number): void {
    const plan = this.#plan(peer);
    if (plan.isRunning) return;
    plan.failures = 0;
    this.#schedule(peer, plan, nowMs);
  }

  /** Its dials start anew: the network is another one now. */
  hasten(nowMs: number): void {
    for (const peer of [...this.#open.keys()]) this.want(peer, nowMs);
  }

  linked(peer: PeerId): void {
    const plan = this.#planByPeer.get(peer);
    if (plan === undefined) return;
    this.#stop(plan);
    this.#wakeAtMs = undefined;
    this.#open.delete(peer);
  }

  /** Plans the next dial after a link of `livedMs` closed. */
  unlinked(peer: PeerId, livedMs: number, nowMs: number): void {
    if (livedMs >= this.#options.steadyLinkMs) this.want(peer, nowMs);
    else this.#failed(peer, this.#plan(peer), nowMs);
  }

  undialled(peer: PeerId, nowMs: number): void {
    const plan = this.#planByPeer.get(peer);
    if (plan?.isRunning) this.#failed(peer, plan, nowMs);
  }

  forget(peer: PeerId): void {
    const plan = this.#planByPeer.get(peer);
    if (plan !== undefined) this.#stop(plan);
    this.#wakeAtMs = undefined;
    this.#planByPeer.delete(peer);
    this.#open.delete(peer);
  }

  /** The peers to dial now; gives up what was not answered in time. */
  take(nowMs: number): readonly PeerId[] {
    const { dialsMax, dialTimeoutMs } = this.#options;
    this.#wakeAtMs = undefined;
    const due: PeerId[] = [];
    for (const [peer, plan] of this.#open) {
      if (plan.atMs > nowMs) continue;
      if (plan.isRunning) {
        this.#failed(peer, plan, nowMs);
      } else if (this.#running < dialsMax) {
        plan.isRunning = true;
        this.#running += 1;
        plan.atMs = nowMs + dialTimeoutMs;
        due.push(peer);
      }
    }
    return due;
  }

  #findWake(): number {
    const mayDial = this.#running < this.#options.dialsMax;
    let wakeAtMs = Number.POSITIVE_INFINITY;
    for (const { atMs, isRunning } of this.#open.values()) {
      if ((mayDial || isRunning) && atMs < wakeAtMs) wakeAtMs = atMs;
    }
    return wakeAtMs;
  }

  #plan(peer: PeerId): Plan {
    const known = this.#planByPeer.get(peer);
    if (known !== undefined) return known;
    const plan = { failures: 0, atMs: 0, isRunning: false };
    this.#planByPeer.set(peer, plan);
    return plan;
  }

  #failed(peer: PeerId, plan: Plan, nowMs: number): void {
    this.#stop(plan);
    plan.failures += 1;
    this.#schedule(peer, plan, nowMs);
  }

  #stop(plan: Plan): void {
    if (plan.isRunning) this.#running -= 1;
    plan.isRunning = false;
  }

  #schedule(peer: PeerId, plan: Plan, nowMs: number): void {
    this.#open.set(peer, plan);
    this.#wakeAtMs = undefined;
    const { dialMs, dialMsMax } = this.#options;
    const spanMs = Math.min(dialMsMax, dialMs * 2 ** Math.min(plan.failures, 30));
    plan.atMs = nowMs + 1 + this.#rng.below(spanMs);
  }
}
