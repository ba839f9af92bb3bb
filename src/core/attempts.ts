// How an accepted action gets run: reserved at some workers, bound to the first that claims it,
// renewed while it runs, made again when it was lost.
//
// The life of an attempt: waiting → offered → bound → finished or lost; a lost one waits again with
// the next hop. Invariant: one hop is bound to one worker at most. Bound: `attemptsMax` hops.

import type { Outcome, PeerId, Token } from "./action.ts";
import type { Attempt, Entries, Entry } from "./entries.ts";
import type { Failure } from "./error.ts";
import type { Estimates } from "./estimates.ts";
import { type FeedingOptions, feed } from "./feeding.ts";
import type { Lanes } from "./lanes.ts";
import type { Stage } from "./machine.ts";
import type { Load, Message } from "./message.ts";
import type { Outbox } from "./outbox.ts";
import { attemptsSpent } from "./refusals.ts";
import type { Rng } from "./rng.ts";
import type { Roster, RosterWorker } from "./roster.ts";

/** Times and bounds of attempts. */
export interface AttemptOptions extends Omit<FeedingOptions, "silenceMs"> {
  /** A bound attempt not renewed for this long in ms is lost. At least three renewals. */
  readonly leaseMs: number;
  /** Reservations nobody claimed are sent again after this many ms. */
  readonly resendMs: number;
  /** Attempts at one action before it fails with INTERNAL. */
  readonly attemptsMax: number;
}

/** What attempts work on and report to. */
export interface AttemptDeps {
  readonly self: PeerId;
  readonly rng: Rng;
  readonly entries: Entries;
  readonly roster: Roster;
  readonly lanes: Lanes;
  readonly estimates: Estimates;
  readonly out: Outbox;
  /** The action has a result; `attempt` brought it. */
  readonly onFinished: (entry: Entry, attempt: FinishedAttempt) => void;
  /** The action cannot be run. */
  readonly onFailed: (entry: Entry, failure: Failure) => void;
}

/** Which attempt brought a result. */
export interface FinishedAttempt {
  readonly token: Token;
  readonly peer: PeerId;
  readonly worker: string;
  readonly outcome: Outcome & { readonly kind: "result" };
}

/** The worker-facing half of a ledger. */
export class Attempts {
  readonly #deps: AttemptDeps;
  readonly #options: AttemptOptions;

  constructor(deps: AttemptDeps, options: AttemptOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  get wakeAtMs(): number {
    const offered = this.#deps.entries.firstOffered?.phase;
    const bound = this.#deps.entries.firstBound?.phase;
    return Math.min(
      offered?.kind === "offered" ? offered.resendAtMs : Number.POSITIVE_INFINITY,
      bound?.kind === "bound" ? bound.endsAtMs : Number.POSITIVE_INFINITY,
    );
  }

  /** Lets an entry wait for a worker and tells its waiters so. */
  wait(entry: Entry, nowMs: number): void {
    this.#queueUp(entry, nowMs);
    this.#deps.out.publish(entry.operations, this.stage(entry));
  }

  /** Ends an entry and calls off whoever works on it, except the attempt that finished it. */
  close(entry: Entry, finishedHop: number | undefined): void {
    const { phase } = entry;
    const token = this.token(entry);
    const { entries, out } = this.#deps;
    entries.close(entry);
    if (phase.kind === "offered") {
      for (const peer of phase.holders) out.send(peer, { kind: "gone", token });
    }
    if (phase.kind === "bound" && finishedHop !== token.hop) {
      out.send(phase.owner, { kind: "cancel", token });
    }
    for (const [hop, { peer, mayFinish }] of entry.lost.entries()) {
      if (!mayFinish || hop === finishedHop) continue;
      out.send(peer, { kind: "cancel", token: { ...token, hop } });
    }
  }

  /** The name of an entry's present attempt. */
  token(entry: Entry): Token {
    return { ingress: this.#deps.self, seq: entry.seq, hop: entry.lost.length };
  }

  unlinked(peer: PeerId, nowMs: number): void {
    const { roster, out, entries } = this.#deps;
    const worker = roster.unlink(peer);
    if (worker === undefined) return;
    const { name } = worker.load;
    out.note({ name: "worker-lost", peer, worker: name, actions: worker.bound.size });
    this.#dropReservations(worker, nowMs);
    for (const seq of [...worker.bound]) {
      const entry = entries.entry(seq);
      if (entry !== undefined) this.#lose(entry, "the link to it closed", true, nowMs);
    }
  }

  receive(from: PeerId, message: Message, nowMs: number): void {
    const isLinked = this.#deps.roster.hear(from, nowMs);
    // A result is as good as any, even where its link just closed.
    if (message.kind === "done") this.#done(from, message.token, message.outcome, nowMs);
    if (!isLinked) return;
    if (message.kind === "load") this.#load(from, message, nowMs);
    if (message.kind === "claim") this.#claim(from, message.token, nowMs);
    if (message.kind === "renew") this.#renew(from, message.tokens, nowMs);
  }

  /** Ends leases and repeats reservations that are due. */
  wake(nowMs: number): void {
    this.#expireLeases(nowMs);
    this.#resendOffers(nowMs);
  }

  /** Reserves what waits wherever there is room. */
  feed(nowMs: number): void {
    const { resendMs, leaseMs } = this.#options;
    feed(
      this.#deps,
      { ...this.#options, silenceMs: leaseMs },
      { nowMs, resendAtMs: nowMs + resendMs },
      (entry, workers) => {
        const token = this.token(entry);
        const peers = workers.map(({ peer }) => peer);
        this.#deps.out.note({ name: "action-offered", token, peers });
        for (const peer of peers) this.#sendOffer(entry, peer);
      },
    );
  }

  #load(peer: PeerId, load: Load, nowMs: number): void {
    const { roster, out } = this.#deps;
    const previous = roster.report(peer, load);
    const worker = roster.worker(peer);
    if (worker === undefined) return;
    if (previous === undefined) {
      out.note({ name: "worker-linked", peer, worker: load.name, slots: load.slots });
    }
    if (!load.draining || previous?.draining) return;
    out.note({ name: "worker-draining", peer, worker: load.name });
    this.#dropReservations(worker, nowMs);
  }

  #claim(from: PeerId, token: Token, nowMs: number): void {
    const { roster, entries, out } = this.#deps;
    const worker = roster.worker(from);
    const entry = this.#entryOf(token);
    if (entry === undefined || worker === undefined || token.hop !== entry.lost.length) {
      out.send(from, { kind: "gone", token });
      return;
    }
    const { phase } = entry;
    if (phase.kind === "bound") {
      // The owner asks again where the answer was lost.
      out.send(from, { kind: phase.owner === from ? "bound" : "gone", token });
      return;
    }
    entries.bind(entry, worker, nowMs + this.#options.leaseMs);
    out.send(from, { kind: "bound", token });
    for (const peer of phase.kind === "offered" ? phase.holders : []) {
      if (peer !== from) out.send(peer, { kind: "gone", token });
    }
    const waitMs = nowMs - entry.acceptedAtMs;
    out.note({ name: "action-bound", token, peer: from, waitMs });
    out.publish(entry.operations, this.stage(entry));
  }

  #renew(from: PeerId, tokens: readonly Token[], nowMs: number): void {
    for (const token of tokens) {
      const entry = this.#entryOf(token);
      if (entry === undefined) this.#deps.out.send(from, { kind: "cancel", token });
      else if (isOwner(entry, token, from)) {
        this.#deps.entries.prolongLease(entry, nowMs + this.#options.leaseMs);
      }
    }
  }

  #done(from: PeerId, token: Token, outcome: Outcome, nowMs: number): void {
    const entry = this.#entryOf(token);
    if (entry === undefined) return;
    const isCurrent = isOwner(entry, token, from);
    const earlier = earlierAttempt(entry, token, from);
    if (!isCurrent && earlier === undefined) return;
    if (outcome.kind === "result") {
      const owner = entry.phase.kind === "bound" ? entry.phase.worker : from;
      const worker = earlier?.worker ?? owner;
      this.#deps.estimates.record(entry.request.kind, outcome.runMs);
      this.#deps.onFinished(entry, { token, peer: from, worker, outcome });
      return;
    }
    if (earlier !== undefined) earlier.mayFinish = false;
    else this.#lose(entry, outcome.failure.message, false, nowMs);
  }

  #expireLeases(nowMs: number): void {
    const { entries, out, roster } = this.#deps;
    if (this.#wasAway(nowMs)) return;
    for (;;) {
      const entry = entries.firstBound;
      if (entry?.phase.kind !== "bound" || entry.phase.endsAtMs > nowMs) return;
      const { owner } = entry.phase;
      out.note({ name: "lease-expired", token: this.token(entry), peer: owner });
      this.#lose(entry, "it did not renew its lease", true, nowMs);
      const worker = roster.worker(owner);
      if (worker !== undefined && this.#isSilent(owner, nowMs)) {
        this.#dropReservations(worker, nowMs);
      }
    }
  }

  /** A node that wakes up late slept itself, so it cannot tell who else was silent. */
  #wasAway(nowMs: number): boolean {
    const { entries } = this.#deps;
    const { leaseMs } = this.#options;
    const first = entries.firstBound?.phase;
    if (first?.kind !== "bound" || nowMs - first.endsAtMs < leaseMs / 2) return false;
    for (const entry of [...entries.allBound]) entries.prolongLease(entry, nowMs + leaseMs);
    return true;
  }

  #resendOffers(nowMs: number): void {
    const { entries } = this.#deps;
    for (;;) {
      const entry = entries.firstOffered;
      if (entry?.phase.kind !== "offered" || entry.phase.resendAtMs > nowMs) return;
      entries.prolongOffer(entry, nowMs + this.#options.resendMs);
      for (const peer of [...entry.phase.holders]) {
        if (this.#isSilent(peer, nowMs)) this.#release(entry, peer, nowMs);
        else this.#sendOffer(entry, peer);
      }
    }
  }

  /** The present attempt is lost: make another, elsewhere if there is an elsewhere. */
  #lose(entry: Entry, why: string, mayFinish: boolean, nowMs: number): void {
    const { phase } = entry;
    if (phase.kind !== "bound") return;
    const token = this.token(entry);
    entry.lost.push({ peer: phase.owner, worker: phase.worker, why, mayFinish });
    if (entry.lost.length >= this.#options.attemptsMax) {
      this.#deps.onFailed(entry, attemptsSpent(entry.lost));
      return;
    }
    this.#deps.out.note({ name: "action-retried", token, why });
    this.wait(entry, nowMs);
  }

  #dropReservations(worker: RosterWorker, nowMs: number): void {
    for (const seq of [...worker.reserved]) {
      const entry = this.#deps.entries.entry(seq);
      if (entry !== undefined) this.#release(entry, worker.peer, nowMs);
      worker.reserved.delete(seq);
    }
  }

  #release(entry: Entry, peer: PeerId, nowMs: number): void {
    if (this.#deps.entries.release(entry, peer)) this.#queueUp(entry, nowMs);
  }

  #queueUp(entry: Entry, nowMs: number): void {
    const { lanes, entries, estimates } = this.#deps;
    const avoid = [...new Set(entry.lost.map(({ peer }) => peer))];
    const lane = lanes.laneOf(entry.request.properties, avoid, nowMs);
    entries.wait(entry, lane, estimates.estimateMs(entry.request.kind));
  }

  #sendOffer(entry: Entry, peer: PeerId): void {
    const { out, estimates } = this.#deps;
    const estimateMs = estimates.estimateMs(entry.request.kind);
    const request = { ...entry.request, priority: entry.priority };
    out.send(peer, { kind: "offer", token: this.token(entry), request, estimateMs });
  }

  /** What an entry's waiters are told of its present phase. */
  stage(entry: Entry): Stage {
    const { phase } = entry;
    if (phase.kind !== "bound") return { kind: "queued" };
    const { owner: peer, worker } = phase;
    return { kind: "executing", worker, peer, token: this.token(entry) };
  }

  #isSilent(peer: PeerId, nowMs: number): boolean {
    return this.#deps.roster.isSilent(peer, this.#options.leaseMs, nowMs);
  }

  #entryOf(token: Token): Entry | undefined {
    return token.ingress === this.#deps.self ? this.#deps.entries.entry(token.seq) : undefined;
  }
}

function isOwner(entry: Entry, token: Token, peer: PeerId): boolean {
  const { phase, lost } = entry;
  return phase.kind === "bound" && phase.owner === peer && token.hop === lost.length;
}

function earlierAttempt(entry: Entry, token: Token, peer: PeerId): Attempt | undefined {
  const attempt = entry.lost[token.hop];
  return attempt?.peer === peer && attempt.mayFinish ? attempt : undefined;
}
