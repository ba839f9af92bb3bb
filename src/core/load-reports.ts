// When a node tells its linked peers how busy it is: its own host on every change of its slots,
// other hosts with work for it once it stays busy or idle, the rest, which only show it to people,
// later; everybody soon after what waits at it grew or shrank by half, and every few seconds all
// the same. In a mesh of n hosts a worker has n - 1 such links: what few need must not go to all.

import type { PeerId } from "./action.ts";
import type { Load } from "./message.ts";
import type { Outbox } from "./outbox.ts";

/** Times of load reports. */
export interface LoadReportOptions {
  /** Load is reported at least every so many ms. */
  readonly loadMs: number;
  /** The same to other hosts without work for it: less than a lease, or it counts as silent. */
  readonly asideLoadMs: number;
  /** The same for a node without slots at which nothing waits: nobody misses its word. */
  readonly quietLoadMs: number;
  /** Changes of what waits are reported once in so many ms at most. */
  readonly pendingMs: number;
  /** Other hosts hear that a worker is busy or idle after it was for so many ms. */
  readonly farMs: number;
  /** The same for hosts that have nothing for it. */
  readonly asideMs: number;
}

/** Peers that are told the same at the same time. */
interface Audience {
  readonly peers: Set<PeerId>;
  /** What of a load these peers must know soon. */
  readonly view: (load: Load) => string;
  /** For how long in ms a change must last before they are told. */
  readonly lastsMs: number;
  /** They are told at least every so many ms. */
  readonly everyMs: number;
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
  /** Other hosts with which this worker has to do; everybody for a node without slots. */
  readonly #far: Audience;
  /** The other hosts. */
  readonly #aside: Audience;
  readonly #groups: readonly Audience[];
  readonly #concerned: () => ReadonlySet<PeerId>;
  #isDraining = false;
  #pending = 0;
  /** Before this time a change of what waits is not reported by itself. */
  #pendingFromMs = 0;
  #pendingAtMs = Number.POSITIVE_INFINITY;

  /**
   * `home` is the worker's own host; where it is "" every peer is as near. `concerned` tells which
   * peers have work for it or did give it some.
   */
  constructor(
    deps: {
      readonly out: Outbox;
      readonly home: PeerId;
      readonly concerned: () => ReadonlySet<PeerId>;
    },
    options: LoadReportOptions,
  ) {
    this.#out = deps.out;
    this.#home = deps.home;
    this.#concerned = deps.concerned;
    this.#options = options;
    const { loadMs, asideLoadMs, farMs, asideMs } = options;
    this.#near = audience(slotsOf, 0, loadMs);
    this.#far = audience(idlenessOf, farMs, loadMs);
    this.#aside = audience(idlenessOf, asideMs, asideLoadMs);
    this.#groups = [this.#near, this.#aside, this.#far];
  }

  get wakeAtMs(): number {
    return Math.min(...this.#groups.map(dueAtMs), this.#pendingAtMs);
  }

  isLinked(peer: PeerId): boolean {
    return this.#groups.some(({ peers }) => peers.has(peer));
  }

  /** The linked peers, sorted. */
  get peers(): readonly PeerId[] {
    return this.#groups.flatMap(({ peers }) => [...peers]).sort();
  }

  /** Tells a new peer, and only that one. */
  link(peer: PeerId, load: Load, nowMs: number): void {
    const isNear = this.#home === "" || peer === this.#home;
    const others = load.slots > 0 ? this.#aside : this.#far;
    const group = isNear ? this.#near : others;
    group.peers.add(peer);
    this.#out.send(peer, load);
    if (group.peers.size === 1) this.#note(group, load, nowMs);
  }

  unlink(peer: PeerId): void {
    for (const { peers } of this.#groups) peers.delete(peer);
  }

  /** A peer begins to have to do with this worker: from now on it knows soon what changes. */
  concern(peer: PeerId, load: Load, nowMs: number): void {
    const [far, aside] = [this.#far, this.#aside];
    if (!aside.peers.delete(peer)) return;
    if (far.peers.size === 0) far.told = aside.told;
    far.peers.add(peer);
    far.dueAtMs = Math.min(far.dueAtMs, aside.dueAtMs, nowMs + far.everyMs);
    const view = far.view(load);
    if (aside.told === view && far.told === view) return;
    this.#note(far, load, nowMs);
    for (const other of [...far.peers].sort()) this.#out.send(other, load);
  }

  /** Reports a load to whom it is time to. */
  report(load: Load, nowMs: number): void {
    const isNews = this.#isPendingNews(load, nowMs) || load.draining !== this.#isDraining;
    this.#isDraining = load.draining;
    const told: PeerId[] = [];
    for (const group of this.#groups) {
      if (group.peers.size === 0 || (load.slots === 0 && !load.serves)) {
        group.dueAtMs = Number.POSITIVE_INFINITY;
        group.changedAtMs = Number.POSITIVE_INFINITY;
        continue;
      }
      const isSame = group.view(load) === group.told;
      group.changedAtMs = isSame ? Number.POSITIVE_INFINITY : Math.min(group.changedAtMs, nowMs);
      if (!isNews && nowMs < dueAtMs(group)) continue;
      const isRegular = nowMs >= group.dueAtMs;
      this.#note(group, load, nowMs);
      told.push(...group.peers);
      if (isRegular && group === this.#far && load.slots > 0) this.#setAside(load, nowMs);
    }
    for (const peer of told.sort()) this.#out.send(peer, load);
  }

  /** Makes the next report due at once, whatever changed. */
  hasten(nowMs: number): void {
    for (const group of this.#groups) group.dueAtMs = nowMs;
  }

  /** Peers with which it has nothing to do any more are those aside, once these know as much. */
  #setAside(load: Load, nowMs: number): void {
    const [far, aside] = [this.#far, this.#aside];
    if (aside.peers.size > 0 && aside.told !== far.told) return;
    const concerned = this.#concerned();
    for (const peer of far.peers) {
      if (concerned.has(peer)) continue;
      far.peers.delete(peer);
      aside.peers.add(peer);
      if (aside.peers.size === 1) this.#note(aside, load, nowMs);
    }
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
    const isQuiet = load.slots === 0 && load.pending === 0;
    group.dueAtMs = nowMs + (isQuiet ? this.#options.quietLoadMs : group.everyMs);
  }
}

function audience(view: Audience["view"], lastsMs: number, everyMs: number): Audience {
  const never = Number.POSITIVE_INFINITY;
  const times = { lastsMs, everyMs, changedAtMs: never, dueAtMs: never };
  return { peers: new Set(), view, told: "", ...times };
}

function dueAtMs({ dueAtMs: regularMs, changedAtMs, lastsMs }: Audience): number {
  return Math.min(regularMs, changedAtMs + lastsMs);
}

/** What of a worker's load changes while it lives. */
function slotsOf({ free, busy, queued, draining }: Load): string {
  return `${free} ${busy} ${queued} ${draining}`;
}

/** Enough for those who only wonder whether to offer it something. */
function idlenessOf({ free }: Load): string {
  return `${free > 0}`;
}

/** 0 for 0, else one more with every doubling. */
function bucketOf(pending: number): number {
  return 32 - Math.clz32(pending);
}
