// Does this node itself stand still at times? One that is woken late cannot tell a silent peer from
// its own sleep, so it waits longer before it judges others (Lifeguard's local health).

/** How often it looks, in ms. */
const checkMs = 2_000;

/** Later than asked by more than so many ms is late. */
const lateMs = 1_000;

/** How long lateness counts, in ms. */
const memoryMs = 60_000;

/** Judgements wait at most so many times longer. */
const factorMax = 6;

/** Notices when a node is woken late. */
export class Vigilance {
  #checkAtMs = 0;
  #factor = 1;
  #lateUntilMs = 0;

  /** When it wants to look next, absolute ms. */
  get checkAtMs(): number {
    return this.#checkAtMs;
  }

  start(nowMs: number): void {
    this.#checkAtMs = nowMs + checkMs;
  }

  /** True where this node stood still since the last look. */
  notice(nowMs: number): boolean {
    if (nowMs < this.#checkAtMs) return false;
    const isLate = nowMs - this.#checkAtMs > lateMs;
    this.#checkAtMs = nowMs + checkMs;
    if (!isLate) return false;
    this.#factor = Math.min(factorMax, 2 * this.factor(nowMs));
    this.#lateUntilMs = nowMs + memoryMs;
    return true;
  }

  /** How many times longer than usual to wait before a judgement, 1 to 6. */
  factor(nowMs: number): number {
    return nowMs < this.#lateUntilMs ? this.#factor : 1;
  }
}
