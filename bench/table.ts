// Tables of medians.

/** One line: what was measured, what came out, and what it is to be held against. */
export interface Row {
  readonly what: string;
  readonly figure: string;
  readonly beside: string;
}

/** The middle of the values. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

/** Prints rows as a Markdown table, each as soon as it is there. */
export async function printTable(rows: AsyncIterable<Row> | Iterable<Row>): Promise<void> {
  process.stdout.write("| What | Median | Beside it |\n|---|---|---|\n");
  for await (const { what, figure, beside } of rows) {
    process.stdout.write(`| ${what} | ${figure} | ${beside} |\n`);
  }
}
