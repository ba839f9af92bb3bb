// Which waiting actions go to which workers now. Workers are fed few at a time: what they do not
// hold cannot be lost with them and need not be stolen back (Dask's lesson, dask/distributed#5390,
// #6993).
//
// Two ways lead to a worker. This host's own are fed unasked; those of other hosts are given what
// they ask for, and only what this host's own cannot start now.

import type { Entries, Entry } from "./entries.ts";
import type { Lane, Lanes } from "./lanes.ts";
import { choosePeers } from "./placement.ts";
import type { Rng } from "./rng.ts";
import { freeSlots, type Roster, type RosterWorker } from "./roster.ts";

/** How much a worker is given. */
export interface FeedingOptions {
  /** Reservations a worker holds from this ingress per slot, beyond what runs there. */
  readonly reservationsPerSlot: number;
  /** New reservations for one worker at one time; a joiner gets this many at most. */
  readonly reservationsAtOnce: number;
  /** A worker that was not heard of for this long in ms is given nothing. */
  readonly silenceMs: number;
}

/** What feeding reads and changes. */
export interface FeedingState {
  readonly entries: Entries;
  readonly lanes: Lanes;
  readonly roster: Roster;
  readonly rng: Rng;
}

/** When it is, and when reservations made now are repeated; absolute ms. */
export interface FeedingTimes {
  readonly nowMs: number;
  readonly resendAtMs: number;
}

/** Told of every reservation made. */
export type OnOffer = (entry: Entry, workers: readonly RosterWorker[]) => void;

/** Reserves as much as fits and reports each reservation made. */
export function feed(
  state: FeedingState,
  options: FeedingOptions,
  times: FeedingTimes,
  onOffer: OnOffer,
): void {
  const { entries, roster, lanes } = state;
  if (entries.waiting + entries.offered === 0) return;
  const awake = roster.usable.filter(
    ({ peer }) => !roster.isSilent(peer, options.silenceMs, times.nowMs),
  );
  const roomByWorker = new Map<RosterWorker, number>();
  for (const worker of awake) {
    const room = roomOf(worker, options);
    if (room > 0) roomByWorker.set(worker, room);
  }
  while (roomByWorker.size > 0) {
    const roomy = [...roomByWorker.keys()];
    const entry = entries.takeWaiting((lane) => {
      const peers = lanes.pushedTo(lane);
      return roomy.some(({ peer }) => peers.has(peer));
    });
    if (entry === undefined) break;
    const chosen = choose(state, entry, roomy);
    entries.offer(entry, chosen, times.resendAtMs);
    onOffer(entry, chosen);
    for (const worker of chosen) {
      const room = (roomByWorker.get(worker) ?? 0) - 1;
      if (room > 0) roomByWorker.set(worker, room);
      else roomByWorker.delete(worker);
    }
  }
  spread(state, awake, onOffer);
}

/**
 * Reserves up to `room` actions at one worker that asked: what waits, in the order of all, then
 * what only busy workers hold. Returns how many.
 */
export function give(
  state: FeedingState,
  options: FeedingOptions,
  wish: { readonly worker: RosterWorker; readonly room: number },
  times: FeedingTimes,
  onOffer: OnOffer,
): number {
  const { entries, lanes } = state;
  const { worker } = wish;
  const room = Math.min(wish.room, roomOf(worker, options));
  let given = 0;
  for (; given < room; given += 1) {
    const entry = entries.takeWaiting((lane) => lanes.peersOf(lane).has(worker.peer));
    if (entry === undefined) break;
    entries.offer(entry, [worker], times.resendAtMs);
    onOffer(entry, [worker]);
  }
  return given + share(state, worker, room - given, "asked", onOffer);
}

/**
 * Actions that this host's own workers cannot start now: what waits after feeding, and what is
 * reserved beyond the slots that are free.
 */
export function surplus({ entries, roster }: Pick<FeedingState, "entries" | "roster">): number {
  if (entries.waiting + entries.offered === 0) return 0;
  let startable = 0;
  for (const worker of roster.workers) {
    startable += Math.min(freeSlots(worker), worker.reserved.size);
  }
  return entries.waiting + Math.max(0, entries.offered - startable);
}

/** Free slots for which nothing is reserved. */
export function idleSlots(worker: RosterWorker): number {
  return freeSlots(worker) - worker.reserved.size;
}

function roomOf(worker: RosterWorker, options: FeedingOptions): number {
  const { slots } = worker.load;
  const limit = slots * (1 + options.reservationsPerSlot);
  const outstanding = worker.reserved.size + worker.bound.size;
  return Math.min(limit - outstanding, options.reservationsAtOnce);
}

function choose(
  { lanes, rng }: FeedingState,
  entry: Entry,
  roomy: readonly RosterWorker[],
): readonly RosterWorker[] {
  if (entry.phase.kind !== "waiting") return [];
  const peers = lanes.pushedTo(entry.phase.lane);
  const workers = roomy.filter(({ peer }) => peers.has(peer));
  const candidates = workers.map(({ peer, load, reserved, bound }) => ({
    peer,
    slots: load.slots,
    outstanding: reserved.size + bound.size,
  }));
  const chosen = choosePeers(entry.request, candidates, rng);
  return workers.filter(({ peer }) => chosen.includes(peer));
}

/** Gives idle workers a share in reservations that only busy workers hold. */
function spread(state: FeedingState, awake: readonly RosterWorker[], onOffer: OnOffer): void {
  const { entries, lanes } = state;
  if (entries.offered === 0) return;
  const idleWorkers = awake.filter((worker) => idleSlots(worker) > 0);
  if (idleWorkers.length === 0) return;
  // Looking through all reservations for each idle guest of a big mesh would be quadratic.
  const offered = new Set<Lane>();
  for (const { phase } of entries.allOffered) if (phase.kind === "offered") offered.add(phase.lane);
  for (const worker of idleWorkers) {
    const isSuited = [...offered].some((lane) => lanes.pushedTo(lane).has(worker.peer));
    if (isSuited) share(state, worker, idleSlots(worker), "unasked", onOffer);
  }
}

/** Adds a worker to the holders of up to `room` actions that are stuck; returns how many. */
function share(
  { entries, lanes, roster }: FeedingState,
  worker: RosterWorker,
  room: number,
  how: "asked" | "unasked",
  onOffer: OnOffer,
): number {
  if (room <= 0) return 0;
  const isHome = roster.isHome(worker);
  let shared = 0;
  for (const entry of entries.allOffered) {
    const { phase } = entry;
    if (phase.kind !== "offered" || phase.holders.has(worker.peer)) continue;
    const peers = how === "asked" ? lanes.peersOf(phase.lane) : lanes.pushedTo(phase.lane);
    if (!peers.has(worker.peer)) continue;
    if (!phase.isOverdue && isAboutToStart(roster, phase.holders, isHome)) continue;
    entries.hold(entry, worker);
    onOffer(entry, [worker]);
    shared += 1;
    if (shared === room) break;
  }
  return shared;
}

/**
 * True where a holder has a free slot. This host's own workers do not wait for those of others: an
 * idle one takes part in whatever none of its own kind is about to claim.
 */
function isAboutToStart(roster: Roster, holders: ReadonlySet<string>, forHome: boolean): boolean {
  for (const peer of holders) {
    const worker = roster.worker(peer);
    if (worker === undefined || freeSlots(worker) === 0) continue;
    if (!forHome || roster.isHome(worker)) return true;
  }
  return false;
}
