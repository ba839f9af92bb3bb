// What a node knows of the serving nodes of its mesh: a record and a state for each. Which record
// is newer, believable and worth telling is decided here; when, by the membership.

import type { PeerId } from "./action.ts";
import type { MemberRecord } from "./message.ts";

/**
 * `alive`: linked. `suspect`: its link closed and others were asked. `unreachable`: others hear it,
 * or it was only heard of yet. `dead`: nobody hears it. `left`: it said goodbye.
 */
export type MemberState = "alive" | "suspect" | "unreachable" | "dead" | "left";

/** One serving node and how it is. */
export interface MemberEntry {
  readonly peer: PeerId;
  record: MemberRecord;
  state: MemberState;
  /** When something is to be done about its state in Unix ms; Infinity for never. */
  dueAtMs: number;
  isLinked: boolean;
  /** True once it was linked here or somebody else said to be. */
  isProven: boolean;
  /** True once it was linked here. */
  wasLinked: boolean;
  /** Whom its suspicion was told, until they answer. */
  readonly asked: Set<PeerId>;
  /** Times that others said to hear it since its link closed. */
  rounds: number;
}

/** A linked serving node and when it started, in Unix ms by its own clock. */
export interface LinkedHost {
  readonly peer: PeerId;
  readonly incarnation: number;
}

/** Addresses of a record that are kept. */
const addressesMax = 16;

/** Longest address that is kept, in characters. */
const addressMax = 256;

/** Versions that a record can have. */
const versionMax = 2 ** 32;

/** The records and states of other serving nodes; at most `membersMax`. */
export class MemberTable {
  readonly #membersMax: number;
  readonly #entryByPeer = new Map<PeerId, MemberEntry>();
  readonly #timed = new Set<MemberEntry>();
  #live: readonly PeerId[] | undefined;
  #linked: readonly MemberEntry[] | undefined;
  /** Undefined where it is to be found out. */
  #wakeAtMs: number | undefined;
  /** Entries worth telling in the order of their news, oldest first; some more than once. */
  #news: MemberEntry[] = [];

  constructor(membersMax: number) {
    this.#membersMax = membersMax;
  }

  get size(): number {
    return this.#entryByPeer.size;
  }

  /** All entries, sorted by peer. */
  get entries(): readonly MemberEntry[] {
    return [...this.#entryByPeer.values()].sort(byPeer);
  }

  /** Peers that were linked and are neither dead nor gone, sorted. */
  get live(): readonly PeerId[] {
    this.#live ??= [...this.#entryByPeer.values()]
      .filter(({ state, wasLinked }) => wasLinked && state !== "dead" && state !== "left")
      .map(({ peer }) => peer)
      .sort();
    return this.#live;
  }

  /** Linked serving nodes that did not say goodbye, sorted by peer. */
  get linked(): readonly MemberEntry[] {
    this.#linked ??= [...this.#entryByPeer.values()]
      .filter(({ state, isLinked }) => isLinked && state === "alive")
      .sort(byPeer);
    return this.#linked;
  }

  /**
   * True while a node that was linked is away and did not say goodbye. Machines that the mesh
   * itself starts do not count, whose names begin with `machineTag` and a dash.
   */
  misses(machineTag: string | undefined): boolean {
    return [...this.#entryByPeer.values()].some(({ state, record, wasLinked, isLinked }) => {
      const isMachine = machineTag !== undefined && record.name.startsWith(`${machineTag}-`);
      return wasLinked && !isLinked && state !== "left" && !isMachine;
    });
  }

  /** Absolute ms at which something is due; Infinity for never. */
  get wakeAtMs(): number {
    if (this.#wakeAtMs === undefined) {
      this.#wakeAtMs = Number.POSITIVE_INFINITY;
      for (const { dueAtMs } of this.#timed) this.#wakeAtMs = Math.min(this.#wakeAtMs, dueAtMs);
    }
    return this.#wakeAtMs;
  }

  get(peer: PeerId): MemberEntry | undefined {
    return this.#entryByPeer.get(peer);
  }

  /** Entries of which something is due. */
  due(nowMs: number): readonly MemberEntry[] {
    return [...this.#timed].filter(({ dueAtMs }) => dueAtMs <= nowMs).sort(byPeer);
  }

  /** Suspects whose judgement would come before `atMs` are given until then. */
  grant(atMs: number): void {
    this.#wakeAtMs = undefined;
    for (const entry of this.#timed) {
      if (entry.state === "suspect") entry.dueAtMs = Math.max(entry.dueAtMs, atMs);
    }
  }

  /**
   * Takes a record in; undefined where the table is full. A node that introduces itself takes the
   * place of one that was only ever heard of.
   */
  add(record: MemberRecord, isIntroduction: boolean): MemberEntry | undefined {
    if (this.size >= this.#membersMax && !(isIntroduction && this.#makeRoom())) return undefined;
    const entry: MemberEntry = {
      peer: record.peer,
      record: shortened(record),
      state: "unreachable",
      dueAtMs: Number.POSITIVE_INFINITY,
      isLinked: false,
      isProven: false,
      wasLinked: false,
      asked: new Set(),
      rounds: 0,
    };
    this.#entryByPeer.set(entry.peer, entry);
    this.#forgetViews();
    return entry;
  }

  update(entry: MemberEntry, record: MemberRecord): void {
    entry.record = shortened(record);
    if (entry.isProven) this.#noteNews(entry);
  }

  /** Gives an entry its state, until `dueAtMs`. */
  become(entry: MemberEntry, state: MemberState, dueAtMs: number): void {
    entry.state = state;
    entry.dueAtMs = dueAtMs;
    if (dueAtMs === Number.POSITIVE_INFINITY) this.#timed.delete(entry);
    else this.#timed.add(entry);
    if (state === "left") this.#noteNews(entry);
    this.#wakeAtMs = undefined;
    this.#forgetViews();
  }

  /** It was linked here, or somebody else is linked with it. */
  prove(entry: MemberEntry): void {
    if (!entry.isProven) this.#noteNews(entry);
    entry.isProven = true;
  }

  setLinked(entry: MemberEntry, isLinked: boolean): void {
    entry.isLinked = isLinked;
    if (isLinked) {
      this.prove(entry);
      entry.wasLinked = true;
    }
    this.#forgetViews();
  }

  remove(peer: PeerId): void {
    const entry = this.#entryByPeer.get(peer);
    if (entry === undefined) return;
    this.#entryByPeer.delete(peer);
    this.#timed.delete(entry);
    this.#wakeAtMs = undefined;
    this.#forgetViews();
  }

  /** Records worth telling, those with the latest news first; the dead are not told. */
  newest(countMax: number): readonly MemberRecord[] {
    const told = new Set<MemberRecord>();
    for (let at = this.#news.length - 1; at >= 0 && told.size < countMax; at -= 1) {
      const entry = this.#news[at];
      if (entry === undefined || this.#entryByPeer.get(entry.peer) !== entry) continue;
      if (entry.state !== "dead") told.add(entry.record);
    }
    return [...told];
  }

  #makeRoom(): boolean {
    for (const { peer, isProven, isLinked } of this.#entryByPeer.values()) {
      if (isProven || isLinked) continue;
      this.remove(peer);
      return true;
    }
    return false;
  }

  #noteNews(entry: MemberEntry): void {
    this.#news.push(entry);
    if (this.#news.length <= 4 * this.#membersMax) return;
    // Only the last mention of each counts.
    const last = [...new Set(this.#news.reverse())].reverse();
    this.#news = last.filter((each) => this.#entryByPeer.get(each.peer) === each);
  }

  #forgetViews(): void {
    this.#live = undefined;
    this.#linked = undefined;
  }
}

/** Below 0 where `a` is older than `b`, 0 where they are of one age. */
export function compareRecords(a: MemberRecord, b: MemberRecord): number {
  return a.incarnation === b.incarnation ? a.version - b.version : a.incarnation - b.incarnation;
}

/** True where two records of one peer tell the same. */
export function sameRecord(a: MemberRecord, b: MemberRecord): boolean {
  const isSame = a.name === b.name && a.left === b.left && compareRecords(a, b) === 0;
  return isSame && sameAddresses(a.addresses, b.addresses);
}

/** True where two lists are the same addresses in the same order. */
export function sameAddresses(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((address, at) => address === b[at]);
}

/** False for a record that no honest node makes: started after `latestMs`, or of no version. */
export function isPlausible(record: MemberRecord, latestMs: number): boolean {
  const { peer, incarnation, version } = record;
  return peer !== "" && incarnation <= latestMs && version <= versionMax;
}

/** The record with as many and as long addresses as are kept. */
export function shortened(record: MemberRecord): MemberRecord {
  const addresses = record.addresses.filter(({ length }) => length <= addressMax);
  const isShort = addresses.length === record.addresses.length && addresses.length <= addressesMax;
  return isShort ? record : { ...record, addresses: addresses.slice(0, addressesMax) };
}

function byPeer(a: MemberEntry, b: MemberEntry): number {
  return a.peer < b.peer ? -1 : 1;
}
