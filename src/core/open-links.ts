// The links of a node: since when each stands, whether its other end introduced itself yet, and how
// much more of what it says is listened to.

import type { PeerId } from "./action.ts";

interface Link {
  readonly sinceMs: number;
  /** When the other end is asked to introduce itself, unless it did. */
  askAtMs: number;
  askAfterMs: number;
  isDoubted: boolean;
  /** Attention left as of `countedAtMs`; below 0 after one large message. */
  attention: number;
  countedAtMs: number;
}

/** When silent peers are asked, and how much those that talk are listened to. */
export interface OpenLinksOptions {
  /** A silent peer is asked after so many ms, then half as often each time, to `dialMsMax`. */
  readonly introduceMs: number;
  readonly dialMsMax: number;
  /** Records that a peer may tell at once; further ones are ignored. */
  readonly attentionMax: number;
  /** Records a second that it may tell in the long run. */
  readonly attentionPerS: number;
}

/** Which peers are linked, and who of them is silent. */
export class OpenLinks {
  readonly #options: OpenLinksOptions;
  readonly #linkByPeer = new Map<PeerId, Link>();
  readonly #silent = new Map<PeerId, Link>();

  constructor(options: OpenLinksOptions) {
    this.#options = options;
  }

  get peers(): Iterable<PeerId> {
    return this.#linkByPeer.keys();
  }

  get wakeAtMs(): number {
    let wakeAtMs = Number.POSITIVE_INFINITY;
    for (const { askAtMs } of this.#silent.values()) wakeAtMs = Math.min(wakeAtMs, askAtMs);
    return wakeAtMs;
  }

  has(peer: PeerId): boolean {
    return this.#linkByPeer.has(peer);
  }

  open(peer: PeerId, nowMs: number): void {
    const { introduceMs: askAfterMs, attentionMax: attention } = this.#options;
    const askAtMs = nowMs + askAfterMs;
    const counted = { attention, countedAtMs: nowMs };
    const link = { sinceMs: nowMs, askAtMs, askAfterMs, isDoubted: false, ...counted };
    this.#linkByPeer.set(peer, link);
    this.#silent.set(peer, link);
  }

  /** Returns how long the link stood in ms; undefined where there was none. */
  close(peer: PeerId, nowMs: number): number | undefined {
    const link = this.#linkByPeer.get(peer);
    this.#linkByPeer.delete(peer);
    this.#silent.delete(peer);
    return link === undefined ? undefined : nowMs - link.sinceMs;
  }

  /** The other end introduced itself; true the first time. */
  introduced(peer: PeerId): boolean {
    return this.#silent.delete(peer);
  }

  /** What a linked peer says is not believed; true the first time on a link. */
  doubt(peer: PeerId): boolean {
    const link = this.#linkByPeer.get(peer);
    if (link === undefined || link.isDoubted) return false;
    link.isDoubted = true;
    return true;
  }

  /** Listens to `cost` records' worth; false where a linked peer has used up its attention. */
  listen(peer: PeerId, cost: number, nowMs: number): boolean {
    const link = this.#linkByPeer.get(peer);
    if (link === undefined) return true;
    const { attentionMax, attentionPerS } = this.#options;
    const earned = (Math.max(0, nowMs - link.countedAtMs) * attentionPerS) / 1000;
    link.attention = Math.min(attentionMax, link.attention + earned);
    link.countedAtMs = nowMs;
    if (link.attention <= 0) return false;
    link.attention -= cost;
    return true;
  }

  /** The silent peers to ask now. */
  takeSilent(nowMs: number): readonly PeerId[] {
    const due = [...this.#silent].filter(([, { askAtMs }]) => askAtMs <= nowMs);
    for (const [, link] of due) {
      link.askAfterMs = Math.min(2 * link.askAfterMs, this.#options.dialMsMax);
      link.askAtMs = nowMs + link.askAfterMs;
    }
    return due.map(([peer]) => peer);
  }
}
