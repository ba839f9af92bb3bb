// What was needed lately: the reason to keep machines warm between two builds, and to let them go.

/** The needs of the last steps that had any. Of several values in a step the largest counts. */
export class RecentNeed {
  readonly #stepMs: number;
  readonly #steps: { readonly step: number; need: number }[] = [];
  #firstStep = Number.NaN;
  #step = Number.NaN;

  constructor(stepMs: number) {
    this.#stepMs = stepMs;
  }

  /** Takes the need of now; forgets what is older than `windowMs`, or later than now. */
  observe(need: number, nowMs: number, windowMs: number): void {
    const step = Math.floor(nowMs / this.#stepMs);
    // After a leap of the clock nothing is known of the time between.
    if (!(step >= this.#step && step - this.#step <= windowMs / this.#stepMs)) {
      this.#steps.length = 0;
      this.#firstStep = step;
    }
    this.#step = step;
    const oldest = step - Math.ceil(windowMs / this.#stepMs);
    while ((this.#steps[0]?.step ?? step) < oldest) this.#steps.shift();
    const last = this.#steps.at(-1);
    if (last?.step === step) last.need = Math.max(last.need, need);
    else if (need > 0) this.#steps.push({ step, need });
  }

  /** The need that a share `quantile` of the last steps with any did not exceed; 0 without any. */
  quantile(quantile: number, windowMs: number): number {
    const oldest = this.#step - Math.ceil(windowMs / this.#stepMs);
    const recent = this.#steps.filter(({ step }) => step >= oldest);
    const needs = recent.map(({ need }) => need).sort((a, b) => a - b);
    return needs[Math.min(needs.length - 1, Math.floor(needs.length * quantile))] ?? 0;
  }

  /** Since when no more than so many slots were needed, as far as is known, in ms. */
  enoughSinceMs(slots: number): number {
    let since = this.#firstStep;
    for (const { step, need } of this.#steps) if (need > slots) since = step + 1;
    return since * this.#stepMs;
  }
}
