// Lines at the bottom of a terminal that are drawn over and over, below everything printed. The
// cursor always rests on the line below them and is never hidden: whatever kills this process, the
// terminal is as it should be.

import { textWidth } from "./text-width.ts";

/** What a block is drawn on. */
export interface BlockTerminal {
  readonly write: (text: string) => void;
  /** The size now; it may change at any time. */
  readonly size: () => { readonly columns: number; readonly rows: number };
}

/** A block of lines that change. */
export interface TerminalBlock {
  /** Draws these lines instead of the last ones. */
  draw(lines: readonly string[]): void;
  /** Takes the lines away, so that something can be printed. */
  clear(): void;
}

const up = (rows: number) => (rows === 0 ? "\r" : `\x1b[${rows}A\r`);
const eraseBelow = "\x1b[J";

/** Makes a block without lines. */
export function createTerminalBlock(terminal: BlockTerminal): TerminalBlock {
  let drawn: readonly string[] = [];

  /** Rows that the drawn lines take now: a terminal made narrower has wrapped them. */
  function rows(): number {
    const columns = Math.max(1, terminal.size().columns);
    return drawn.reduce((sum, line) => sum + Math.max(1, Math.ceil(textWidth(line) / columns)), 0);
  }

  return {
    draw: (lines) => {
      if (lines.length === 0 && drawn.length === 0) return;
      const before = drawn.length === 0 ? "" : `${up(rows())}${eraseBelow}`;
      drawn = lines;
      terminal.write(`${before}${lines.map((line) => `${line}\n`).join("")}`);
    },
    clear: () => {
      if (drawn.length === 0) return;
      terminal.write(`${up(rows())}${eraseBelow}`);
      drawn = [];
    },
  };
}
