// Figures for Prometheus: what a metric is. Each folder declares its own in one record; a meter
// counts them. Names are `builder_<folder>_<thing>_<unit>`, counters end in `_total`.

/**
 * The labels of a metric: the values that each may have, or how many different ones are told apart
 * at most. Bound: any other value counts as `other` (in a gauge not at all), so that nobody makes
 * series without end.
 */
export type Labels = Readonly<Record<string, readonly string[] | number>>;

/** A metric as it is declared. */
export interface Metric<L extends Labels = Labels> {
  readonly kind: "counter" | "gauge" | "histogram";
  readonly name: string;
  /** One sentence for people. */
  readonly help: string;
  readonly labels: L;
  /** Of a histogram: upper bounds, ascending. */
  readonly buckets: readonly number[];
}

/** A value for each label. */
export type LabelValues<L extends Labels> = { readonly [K in keyof L]: string };

/** Counts. Units are those of the names: seconds and bytes. */
export interface Meter {
  /** Adds to a counter. */
  add<L extends Labels>(metric: Metric<L>, labels: LabelValues<L>, by?: number): void;
  /** Sets a gauge, or a counter whose total is kept elsewhere. */
  set<L extends Labels>(metric: Metric<L>, labels: LabelValues<L>, value: number): void;
  /** Takes one value into a histogram. */
  observe<L extends Labels>(metric: Metric<L>, labels: LabelValues<L>, value: number): void;
  /** Drops what a metric says, before it is set anew: workers and members come and go. */
  clear(metric: Metric): void;
  /** Has `read` bring up to date what is not told as it happens, before each answer. */
  beforeAnswer(read: () => void): void;
  /** Everything in the text format of Prometheus. */
  render(): Promise<string>;
  /** Media type of that text. */
  readonly contentType: string;
}

/** Declares a counter. */
export function counter<const L extends Labels>(name: string, help: string, labels: L): Metric<L> {
  return { kind: "counter", name, help, labels, buckets: [] };
}

/** Declares a gauge. */
export function gauge<const L extends Labels>(name: string, help: string, labels: L): Metric<L> {
  return { kind: "gauge", name, help, labels, buckets: [] };
}

/** Declares a histogram. */
export function histogram<const L extends Labels>(
  name: string,
  help: string,
  labels: L,
  buckets: readonly number[] = secondsBuckets,
): Metric<L> {
  return { kind: "histogram", name, help, labels, buckets };
}

/** From a millisecond to ten minutes, each step about three times the one before. */
const secondsBuckets: readonly number[] = [
  ...[0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 120, 600],
];
