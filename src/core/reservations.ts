// The first half of an attempt's life: it waits, then is reserved at some workers until one claims
// it. Offers are promises to nobody, so they may be repeated, shared and taken back at any time.

import type { PeerId, Token } from "./action.ts";
import type { Entries, Entry } from "./entries.ts";
import type { Estimates } from "./estimates.ts";
import { type FeedingOptions, feed, give, surplus } from "./feeding.ts";
import type { Lanes } from "./lanes.ts";
import type { Outbox } from "./outbox.ts";
import type { Rng } from "./rng.ts";
import { freeSlots, type Roster, type RosterWorker } from "./roster.ts";

/** Times and bounds of reservations. */
export interface ReservationOptions extends Omit<FeedingOptions, "silenceMs"> {
  /** A worker that was silent for this long in ms is given nothing. */
  readonly leaseMs: number;
  /** Reservations nobody claimed are sent again after this many ms. */
  readonly resendMs: number;
}

/** What reservations work on. */
export interface ReservationDeps {
  readonly self: PeerId;
  readonly rng: Rng;
  readonly entries: Entries;
  readonly roster: Roster;
  readonly lanes: Lanes;
  readonly estimates: Estimates;
  readonly out: Outbox;
}

/** An offer younger than this in ms may still be under way when its worker says it has none. */
const offerUnderWayMs = 1_000;

/** Puts actions where a worker may claim them. */
export class Reservations {
  readonly #deps: ReservationDeps;
  readonly #options: ReservationOptions;

  constructor(deps: ReservationDeps, options: ReservationOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  get wakeAtMs(): number {
    const offered = this.#deps.entries.firstOffered?.phase;
    return offered?.kind === "offered" ? offered.resendAtMs : Number.POSITIVE_INFINITY;
  }

  /** Actions that this host's own workers cannot start now. */
  get surplus(): number {
    return surplus(this.#deps);
  }

  /** The name of an entry's present attempt. */
  token(entry: Entry): Token {
    return { ingress: this.#deps.self, seq: entry.seq, hop: entry.lost.length };
  }

  /** Lets an entry wait in the lane of those that may run it. */
  queueUp(entry: Entry, nowMs: number): void {
    const { lanes, entries, estimates } = this.#deps;
    const avoid = [...new Set(entry.lost.map(({ peer }) => peer))];
    const lane = lanes.laneOf(entry.request.properties, avoid, nowMs);
    entries.wait(entry, lane, estimates.estimateMs(entry.request.kind));
  }

  /** Reserves what waits wherever there is room. */
  feed(nowMs: number): void {
    feed(this.#deps, this.#feeding, this.#times(nowMs), this.#onOffer);
  }

  /** Reserves up to `room` actions at a worker that asked; returns how many. */
  give(worker: RosterWorker, room: number, nowMs: number): number {
    const wish = { worker, room };
    return give(this.#deps, this.#feeding, wish, this.#times(nowMs), this.#onOffer);
  }

  /**
   * Repeats the offers a worker should hold; returns how many. A worker with a free slot that asks
   * for work holds none: what was sent to it is lost or crosses its question.
   */
  remind(worker: RosterWorker): number {
    let count = 0;
    for (const seq of worker.reserved) {
      const entry = this.#deps.entries.entry(seq);
      if (entry?.phase.kind !== "offered") continue;
      this.#sendOffer(entry, worker.peer);
      count += 1;
    }
    return count;
  }

  /**
   * Believes a worker that says it holds no reservation, once nothing can be under way any more: it
   * dropped them. They are sent again where it has a slot for them and else wait for another.
   */
  reconcile(worker: RosterWorker, nowMs: number): void {
    if (worker.load.queued > 0) return;
    const { entries } = this.#deps;
    for (const seq of [...worker.reserved]) {
      const entry = entries.entry(seq);
      if (entry?.phase.kind !== "offered") continue;
      const offeredAtMs = entry.phase.resendAtMs - this.#options.resendMs;
      if (nowMs - offeredAtMs < offerUnderWayMs) continue;
      if (freeSlots(worker) > 0) this.#sendOffer(entry, worker.peer);
      else this.#release(entry, worker.peer, nowMs);
    }
  }

  /** Repeats the offers that nobody claimed in time. */
  resend(nowMs: number): void {
    const { entries, roster } = this.#deps;
    for (;;) {
      const entry = entries.firstOffered;
      if (entry?.phase.kind !== "offered" || entry.phase.resendAtMs > nowMs) return;
      entries.prolongOffer(entry, nowMs + this.#options.resendMs);
      for (const peer of [...entry.phase.holders]) {
        const worker = roster.worker(peer);
        // A guest with a free slot that did not claim will not: it asks again if it wants to.
        const isIdleGuest = worker !== undefined && !roster.isHome(worker) && freeSlots(worker) > 0;
        if (isIdleGuest || roster.isSilent(peer, this.#options.leaseMs, nowMs)) {
          this.#release(entry, peer, nowMs);
        } else this.#sendOffer(entry, peer);
      }
    }
  }

  /** Takes back everything reserved at a worker. */
  drop(worker: RosterWorker, nowMs: number): void {
    for (const seq of [...worker.reserved]) {
      const entry = this.#deps.entries.entry(seq);
      if (entry !== undefined) this.#release(entry, worker.peer, nowMs);
      worker.reserved.delete(seq);
    }
  }

  readonly #onOffer = (entry: Entry, workers: readonly RosterWorker[]): void => {
    const token = this.token(entry);
    const peers = workers.map(({ peer }) => peer);
    this.#deps.out.note({ name: "action-offered", token, peers });
    for (const peer of peers) this.#sendOffer(entry, peer);
  };

  #sendOffer(entry: Entry, peer: PeerId): void {
    const { out, estimates } = this.#deps;
    const estimateMs = estimates.estimateMs(entry.request.kind);
    const request = { ...entry.request, priority: entry.priority };
    out.send(peer, { kind: "offer", token: this.token(entry), request, estimateMs });
  }

  #release(entry: Entry, peer: PeerId, nowMs: number): void {
    if (this.#deps.entries.release(entry, peer)) this.queueUp(entry, nowMs);
  }

  get #feeding(): FeedingOptions {
    return { ...this.#options, silenceMs: this.#options.leaseMs };
  }

  #times(nowMs: number) {
    return { nowMs, resendAtMs: nowMs + this.#options.resendMs };
  }
}
