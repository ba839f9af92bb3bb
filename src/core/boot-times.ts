// How long machines take from their launch until they are linked.

import type { ScaledMachine } from "./scaling.ts";

/** Boots remembered. */
const bootsMax = 32;

/** Learns boot times from the machines of one decision after the other. */
export class BootTimes {
  readonly #assumedMs: number;
  readonly #bootsMs: number[] = [];
  #booting = new Set<string>();

  /** `assumedMs` counts until a boot was seen. */
  constructor(assumedMs: number) {
    this.#assumedMs = assumedMs;
  }

  /** Takes the machines as they are now. */
  observe(machines: readonly ScaledMachine[], nowMs: number): void {
    const booting = new Set<string>();
    for (const { id, state, launchedAtMs } of machines) {
      if (state === "booting") booting.add(id);
      else if (state === "ready" && this.#booting.has(id)) {
        this.#bootsMs.push(Math.max(0, nowMs - launchedAtMs));
        if (this.#bootsMs.length > bootsMax) this.#bootsMs.shift();
      }
    }
    this.#booting = booting;
  }

  /** Nine of ten of the last boots were no longer, in ms. */
  get p90Ms(): number {
    const sorted = [...this.#bootsMs].sort((a, b) => a - b);
    return sorted[Math.ceil(sorted.length * 0.9) - 1] ?? this.#assumedMs;
  }
}
