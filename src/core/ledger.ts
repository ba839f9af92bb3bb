// The ingress's book of accepted actions: who waits for each, and what becomes of it.
//
// Work is late-binding: an action is reserved at up to three workers and bound to the first that
// claims it with a free slot. Workers hold few reservations, so the surplus waits here, in one
// order, where it can still go anywhere. Actions are pure, so a lost attempt is simply made again;
// the first completion of any attempt answers everybody. Any message may be lost, late, doubled or
// reordered: nothing here asserts on what peers send.

import type { ActionRequest, PeerId } from "./action.ts";
import { type AttemptOptions, Attempts, type FinishedAttempt } from "./attempts.ts";
import { Entries, type Entry, type InvocationView } from "./entries.ts";
import type { Failure } from "./error.ts";
import { Estimates } from "./estimates.ts";
import { HouseToolchain } from "./house-toolchain.ts";
import { Lanes } from "./lanes.ts";
import type { Effect, Input, Machine } from "./machine.ts";
import type { Load } from "./message.ts";
import { Outbox } from "./outbox.ts";
import { elsewhere, leaving, noSuchWorker, noWorkers, tooManyPending } from "./refusals.ts";
import type { Rng } from "./rng.ts";
import { Roster, satisfies, type WorkerView } from "./roster.ts";

/** Bound: lines of `invocations`. */
const invocationsShownMax = 100;

/** Times and bounds of a ledger. */
export interface LedgerOptions extends AttemptOptions {
  /** Operations waited for at once; further ones are refused with RESOURCE_EXHAUSTED. */
  readonly pendingMax: number;
  /** How long in ms an action waits while no worker could run it. */
  readonly noWorkersMs: number;
}

/** The defaults. */
export const ledgerDefaults: LedgerOptions = {
  pendingMax: 100_000,
  noWorkersMs: 60_000,
  leaseMs: 10_000,
  resendMs: 5_000,
  blameMax: 5,
  reservationsPerSlot: 2,
  reservationsAtOnce: 20,
};

/** What a ledger is told of its node. */
export interface LedgerDeps {
  readonly self: PeerId;
  readonly rng: Rng;
  /** Whether idle workers of other hosts may take work from here. */
  readonly stealingOn: () => boolean;
  /** What the workers that this node keeps running have; undefined where it keeps none. */
  readonly expected?: (() => Load["properties"]) | undefined;
}

/** The machine that gets every accepted action done, or says why not. */
export class Ledger implements Machine {
  readonly #self: PeerId;
  readonly #options: LedgerOptions;
  readonly #roster: Roster;
  readonly #lanes: Lanes;
  readonly #estimates = new Estimates();
  readonly #house = new HouseToolchain();
  readonly #expected: (() => Load["properties"]) | undefined;
  readonly #out = new Outbox();
  readonly #entries: Entries;
  readonly #attempts: Attempts;
  #nextSeq = 0;
  #completed = 0;
  #isDraining = false;

  constructor(deps: LedgerDeps, options: LedgerOptions = ledgerDefaults) {
    this.#self = deps.self;
    this.#options = options;
    this.#expected = deps.expected;
    this.#roster = new Roster(deps);
    this.#lanes = new Lanes(this.#roster);
    this.#entries = new Entries(this.#roster, this.#lanes, options);
    const shared = {
      entries: this.#entries,
      roster: this.#roster,
      lanes: this.#lanes,
      estimates: this.#estimates,
      out: this.#out,
      onFinished: (entry: Entry, attempt: FinishedAttempt) => this.#finish(entry, attempt),
      onFailed: (entry: Entry, failure: Failure) => this.#fail(entry, failure),
    };
    this.#attempts = new Attempts({ ...deps, ...shared }, options);
  }

  /** Accepted actions that no worker runs yet. */
  get pending(): number {
    return this.#entries.waiting + this.#entries.offered;
  }

  /** Actions bound to a worker. */
  get executing(): number {
    return this.#entries.bound;
  }

  /** Accepted actions that this host's own workers cannot start now: what others may take. */
  get surplus(): number {
    return this.#attempts.surplus;
  }

  /** The toolchain of most of the workers that take work from here; empty where none has one. */
  get houseToolchain(): string {
    return this.#house.choose(this.#loads());
  }

  /** Expected work of what no worker runs yet, in ms of one slot. */
  get pendingMs(): number {
    return this.#entries.pendingMs;
  }

  /** Unfinished actions by whose they are, the most first. */
  get invocations(): readonly InvocationView[] {
    return this.#entries.byInvocation(invocationsShownMax);
  }

  /** Actions that ended with a result since the start. */
  get completed(): number {
    return this.#completed;
  }

  /** The linked workers, sorted by peer. */
  get workers(): readonly WorkerView[] {
    return this.#roster.workers.map(({ peer, load, idleSinceMs }) => {
      const { name, slots, free, queued, draining, isolation, busy, home, properties } = load;
      const told = { name, slots, free, queued, draining, isolation, busy, home, properties };
      return { peer, ...told, idleSinceMs };
    });
  }

  get wakeAtMs(): number {
    const { noWorkersMs } = this.#options;
    return Math.min(this.#attempts.wakeAtMs, this.#lanes.unservedSinceMs + noWorkersMs);
  }

  handle(input: Input, nowMs: number): readonly Effect[] {
    this.#roster.refresh(nowMs);
    this.#decide(input, nowMs);
    this.#lanes.watch(nowMs);
    this.#attempts.feed(nowMs);
    return this.#out.take();
  }

  #decide(input: Input, nowMs: number): void {
    switch (input.kind) {
      case "submit":
        this.#submit(input.operation, input.request, nowMs);
        return;
      case "abandon":
        this.#abandon(input.operation);
        return;
      case "linked":
        this.#roster.link(input.peer, nowMs);
        return;
      case "unlinked":
        this.#attempts.unlinked(input.peer, nowMs);
        return;
      case "message":
        this.#attempts.receive(input.from, input.message, nowMs);
        return;
      case "wake":
        this.#attempts.wake(nowMs);
        this.#failUnserved(nowMs);
        return;
      case "drain":
        this.#isDraining = true;
    }
  }

  #submit(operation: string, request: ActionRequest, nowMs: number): void {
    if (this.#entries.hasOperation(operation)) return;
    const refusal = this.#refusal(request);
    if (refusal !== undefined) {
      this.#refuse(operation, request, refusal, nowMs);
      return;
    }
    const equal = this.#entries.equalTo(request);
    const entry = equal ?? this.#entries.open(this.#takeSeq(nowMs), request, operation, nowMs);
    const token = this.#attempts.token(entry);
    const name = equal ? "action-merged" : "action-accepted";
    this.#out.note({ name, token, request, operation });
    if (equal === undefined) {
      this.#attempts.wait(entry, nowMs);
      return;
    }
    this.#entries.join(equal, operation, request, this.#estimates.estimateMs(request.kind));
    this.#out.publish([operation], this.#attempts.stage(equal));
  }

  /** Why a request is turned away at once. */
  #refusal(request: ActionRequest): Failure | undefined {
    if (this.#isDraining) return leaving();
    const { pendingMax } = this.#options;
    if (this.#entries.operations >= pendingMax) return tooManyPending(pendingMax);
    if (this.#entries.equalTo(request) !== undefined) return undefined;
    // Its own workers may be starting: what they can run waits for them.
    const expected = this.#expected?.();
    if (expected && satisfies({ properties: expected }, request.properties)) return undefined;
    const refusal = noSuchWorker(request.properties, this.#loads());
    return refusal && this.#orElsewhere(refusal, request);
  }

  /** Names the workers of other hosts where they could run what nobody here can. */
  #orElsewhere(failure: Failure, { properties }: ActionRequest): Failure {
    const loads = this.#roster.withheld.map(({ load }) => load);
    return elsewhere(failure, properties, loads);
  }

  #refuse(operation: string, request: ActionRequest, failure: Failure, nowMs: number): void {
    const token = { ingress: this.#self, seq: this.#takeSeq(nowMs), hop: 0 };
    const operations = [operation];
    this.#out.note({ name: "action-refused", token, request, operations, failure });
    this.#out.publish(operations, { kind: "failed", failure });
  }

  /** Starts at the clock, so that a restarted ingress does not reuse the names of old actions. */
  #takeSeq(nowMs: number): number {
    if (this.#nextSeq === 0) this.#nextSeq = Math.trunc(nowMs) * 1000;
    this.#nextSeq += 1;
    return this.#nextSeq - 1;
  }

  #abandon(operation: string): void {
    const entry = this.#entries.leave(operation);
    if (entry === undefined) return;
    const last = entry.operations.size === 0;
    const token = this.#attempts.token(entry);
    this.#out.note({ name: "action-abandoned", token, operation, last });
    if (last) this.#attempts.close(entry, undefined);
  }

  #failUnserved(nowMs: number): void {
    this.#lanes.watch(nowMs);
    const { noWorkersMs } = this.#options;
    const unserved = this.#lanes.unservedSince(nowMs - noWorkersMs);
    if (unserved.size === 0) return;
    for (const entry of this.#entries.waitingIn(unserved)) {
      const { properties } = entry.request;
      const failure = noSuchWorker(properties, this.#loads()) ?? noWorkers(noWorkersMs);
      this.#fail(entry, this.#orElsewhere(failure, entry.request));
    }
  }

  #finish(entry: Entry, { token, peer, worker, outcome }: FinishedAttempt): void {
    this.#completed += 1;
    const { runMs, exitCode, spans } = outcome;
    this.#out.note({ name: "action-done", token, peer, worker, runMs, exitCode, spans });
    this.#out.publish(entry.operations, { kind: "completed", outcome, worker });
    this.#attempts.close(entry, token.hop);
  }

  #fail(entry: Entry, failure: Failure): void {
    const { request } = entry;
    const operations = [...entry.operations];
    const token = this.#attempts.token(entry);
    this.#out.note({ name: "action-refused", token, request, operations, failure });
    this.#out.publish(operations, { kind: "failed", failure });
    this.#attempts.close(entry, undefined);
  }

  #loads() {
    return this.#roster.usable.map(({ load }) => load);
  }
}
