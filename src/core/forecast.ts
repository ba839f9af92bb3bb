// What will be needed in a minute, from what was needed until now: Holt's level and damped trend,
// with the season of the day once three days are known, and how wrong it was lately.
//
// Time goes in steps. The open step may be told any number of times and counts once, so that asking
// twice changes nothing. Powers are products: every engine gives the same numbers.
//
// Source: C. Holt 1957, P. Winters 1960, damped by Gardner and McKenzie 1985.

import { DayHistory } from "./day-history.ts";

/** How a forecast learns. */
export interface ForecastOptions {
  /** Length of a step in ms. */
  readonly stepMs: number;
  /** Weight of a new step in the level, 0 to 1. */
  readonly level: number;
  /** Weight of a new step in the trend, 0 to 1. */
  readonly trend: number;
  /** What is left of the trend in each further step that is looked ahead, 0 to 1. */
  readonly damping: number;
  /** Whole days to know before the time of the day counts. */
  readonly seasonDaysMin: number;
  /** Steps over which the error is taken. */
  readonly errorSteps: number;
}

/** Steps of ten seconds, errors over an hour. */
export const forecastDefaults: ForecastOptions = {
  stepMs: 10_000,
  level: 0.1,
  trend: 0.02,
  damping: 0.9,
  seasonDaysMin: 3,
  errorSteps: 360,
};

interface Line {
  readonly level: number;
  readonly trend: number;
}

/** Steps that may be missing before the past counts for nothing. */
const gapStepsMax = 360;

/** A forecast of a value that is 0 or more. */
export class Forecast {
  readonly #options: ForecastOptions;
  readonly #history = new DayHistory();
  /** Until the step before the open one; undefined before the first. */
  #closed: Line | undefined;
  #step = Number.NaN;
  #open = 0;
  #horizonSteps = 1;
  #pending: { readonly dueStep: number; readonly value: number }[] = [];
  #errors: { readonly step: number; readonly miss: number; readonly actual: number }[] = [];

  constructor(options: ForecastOptions = forecastDefaults) {
    this.#options = options;
  }

  /** Takes the value of now; of several in one step the largest counts. */
  observe(value: number, nowMs: number, horizonMs: number): void {
    const step = Math.floor(nowMs / this.#options.stepMs);
    this.#horizonSteps = Math.max(1, Math.ceil(horizonMs / this.#options.stepMs));
    const gap = step - this.#step;
    if (gap === 0) {
      this.#open = Math.max(this.#open, value);
      return;
    }
    if (gap > 0 && gap <= gapStepsMax) {
      for (let missing = 0; missing < gap; missing += 1) this.#close();
    } else this.#forget();
    this.#step = step;
    this.#open = value;
  }

  /** The value expected at the horizon; 0 or more. */
  get expected(): number {
    const { level, trend } = this.#line();
    const { damping } = this.#options;
    let sum = level;
    let step = trend;
    for (let ahead = 0; ahead < this.#horizonSteps; ahead += 1) {
      step *= damping;
      sum += step;
    }
    return Math.max(0, sum + this.#season(this.#step + this.#horizonSteps));
  }

  /** Change from one step to the next. */
  get trendPerStep(): number {
    return this.#line().trend;
  }

  /** Sum of the misses of the last hour over the sum of what was; undefined before there is any. */
  get error(): number | undefined {
    let misses = 0;
    let actual = 0;
    for (const one of this.#errors) {
      misses += one.miss;
      actual += one.actual;
    }
    return actual > 0 ? misses / actual : undefined;
  }

  /** What a share of the past days did not exceed at this time; undefined in the first day. */
  usualAt(nowMs: number, quantile: number): number | undefined {
    return this.#history.quantile(quantile, nowMs);
  }

  /** The line with the open step in it. */
  #line(): Line {
    const value = this.#open - this.#season(this.#step);
    const old = this.#closed;
    if (old === undefined) return { level: value, trend: 0 };
    const { level, trend } = this.#options;
    const expected = old.level + old.trend;
    const next = expected + level * (value - expected);
    return { level: next, trend: old.trend + trend * (next - old.level - old.trend) };
  }

  #close(): void {
    this.#pending.push({ dueStep: this.#step + this.#horizonSteps, value: this.expected });
    const { errorSteps, stepMs } = this.#options;
    while (this.#pending[0] !== undefined && this.#pending[0].dueStep <= this.#step) {
      const due = this.#pending.shift();
      const miss = Math.abs((due?.value ?? 0) - this.#open);
      this.#errors.push({ step: this.#step, miss, actual: this.#open });
    }
    if (this.#pending.length > errorSteps) this.#pending.shift();
    while ((this.#errors[0]?.step ?? this.#step) <= this.#step - errorSteps) this.#errors.shift();
    this.#closed = this.#line();
    this.#history.record(this.#open, this.#step * stepMs);
    this.#step += 1;
  }

  #forget(): void {
    this.#closed = undefined;
    this.#pending = [];
    this.#errors = [];
  }

  #season(step: number): number {
    const { seasonDaysMin, stepMs } = this.#options;
    return this.#history.offset(step * stepMs, seasonDaysMin);
  }
}
