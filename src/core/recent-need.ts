// What was needed lately: the reason to keep machines warm between two builds.

/** The needs of the last steps that had any. Of several values in a step the largest counts. */
export class RecentNeed {
  readonly #stepMs: number;
  readonly #steps: { readonly step: number; need: number }[] = [];

  constructor(stepMs: number) {
    this.#stepMs = stepMs;
  }

  /** Takes the need of now; forgets what is older than `windowMs`, or later than now. */
  observe(need: number, nowMs: number, windowMs: number): void {
    const step = Math.floor(nowMs / this.#stepMs);
    const oldest = step - Math.ceil(windowMs / this.#stepMs);
    while ((this.#steps[0]?.step ?? step) < oldest) this.#steps.shift();
    while ((this.#steps.at(-1)?.step ?? step) > step) this.#steps.pop();
    const last = this.#steps.at(-1);
    if (last?.step === step) last.need = Math.max(last.need, need);
    else if (need > 0) this.#steps.push({ step, need });
  }

  /** The need that a share `quantile` of the steps with any need did not exceed; 0 without any. */
  quantile(quantile: number): number {
    const needs = this.#steps.map(({ need }) => need).sort((a, b) => a - b);
    return needs[Math.min(needs.length - 1, Math.floor(needs.length * quantile))] ?? 0;
  }
}
