// The worker's side: holds reservations, claims the best one when a slot is really free, runs what
// it is given and tells every ingress how busy it is.
//
// A slot is free, claiming (asked, not answered) or running. A claim that stays unanswered is
// dropped together with its reservation: its ingress sends it again if it still matters.

import { type ActionRequest, type Outcome, type PeerId, type Token, tokenKey } from "./action.ts";
import type { Effect, Input, Machine } from "./machine.ts";
import type { Load, Message, Offer } from "./message.ts";
import { Outbox } from "./outbox.ts";
import { Queue, type Queueable } from "./queue.ts";

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
}

/** Times and bounds of the worker's side. */
export interface SlotOptions {
  /** An unanswered claim is dropped after this many ms. */
  readonly claimTimeoutMs: number;
  /** Running attempts are renewed every so many ms; less than a third of the ledger's lease. */
  readonly renewMs: number;
  /** Load is reported at least every so many ms. */
  readonly loadMs: number;
  /** Reservations held at once; further offers are ignored and come again later. */
  readonly reservationsMax: number;
}

/** The defaults. */
export const slotDefaults: SlotOptions = {
  claimTimeoutMs: 5_000,
  renewMs: 3_000,
  loadMs: 5_000,
  reservationsMax: 10_000,
};

interface Reservation extends Queueable {
  readonly token: Token;
  readonly request: ActionRequest;
}

interface Claimed extends Reservation {
  readonly dropAtMs: number;
}

/** The machine that fills a worker's slots. Each `execute` must be answered by one `executed`. */
export class Slots implements Machine {
  readonly #profile: WorkerProfile;
  readonly #options: SlotOptions;
  readonly #out = new Outbox();
  readonly #linked = new Set<PeerId>();
  readonly #reserved: Queue<Reservation>;
  readonly #claimedByKey = new Map<string, Claimed>();
  readonly #runningByKey = new Map<string, Token>();
  readonly #cancelled = new Set<string>();
  #isDraining = false;
  #renewAtMs = Number.POSITIVE_INFINITY;
  #loadAtMs = Number.POSITIVE_INFINITY;
  #reported = "";

  constructor(profile: WorkerProfile, options: SlotOptions = slotDefaults) {
    this.#profile = profile;
    this.#options = options;
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
    return Math.min(dropAtMs, this.#renewAtMs, this.#loadAtMs);
  }

  handle(input: Input, nowMs: number): readonly Effect[] {
    this.#decide(input, nowMs);
    this.#claimFree(nowMs);
    this.#reportLoad(nowMs);
    return this.#out.take();
  }

  #decide(input: Input, nowMs: number): void {
    switch (input.kind) {
      case "linked":
        this.#link(input.peer, nowMs);
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
      case "wake":
        this.#dropUnanswered(nowMs);
        this.#renew(nowMs);
        return;
    }
  }

  #receive(from: PeerId, message: Message, nowMs: number): void {
    switch (message.kind) {
      case "offer":
        this.#reserve(from, message);
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
    }
  }

  #reserve(from: PeerId, { token, request, estimateMs }: Offer): void {
    if (token.ingress !== from || !this.#linked.has(from)) return;
    if (this.#isDraining || this.#profile.slots === 0) return;
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
    this.#runningByKey.set(key, claimed.token);
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
    if (this.#cancelled.delete(key) || !this.#linked.has(token.ingress)) return;
    this.#out.send(token.ingress, { kind: "done", token, outcome });
  }

  /** What runs goes on: its result is cached and its ingress may come back before it ends. */
  #unlinked(peer: PeerId): void {
    this.#linked.delete(peer);
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
    for (const { key } of [...this.#reserved.items()]) this.#reserved.remove(key);
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
    for (const ingress of this.#sortedLinks()) {
      const tokens = [...this.#runningByKey.values()].filter((token) => token.ingress === ingress);
      if (tokens.length > 0) this.#out.send(ingress, { kind: "renew", tokens });
    }
  }

  #link(peer: PeerId, nowMs: number): void {
    this.#linked.add(peer);
    const load = this.#load();
    this.#out.send(peer, load);
    if (this.#linked.size > 1) return;
    this.#reported = summaryOf(load);
    this.#loadAtMs = nowMs + this.#options.loadMs;
  }

  /** Bound: one report per input, to links that exist, from workers only. */
  #reportLoad(nowMs: number): void {
    const load = this.#load();
    if (load.slots === 0 || this.#linked.size === 0) {
      this.#loadAtMs = Number.POSITIVE_INFINITY;
      return;
    }
    const summary = summaryOf(load);
    if (summary === this.#reported && nowMs < this.#loadAtMs) return;
    this.#reported = summary;
    this.#loadAtMs = nowMs + this.#options.loadMs;
    for (const peer of this.#sortedLinks()) this.#out.send(peer, load);
  }

  #load(): Load {
    const { name, slots, isolation, properties } = this.#profile;
    const [free, queued, draining] = [this.#free, this.#reserved.size, this.#isDraining];
    const rest = { home: "", pending: 0, serves: false };
    return { kind: "load", name, slots, free, queued, draining, isolation, properties, ...rest };
  }

  get #free(): number {
    return this.#profile.slots - this.#runningByKey.size - this.#claimedByKey.size;
  }

  #sortedLinks(): readonly PeerId[] {
    return [...this.#linked].sort();
  }
}

/** What of a load report changes while a worker lives. */
function summaryOf({ free, queued, draining }: Load): string {
  return `${free} ${queued} ${draining}`;
}
