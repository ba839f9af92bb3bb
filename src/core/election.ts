// Who coordinates. The coordinator tells every linked serving node once a second that it leads; who
// hears nothing for a while claims the next term, those that run longest first. There is no quorum:
// a mesh of two must live through the loss of one, and two coordinators at worst do a thing twice.
// See docs/adr/0016-lease-without-quorum.md.

import type { PeerId } from "./action.ts";
import type { Effect, Input, Machine } from "./machine.ts";
import type { Lease } from "./message.ts";
import { Outbox } from "./outbox.ts";
import type { Rng } from "./rng.ts";

/** Times and bounds of the election. */
export interface ElectionOptions {
  /** Lower is better; 0 to 4,000,000. */
  readonly priority: number;
  /** The coordinator tells that it leads every so many ms. */
  readonly leaseEveryMs: number;
  /** For so many ms after it was heard it leads, by the clock of who heard it. */
  readonly leaseValidMs: number;
  /** A node that starts, or whose coordinator's link closed, waits so many ms. */
  readonly leaseLostMs: number;
  /** Each node that has a better claim makes it wait so many ms longer, up to 10 times. */
  readonly claimStepMs: number;
  /** Further wait, drawn evenly below so many ms. */
  readonly claimJitterMs: number;
  /** A term that is further ahead than this is not believed. */
  readonly termsAheadMax: number;
  /** False for a node that comes and goes by another's will: it never claims. */
  readonly mayLead: boolean;
}

/** The defaults. */
export const electionDefaults: ElectionOptions = {
  priority: 0,
  leaseEveryMs: 1_000,
  leaseValidMs: 5_000,
  leaseLostMs: 1_000,
  claimStepMs: 300,
  claimJitterMs: 200,
  termsAheadMax: 1_000_000,
  mayLead: true,
};

/** What an election needs to know of the serving nodes. */
export interface Electorate {
  readonly own: { readonly incarnation: number };
  /** Linked serving nodes and when they started, sorted by peer. */
  readonly linkedHosts: readonly { readonly peer: PeerId; readonly incarnation: number }[];
  isLinkedHost(peer: PeerId): boolean;
  /** True while a node that was linked is away and neither said goodbye nor was started by this. */
  readonly missesSomebody: boolean;
}

/** Steps of waiting at most: for those with a better claim, and for a low priority. */
const stepsMax = 10;

/** In a mesh of more hosts the coordinator speaks half as often. */
const oftenHostsMax = 100;

/** Uptime counts by the minute, up to so many. */
const uptimeMinutesMax = 999;

const never = Number.POSITIVE_INFINITY;

/** The machine that knows the coordinator, or is it. Only serving nodes have one. */
export class Election implements Machine {
  readonly #self: PeerId;
  readonly #rng: Rng;
  readonly #electorate: Electorate;
  readonly #options: ElectionOptions;
  readonly #out = new Outbox();
  readonly #told = new Set<PeerId>();
  readonly #doubted = new Set<PeerId>();
  #startedAtMs: number | undefined;
  #term = 0;
  #leader: PeerId | undefined;
  #leaderRank = 0;
  #validUntilMs = never;
  #claimAtMs = never;
  #tickAtMs = never;
  /** True while the coordinator is another node whose link closed. */
  #isLost = false;
  #isResigned = false;
  #aloneSinceMs: number | undefined;
  #isCutOff = false;

  constructor(
    deps: { readonly self: PeerId; readonly rng: Rng; readonly electorate: Electorate },
    options: ElectionOptions = electionDefaults,
  ) {
    this.#self = deps.self;
    this.#rng = deps.rng.fork("election");
    this.#electorate = deps.electorate;
    this.#options = options;
    this.#isResigned = !options.mayLead;
  }

  /** The coordinator; undefined while nobody leads. */
  get leader(): PeerId | undefined {
    return this.#leader;
  }

  /** The highest term heard of, 0 before the first. */
  get term(): number {
    return this.#term;
  }

  get isLeader(): boolean {
    return this.#leader === this.#self;
  }

  /** True for a coordinator that is not cut off from nodes that it once saw. */
  get mayScale(): boolean {
    return this.isLeader && !this.#isCutOff;
  }

  get wakeAtMs(): number {
    if (this.#startedAtMs === undefined) return 0;
    return Math.min(this.#claimAtMs, this.#tickAtMs, this.#validUntilMs);
  }

  handle(input: Input, nowMs: number): readonly Effect[] {
    if (this.#startedAtMs === undefined) {
      this.#startedAtMs = nowMs;
      const claimAtMs = nowMs + this.#options.leaseLostMs + this.#delayMs();
      this.#claimAtMs = this.#isResigned ? never : claimAtMs;
    }
    switch (input.kind) {
      case "linked":
        if (input.peer === this.#leader) this.#found(nowMs);
        else this.#watch(nowMs);
        break;
      case "unlinked":
        this.#doubted.delete(input.peer);
        this.#told.delete(input.peer);
        this.#watch(nowMs);
        break;
      case "message":
        if (input.message.kind === "lease") this.#hear(input.from, input.message, nowMs);
        if (input.message.kind === "members") this.#watch(nowMs);
        break;
      case "drain":
        this.#resign();
        break;
      case "wake":
        this.#wake(nowMs);
    }
    return this.#out.take();
  }

  #wake(nowMs: number): void {
    const { leaseValidMs, leaseLostMs, leaseEveryMs } = this.#options;
    if (this.isLeader && nowMs - this.#tickAtMs > leaseValidMs - leaseEveryMs) {
      // It stood still for so long that nobody takes it for the coordinator any more.
      this.#leader = undefined;
      this.#tickAtMs = never;
      this.#claimAtMs = nowMs + leaseLostMs + this.#delayMs();
    }
    if (this.#validUntilMs <= nowMs) {
      this.#leader = undefined;
      this.#validUntilMs = never;
    }
    if (this.#claimAtMs <= nowMs) this.#claim(nowMs);
    if (this.#tickAtMs <= nowMs) this.#tick(nowMs);
  }

  #claim(nowMs: number): void {
    this.#term = Math.min(Number.MAX_SAFE_INTEGER, this.#term + 1);
    this.#leader = this.#self;
    this.#validUntilMs = never;
    this.#claimAtMs = never;
    this.#tickAtMs = nowMs;
    this.#isLost = false;
    this.#out.note({ name: "lease-taken", term: this.#term });
  }

  #tick(nowMs: number): void {
    const hosts = this.#electorate.linkedHosts.length;
    this.#tickAtMs = nowMs + this.#options.leaseEveryMs * (hosts > oftenHostsMax ? 2 : 1);
    this.#told.clear();
    const isAlone = hosts === 0 && this.#electorate.missesSomebody;
    this.#aloneSinceMs = isAlone ? (this.#aloneSinceMs ?? nowMs) : undefined;
    const aloneMs = nowMs - (this.#aloneSinceMs ?? nowMs);
    this.#isCutOff = isAlone && aloneMs >= this.#options.leaseValidMs;
    this.#tellOthers(nowMs);
  }

  #tellOthers(nowMs: number): void {
    const lease: Lease = { kind: "lease", term: this.#term, rank: this.#rank(nowMs) };
    for (const { peer } of this.#electorate.linkedHosts) {
      if (this.#told.has(peer)) continue;
      this.#told.add(peer);
      this.#out.send(peer, lease);
    }
  }

  #hear(from: PeerId, { term, rank }: Lease, nowMs: number): void {
    if (!this.#electorate.isLinkedHost(from) || term < this.#term) return;
    if (term > this.#term + this.#options.termsAheadMax) {
      if (!this.#doubted.has(from)) this.#out.note({ name: "lease-ignored", peer: from, term });
      this.#doubted.add(from);
      return;
    }
    if (term === this.#term && !this.#yieldsTo(from, rank, nowMs)) return;
    const [wasLeader, isNew] = [this.isLeader, from !== this.#leader];
    this.#term = term;
    this.#leader = from;
    this.#leaderRank = rank;
    this.#isLost = false;
    this.#tickAtMs = never;
    this.#validUntilMs = nowMs + this.#options.leaseValidMs;
    this.#claimAtMs = this.#isResigned ? never : this.#validUntilMs + this.#delayMs();
    if (wasLeader) this.#out.note({ name: "lease-lost", term, leader: from });
    else if (isNew) this.#out.note({ name: "lease-seen", term, leader: from });
  }

  /** Two claims of one term: the lower rank counts, then the lower peer id. */
  #yieldsTo(from: PeerId, rank: number, nowMs: number): boolean {
    const leader = this.#leader;
    if (leader === undefined || leader === from) return true;
    const known = this.isLeader ? this.#rank(nowMs) : this.#leaderRank;
    return rank === known ? from < leader : rank < known;
  }

  /** Links or members changed: is the coordinator still there, is somebody to be told? */
  #watch(nowMs: number): void {
    const leader = this.#leader;
    if (this.isLeader) this.#tellOthers(nowMs);
    else if (leader !== undefined && !this.#isLost && !this.#electorate.isLinkedHost(leader)) {
      this.#isLost = true;
      const claimAtMs = nowMs + this.#options.leaseLostMs + this.#delayMs();
      this.#claimAtMs = this.#isResigned ? never : Math.min(this.#claimAtMs, claimAtMs);
    }
  }

  /** The coordinator is linked again and says so itself in a moment, unless it began anew. */
  #found(nowMs: number): void {
    if (!this.#isLost || this.#isResigned) return;
    this.#isLost = false;
    const delayMs = this.#delayMs();
    const waitMs = Math.trunc(this.#options.leaseLostMs / 2);
    const laterMs = Math.max(this.#claimAtMs, nowMs + waitMs + delayMs);
    this.#claimAtMs = Math.min(laterMs, this.#validUntilMs + delayMs);
  }

  /** A node that leaves does not lead. */
  #resign(): void {
    this.#isResigned = true;
    if (this.isLeader) this.#leader = undefined;
    this.#tickAtMs = never;
    this.#claimAtMs = never;
  }

  /** How long it lets better claims go first: nodes that run longer, and a higher priority. */
  #delayMs(): number {
    const { claimStepMs, claimJitterMs, priority } = this.#options;
    const { own, linkedHosts } = this.#electorate;
    const better = linkedHosts.filter(({ peer, incarnation }) => {
      if (peer === this.#leader) return false;
      const isEqual = incarnation === own.incarnation;
      return isEqual ? peer < this.#self : incarnation < own.incarnation;
    });
    const steps = Math.min(stepsMax, better.length) + Math.min(stepsMax, priority);
    return steps * claimStepMs + this.#rng.below(claimJitterMs);
  }

  #rank(nowMs: number): number {
    const upMs = nowMs - (this.#startedAtMs ?? nowMs);
    const minutes = Math.max(0, Math.min(uptimeMinutesMax, Math.trunc(upMs / 60_000)));
    return this.#options.priority * 1_000 + uptimeMinutesMax - minutes;
  }
}
