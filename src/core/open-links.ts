// The links of a node: since when each stands, and whether its other end introduced itself yet.

import type { PeerId } from "./action.ts";

interface Link {
  readonly sinceMs: number;
  /** When the other end is asked to introduce itself, unless it did. */
  askAtMs: number;
  askAfterMs: number;
  isDoubted: boolean;
}

/** Which peers are linked, and who of them is silent. */
export class OpenLinks {
  readonly #introduceMs: number;
  readonly #askMsMax: number;
  readonly #linkByPeer = new Map<PeerId, Link>();
  readonly #silent = new Map<PeerId, Link>();

  /** A silent peer is asked after `introduceMs`, then half as often each time, to `askMsMax`. */
  constructor(introduceMs: number, askMsMax: number) {
    this.#introduceMs = introduceMs;
    this.#askMsMax = askMsMax;
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
    const askAfterMs = this.#introduceMs;
    const askAtMs = nowMs + askAfterMs;
    const link = { sinceMs: nowMs, askAtMs, askAfterMs, isDoubted: false };
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

  /** The silent peers to ask now. */
  takeSilent(nowMs: number): readonly PeerId[] {
    const due = [...this.#silent].filter(([, { askAtMs }]) => askAtMs <= nowMs);
    for (const [, link] of due) {
      link.askAfterMs = Math.min(2 * link.askAfterMs, this.#askMsMax);
      link.askAtMs = nowMs + link.askAfterMs;
    }
    return due.map(([peer]) => peer);
  }
}
