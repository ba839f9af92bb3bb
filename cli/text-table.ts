// Tables of text: columns as wide as what is in them, in a terminal as wide as it is.

import { cutMiddle, oneLine, textWidth } from "./text-width.ts";

/** One column. */
export interface Column {
  readonly head: string;
  /** Numbers stand at the right. */
  readonly right?: boolean;
  /** Cut in the middle where the table is too wide; the first such column alone. */
  readonly gives?: boolean;
}

/** What a column that gives is cut down to at most. */
const givenMin = 12;

/** The lines of a table, each at most `columns` wide where that can be; texts are made harmless. */
export function tableLines(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  width: number,
): string[] {
  const cells = [columns.map(({ head }) => head), ...rows.map((row) => row.map(oneLine))];
  const widths = columns.map((_, at) => Math.max(...cells.map((row) => textWidth(row[at] ?? ""))));
  const over = widths.reduce((sum, one) => sum + one, 2 * (widths.length - 1)) - width;
  const giving = columns.findIndex(({ gives }) => gives === true);
  const given = widths[giving];
  if (over > 0 && given !== undefined) widths[giving] = Math.max(givenMin, given - over);
  return cells.map((row) =>
    row
      .map((cell, at) => pad(cutMiddle(cell, widths[at] ?? 0), widths[at] ?? 0, columns[at]))
      .join("  ")
      .trimEnd(),
  );
}

function pad(text: string, width: number, column: Column | undefined): string {
  const space = " ".repeat(Math.max(0, width - textWidth(text)));
  return column?.right === true ? `${space}${text}` : `${text}${space}`;
}

/**
 * A text in lines of at most `width`, broken at spaces. Spaces at its begin stay; lines after the
 * first begin with `indent`.
 */
export function wrapped(text: string, width: number, indent: string): string[] {
  const lines: string[] = [];
  const safe = oneLine(text);
  const words = safe.trimStart();
  let line = safe.slice(0, safe.length - words.length);
  for (const word of words.split(" ")) {
    const next = line.trim() === "" ? `${line}${word}` : `${line} ${word}`;
    if (line.trim() !== "" && textWidth(next) > width) {
      lines.push(line);
      line = `${indent}${word}`;
    } else line = next;
  }
  return [...lines, line];
}
