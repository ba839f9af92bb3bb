// What a node tells others of the mesh, and to whom: its own record, news of other members, and
// whether work stealing is on. News go on once; a little of what is known is repeated at times, so
// that what was lost on the way arrives later.

import type { PeerId } from "./action.ts";
import { compareRecords, type MemberTable, sameRecord } from "./member-table.ts";
import type { MembershipOptions, MembershipProfile } from "./membership-options.ts";
import type { MemberRecord, Members } from "./message.ts";
import type { Outbox } from "./outbox.ts";
import type { Rng } from "./rng.ts";

/** Records in one message: with the longest addresses they still fit into a frame of 1 MiB. */
const recordsMax = 200;

/** Longest name of a record in characters; a longer one is cut. */
const nameMax = 64;

/** Speaks for a node; the membership says when. */
export class Gossip {
  readonly #profile: MembershipProfile;
  readonly #options: MembershipOptions;
  readonly #rng: Rng;
  readonly #table: MemberTable;
  readonly #out: Outbox;
  #own: MemberRecord;
  #workStealing: MembershipProfile["workStealing"];
  #news: MemberRecord[] = [];
  #isOwnNews = false;
  #isSwitchNews = false;

  constructor(
    deps: {
      readonly profile: MembershipProfile;
      readonly rng: Rng;
      readonly table: MemberTable;
      readonly out: Outbox;
    },
    options: MembershipOptions,
  ) {
    this.#profile = deps.profile;
    this.#options = options;
    this.#rng = deps.rng;
    this.#table = deps.table;
    this.#out = deps.out;
    const { self: peer, workStealing } = deps.profile;
    const name = deps.profile.name.slice(0, nameMax);
    this.#own = { peer, name, addresses: [], incarnation: 0, version: 0, left: false };
    this.#workStealing = workStealing;
  }

  /** This node's own record. */
  get own(): MemberRecord {
    return this.#own;
  }

  get workStealing(): boolean {
    return this.#workStealing.on;
  }

  /** True where there are too many to tell all of them to everybody. */
  get isLarge(): boolean {
    return this.#table.size >= this.#options.wholeTableMax;
  }

  /** The life of this node begins; what it knew before is no news. */
  begin(nowMs: number): void {
    this.#own = { ...this.#own, incarnation: Math.trunc(nowMs) };
    this.#news = [];
  }

  /** Changes this node's own record. */
  change(change: Partial<MemberRecord>): void {
    this.#own = { ...this.#own, version: this.#own.version + 1, ...change };
    if (!this.#profile.serves) return;
    this.#news.push(this.#own);
    this.#isOwnNews = true;
  }

  /** What others believe of this node and is not so is answered by a newer record. */
  hearOfSelf(record: MemberRecord): MemberRecord | undefined {
    if (!this.#profile.serves || sameRecord(record, this.#own)) return undefined;
    if (compareRecords(record, this.#own) < 0) return this.#own;
    this.change({ incarnation: record.incarnation + 1, version: 0 });
    return undefined;
  }

  /**
   * The later decision about work stealing counts; one from the future is not believed. True where
   * it was turned on or off.
   */
  hearSwitch(
    { workStealing: on, workStealingVersion: version }: Members,
    latestMs: number,
  ): boolean {
    const known = this.#workStealing;
    const isNewer = version > known.version || (version === known.version && on && !known.on);
    if (!isNewer || version > latestMs) return false;
    this.#workStealing = { on, version };
    this.#isSwitchNews = true;
    if (on !== known.on) this.#out.note({ name: "work-stealing", on });
    return on !== known.on;
  }

  /** A record changed: tell it on. */
  pass(record: MemberRecord): void {
    this.#news.push(record);
  }

  /** Tells what is known to one peer; in a large mesh a little of it. */
  introduce(to: PeerId): void {
    const { wholeTableMax, introducedMax } = this.#options;
    this.tell(to, this.#records(this.isLarge ? introducedMax : wholeTableMax));
  }

  /** Tells what is known to one peer again; in a large mesh the newest. */
  repeat(to: PeerId): void {
    const { wholeTableMax, newestMax } = this.#options;
    this.tell(to, this.#records(this.isLarge ? newestMax : wholeTableMax));
  }

  /** Tells everything that is known: to a newcomer in a large mesh. */
  teach(to: PeerId): void {
    this.tell(to, this.#records(this.#options.membersMax));
  }

  tell(to: PeerId, members: readonly MemberRecord[]): void {
    for (const message of this.#messages(members)) this.#out.send(to, message);
  }

  /** Tells the news of this turn on, not back to where they come from. */
  spread(links: Iterable<PeerId>, source: PeerId | undefined): void {
    const isOwn = this.#isOwnNews;
    if (this.#news.length > 0 || this.#isSwitchNews) {
      const messages = this.#messages(this.#news.slice(-this.#options.membersMax));
      const others = [...links].filter((peer) => isOwn || peer !== source).sort();
      const told = isOwn ? others : this.pick(others, this.#options.spreadMax);
      for (const peer of told) {
        for (const message of messages) this.#out.send(peer, message);
      }
    }
    this.#news = [];
    this.#isOwnNews = false;
    this.#isSwitchNews = false;
  }

  /** Some of a sorted list, at random; all of it where it is short. */
  pick(peers: readonly PeerId[], countMax: number): readonly PeerId[] {
    if (peers.length <= countMax) return peers;
    const rest = [...peers];
    return Array.from({ length: countMax }, () => {
      const [peer = ""] = rest.splice(this.#rng.below(rest.length), 1);
      return peer;
    });
  }

  /** This node's own record and the newest of the others. */
  #records(countMax: number): readonly MemberRecord[] {
    if (!this.#profile.serves) return this.#table.newest(countMax);
    return [this.#own, ...this.#table.newest(countMax - 1)];
  }

  /** At least one message: it also says whether work stealing is on. */
  #messages(members: readonly MemberRecord[]): readonly Members[] {
    const { on: workStealing, version: workStealingVersion } = this.#workStealing;
    const count = Math.max(1, Math.ceil(members.length / recordsMax));
    return Array.from({ length: count }, (_, at) => ({
      kind: "members",
      members: members.slice(at * recordsMax, (at + 1) * recordsMax),
      workStealing,
      workStealingVersion,
    }));
  }
}
