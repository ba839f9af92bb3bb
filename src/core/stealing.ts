// The thief's side of work stealing: an idle worker asks other hosts for what waits there.
//
// Receiver-initiated with lifelines (Saraswat and others, PPoPP 2011). Nobody asks where nothing
// waits: every question follows a report that something does. Of two hosts picked at random the
// heavier is asked, not the heaviest of all, for old reports would send every thief to one door.

import type { PeerId } from "./action.ts";
import type { Granted, Load } from "./message.ts";
import type { Outbox } from "./outbox.ts";
import { pickByRendezvous } from "./rendezvous.ts";
import type { Rng } from "./rng.ts";

/** Times and bounds of a thief. */
export interface StealingOptions {
  /** A question that is not answered within this many ms counts as refused. */
  readonly stealTimeoutMs: number;
  /** Longest pause in ms after the first refusal; twice as long after each further one. */
  readonly stealBackoffMs: number;
  /** No pause is longer, in ms. */
  readonly stealBackoffMsMax: number;
  /** Refusals in a row after which a thief stops asking and leaves lifelines. */
  readonly stealFailuresMax: number;
  /** Nodes at which it leaves one. */
  readonly lifelines: number;
  /** A lifeline that brought nothing for this many ms may be lost: reports count again. */
  readonly lifelineMs: number;
}

/** The defaults. */
export const stealingDefaults: StealingOptions = {
  stealTimeoutMs: 1_000,
  stealBackoffMs: 20,
  stealBackoffMsMax: 1_000,
  stealFailuresMax: 4,
  lifelines: 3,
  lifelineMs: 4_000,
};

/** Serving nodes watched at once; further ones are not stolen from. */
const victimsMax = 1_024;

/** Slots for each action taken in advance, so that the next one is at hand when one ends. */
const slotsPerPrefetch = 4;

interface Victim {
  /** What waits there, by its last report. */
  pending: number;
  /** It asked not to be asked before this time in ms. */
  notBeforeMs: number;
  /** Until then it holds a lifeline and offers by itself. */
  lifelineUntilMs: number;
}

/** Looks for work elsewhere. Its owner says after every input how many slots are free. */
export class Stealing {
  readonly #self: PeerId;
  readonly #home: PeerId;
  readonly #rng: Rng;
  readonly #out: Outbox;
  readonly #options: StealingOptions;
  readonly #victimByPeer = new Map<PeerId, Victim>();
  #asked: { readonly victim: PeerId; readonly nonce: number; readonly untilMs: number } | undefined;
  #nonce = 0;
  #failures = 0;
  #notBeforeMs = 0;
  #isQuiet = false;
  #seekAtMs = Number.POSITIVE_INFINITY;

  constructor(
    deps: {
      readonly self: PeerId;
      readonly home: PeerId;
      readonly rng: Rng;
      readonly out: Outbox;
    },
    options: StealingOptions,
  ) {
    this.#self = deps.self;
    this.#home = deps.home;
    this.#rng = deps.rng;
    this.#out = deps.out;
    this.#options = options;
  }

  get wakeAtMs(): number {
    return Math.min(this.#asked?.untilMs ?? Number.POSITIVE_INFINITY, this.#seekAtMs);
  }

  /** The nodes at which something waits, as far as was told. */
  get hopes(): readonly PeerId[] {
    return [...this.#victimByPeer].flatMap(([peer, { pending }]) => (pending > 0 ? [peer] : []));
  }

  /** A linked peer told its load. */
  heard(peer: PeerId, { serves, pending }: Load, nowMs: number): void {
    if (!serves || peer === this.#home || peer === this.#self) return;
    const victim = this.#victimByPeer.get(peer) ?? this.#meet(peer);
    if (victim === undefined) return;
    const isNews = victim.pending === 0 && pending > 0;
    victim.pending = pending;
    if (pending === 0 || nowMs < victim.lifelineUntilMs) return;
    if (this.#isQuiet) this.#takeHeart();
    else if (isNews) this.#notBeforeMs = 0;
  }

  unlinked(peer: PeerId): void {
    this.#victimByPeer.delete(peer);
    if (this.#asked?.victim === peer) this.#asked = undefined;
  }

  /** Somebody of another host offered something, asked or not. */
  offered(peer: PeerId): void {
    const victim = this.#victimByPeer.get(peer);
    if (victim === undefined) return;
    victim.lifelineUntilMs = 0;
    this.#takeHeart();
  }

  granted(peer: PeerId, { nonce, count, retryMs }: Granted, nowMs: number): void {
    if (this.#asked?.victim !== peer || this.#asked.nonce !== nonce) return;
    this.#asked = undefined;
    if (count > 0) {
      this.#takeHeart();
      return;
    }
    this.#out.note({ name: "steal-empty", victim: peer });
    const victim = this.#victimByPeer.get(peer);
    if (victim !== undefined) victim.notBeforeMs = nowMs + retryMs;
    this.#fail(nowMs);
  }

  /** After a pause of the whole process nothing that was asked or promised counts any more. */
  forget(): void {
    this.#asked = undefined;
    for (const victim of this.#victimByPeer.values()) victim.lifelineUntilMs = 0;
    this.#takeHeart();
  }

  /** Asks for work where `free` of `slots` are free and nobody is asked yet. */
  seek(free: number, slots: number, nowMs: number): void {
    this.#seekAtMs = Number.POSITIVE_INFINITY;
    if (this.#asked !== undefined && this.#asked.untilMs <= nowMs) {
      this.#asked = undefined;
      this.#fail(nowMs);
    }
    if (free <= 0 || this.#asked !== undefined || this.#isQuiet) return;
    const room = free + Math.max(1, Math.trunc(slots / slotsPerPrefetch));
    if (this.#failures >= this.#options.stealFailuresMax) {
      if (this.hopes.length > 0) this.#leaveLifelines(room, nowMs);
      return;
    }
    const victim = this.#choose(nowMs);
    if (victim === undefined) return;
    this.#nonce = (this.#nonce + 1) >>> 0;
    const untilMs = nowMs + this.#options.stealTimeoutMs;
    this.#asked = { victim, nonce: this.#nonce, untilMs };
    this.#out.note({ name: "steal-asked", victim, room });
    this.#out.send(victim, { kind: "steal", nonce: this.#nonce, room });
  }

  /** The heavier of two at random; none while it must wait, which sets the time to look again. */
  #choose(nowMs: number): PeerId | undefined {
    let earliestMs = Number.POSITIVE_INFINITY;
    const ready: PeerId[] = [];
    for (const [peer, { pending, notBeforeMs, lifelineUntilMs }] of this.#victimByPeer) {
      if (pending === 0) continue;
      const fromMs = Math.max(notBeforeMs, lifelineUntilMs);
      earliestMs = Math.min(earliestMs, Math.max(fromMs, this.#notBeforeMs));
      if (fromMs <= nowMs) ready.push(peer);
    }
    if (earliestMs > nowMs) {
      this.#seekAtMs = earliestMs;
      return undefined;
    }
    const [first] = ready.splice(this.#rng.below(ready.length), 1);
    const second = ready[this.#rng.below(Math.max(1, ready.length))];
    return this.#pendingAt(second) > this.#pendingAt(first) ? second : first;
  }

  #pendingAt(peer: PeerId | undefined): number {
    return peer === undefined ? 0 : (this.#victimByPeer.get(peer)?.pending ?? 0);
  }

  /** The hosts with work first, else always the same ones: rendezvous by this worker's name. */
  #leaveLifelines(room: number, nowMs: number): void {
    this.#isQuiet = true;
    const all = [...this.#victimByPeer];
    const names = all.map(([name, { pending }]) => ({ name, weight: pending > 0 ? 16 : 1 }));
    for (let count = 0; count < this.#options.lifelines; count += 1) {
      const chosen = pickByRendezvous(this.#self, names);
      const victim = chosen === undefined ? undefined : this.#victimByPeer.get(chosen);
      if (chosen === undefined || victim === undefined) return;
      names.splice(
        names.findIndex(({ name }) => name === chosen),
        1,
      );
      victim.lifelineUntilMs = nowMs + this.#options.lifelineMs;
      this.#out.send(chosen, { kind: "lifeline", on: true, room });
    }
  }

  #fail(nowMs: number): void {
    const { stealBackoffMs, stealBackoffMsMax } = this.#options;
    const spanMs = Math.min(stealBackoffMsMax, stealBackoffMs * 2 ** this.#failures);
    this.#failures += 1;
    this.#notBeforeMs = nowMs + this.#rng.below(spanMs + 1);
  }

  #takeHeart(): void {
    this.#failures = 0;
    this.#notBeforeMs = 0;
    this.#isQuiet = false;
  }

  #meet(peer: PeerId): Victim | undefined {
    if (this.#victimByPeer.size >= victimsMax) return undefined;
    const victim = { pending: 0, notBeforeMs: 0, lifelineUntilMs: 0 };
    this.#victimByPeer.set(peer, victim);
    return victim;
  }
}
