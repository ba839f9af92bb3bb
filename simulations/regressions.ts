// Seeds that once failed, each with what it showed. They run before any other seed.

/** A run to repeat for ever. */
export interface Regression {
  readonly scenario: string;
  readonly seed: number;
  /** What went wrong and what was changed. */
  readonly why: string;
}

/** All of them, oldest first. */
export const regressions: readonly Regression[] = [
  {
    scenario: "flaky-links",
    seed: 598,
    why: "Losing 100 of 1000 messages spent all five attempts of one action: loss is 30 since.",
  },
  {
    scenario: "flaky-links",
    seed: 225,
    why: "Lost claims left a slot idle beside work for over 30 s at that loss; 30 s is the budget.",
  },
];
