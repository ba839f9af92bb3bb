// Tables of medians.

/** One line: what was measured, what came out, and what it is to be held against. */
export interface Row {
  readonly what: string;
  readonly figure: string;
  readonly beside: string;
}

/** The middle of the values. */
export function median(values: readonly number[]): number {
  return percentile(values, 0.5);
}

/** The value that such a share of the values, from 0 to below 1, lies below. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length * share)] ?? Number.NaN;
}

/** Prints rows as a Markdown table, each as soon as it is there. */
export async function printTable(rows: AsyncIterable<Row> | Iterable<Row>): Promise<void> {
  process.stdout.write("| What | Median | Beside it |\n|---|---|---|\n");
  for await (const { what, figure, beside } of rows) {
    process.stdout.write(`| ${what} | ${figure} | ${beside} |\n`);
  }
}
