// Programs at a terminal, and what such a terminal would show.

import { spawn } from "node:child_process";
import { join } from "node:path";
import { type Place, root } from "./programs.ts";

/** A program at a terminal. */
export interface AtTerminal {
  /** All bytes that came, as text. */
  said(): string;
  /** Resolves once `said` holds this so many times; rejects when the program ends before. */
  says(text: string, times?: number): Promise<void>;
  type(text: string): void;
  resize(columns: number, rows: number): void;
  /** The program's exit code. */
  readonly ended: Promise<number | null>;
}

/** Starts a program at a terminal of this size. */
export function startAtTerminal(
  place: Place,
  cwd: string,
  program: string,
  args: readonly string[],
  size: { readonly columns: number; readonly rows: number },
): AtTerminal {
  const ours = program === "bldr" || program === "builder";
  const path = ours ? join(root, "cli/bin", program) : program;
  const script = join(root, "test/support/run-in-terminal.py");
  const env = { ...place.env, TERM: "xterm", NO_COLOR: undefined, FORCE_COLOR: undefined };
  const words = [script, String(size.columns), String(size.rows), path, ...args];
  const child = spawn("python3", words, { cwd, env });
  let said = "";
  const hearers = new Set<() => void>();
  const hear = (text: string) => {
    said += text;
    for (const hearer of hearers) hearer();
  };
  child.stdout.setEncoding("utf8").on("data", hear);
  child.stderr.setEncoding("utf8").on("data", hear);
  const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
  return {
    said: () => said,
    says: (text, times = 1) =>
      new Promise((resolve, reject) => {
        const look = () => {
          if (said.split(text).length <= times) return;
          hearers.delete(look);
          resolve();
        };
        hearers.add(look);
        look();
        ended.then(
          () => reject(new Error(`it ended without saying ${JSON.stringify(text)}: ${said}`)),
          reject,
        );
      }),
    type: (text) => child.stdin.write(text),
    resize: (columns, rows) => child.stdin.write(`\0${columns} ${rows}\n`),
    ended,
  };
}

/** The lines of a terminal, scrolled ones too, after these bytes; colours are left out. */
export function screenOf(bytes: string, columns: number): string[] {
  const lines: string[][] = [[]];
  let [row, column] = [0, 0];
  const line = () => {
    while (lines.length <= row) lines.push([]);
    return lines[row] ?? [];
  };
  // biome-ignore lint/suspicious/noControlCharactersInRegex: a terminal is made of them
  for (const [token, count, code] of bytes.matchAll(/\x1b\[([0-9;?]*)([A-Za-z])|[\s\S]/gu)) {
    if (code === "A") row = Math.max(0, row - Number(count || 1));
    else if (code === "J") {
      line().splice(column);
      lines.splice(row + 1);
    } else if (code !== undefined) continue;
    else if (token === "\r") column = 0;
    else if (token === "\n") row += 1;
    else {
      if (column >= columns) [row, column] = [row + 1, 0];
      line()[column] = token;
      column += 1;
    }
  }
  line();
  return lines.map((characters) => Array.from(characters, (one) => one ?? " ").join(""));
}
