// Who is in the mesh. Every node knows a record of each serving node, links with all it knows, and
// tells changes on. A closed link makes a member suspect: others are asked whether they hear it, as
// in SWIM (Das et al., 2002); a member that nobody hears for a while is dead until it links again.
// What is said of this very node and is wrong is answered by a newer record. A node that itself
// stood still judges later, as in Lifeguard (Dadgar et al., 2018).

import type { PeerId } from "./action.ts";
import { Dialling } from "./dialling.ts";
import { Gossip } from "./gossip.ts";
import type { Effect, Input, Machine } from "./machine.ts";
import {
  compareRecords,
  isPlausible,
  type LinkedHost,
  type MemberEntry,
  type MemberState,
  MemberTable,
  sameAddresses,
  shortened,
} from "./member-table.ts";
import type { MembershipOptions, MembershipProfile } from "./membership-options.ts";
import type { MemberRecord, Members, Message } from "./message.ts";
import { OpenLinks } from "./open-links.ts";
import { Outbox } from "./outbox.ts";
import type { Rng } from "./rng.ts";
import { Vigilance } from "./vigilance.ts";

/** A serving node other than this one, as people may see it. */
export interface MemberView {
  readonly peer: PeerId;
  readonly name: string;
  readonly state: Exclude<MemberState, "left">;
  readonly linked: boolean;
  readonly addresses: readonly string[];
}

const never = Number.POSITIVE_INFINITY;

/** What turning work stealing on or off costs, in records: owners do not do it all the time. */
const switchCost = 500;

/** The machine that keeps this node in the mesh and knows who else is. */
export class Membership implements Machine {
  readonly #options: MembershipOptions;
  readonly #profile: MembershipProfile;
  readonly #rng: Rng;
  readonly #out = new Outbox();
  readonly #table: MemberTable;
  readonly #dialling: Dialling;
  readonly #gossip: Gossip;
  readonly #vigilance = new Vigilance();
  readonly #links: OpenLinks;
  readonly #revoked = new Set<PeerId>();
  #isStarted = false;
  #exchangeAtMs = never;

  constructor(
    deps: { readonly profile: MembershipProfile; readonly rng: Rng },
    options: MembershipOptions,
  ) {
    this.#options = options;
    this.#profile = deps.profile;
    this.#rng = deps.rng.fork("membership");
    this.#table = new MemberTable(options.membersMax);
    this.#links = new OpenLinks(options);
    this.#dialling = new Dialling(deps.rng.fork("dialling"), options);
    const shared = { table: this.#table, out: this.#out };
    this.#gossip = new Gossip({ ...deps, ...shared, rng: deps.rng.fork("gossip") }, options);
  }

  /** The other serving nodes, sorted by peer; those that said goodbye are not among them. */
  get members(): readonly MemberView[] {
    return this.#table.entries.flatMap(({ peer, record, state, isLinked }) => {
      const { name, addresses } = record;
      return state === "left" ? [] : [{ peer, name, state, linked: isLinked, addresses }];
    });
  }

  /**
   * Serving nodes that were linked and are not dead, sorted; this one among them where it serves
   * and stays. Those only heard of may be invented, and would draw blobs that nobody keeps.
   */
  get liveHosts(): readonly PeerId[] {
    const { self, serves } = this.#profile;
    const isHost = serves && !this.#gossip.own.left;
    return isHost ? [...this.#table.live, self].sort() : this.#table.live;
  }

  /** Linked serving nodes that stay, sorted by peer. */
  get linkedHosts(): readonly LinkedHost[] {
    return this.#table.linked.map(({ peer, record: { incarnation } }) => ({ peer, incarnation }));
  }

  isLinkedHost(peer: PeerId): boolean {
    return this.#table.get(peer)?.state === "alive";
  }

  /** True while a serving node that was linked is away, without a goodbye, and not its machine. */
  get missesSomebody(): boolean {
    return this.#table.misses(this.#profile.machineTag);
  }

  /** This node's own record. */
  get own(): MemberRecord {
    return this.#gossip.own;
  }

  /** True where idle workers take work of other hosts. */
  get workStealing(): boolean {
    return this.#gossip.workStealing;
  }

  get wakeAtMs(): number {
    if (!this.#isStarted) return 0;
    const dialAtMs = this.own.left ? never : this.#dialling.wakeAtMs;
    const askAtMs = Math.min(this.#links.wakeAtMs, this.#table.wakeAtMs);
    return Math.min(this.#exchangeAtMs, this.#vigilance.checkAtMs, dialAtMs, askAtMs);
  }

  handle(input: Input, nowMs: number): readonly Effect[] {
    if (!this.#isStarted) this.#start(nowMs);
    if (this.#vigilance.notice(nowMs)) {
      this.#table.grant(nowMs + this.#suspicionMs(nowMs));
      this.#dialling.hasten(nowMs);
    }
    this.#decide(input, nowMs);
    const source = input.kind === "message" ? input.from : undefined;
    this.#gossip.spread(this.#links.peers, source);
    return this.#out.take();
  }

  #start(nowMs: number): void {
    this.#isStarted = true;
    this.#vigilance.start(nowMs);
    this.#exchangeAtMs = this.#nextExchange(nowMs);
    for (const record of this.#profile.known) {
      if (record.peer !== this.#profile.self && !record.left) this.#meet(record, "", nowMs);
    }
    this.#gossip.begin(nowMs);
  }

  #decide(input: Input, nowMs: number): void {
    switch (input.kind) {
      case "linked":
        this.#linked(input.peer, nowMs);
        return;
      case "unlinked":
        this.#unlinked(input.peer, nowMs);
        return;
      case "message":
        if (!this.#revoked.has(input.from)) this.#receive(input.from, input.message, nowMs);
        return;
      case "undialled":
        this.#dialling.undialled(input.peer, nowMs);
        return;
      case "addresses":
        this.#moved(input.addresses, nowMs);
        return;
      case "revoked":
        this.#revoked.add(input.peer);
        this.#links.close(input.peer, nowMs);
        this.#remove(input.peer);
        return;
      case "drain":
        if (!this.own.left) this.#gossip.change({ left: true });
        return;
      case "wake":
        this.#wake(nowMs);
    }
  }

  #wake(nowMs: number): void {
    for (const entry of this.#table.due(nowMs)) {
      if (entry.state === "suspect") this.#bury(entry, nowMs);
      else if (entry.state === "unreachable") this.#suspect(entry, nowMs);
      else this.#remove(entry.peer);
    }
    for (const peer of this.#links.takeSilent(nowMs)) {
      this.#out.send(peer, { kind: "probe", peer });
    }
    if (this.#exchangeAtMs <= nowMs) this.#exchange(nowMs);
    if (this.own.left) return;
    for (const peer of this.#dialling.take(nowMs)) {
      const addresses = this.#table.get(peer)?.record.addresses ?? [];
      this.#out.push({ kind: "dial", peer, addresses });
    }
  }

  #linked(peer: PeerId, nowMs: number): void {
    if (peer === this.#profile.self || this.#revoked.has(peer)) return;
    this.#links.open(peer, nowMs);
    this.#dialling.linked(peer);
    this.#gossip.introduce(peer);
    const entry = this.#table.get(peer);
    if (entry === undefined) return;
    this.#table.setLinked(entry, true);
    if (entry.state !== "left") this.#revive(entry);
  }

  #revive(entry: MemberEntry): void {
    if (entry.state === "alive") return;
    entry.rounds = 0;
    this.#table.become(entry, "alive", never);
    this.#noteAlive(entry);
  }

  #unlinked(peer: PeerId, nowMs: number): void {
    const livedMs = this.#links.close(peer, nowMs);
    const entry = this.#table.get(peer);
    if (livedMs === undefined || entry === undefined) return;
    this.#table.setLinked(entry, false);
    if (entry.state !== "alive") return;
    if (entry.record.addresses.length > 0) this.#dialling.unlinked(peer, livedMs, nowMs);
    this.#out.note({ name: "member-suspect", peer, member: entry.record.name });
    this.#suspect(entry, nowMs);
  }

  /** Asks others about a member that is not linked; who is not heard of in time is dead. */
  #suspect(entry: MemberEntry, nowMs: number): void {
    this.#table.become(entry, "suspect", nowMs + this.#suspicionMs(nowMs));
    const others = this.#table.linked.map(({ peer }) => peer);
    entry.asked.clear();
    for (const peer of this.#gossip.pick(others, this.#options.probesMax)) {
      entry.asked.add(peer);
      this.#out.send(peer, { kind: "probe", peer: entry.peer });
    }
  }

  /** What was known from the start is never forgotten: it may be the only way back. */
  #bury(entry: MemberEntry, nowMs: number): void {
    const { deadMs, strangerMs } = this.#options;
    const isKept = this.#profile.known.some(({ peer }) => peer === entry.peer);
    const forgetAtMs = nowMs + (entry.wasLinked ? deadMs : strangerMs);
    this.#table.become(entry, "dead", isKept ? never : forgetAtMs);
    // Of one that was only heard of nobody misses anything; it may be invented.
    if (!entry.wasLinked && !isKept) return;
    this.#out.note({ name: "member-dead", peer: entry.peer, member: entry.record.name });
  }

  #receive(from: PeerId, message: Message, nowMs: number): void {
    switch (message.kind) {
      case "members":
        if (this.#heeds(from, 1 + message.members.length, nowMs)) this.#hear(from, message, nowMs);
        return;
      case "probe":
        this.#answer(from, message.peer, nowMs);
        return;
      case "probed":
        if (message.linked) this.#confirm(from, message.peer, nowMs);
    }
  }

  /** Who is asked about itself is asked to introduce itself. */
  #answer(from: PeerId, peer: PeerId, nowMs: number): void {
    const isSelf = peer === this.#profile.self;
    if (isSelf && this.#heeds(from, this.#options.wholeTableMax, nowMs)) {
      this.#gossip.introduce(from);
    }
    const linked = isSelf || this.#links.has(peer);
    this.#out.send(from, { kind: "probed", peer, linked });
  }

  /** Somebody who was asked hears the suspect. */
  #confirm(from: PeerId, peer: PeerId, nowMs: number): void {
    const entry = this.#table.get(peer);
    if (entry?.state !== "suspect" || !entry.asked.delete(from)) return;
    // No note before it is linked: it may be invented, and a note is a line and a file written.
    this.#table.prove(entry);
    const waitMs = this.#options.reprobeMs * 2 ** Math.min(entry.rounds, 4);
    entry.rounds += 1;
    this.#table.become(entry, "unreachable", nowMs + waitMs);
  }

  #hear(from: PeerId, message: Members, nowMs: number): void {
    const isFirst = this.#links.introduced(from);
    const newer: MemberRecord[] = [];
    for (const record of message.members.slice(0, this.#options.membersMax)) {
      const answer = this.#merge(from, record, nowMs);
      if (answer !== undefined) newer.push(answer);
    }
    const isSwitched = this.#gossip.hearSwitch(message, nowMs + this.#options.clockAheadMs);
    if (isSwitched) this.#heeds(from, switchCost, nowMs);
    const isNewcomer = isFirst && message.members.length < this.#options.introducedMax;
    if (isNewcomer && this.#gossip.isLarge) this.#gossip.teach(from);
    else if (newer.length > 0) this.#gossip.tell(from, newer);
  }

  /** Returns what is newer here than the record. */
  #merge(from: PeerId, record: MemberRecord, nowMs: number): MemberRecord | undefined {
    if (this.#revoked.has(record.peer)) return undefined;
    if (!isPlausible(record, nowMs + this.#options.clockAheadMs)) {
      this.#doubt(from, "it tells of a node from the future");
      return undefined;
    }
    if (record.peer === this.#profile.self) return this.#gossip.hearOfSelf(record);
    const entry = this.#table.get(record.peer);
    if (entry === undefined) {
      this.#meet(record, from, nowMs);
      return undefined;
    }
    const order = compareRecords(record, entry.record);
    if (order < 0) return entry.state === "dead" ? undefined : entry.record;
    // A goodbye that somebody else tells of a linked peer is old, or a lie.
    const isHearsay = record.left && entry.isLinked && from !== record.peer;
    if (order > 0 && !isHearsay) this.#renew(entry, record, nowMs);
    return undefined;
  }

  /** A node that was not known. */
  #meet(record: MemberRecord, from: PeerId, nowMs: number): void {
    const { peer, left } = record;
    const entry = this.#table.add(record, from === peer);
    if (entry === undefined) {
      this.#doubt(from, "it tells of more nodes than this one can know");
      return;
    }
    this.#gossip.pass(entry.record);
    const isLinked = this.#links.has(peer);
    if (isLinked) this.#table.setLinked(entry, true);
    if (left) this.#table.become(entry, "left", nowMs + this.#options.strangerMs);
    else if (isLinked) this.#revive(entry);
    else this.#approach(entry, nowMs);
  }

  /** A newer record of a node that is known. */
  #renew(entry: MemberEntry, record: MemberRecord, nowMs: number): void {
    const { peer } = entry;
    const hasMoved = !sameAddresses(entry.record.addresses, record.addresses);
    this.#table.update(entry, record);
    // In a large mesh a change of a known node spreads by itself: it tells all its links.
    if (record.left || !this.#gossip.isLarge) this.#gossip.pass(entry.record);
    if (record.left) {
      if (entry.state === "left") return;
      this.#dialling.forget(peer);
      this.#table.become(entry, "left", nowMs + this.#options.strangerMs);
      this.#out.note({ name: "member-left", peer, member: record.name });
    } else if (entry.isLinked) this.#revive(entry);
    else if (entry.state === "dead" || entry.state === "left") this.#approach(entry, nowMs);
    else if (hasMoved && record.addresses.length > 0) this.#dialling.want(peer, nowMs);
  }

  /** A node that others told of: it is dialled, and others are asked soon where that fails. */
  #approach(entry: MemberEntry, nowMs: number): void {
    entry.rounds = 0;
    this.#table.become(entry, "unreachable", nowMs + this.#options.reprobeMs);
    if (entry.record.addresses.length > 0) this.#dialling.want(entry.peer, nowMs);
  }

  #moved(addresses: readonly string[], nowMs: number): void {
    const { addresses: kept } = shortened({ ...this.own, addresses });
    if (sameAddresses(kept, this.own.addresses)) return;
    this.#gossip.change({ addresses: kept });
    this.#dialling.hasten(nowMs);
  }

  /** What was lost on the way is told again; a worker has nothing to tell, and asks. */
  #exchange(nowMs: number): void {
    this.#exchangeAtMs = this.#nextExchange(nowMs);
    const hosts = this.#table.linked.map(({ peer }) => peer);
    for (const peer of this.#gossip.pick(hosts, 1)) {
      if (this.#profile.serves) this.#gossip.repeat(peer);
      else this.#out.send(peer, { kind: "probe", peer });
    }
  }

  #nextExchange(nowMs: number): number {
    const { exchangeMs } = this.#options;
    return nowMs + Math.trunc(exchangeMs / 2) + this.#rng.below(exchangeMs);
  }

  #remove(peer: PeerId): void {
    this.#table.remove(peer);
    this.#dialling.forget(peer);
  }

  /** Whoever tells or asks without end is not answered: a node has other things to do. */
  #heeds(from: PeerId, cost: number, nowMs: number): boolean {
    const heeds = this.#links.listen(from, cost, nowMs);
    if (!heeds) this.#doubt(from, "it tells or asks more than anybody has to");
    return heeds;
  }

  /** One note a link: who tells nonsense once tells it often. */
  #doubt(peer: PeerId, why: string): void {
    if (this.#links.doubt(peer)) this.#out.note({ name: "member-ignored", peer, why });
  }

  #noteAlive({ peer, record }: MemberEntry): void {
    this.#out.note({ name: "member-alive", peer, member: record.name });
  }

  /** Grows with the logarithm of the mesh, as the rounds of gossip do; whole for every engine. */
  #suspicionMs(nowMs: number): number {
    const hosts = this.#table.live.length + 1;
    const factor = this.#vigilance.factor(nowMs) * Math.max(1, Math.log10(hosts));
    return Math.round(this.#options.suspicionMs * factor);
  }
}
