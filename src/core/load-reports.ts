// When a node tells its linked peers how busy it is: its own host on every change of its slots,
// other hosts once it stays busy or idle, everybody soon after what waits at it grew or shrank by
// half, and every few seconds all the same.

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
  /** Other hosts hear that a worker is busy or idle after it was for so many ms. */
  readonly farMs: number;
}

/** Peers that are told the same at the same time. */
interface Audience {
  readonly peers: Set<PeerId>;
  /** What of a load these peers must know soon. */
  readonly view: (load: Load) => string;
  /** For how long in ms a change must last before they are told. */
  readonly lastsMs: number;
  told: string;
  changedAtMs: number;
  dueAtMs: number;
}

/** Sends load reports. A node that neither works nor serves has nothing to report but its name. */
export class LoadReports {
  readonly #options: LoadReportOptions;
  readonly #out: Outbox;
  readonly #home: PeerId;
  readonly #near: Audience;
  readonly #far: Audience;
  #pending = 0;
  /** Before this time a change of what waits is not reported by itself. */
  #pendingFromMs = 0;
  #pendingAtMs = Number.POSITIVE_INFINITY;

  /** `home` is the worker's own host; where it is "" every peer is as near. */
  constructor(deps: { readonly out: Outbox; readonly home: PeerId }, options: LoadReportOptions) {
    this.#out = deps.out;
    this.#home = deps.home;
    this.#options = options;
    this.#near = audience(slotsOf, 0);
    this.#far = audience(idlenessOf, options.farMs);
  }

  get wakeAtMs(): number {
    return Math.min(dueAtMs(this.#near), dueAtMs(this.#far), this.#pendingAtMs);
  }

  isLinked(peer: PeerId): boolean {
    return this.#near.peers.has(peer) || this.#far.peers.has(peer);
  }

  /** The linked peers, sorted. */
  get peers(): readonly PeerId[] {
    return [...this.#near.peers, ...this.#far.peers].sort();
  }

  /** Tells a new peer, and only that one. */
  link(peer: PeerId, load: Load, nowMs: number): void {
    const group = this.#home === "" || peer === this.#home ? this.#near : this.#far;
    group.peers.add(peer);
    this.#out.send(peer, load);
    if (group.peers.size === 1) this.#note(group, load, nowMs);
  }

  unlink(peer: PeerId): void {
    this.#near.peers.delete(peer);
    this.#far.peers.delete(peer);
  }

  /** Reports a load to whom it is time to. */
  report(load: Load, nowMs: number): void {
    const isNews = this.#isPendingNews(load, nowMs);
    const told: PeerId[] = [];
    for (const group of [this.#near, this.#far]) {
      if (group.peers.size === 0 || (load.slots === 0 && !load.serves)) {
        group.dueAtMs = Number.POSITIVE_INFINITY;
        group.changedAtMs = Number.POSITIVE_INFINITY;
        continue;
      }
      const isSame = group.view(load) === group.told;
      group.changedAtMs = isSame ? Number.POSITIVE_INFINITY : Math.min(group.changedAtMs, nowMs);
      if (!isNews && nowMs < dueAtMs(group)) continue;
      this.#note(group, load, nowMs);
      told.push(...group.peers);
    }
    for (const peer of told.sort()) this.#out.send(peer, load);
  }

  /** Makes the next report due at once, whatever changed. */
  hasten(nowMs: number): void {
    this.#near.dueAtMs = nowMs;
    this.#far.dueAtMs = nowMs;
  }

  /** True where what waits changed enough and the last such report is long enough ago. */
  #isPendingNews({ pending, serves }: Load, nowMs: number): boolean {
    const isChanged = serves && bucketOf(pending) !== this.#pending && this.peers.length > 0;
    this.#pendingAtMs = isChanged ? this.#pendingFromMs : Number.POSITIVE_INFINITY;
    if (nowMs < this.#pendingAtMs) return false;
    this.#pending = bucketOf(pending);
    this.#pendingFromMs = nowMs + this.#options.pendingMs;
    this.#pendingAtMs = Number.POSITIVE_INFINITY;
    return true;
  }

  #note(group: Audience, load: Load, nowMs: number): void {
    group.told = group.view(load);
    group.changedAtMs = Number.POSITIVE_INFINITY;
    const { loadMs, quietLoadMs } = this.#options;
    const isQuiet = load.slots === 0 && load.pending === 0;
    group.dueAtMs = nowMs + (isQuiet ? quietLoadMs : loadMs);
  }
}

function audience(view: Audience["view"], lastsMs: number): Audience {
  const never = Number.POSITIVE_INFINITY;
  return { peers: new Set(), view, lastsMs, told: "", changedAtMs: never, dueAtMs: never };
}

function dueAtMs({ dueAtMs: regularMs, changedAtMs, lastsMs }: Audience): number {
  return Math.min(regularMs, changedAtMs + lastsMs);
}

/** What of a worker's load changes while it lives. */
function slotsOf({ free, busy, queued, draining }: Load): string {
  return `${free} ${busy} ${queued} ${draining}`;
}

/** Enough for those who only wonder whether to offer it something. */
function idlenessOf({ free, draining }: Load): string {
  return `${free > 0} ${draining}`;
}

/** 0 for 0, else one more with every doubling. */
function bucketOf(pending: number): number {
  return 32 - Math.clz32(pending);
}
