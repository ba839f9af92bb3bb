// The worker's side: holds reservations, claims the best one when a slot is really free, runs what
// it is given and tells every ingress how busy it is.
//
// A slot is free, claiming (asked, not answered) or running. A claim that stays unanswered is
// dropped together with its reservation: its ingress sends it again if it still matters. Where
// slots stay free and work stealing is on, it asks other hosts (stealing.ts).

import { type ActionRequest, type Outcome, type PeerId, type Token, tokenKey } from "./action.ts";
import { type LoadReportOptions, LoadReports } from "./load-reports.ts";
import type { Effect, Input, Machine } from "./machine.ts";
import type { Load, Message, Offer } from "./message.ts";
import { Outbox } from "./outbox.ts";
import { Queue, type Queueable } from "./queue.ts";
import { createRng, type Rng } from "./rng.ts";
import { Stealing, type StealingOptions, stealingDefaults } from "./stealing.ts";

/** Who the worker is and what it can run. */
export interface WorkerProfile {
  /** Name for people. */
  readonly name: string;
  /** Actions it runs at once; 0 for a node that only takes calls. */
  readonly slots: number;
  /** Platform properties it satisfies, name → accepted values. */
  readonly properties: Readonly<Record<string, readonly string[]>>;
  /** Isolation of its sandbox, for people. */
  readonly isolation: string;
  /** Peer id of the serving node of its host; "" (the default) for one of no host. */
  readonly home?: PeerId;
  /** True for a node that accepts actions; false by default. */
  readonly serves?: boolean;
}

/** What the worker's side is told of its node. */
export interface SlotDeps {
  readonly self: PeerId;
  readonly rng: Rng;
  /** Whether it may take work from other hosts. */
  readonly stealingOn: () => boolean;
  /** Actions that wait at this very node for somebody to take them. */
  readonly pending: () => number;
  /** Their expected work in ms of one slot. */
  readonly pendingMs: () => number;
}

/** Times and bounds of the worker's side. */
export interface SlotOptions extends StealingOptions, LoadReportOptions {
  /** An unanswered claim is dropped after this many ms. */
  readonly claimTimeoutMs: number;
  /** Running attempts are renewed every so many ms; less than a third of the ledger's lease. */
  readonly renewMs: number;
  /** Reservations held at once; further offers are ignored and come again later. */
  readonly reservationsMax: number;
  /** Before a machine is taken away, so many ms are kept to deliver what ended. */
  readonly deliverMs: number;
}

/** The defaults. */
export const slotDefaults: SlotOptions = {
  ...stealingDefaults,
  claimTimeoutMs: 5_000,
  renewMs: 3_000,
  loadMs: 5_000,
  asideLoadMs: 8_000,
  quietLoadMs: 60_000,
  pendingMs: 50,
  farMs: 50,
  asideMs: 2_000,
  reservationsMax: 10_000,
  deliverMs: 30_000,
};

/** A worker by itself: it serves whom it is linked to and steals nothing. */
const alone: SlotDeps = {
  self: "",
  rng: createRng(0),
  stealingOn: () => false,
  pending: () => 0,
  pendingMs: () => 0,
};

interface Reservation extends Queueable {
  readonly token: Token;
  readonly request: ActionRequest;
}

interface Claimed extends Reservation {
  readonly dropAtMs: number;
}

interface Running {
  readonly token: Token;
  /** When it should end by what its kind took so far; its start where nothing is known. */
  readonly endsAtMs: number;
}

/** The machine that fills a worker's slots. Each `execute` must be answered by one `executed`. */
export class Slots implements Machine {
  readonly #profile: WorkerProfile;
  readonly #options: SlotOptions;
  readonly #out = new Outbox();
  readonly #deps: SlotDeps;
  readonly #loads: LoadReports;
  readonly #stealing: Stealing;
  readonly #reserved: Queue<Reservation>;
  readonly #claimedByKey = new Map<string, Claimed>();
  readonly #runningByKey = new Map<string, Running>();
  readonly #cancelled = new Set<string>();
  #isDraining = false;
  /** Its machine will be taken away: nothing makes it take work again. */
  #isDoomed = false;
  /** Slots that its owner lets it fill; all while undefined. */
  #allowed: number | undefined;
  #renewAtMs = Number.POSITIVE_INFINITY;

  constructor(profile: WorkerProfile, options: SlotOptions = slotDefaults, deps: SlotDeps = alone) {
    this.#profile = profile;
    this.#options = options;
    this.#deps = deps;
    const hosted = { ...deps, home: profile.home ?? "", out: this.#out };
    this.#loads = new LoadReports({ ...hosted, concerned: () => this.#concerned }, options);
    this.#stealing = new Stealing(hosted, options);
    this.#reserved = new Queue({ itemsMax: options.reservationsMax });
  }

  /** Attempts that run now. */
  get running(): number {
    return this.#runningByKey.size;
  }

  /** True where nothing runs and nothing was asked for. */
  get isIdle(): boolean {
    return this.#runningByKey.size + this.#claimedByKey.size === 0;
  }

  get wakeAtMs(): number {
    const [oldest] = this.#claimedByKey.values();
    const dropAtMs = oldest?.dropAtMs ?? Number.POSITIVE_INFINITY;
    const ownMs = Math.min(dropAtMs, this.#renewAtMs);
    return Math.min(ownMs, this.#loads.wakeAtMs, this.#stealing.wakeAtMs);
  }

  handle(input: Input, nowMs: number): readonly Effect[] {
    const pausedMs = nowMs - this.wakeAtMs;
    if (pausedMs > 2 * this.#options.renewMs) this.#wakeUp(pausedMs, nowMs);
    this.#decide(input, nowMs);
    this.#claimFree(nowMs);
    this.#loads.report(this.#load(), nowMs);
    this.#seek(nowMs);
    return this.#out.take();
  }

  /** Reports what waits at this node where that is due; after the ledger decided something. */
  report(nowMs: number): readonly Effect[] {
    this.#loads.report(this.#load(), nowMs);
    return this.#out.take();
  }

  #decide(input: Input, nowMs: number): void {
    switch (input.kind) {
      case "linked":
        this.#loads.link(input.peer, this.#load(), nowMs);
        return;
      case "unlinked":
        this.#unlinked(input.peer);
        return;
      case "message":
        this.#receive(input.from, input.message, nowMs);
        return;
      case "executed":
        this.#executed(input.token, input.outcome);
        return;
      case "drain":
        this.#drain();
        return;
      case "allow":
        this.#allow(input.slots);
        return;
      case "noticed":
        this.#handOver(input.lastsMs, nowMs);
        return;
      case "wake":
        this.#dropUnanswered(nowMs);
        this.#renew(nowMs);
        return;
    }
  }

  #receive(from: PeerId, message: Message, nowMs: number): void {
    switch (message.kind) {
      case "offer":
        this.#reserve(from, message, nowMs);
        return;
      case "bound":
        this.#run(from, message.token, nowMs);
        return;
      case "gone":
        this.#forget(from, message.token);
        return;
      case "cancel":
        this.#cancel(from, message.token);
        return;
      case "load":
        if (!this.#loads.isLinked(from)) return;
        if (message.serves && message.pending > 0) this.#loads.concern(from, this.#load(), nowMs);
        this.#stealing.heard(from, message, nowMs);
        return;
      case "granted":
        this.#stealing.granted(from, message, nowMs);
        return;
    }
  }

  #reserve(from: PeerId, { token, request, estimateMs }: Offer, nowMs: number): void {
    if (token.ingress !== from || !this.#loads.isLinked(from)) return;
    this.#loads.concern(from, this.#load(), nowMs);
    if (this.#takesNothing || this.#limit === 0) return;
    this.#stealing.offered(from);
    const key = tokenKey(token);
    if (this.#runningByKey.has(key) || this.#claimedByKey.has(key)) return;
    const { priority, user, invocation } = request;
    this.#reserved.add({ key, lane: "", priority, user, invocation, estimateMs, token, request });
  }

  #claimFree(nowMs: number): void {
    while (this.#free > 0) {
      const reservation = this.#reserved.take();
      if (reservation === undefined) return;
      const dropAtMs = nowMs + this.#options.claimTimeoutMs;
      this.#claimedByKey.set(reservation.key, { ...reservation, dropAtMs });
      const { token } = reservation;
      this.#out.send(token.ingress, { kind: "claim", token });
    }
  }

  /** Only a claim that is still open counts: a late or doubled Bound runs nothing. */
  #run(from: PeerId, token: Token, nowMs: number): void {
    const key = tokenKey(token);
    const claimed = this.#claimedByKey.get(key);
    if (claimed === undefined || token.ingress !== from) return;
    this.#claimedByKey.delete(key);
    if (this.#runningByKey.size === 0) this.#renewAtMs = nowMs + this.#options.renewMs;
    const endsAtMs = nowMs + (claimed.estimateMs ?? 0);
    this.#runningByKey.set(key, { token: claimed.token, endsAtMs });
    this.#out.push({ kind: "execute", token: claimed.token, request: claimed.request });
  }

  #forget(from: PeerId, token: Token): void {
    if (token.ingress !== from) return;
    const key = tokenKey(token);
    this.#reserved.remove(key);
    this.#claimedByKey.delete(key);
  }

  #cancel(from: PeerId, token: Token): void {
    this.#forget(from, token);
    const key = tokenKey(token);
    const isRunning = this.#runningByKey.has(key) && token.ingress === from;
    if (!isRunning || this.#cancelled.has(key)) return;
    this.#cancelled.add(key);
    this.#out.push({ kind: "cancel", token });
  }

  #executed(token: Token, outcome: Outcome): void {
    const key = tokenKey(token);
    if (!this.#runningByKey.delete(key)) return;
    if (this.#runningByKey.size === 0) this.#renewAtMs = Number.POSITIVE_INFINITY;
    // Who cancelled does not listen; an ingress that is away offers it again and finds the cache.
    if (this.#cancelled.delete(key) || !this.#loads.isLinked(token.ingress)) return;
    this.#out.send(token.ingress, { kind: "done", token, outcome });
  }

  /** What runs goes on: its result is cached and its ingress may come back before it ends. */
  #unlinked(peer: PeerId): void {
    this.#loads.unlink(peer);
    this.#stealing.unlinked(peer);
    for (const { key, token } of [...this.#reserved.items()]) {
      if (token.ingress === peer) this.#reserved.remove(key);
    }
    for (const [key, { token }] of this.#claimedByKey) {
      if (token.ingress === peer) this.#claimedByKey.delete(key);
    }
  }

  /** Open claims stay: what they are answered with is run. */
  #drain(): void {
    this.#isDraining = true;
    this.#dropReservations();
  }

  /**
   * What cannot end in time is begun elsewhere now, while there is time; what runs by an unknown
   * clock goes on, for half of a repeated run is more than none.
   */
  #handOver(lastsMs: number, nowMs: number): void {
    this.#isDoomed = true;
    this.#dropReservations();
    // Who hears first that this worker takes nothing does not offer it back.
    this.#loads.report(this.#load(), nowMs);
    const lastMs = nowMs + lastsMs - this.#options.deliverMs;
    for (const [key, { token, endsAtMs }] of this.#runningByKey) {
      if (endsAtMs <= lastMs || this.#cancelled.has(key)) continue;
      this.#cancelled.add(key);
      this.#out.push({ kind: "cancel", token });
      const message = "Its machine is taken away before it could end.";
      const outcome: Outcome = { kind: "fault", failure: { code: "UNAVAILABLE", message } };
      this.#out.send(token.ingress, { kind: "done", token, outcome });
    }
  }

  /** What runs goes on. With nothing allowed the reservations go back: others may run them. */
  #allow(slots: number): void {
    this.#allowed = Math.max(0, slots);
    if (this.#allowed === 0) this.#dropReservations();
  }

  /**
   * The process stood still, as a closed laptop does: claims and reservations are somebody else's
   * by now. What runs goes on, for its result is as good as any.
   */
  #wakeUp(pausedMs: number, nowMs: number): void {
    this.#out.note({ name: "woke-up", pausedMs });
    this.#claimedByKey.clear();
    this.#dropReservations();
    this.#stealing.forget();
    this.#loads.hasten(nowMs);
    this.#renew(nowMs);
  }

  #dropReservations(): void {
    for (const { key } of [...this.#reserved.items()]) this.#reserved.remove(key);
  }

  #seek(nowMs: number): void {
    const mayTake = this.#deps.stealingOn() && !this.#takesNothing;
    const free = mayTake ? this.#free - this.#reserved.size : 0;
    this.#stealing.seek(free, this.#profile.slots, nowMs);
  }

  #dropUnanswered(nowMs: number): void {
    for (const [key, { dropAtMs }] of this.#claimedByKey) {
      if (dropAtMs > nowMs) return;
      this.#claimedByKey.delete(key);
    }
  }

  #renew(nowMs: number): void {
    if (this.#renewAtMs > nowMs) return;
    this.#renewAtMs = nowMs + this.#options.renewMs;
    for (const ingress of this.#loads.peers) {
      const running = [...this.#runningByKey.values()].map(({ token }) => token);
      const tokens = running.filter((token) => token.ingress === ingress);
      if (tokens.length > 0) this.#out.send(ingress, { kind: "renew", tokens });
    }
  }

  #load(): Load {
    const { name, slots, isolation, properties } = this.#profile;
    const [free, queued, draining] = [this.#free, this.#reserved.size, this.#takesNothing];
    const { home = "", serves = false } = this.#profile;
    const busy = this.#runningByKey.size + this.#claimedByKey.size;
    const { pending, pendingMs } = this.#deps;
    const rest = { home, serves, busy, pending: pending(), pendingMs: pendingMs() };
    return { kind: "load", name, slots, free, queued, draining, isolation, properties, ...rest };
  }

  /** Whose work it holds, and at whom some waits. */
  get #concerned(): ReadonlySet<PeerId> {
    const held = [
      ...this.#reserved.items(),
      ...this.#claimedByKey.values(),
      ...this.#runningByKey.values(),
    ];
    return new Set([...this.#stealing.hopes, ...held.map(({ token }) => token.ingress)]);
  }

  get #takesNothing(): boolean {
    return this.#isDraining || this.#isDoomed;
  }

  get #free(): number {
    return Math.max(0, this.#limit - this.#runningByKey.size - this.#claimedByKey.size);
  }

  /** Slots it may fill, the busy ones included. */
  get #limit(): number {
    const { slots } = this.#profile;
    return Math.min(slots, this.#allowed ?? slots);
  }
}
