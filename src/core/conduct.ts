// Who keeps its word. A peer that asks too often is answered less; a worker that takes actions and
// never runs them is given nothing for a while. Only what a peer did itself counts against it: one
// that was silent may have slept, and silence is judged elsewhere.

import type { PeerId } from "./action.ts";

/** How much is borne. */
export interface ConductOptions {
  /** Times in a row that a worker took actions and never renewed before it is barred. */
  readonly strikesMax: number;
  /** What happens within so many ms happened once: a nap loses every claim at a time. */
  readonly strikeMs: number;
  /** How long in ms it is barred first; each further time twice as long. */
  readonly barMs: number;
  /** No bar is longer, in ms. */
  readonly barMsMax: number;
  /** A peer may ask once in so many ms on average. */
  readonly askEveryMs: number;
  /** After a pause it may ask so often at once. */
  readonly askBurst: number;
}

/** The defaults. */
export const conductDefaults: ConductOptions = {
  strikesMax: 3,
  strikeMs: 10_000,
  barMs: 60_000,
  barMsMax: 600_000,
  askEveryMs: 5,
  askBurst: 50,
};

/** Peers remembered at once; the one that was met first is forgotten. */
const peersMax = 4_096;

/** One warning for people a peer in so many ms. */
const warnEveryMs = 60_000;

interface Record {
  strikes: number;
  struckAtMs: number;
  /** Times it was barred since it last finished an action. */
  bars: number;
  barredUntilMs: number;
  /** The asking it is entitled to, in ms of `askEveryMs`, as of `countedAtMs`. */
  creditMs: number;
  countedAtMs: number;
  warnAtMs: number;
}

/** What an ingress remembers of its peers' behaviour; it outlives their links. */
export class Conduct {
  readonly #options: ConductOptions;
  readonly #recordByPeer = new Map<PeerId, Record>();
  readonly #barred = new Set<PeerId>();
  #version = 0;

  constructor(options: ConductOptions = conductDefaults) {
    this.#options = options;
  }

  /** Changes whenever somebody is barred or no longer so. */
  get version(): number {
    return this.#version;
  }

  /** When the next bar ends, in ms; Infinity where nobody is barred. */
  get nextEndMs(): number {
    let endMs = Number.POSITIVE_INFINITY;
    for (const peer of this.#barred) {
      endMs = Math.min(endMs, this.#recordByPeer.get(peer)?.barredUntilMs ?? endMs);
    }
    return endMs;
  }

  isBarred(peer: PeerId): boolean {
    return this.#barred.has(peer);
  }

  /** A worker took an action and never ran it. Returns the ms of a bar where this was too much. */
  strike(peer: PeerId, nowMs: number): number | undefined {
    const record = this.#record(peer, nowMs);
    const { strikesMax, strikeMs, barMs, barMsMax } = this.#options;
    if (this.#barred.has(peer) || nowMs - record.struckAtMs < strikeMs) return undefined;
    record.strikes += 1;
    record.struckAtMs = nowMs;
    if (record.strikes < strikesMax) return undefined;
    const forMs = Math.min(barMsMax, barMs * 2 ** Math.min(record.bars, 16));
    record.strikes = 0;
    record.bars += 1;
    record.barredUntilMs = nowMs + forMs;
    this.#barred.add(peer);
    this.#version += 1;
    return forMs;
  }

  /** It runs what it took; `finished` also where an action came to its end. */
  praise(peer: PeerId, finished: boolean): void {
    const record = this.#recordByPeer.get(peer);
    if (record === undefined) return;
    record.strikes = 0;
    if (finished) record.bars = 0;
  }

  /** Ends the bars that are over. */
  expire(nowMs: number): void {
    for (const peer of this.#barred) {
      if ((this.#recordByPeer.get(peer)?.barredUntilMs ?? 0) > nowMs) continue;
      this.#barred.delete(peer);
      this.#version += 1;
    }
  }

  /** Counts a question; false where the peer asks too often. */
  mayAsk(peer: PeerId, nowMs: number): boolean {
    const { askEveryMs, askBurst } = this.#options;
    const record = this.#record(peer, nowMs);
    const earnedMs = Math.max(0, nowMs - record.countedAtMs);
    record.creditMs = Math.min(askBurst * askEveryMs, record.creditMs + earnedMs);
    record.countedAtMs = nowMs;
    if (record.creditMs < askEveryMs) return false;
    record.creditMs -= askEveryMs;
    return true;
  }

  /** True where people should hear of this peer now and have not for a while. */
  mayWarn(peer: PeerId, nowMs: number): boolean {
    const record = this.#record(peer, nowMs);
    if (nowMs < record.warnAtMs) return false;
    record.warnAtMs = nowMs + warnEveryMs;
    return true;
  }

  #record(peer: PeerId, nowMs: number): Record {
    const known = this.#recordByPeer.get(peer);
    if (known !== undefined) return known;
    const { askEveryMs, askBurst } = this.#options;
    const creditMs = askEveryMs * askBurst;
    const never = Number.NEGATIVE_INFINITY;
    const times = { struckAtMs: never, barredUntilMs: never, countedAtMs: nowMs, warnAtMs: never };
    const record = { strikes: 0, bars: 0, creditMs, ...times };
    if (this.#recordByPeer.size >= peersMax) this.#forgetFirst();
    this.#recordByPeer.set(peer, record);
    return record;
  }

  #forgetFirst(): void {
    for (const peer of this.#recordByPeer.keys()) {
      this.#recordByPeer.delete(peer);
      if (this.#barred.delete(peer)) this.#version += 1;
      return;
    }
  }
}
