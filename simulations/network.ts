// What can happen to a message between two nodes: it takes time, gets lost, comes twice, overtakes
// another, or meets a cut link. Harsher than TCP on purpose: a protocol that lives through this
// lives.

import type { PeerId } from "../src/core/action.ts";
import type { Rng } from "../src/core/rng.ts";

/** How a network misbehaves. Rates are per thousand messages. */
export interface NetworkOptions {
  /** Shortest time a message takes in ms. */
  readonly latencyMs: number;
  /** Extra time, drawn evenly from 0 to this many ms; messages of one link keep their order. */
  readonly jitterMs: number;
  readonly lossPerMille: number;
  readonly duplicatePerMille: number;
  /** Messages that leave the order: they take up to `lateMs` longer. */
  readonly reorderPerMille: number;
  readonly lateMs: number;
  /** What one way of a link carries; without a limit when left out. */
  readonly bytesPerMs?: number;
}

/** Decides the fate of messages. */
export class Network {
  readonly #options: NetworkOptions;
  readonly #rng: Rng;
  readonly #lastArrivalByLink = new Map<string, number>();
  readonly #cut = new Set<string>();
  readonly #freeAtMsByLink = new Map<string, number>();
  #isCalm = false;
  lost = 0;
  sent = 0;
  /** Estimated bytes that were sent by each node. */
  readonly bytesBySender = new Map<PeerId, number>();

  constructor(options: NetworkOptions, rng: Rng) {
    this.#options = options;
    this.#rng = rng;
  }

  /** When copies of a message sent now arrive, in ms; none where it is lost. */
  arrivals(from: PeerId, to: PeerId, nowMs: number, bytes: number): readonly number[] {
    this.sent += 1;
    this.bytesBySender.set(from, (this.bytesBySender.get(from) ?? 0) + bytes);
    const { latencyMs, jitterMs, lossPerMille, duplicatePerMille } = this.#options;
    // Draw all dice always: a cut link must not shift the luck of the others.
    const luck = [0, 1, 2].map(() => this.#rng.below(1000));
    const [loss = 0, duplicate = 0, reorder = 0] = luck;
    const lateMs = 1 + this.#rng.below(Math.max(1, this.#options.lateMs));
    const jitter = this.#rng.below(jitterMs + 1);
    if (this.isCut(from, to) || (!this.#isCalm && loss < lossPerMille)) {
      this.lost += 1;
      return [];
    }
    const link = `${from}>${to}`;
    const earliest = this.#lastArrivalByLink.get(link) ?? 0;
    const sentAtMs = this.#carry(link, bytes, nowMs);
    const inOrder = Math.max(sentAtMs + latencyMs + jitter, earliest);
    this.#lastArrivalByLink.set(link, inOrder);
    if (this.#isCalm) return [inOrder];
    const arrival = reorder < this.#options.reorderPerMille ? inOrder + lateMs : inOrder;
    return duplicate < duplicatePerMille ? [arrival, arrival + lateMs] : [arrival];
  }

  /** Cuts or heals both directions between two nodes. */
  cut(a: PeerId, b: PeerId, isCut: boolean): void {
    this.cutWay(a, b, isCut);
    this.cutWay(b, a, isCut);
  }

  /** Cuts or heals one direction: the other node still talks, but hears nothing. */
  cutWay(from: PeerId, to: PeerId, isCut: boolean): void {
    if (isCut) this.#cut.add(`${from}>${to}`);
    else this.#cut.delete(`${from}>${to}`);
  }

  /** True where nothing that one node says reaches the other. */
  isCut(from: PeerId, to: PeerId): boolean {
    return this.#cut.size > 0 && this.#cut.has(`${from}>${to}`);
  }

  /** From now on the network behaves: the liveness half of a run. */
  calm(): void {
    this.#isCalm = true;
    this.#cut.clear();
  }

  /** When the last byte is on its way: what was sent before goes first. */
  #carry(link: string, bytes: number, nowMs: number): number {
    const { bytesPerMs } = this.#options;
    if (bytesPerMs === undefined) return nowMs;
    const startMs = Math.max(nowMs, this.#freeAtMsByLink.get(link) ?? 0);
    const sentAtMs = startMs + Math.ceil(bytes / bytesPerMs);
    this.#freeAtMsByLink.set(link, sentAtMs);
    return sentAtMs;
  }
}
