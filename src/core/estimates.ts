// How long actions of a kind take, learned from those that ran. Used to start long ones early.

/** Bounds of the table. */
export interface EstimateOptions {
  /** Kinds it remembers; the least recently used goes first. */
  readonly kindsMax: number;
}

/** Default bounds. */
export const estimateDefaults: EstimateOptions = { kindsMax: 10_000 };

/** From this many runs on, each new one counts a quarter. */
const runsWeighed = 4;

/** Moving averages of run times, whole ms, by kind. */
export class Estimates {
  readonly #byKind = new Map<string, { readonly meanMs: number; readonly runs: number }>();
  readonly #kindsMax: number;

  constructor(options: EstimateOptions = estimateDefaults) {
    this.#kindsMax = options.kindsMax;
  }

  get size(): number {
    return this.#byKind.size;
  }

  /** Expected run time in ms; undefined for a kind that never ran or was forgotten. */
  estimateMs(kind: string): number | undefined {
    const known = this.#byKind.get(kind);
    if (known === undefined) return undefined;
    this.#byKind.delete(kind);
    this.#byKind.set(kind, known);
    return known.meanMs;
  }

  /** Learns from one run: the plain mean of the first four, then an average with weight 1/4. */
  record(kind: string, runMs: number): void {
    const { meanMs, runs } = this.#byKind.get(kind) ?? { meanMs: 0, runs: 0 };
    const weight = Math.min(runs + 1, runsWeighed);
    const updatedMs = meanMs + Math.round((Math.max(0, runMs) - meanMs) / weight);
    this.#byKind.delete(kind);
    this.#byKind.set(kind, { meanMs: updatedMs, runs: weight });
    const [oldest] = this.#byKind.keys();
    if (this.#byKind.size > this.#kindsMax && oldest !== undefined) this.#byKind.delete(oldest);
  }
}
