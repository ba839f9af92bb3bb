// Which waiting actions go to which workers now. Workers are fed few at a time: what they do not
// hold cannot be lost with them and need not be stolen back (Dask's lesson, dask/distributed#5390,
// #6993).

import type { Entries, Entry } from "./entries.ts";
import type { Lanes } from "./lanes.ts";
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

/** Reserves as much as fits and reports each reservation made. */
export function feed(
  state: FeedingState,
  options: FeedingOptions,
  times: { readonly nowMs: number; readonly resendAtMs: number },
  onOffer: (entry: Entry, workers: readonly RosterWorker[]) => void,
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
      const peers = lanes.peersOf(lane);
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
  const peers = lanes.peersOf(entry.phase.lane);
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
function spread(
  { entries, lanes, roster }: FeedingState,
  awake: readonly RosterWorker[],
  onOffer: (entry: Entry, workers: readonly RosterWorker[]) => void,
): void {
  if (entries.offered === 0) return;
  for (const worker of awake) {
    let idle = freeSlots(worker) - worker.reserved.size;
    if (idle <= 0) continue;
    for (const entry of entries.allOffered) {
      const { phase } = entry;
      if (phase.kind !== "offered" || !lanes.peersOf(phase.lane).has(worker.peer)) continue;
      if (phase.holders.has(worker.peer) || !isStuck(roster, phase.holders)) continue;
      entries.hold(entry, worker);
      onOffer(entry, [worker]);
      idle -= 1;
      if (idle === 0) break;
    }
  }
}

function isStuck(roster: Roster, holders: ReadonlySet<string>): boolean {
  for (const peer of holders) {
    const worker = roster.worker(peer);
    if (worker !== undefined && freeSlots(worker) > 0) return false;
  }
  return true;
}
