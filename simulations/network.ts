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
}

/** Decides the fate of messages. */
export class Network {
  readonly #options: NetworkOptions;
  readonly #rng: Rng;
  readonly #lastArrivalByLink = new Map<string, number>();
  readonly #cut = new Set<string>();
  #isCalm = false;
  lost = 0;
  sent = 0;

  constructor(options: NetworkOptions, rng: Rng) {
    this.#options = options;
    this.#rng = rng;
  }

  /** When copies of a message sent now arrive, in ms; none where it is lost. */
  arrivals(from: PeerId, to: PeerId, nowMs: number): readonly number[] {
    this.sent += 1;
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
    const inOrder = Math.max(nowMs + latencyMs + jitter, earliest);
    this.#lastArrivalByLink.set(link, inOrder);
    if (this.#isCalm) return [inOrder];
    const arrival = reorder < this.#options.reorderPerMille ? inOrder + lateMs : inOrder;
    return duplicate < duplicatePerMille ? [arrival, arrival + lateMs] : [arrival];
  }

  /** Cuts or heals both directions between two nodes. */
  cut(a: PeerId, b: PeerId, isCut: boolean): void {
    const key = [a, b].sort().join("|");
    if (isCut) this.#cut.add(key);
    else this.#cut.delete(key);
  }

  isCut(a: PeerId, b: PeerId): boolean {
    return this.#cut.size > 0 && this.#cut.has([a, b].sort().join("|"));
  }

  /** From now on the network behaves: the liveness half of a run. */
  calm(): void {
    this.#isCalm = true;
    this.#cut.clear();
  }
}
