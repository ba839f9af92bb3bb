// How an accepted action gets run: reserved at some workers, bound to the first that claims it,
// renewed while it runs, made again when it was lost.
//
// The life of an attempt: waiting → offered → bound → finished or lost; a lost one waits again with
// the next hop. Invariant: one hop is bound to one worker at most. Bound: `blameMax` hops, twice as
// many where others were lost with it.

import type { Outcome, PeerId, Token } from "./action.ts";
import type { Attempt, Entry } from "./entries.ts";
import type { Failure } from "./error.ts";
import { boundPerSlotMax, Grants } from "./grants.ts";
import type { Stage } from "./machine.ts";
import type { Load, Message } from "./message.ts";
import { attemptsSpent } from "./refusals.ts";
import { type ReservationDeps, type ReservationOptions, Reservations } from "./reservations.ts";
import type { RosterWorker } from "./roster.ts";

/** Times and bounds of attempts. */
export interface AttemptOptions extends ReservationOptions {
  /** A bound attempt not renewed for this long in ms is lost. At least three renewals. */
  readonly leaseMs: number;
  /** An action fails with INTERNAL once the blame of its lost attempts comes to this. */
  readonly blameMax: number;
}

/** What attempts work on and report to. */
export interface AttemptDeps extends ReservationDeps {
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

/** Blame of an attempt that was lost by itself, and of one that was lost with others. */
const [soleBlame, sharedBlame] = [1, 0.5];

/** The worker-facing half of a ledger. */
export class Attempts {
  readonly #deps: AttemptDeps;
  readonly #options: AttemptOptions;
  readonly #reservations: Reservations;
  readonly #grants: Grants;

  constructor(deps: AttemptDeps, options: AttemptOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#reservations = new Reservations(deps, options);
    this.#grants = new Grants({ ...deps, reservations: this.#reservations });
  }

  get wakeAtMs(): number {
    const bound = this.#deps.entries.firstBound?.phase;
    return Math.min(
      this.#reservations.wakeAtMs,
      bound?.kind === "bound" ? bound.endsAtMs : Number.POSITIVE_INFINITY,
      this.#deps.roster.conduct.nextEndMs,
    );
  }

  /** Actions that this host's own workers cannot start now. */
  get surplus(): number {
    return this.#reservations.surplus;
  }

  /** Lets an entry wait for a worker and tells its waiters so. */
  wait(entry: Entry, nowMs: number): void {
    this.#reservations.queueUp(entry, nowMs);
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
    return this.#reservations.token(entry);
  }

  unlinked(peer: PeerId, nowMs: number): void {
    const { roster, out, entries } = this.#deps;
    this.#grants.unlinked(peer);
    const worker = roster.unlink(peer);
    if (worker === undefined) return;
    const { name } = worker.load;
    out.note({ name: "worker-lost", peer, worker: name, actions: worker.bound.size });
    this.#reservations.drop(worker, nowMs);
    const lost = { why: "the link to it closed", mayFinish: true, blame: blameOf(worker) };
    for (const seq of [...worker.bound]) {
      const entry = entries.entry(seq);
      if (entry !== undefined) this.#lose(entry, lost, nowMs);
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
    if (message.kind === "steal") this.#grants.steal(from, message, nowMs);
    if (message.kind === "lifeline") this.#grants.lifeline(from, message, nowMs);
  }

  /** Ends leases and repeats reservations that are due. */
  wake(nowMs: number): void {
    this.#expireLeases(nowMs);
    this.#reservations.resend(nowMs);
  }

  /** Reserves what waits wherever there is room, this host's own workers first. */
  feed(nowMs: number): void {
    this.#reservations.feed(nowMs);
    this.#grants.push(nowMs, this.#options.leaseMs);
  }

  #load(peer: PeerId, load: Load, nowMs: number): void {
    const { roster, out } = this.#deps;
    const previous = roster.report(peer, load, nowMs);
    const worker = roster.worker(peer);
    if (worker === undefined) return;
    if (previous === undefined) {
      out.note({ name: "worker-linked", peer, worker: load.name, slots: load.slots });
    }
    if (worker.reserved.size > 0) this.#reservations.reconcile(worker, nowMs);
    if (!load.draining || previous?.draining) return;
    out.note({ name: "worker-draining", peer, worker: load.name });
    this.#reservations.drop(worker, nowMs);
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
    if (!this.#mayClaim(worker, entry)) {
      out.send(from, { kind: "gone", token });
      return;
    }
    entries.bind(entry, worker, nowMs + this.#options.leaseMs);
    out.send(from, { kind: "bound", token });
    for (const peer of phase.kind === "offered" ? phase.holders : []) {
      if (peer !== from) out.send(peer, { kind: "gone", token });
    }
    const waitMs = nowMs - entry.acceptedAtMs;
    const stolen = !roster.isHome(worker);
    out.note({
      name: "action-bound",
      ...{ token, peer: from, worker: worker.load.name, stolen, waitMs },
    });
    out.publish(entry.operations, this.stage(entry));
  }

  /** A guest claims only what it was offered, and nobody far more than it can run. */
  #mayClaim(worker: RosterWorker, { phase }: Entry): boolean {
    const { roster } = this.#deps;
    const { peer, load, bound } = worker;
    if (bound.size >= load.slots * boundPerSlotMax) return false;
    if (phase.kind === "offered" && phase.holders.has(peer)) return true;
    return roster.isHome(worker) && !roster.conduct.isBarred(peer);
  }

  #renew(from: PeerId, tokens: readonly Token[], nowMs: number): void {
    for (const token of tokens) {
      const entry = this.#entryOf(token);
      if (entry === undefined) this.#deps.out.send(from, { kind: "cancel", token });
      else if (isOwner(entry, token, from)) {
        if (entry.phase.kind === "bound") entry.phase.isRenewed = true;
        this.#deps.roster.conduct.praise(from, false);
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
      this.#deps.roster.conduct.praise(from, true);
      this.#deps.estimates.record(entry.request.kind, outcome.runMs);
      this.#deps.onFinished(entry, { token, peer: from, worker, outcome });
      return;
    }
    if (earlier !== undefined) earlier.mayFinish = false;
    else {
      const why = outcome.failure.message;
      this.#lose(entry, { why, mayFinish: false, blame: soleBlame }, nowMs);
    }
  }

  #expireLeases(nowMs: number): void {
    const { entries, out, roster } = this.#deps;
    const { leaseMs } = this.#options;
    if (this.#wasAway(nowMs)) return;
    for (;;) {
      const entry = entries.firstBound;
      if (entry?.phase.kind !== "bound" || entry.phase.endsAtMs > nowMs) return;
      const { owner, isRenewed } = entry.phase;
      out.note({ name: "lease-expired", token: this.token(entry), peer: owner });
      const why = "it did not renew its lease";
      this.#lose(entry, { why, mayFinish: true, blame: soleBlame }, nowMs);
      const worker = roster.worker(owner);
      if (worker === undefined) continue;
      if (roster.isSilent(owner, leaseMs, nowMs)) this.#reservations.drop(worker, nowMs);
      // Heard long after a renewal was due: it could have renewed.
      else if (!isRenewed && !roster.isSilent(owner, leaseMs / 2, nowMs)) {
        this.#strike(worker, nowMs);
      }
    }
  }

  /** It speaks, but does not run what it took. */
  #strike(worker: RosterWorker, nowMs: number): void {
    const { roster, out } = this.#deps;
    const { peer } = worker;
    const forMs = roster.conduct.strike(peer, nowMs);
    if (forMs === undefined) return;
    const why = "it took actions and never ran them";
    out.note({ name: "peer-refused", peer, why, forMs });
    this.#reservations.drop(worker, nowMs);
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

  /** The present attempt is lost: make another, elsewhere if there is an elsewhere. */
  #lose(entry: Entry, how: Omit<Attempt, "peer" | "worker">, nowMs: number): void {
    const { phase } = entry;
    if (phase.kind !== "bound") return;
    const token = this.token(entry);
    entry.lost.push({ peer: phase.owner, worker: phase.worker, ...how });
    if (entry.lost.reduce((sum, { blame }) => sum + blame, 0) >= this.#options.blameMax) {
      this.#deps.onFailed(entry, attemptsSpent(entry.lost));
      return;
    }
    const { worker } = phase;
    this.#deps.out.note({ name: "action-retried", token, worker, why: how.why });
    this.wait(entry, nowMs);
  }

  /** What an entry's waiters are told of its present phase. */
  stage(entry: Entry): Stage {
    const { phase } = entry;
    if (phase.kind !== "bound") return { kind: "queued" };
    const { owner: peer, worker } = phase;
    return { kind: "executing", worker, peer, token: this.token(entry) };
  }

  #entryOf(token: Token): Entry | undefined {
    return token.ingress === this.#deps.self ? this.#deps.entries.entry(token.seq) : undefined;
  }
}

function isOwner(entry: Entry, token: Token, peer: PeerId): boolean {
  const { phase, lost } = entry;
  return phase.kind === "bound" && phase.owner === peer && token.hop === lost.length;
}

/** An action that ends workers is mostly alone to blame; of several, none may be. */
function blameOf({ bound }: RosterWorker): number {
  return bound.size > 1 ? sharedBlame : soleBlame;
}

function earlierAttempt(entry: Entry, token: Token, peer: PeerId): Attempt | undefined {
  const attempt = entry.lost[token.hop];
  return attempt?.peer === peer && attempt.mayFinish ? attempt : undefined;
}
