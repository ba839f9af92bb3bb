// When a node tells its linked peers how busy it is: on every change of its slots, soon after what
// waits at it grew or shrank by half, and every few seconds all the same.

import type { PeerId } from "./action.ts";
import type { Load } from "./message.ts";
import type { Outbox } from "./outbox.ts";

/** Times of load reports. */
export interface LoadReportOptions {
  /** Load is reported at least every so many ms. */
  readonly loadMs: number;
  /** The same for a node without slots at which nothing waits: nobody misses its word. */
  readonly quietLoadMs: number;
  /** Changes of what waits are reported once in so many ms at most. */
  readonly pendingMs: number;
}

/** Sends load reports. A node that neither works nor serves has nothing to report but its name. */
export class LoadReports {
  readonly #options: LoadReportOptions;
  readonly #out: Outbox;
  readonly #linked = new Set<PeerId>();
  #slots = "";
  #pending = 0;
  #dueAtMs = Number.POSITIVE_INFINITY;
  /** Before this time a change of what waits is not reported by itself. */
  #pendingFromMs = 0;
  #pendingAtMs = Number.POSITIVE_INFINITY;

  constructor(out: Outbox, options: LoadReportOptions) {
    this.#out = out;
    this.#options = options;
  }

  get wakeAtMs(): number {
    return Math.min(this.#dueAtMs, this.#pendingAtMs);
  }

  isLinked(peer: PeerId): boolean {
    return this.#linked.has(peer);
  }

  /** The linked peers in the order in which they are told. */
  get peers(): readonly PeerId[] {
    return [...this.#linked].sort();
  }

  /** Tells a new peer, and only that one. */
  link(peer: PeerId, load: Load, nowMs: number): void {
    this.#linked.add(peer);
    this.#out.send(peer, load);
    if (this.#linked.size === 1) this.#told(load, nowMs);
  }

  unlink(peer: PeerId): void {
    this.#linked.delete(peer);
  }

  /** Reports a load to everybody where it is time to. */
  report(load: Load, nowMs: number): void {
    if ((load.slots === 0 && !load.serves) || this.#linked.size === 0) {
      this.#dueAtMs = Number.POSITIVE_INFINITY;
      this.#pendingAtMs = Number.POSITIVE_INFINITY;
      return;
    }
    if (slotsOf(load) === this.#slots && nowMs < this.#dueAtMs) {
      const isNews = bucketOf(load.pending) !== this.#pending;
      this.#pendingAtMs = isNews ? this.#pendingFromMs : Number.POSITIVE_INFINITY;
      if (nowMs < this.#pendingAtMs) return;
    }
    this.#told(load, nowMs);
    for (const peer of this.peers) this.#out.send(peer, load);
  }

  /** Makes the next report due at once, whatever changed. */
  hasten(nowMs: number): void {
    this.#dueAtMs = nowMs;
  }

  #told(load: Load, nowMs: number): void {
    const pending = bucketOf(load.pending);
    if (pending !== this.#pending) this.#pendingFromMs = nowMs + this.#options.pendingMs;
    this.#pending = pending;
    this.#pendingAtMs = Number.POSITIVE_INFINITY;
    this.#slots = slotsOf(load);
    const { loadMs, quietLoadMs } = this.#options;
    const isQuiet = load.slots === 0 && load.pending === 0;
    this.#dueAtMs = nowMs + (isQuiet ? quietLoadMs : loadMs);
  }
}

/** What of a worker's load changes while it lives. */
function slotsOf({ free, queued, draining }: Load): string {
  return `${free} ${queued} ${draining}`;
}

/** 0 for 0, else one more with every doubling. */
function bucketOf(pending: number): number {
  return 32 - Math.clz32(pending);
}
