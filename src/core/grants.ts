// The victim's side of work stealing: answers the idle workers of other hosts. Who asks is given
// what this host cannot start now; who left a lifeline is offered it as it appears. A worker that
// asks for more than it could run, or without end, is turned away and told to wait.

import type { PeerId } from "./action.ts";
import type { Entries } from "./entries.ts";
import { idleSlots } from "./feeding.ts";
import type { Lifeline, Steal } from "./message.ts";
import type { Outbox } from "./outbox.ts";
import type { Reservations } from "./reservations.ts";
import type { Roster, RosterWorker } from "./roster.ts";

/** What grants work on. */
export interface GrantDeps {
  readonly entries: Entries;
  readonly roster: Roster;
  readonly reservations: Reservations;
  readonly out: Outbox;
}

/** When to ask again, in ms: who asked too much, and whom nothing that waits suits. */
export const retryMs = 1_000;

/** Attempts bound to a worker at once, per slot: more than 1 only where answers were lost. */
export const boundPerSlotMax = 2;

/** Room asked for, as a multiple of the slots a worker says it has; more is absurd. */
const roomPerSlotMax = 2;

/** Gives to those that ask. */
export class Grants {
  readonly #deps: GrantDeps;
  /** Who waits for surplus, the longest first, and how much each has room for. */
  readonly #roomByLifeline = new Map<PeerId, number>();

  constructor(deps: GrantDeps) {
    this.#deps = deps;
  }

  /** Answers a thief with offers, then with how many they were. */
  steal(from: PeerId, { nonce, room }: Steal, nowMs: number): void {
    const { roster, reservations, entries, out } = this.#deps;
    this.#roomByLifeline.delete(from);
    const worker = roster.worker(from);
    if (worker === undefined || !this.#isWelcome(worker, room, nowMs)) {
      out.send(from, { kind: "granted", nonce, count: 0, retryMs });
      return;
    }
    const repeated = reservations.remind(worker);
    const count = repeated + reservations.give(worker, room - repeated, nowMs);
    if (count > 0) out.note({ name: "steal-granted", thief: from, count });
    // What waits now is nothing for this worker; what is reserved may be the next moment.
    const isUnsuited = count === 0 && entries.waiting > 0;
    out.send(from, { kind: "granted", nonce, count, retryMs: isUnsuited ? retryMs : 0 });
  }

  /** Remembers whom to offer what is too much. */
  lifeline(from: PeerId, { on, room }: Lifeline, nowMs: number): void {
    this.#roomByLifeline.delete(from);
    const worker = this.#deps.roster.worker(from);
    if (!on || worker === undefined || !this.#isWelcome(worker, room, nowMs)) return;
    if (room > 0) this.#roomByLifeline.set(from, room);
  }

  unlinked(peer: PeerId): void {
    this.#roomByLifeline.delete(peer);
  }

  /** Offers surplus to those that wait for it, as far as their slots are free. */
  push(nowMs: number, silenceMs: number): void {
    const { roster, reservations, out } = this.#deps;
    if (this.#roomByLifeline.size === 0 || reservations.surplus === 0) return;
    for (const [peer, room] of this.#roomByLifeline) {
      const worker = roster.worker(peer);
      if (worker === undefined || !roster.isUsable(worker)) continue;
      if (roster.isSilent(peer, silenceMs, nowMs)) continue;
      const idle = idleSlots(worker);
      const count = idle > 0 ? reservations.give(worker, Math.min(room, idle), nowMs) : 0;
      if (count === 0) continue;
      out.note({ name: "steal-granted", thief: peer, count });
      if (count < room) this.#roomByLifeline.set(peer, room - count);
      else this.#roomByLifeline.delete(peer);
    }
  }

  #isWelcome(worker: RosterWorker, room: number, nowMs: number): boolean {
    const { roster, out } = this.#deps;
    const { peer, load } = worker;
    const isRare = roster.conduct.mayAsk(peer, nowMs);
    const isSane = room <= load.slots * roomPerSlotMax;
    // It could claim nothing more: it did not say how what it runs here ended.
    if (worker.bound.size >= load.slots * boundPerSlotMax) return false;
    if ((!isRare || !isSane) && roster.conduct.mayWarn(peer, nowMs)) {
      const why = isRare ? `it asks for ${room} with ${load.slots} slots` : "it asks too often";
      out.note({ name: "peer-refused", peer, why, forMs: retryMs });
    }
    return isRare && isSane && roster.isUsable(worker);
  }
}
