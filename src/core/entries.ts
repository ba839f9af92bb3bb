// The table behind the ledger: every accepted action, in exactly one phase, and who waits for it.
// Bookkeeping only; what is sent to whom is the ledger's decision.

import type { ActionRequest, PeerId } from "./action.ts";
import { assert } from "./assert.ts";
import { digestKey } from "./digest.ts";
import type { Lane, Lanes } from "./lanes.ts";
import { estimateMsUnknown, Queue, type Queueable } from "./queue.ts";
import type { LostAttempt } from "./refusals.ts";
import type { Roster, RosterWorker } from "./roster.ts";

/** The unfinished actions of one invocation; merged ones count for who asked first. */
export interface InvocationView {
  readonly user: string;
  readonly invocation: string;
  /** Actions that no worker runs yet. */
  readonly pending: number;
  /** Actions bound to a worker. */
  readonly executing: number;
  /** Expected work of the pending ones, in ms of one slot. */
  readonly pendingMs: number;
}

/** An attempt that was bound and then lost. */
export interface Attempt extends LostAttempt {
  /** True while its worker may still bring a result, which would be as good as any. */
  mayFinish: boolean;
  /** How likely the action itself ended its worker; 1: nothing else was lost with it. */
  readonly blame: number;
}

/** Where an action stands. Waiting and offered ones are pending, bound ones execute. */
export type Phase =
  | { readonly kind: "new" }
  | { readonly kind: "waiting"; readonly lane: Lane }
  | {
      readonly kind: "offered";
      readonly lane: Lane;
      readonly holders: Set<PeerId>;
      resendAtMs: number;
      /** Nobody claimed it in the time that a claim takes. */
      isOverdue: boolean;
    }
  | {
      readonly kind: "bound";
      readonly owner: PeerId;
      readonly worker: string;
      endsAtMs: number;
      /** Its worker said at least once that it runs. */
      isRenewed: boolean;
    };

/** One accepted action. Its present attempt has the number of lost ones as hop. */
export interface Entry {
  readonly seq: number;
  readonly request: ActionRequest;
  readonly mergeKey: string | undefined;
  readonly acceptedAtMs: number;
  readonly operations: Set<string>;
  readonly lost: Attempt[];
  /** The most urgent of its waiters. */
  priority: number;
  /** Its expected work in ms while it is pending, else 0. */
  pendingMs: number;
  /** Of the invocation that asked for it first. */
  readonly share: Share;
  phase: Phase;
}

/** What is unfinished of one invocation, counted as it changes: thousands may wait. */
interface Share {
  readonly key: string;
  readonly user: string;
  readonly invocation: string;
  actions: number;
  /** Of these, the ones that are bound. */
  executing: number;
  /** Expected work of the others, in ms of one slot. */
  pendingMs: number;
}

interface QueuedEntry extends Queueable {
  readonly entry: Entry;
}

/** All entries of one ingress. */
export class Entries {
  readonly #roster: Roster;
  readonly #lanes: Lanes;
  readonly #queue: Queue<QueuedEntry>;
  readonly #entryBySeq = new Map<number, Entry>();
  readonly #entryByOperation = new Map<string, Entry>();
  readonly #entryByMergeKey = new Map<string, Entry>();
  // In the order of their deadlines: the span is constant and a renewal moves to the end.
  readonly #offered = new Map<number, Entry>();
  readonly #bound = new Map<number, Entry>();
  readonly #shareByKey = new Map<string, Share>();
  #pendingMs = 0;

  constructor(roster: Roster, lanes: Lanes, options: { readonly pendingMax: number }) {
    this.#roster = roster;
    this.#lanes = lanes;
    this.#queue = new Queue({ itemsMax: options.pendingMax });
  }

  get operations(): number {
    return this.#entryByOperation.size;
  }

  get waiting(): number {
    return this.#queue.size;
  }

  get offered(): number {
    return this.#offered.size;
  }

  get bound(): number {
    return this.#bound.size;
  }

  /** Expected work of all that no worker runs yet, in ms of one slot. */
  get pendingMs(): number {
    return this.#pendingMs;
  }

  /** Reservations nobody claimed yet, longest unheard of first. */
  get allOffered(): Iterable<Entry> {
    return this.#offered.values();
  }

  /** What runs, the next lease to end first. */
  get allBound(): Iterable<Entry> {
    return this.#bound.values();
  }

  /** What is unfinished by whose it is, the most first, at most `limit` lines. */
  byInvocation(limit: number): InvocationView[] {
    const total = (view: InvocationView) => view.pending + view.executing;
    return [...this.#shareByKey.values()]
      .map(({ user, invocation, actions, executing, pendingMs }) => {
        const pending = actions - executing;
        return { user, invocation, pending, executing, pendingMs: Math.max(0, pendingMs) };
      })
      .sort((a, b) => total(b) - total(a))
      .slice(0, limit);
  }

  get firstOffered(): Entry | undefined {
    return this.#offered.values().next().value;
  }

  get firstBound(): Entry | undefined {
    return this.#bound.values().next().value;
  }

  entry(seq: number): Entry | undefined {
    return this.#entryBySeq.get(seq);
  }

  hasOperation(operation: string): boolean {
    return this.#entryByOperation.has(operation);
  }

  /** The unfinished action that an equal request may wait for instead of running again. */
  equalTo(request: ActionRequest): Entry | undefined {
    const key = mergeKeyOf(request);
    if (key === undefined) return undefined;
    // Who would take a result from the cache takes that of a run as well.
    const fresh = mergeKeyOf({ ...request, skipCacheLookup: true }) ?? key;
    return this.#entryByMergeKey.get(key) ?? this.#entryByMergeKey.get(fresh);
  }

  /** Accepts an action; `wait` must follow. */
  open(seq: number, request: ActionRequest, operation: string, nowMs: number): Entry {
    const mergeKey = mergeKeyOf(request);
    const entry: Entry = {
      seq,
      request,
      mergeKey,
      acceptedAtMs: nowMs,
      operations: new Set([operation]),
      lost: [],
      priority: request.priority,
      pendingMs: 0,
      share: this.#shareOf(request),
      phase: { kind: "new" },
    };
    entry.share.actions += 1;
    this.#entryBySeq.set(seq, entry);
    this.#entryByOperation.set(operation, entry);
    if (mergeKey !== undefined) this.#entryByMergeKey.set(mergeKey, entry);
    return entry;
  }

  /** Adds a waiter; a more urgent one makes the action more urgent. */
  join(entry: Entry, operation: string, request: ActionRequest, estimateMs?: number): void {
    entry.operations.add(operation);
    this.#entryByOperation.set(operation, entry);
    if (request.priority >= entry.priority) return;
    entry.priority = request.priority;
    if (entry.phase.kind === "waiting") this.wait(entry, entry.phase.lane, estimateMs);
  }

  /** Removes a waiter and returns its entry. */
  leave(operation: string): Entry | undefined {
    const entry = this.#entryByOperation.get(operation);
    this.#entryByOperation.delete(operation);
    entry?.operations.delete(operation);
    return entry;
  }

  /** Puts an entry into the queue of its lane. */
  wait(entry: Entry, lane: Lane, estimateMs: number | undefined): void {
    this.#leavePhase(entry, lane);
    entry.phase = { kind: "waiting", lane };
    this.#expect(entry, Math.max(1, estimateMs ?? estimateMsUnknown));
    const { priority } = entry;
    const { user, invocation } = entry.request;
    const key = `${entry.seq}`;
    const item = { key, lane: lane.key, priority, user, invocation, estimateMs, entry };
    assert(this.#queue.add(item), "the queue has room for every accepted action");
  }

  /** Takes the next waiting entry of a lane that `accepts` lets through; `offer` must follow. */
  takeWaiting(accepts: (lane: Lane) => boolean): Entry | undefined {
    const item = this.#queue.take((key) => {
      const lane = this.#lanes.lane(key);
      return lane !== undefined && accepts(lane);
    });
    return item?.entry;
  }

  /** The entries that wait in these lanes, to be ended; reads the whole queue. */
  waitingIn(lanes: ReadonlySet<Lane>): readonly Entry[] {
    const entries = [...this.#queue.items()].map(({ entry }) => entry);
    return entries.filter(({ phase }) => phase.kind === "waiting" && lanes.has(phase.lane));
  }

  /** Reserves an entry at these workers. */
  offer(entry: Entry, workers: readonly RosterWorker[], resendAtMs: number): void {
    assert(entry.phase.kind === "waiting", "only a waiting action is offered");
    const { lane } = entry.phase;
    this.#leavePhase(entry);
    entry.phase = { kind: "offered", lane, holders: new Set(), resendAtMs, isOverdue: false };
    this.#offered.set(entry.seq, entry);
    for (const worker of workers) this.hold(entry, worker);
  }

  /** Adds a reservation to an offered entry. */
  hold(entry: Entry, worker: RosterWorker): void {
    assert(entry.phase.kind === "offered", "only an offered action is held");
    entry.phase.holders.add(worker.peer);
    worker.reserved.add(entry.seq);
  }

  /** Ends a reservation; true where it was the entry's last, so that it must wait again. */
  release(entry: Entry, peer: PeerId): boolean {
    this.#roster.worker(peer)?.reserved.delete(entry.seq);
    if (entry.phase.kind !== "offered") return false;
    return entry.phase.holders.delete(peer) && entry.phase.holders.size === 0;
  }

  /** Keeps the reservations for another span, as nobody claimed one. */
  prolongOffer(entry: Entry, resendAtMs: number): void {
    if (entry.phase.kind !== "offered") return;
    entry.phase.resendAtMs = resendAtMs;
    entry.phase.isOverdue = true;
    this.#offered.delete(entry.seq);
    this.#offered.set(entry.seq, entry);
  }

  /** Gives the present attempt to a worker. */
  bind(entry: Entry, worker: RosterWorker, endsAtMs: number): void {
    assert(entry.phase.kind !== "bound", "an attempt is bound once");
    this.#leavePhase(entry);
    this.#expect(entry, 0);
    const { peer, load } = worker;
    const owned = { owner: peer, worker: load.name, endsAtMs, isRenewed: false };
    entry.phase = { kind: "bound", ...owned };
    entry.share.executing += 1;
    this.#bound.set(entry.seq, entry);
    worker.bound.add(entry.seq);
  }

  /** Renews the lease of a bound entry. */
  prolongLease(entry: Entry, endsAtMs: number): void {
    if (entry.phase.kind !== "bound") return;
    entry.phase.endsAtMs = endsAtMs;
    this.#bound.delete(entry.seq);
    this.#bound.set(entry.seq, entry);
  }

  /** Forgets an entry and everybody who waits for it. */
  close(entry: Entry): void {
    this.#leavePhase(entry);
    this.#expect(entry, 0);
    entry.share.actions -= 1;
    if (entry.share.actions === 0) this.#shareByKey.delete(entry.share.key);
    this.#entryBySeq.delete(entry.seq);
    for (const operation of entry.operations) this.#entryByOperation.delete(operation);
    const { mergeKey } = entry;
    if (mergeKey !== undefined && this.#entryByMergeKey.get(mergeKey) === entry) {
      this.#entryByMergeKey.delete(mergeKey);
    }
  }

  #shareOf({ user, invocation }: ActionRequest): Share {
    const key = `${user.length}/${user}/${invocation}`;
    const share = this.#shareByKey.get(key) ?? {
      ...{ key, user, invocation, actions: 0, executing: 0, pendingMs: 0 },
    };
    this.#shareByKey.set(key, share);
    return share;
  }

  /** Keeps the sums of what is expected. */
  #expect(entry: Entry, pendingMs: number): void {
    this.#pendingMs += pendingMs - entry.pendingMs;
    entry.share.pendingMs += pendingMs - entry.pendingMs;
    entry.pendingMs = pendingMs;
  }

  #leavePhase(entry: Entry, nextLane?: Lane): void {
    const { phase, seq } = entry;
    entry.phase = { kind: "new" };
    switch (phase.kind) {
      case "new":
        return;
      case "waiting":
        this.#queue.remove(`${seq}`);
        if (phase.lane !== nextLane && !this.#queue.hasLane(phase.lane.key)) {
          this.#lanes.drop(phase.lane.key);
        }
        return;
      case "offered":
        for (const peer of phase.holders) this.#roster.worker(peer)?.reserved.delete(seq);
        this.#offered.delete(seq);
        return;
      case "bound":
        this.#roster.worker(phase.owner)?.bound.delete(seq);
        this.#bound.delete(seq);
        entry.share.executing -= 1;
    }
  }
}

/** Requests with the same key are answered by one run; undefined where that is not allowed. */
function mergeKeyOf(request: ActionRequest): string | undefined {
  if (!request.mayMerge) return undefined;
  // A client that distrusts the cache must not be answered by a run that may have looked there.
  const cache = request.skipCacheLookup ? "fresh" : "any";
  return `${cache} ${digestKey(request.action)} ${request.instance}`;
}
