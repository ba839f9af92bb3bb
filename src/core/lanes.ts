// Waiting actions grouped by who can run them, so that an ingress looks for a worker once per group
// and not once per action.

import type { PeerId } from "./action.ts";
import { type Roster, satisfies } from "./roster.ts";

/** Actions that want the same properties and avoid the same workers. */
export interface Lane {
  readonly key: string;
  readonly properties: Readonly<Record<string, string>>;
  /** Workers that lost such an action before: the last choice. */
  readonly avoid: readonly PeerId[];
  /** The workers that may run it, for the roster's `version`. */
  peers: ReadonlySet<PeerId>;
  /** Those of them that are offered it unasked. */
  pushed: ReadonlySet<PeerId>;
  version: number;
}

/** The lanes of one ledger, and since when which of them has no worker. */
export class Lanes {
  readonly #laneByKey = new Map<string, Lane>();
  readonly #unservedSinceMsByKey = new Map<string, number>();
  readonly #roster: Roster;
  #version = -1;

  constructor(roster: Roster) {
    this.#roster = roster;
  }

  /** The lane of an action, created if it is the first. */
  laneOf(
    properties: Readonly<Record<string, string>>,
    avoid: readonly PeerId[],
    nowMs: number,
  ): Lane {
    const wanted = Object.entries(properties).sort(([a], [b]) => (a < b ? -1 : 1));
    const key = JSON.stringify([wanted, [...avoid].sort()]);
    const known = this.#laneByKey.get(key);
    if (known !== undefined) return known;
    const nobody = new Set<PeerId>();
    const lane = { key, properties, avoid, peers: nobody, pushed: nobody, version: -1 };
    this.#laneByKey.set(key, lane);
    this.#watch(lane, nowMs);
    return lane;
  }

  lane(key: string): Lane | undefined {
    return this.#laneByKey.get(key);
  }

  /** Forgets a lane in which nothing waits. */
  drop(key: string): void {
    this.#laneByKey.delete(key);
    this.#unservedSinceMsByKey.delete(key);
  }

  /**
   * The workers that may run a lane's actions. Those to avoid only where there is nobody else, and
   * those that were barred likewise.
   */
  peersOf(lane: Lane): ReadonlySet<PeerId> {
    this.#refresh(lane);
    return lane.peers;
  }

  /** Of these the ones that are offered unasked: this host's own, or all where it has none. */
  pushedTo(lane: Lane): ReadonlySet<PeerId> {
    this.#refresh(lane);
    return lane.pushed;
  }

  #refresh(lane: Lane): void {
    const roster = this.#roster;
    if (lane.version === roster.version) return;
    const able = roster.usable.filter(({ load }) => satisfies(load, lane.properties));
    const trusted = preferred(able, ({ peer }) => !roster.conduct.isBarred(peer));
    const workers = preferred(trusted, ({ peer }) => !lane.avoid.includes(peer));
    lane.peers = new Set(workers.map(({ peer }) => peer));
    const pushed = preferred(workers, (worker) => roster.isHome(worker));
    lane.pushed = new Set(pushed.map(({ peer }) => peer));
    lane.version = roster.version;
  }

  /** Notes which lanes lost or gained their workers; cheap while the roster is the same. */
  watch(nowMs: number): void {
    if (this.#version === this.#roster.version) return;
    this.#version = this.#roster.version;
    for (const lane of this.#laneByKey.values()) this.#watch(lane, nowMs);
  }

  /** Since when the longest unserved lane has had no worker; Infinity when all have. */
  get unservedSinceMs(): number {
    const sinceMs = this.#unservedSinceMsByKey.values().next().value;
    return sinceMs ?? Number.POSITIVE_INFINITY;
  }

  /** The lanes without a worker since `sinceMs` or longer. */
  unservedSince(sinceMs: number): ReadonlySet<Lane> {
    const lanes = new Set<Lane>();
    for (const [key, since] of this.#unservedSinceMsByKey) {
      const lane = this.#laneByKey.get(key);
      if (lane !== undefined && since <= sinceMs) lanes.add(lane);
    }
    return lanes;
  }

  #watch(lane: Lane, nowMs: number): void {
    if (this.peersOf(lane).size > 0) this.#unservedSinceMsByKey.delete(lane.key);
    else if (!this.#unservedSinceMsByKey.has(lane.key)) {
      this.#unservedSinceMsByKey.set(lane.key, nowMs);
    }
  }
}

/** Those that pass, or all where none does. */
function preferred<T>(all: readonly T[], passes: (one: T) => boolean): readonly T[] {
  const some = all.filter(passes);
  return some.length > 0 ? some : all;
}
