// The two streams of a build, with the progress block below what is printed where one of them is a
// terminal.

import type { BuildEvent } from "../src/build/build-event.ts";
import { type ColorChoice, usesColor } from "./color.ts";
import { follow, newProgress, progressLines } from "./progress.ts";
import { createTerminalBlock, type TerminalBlock } from "./terminal-block.ts";

/** A stream as far as it matters here: `process.stdout` and `process.stderr`. */
export interface OutputStream {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly rows?: number;
}

/** What to write on, and how. */
export interface BuildOutputOptions {
  readonly stdout: OutputStream;
  readonly stderr: OutputStream;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly color: ColorChoice;
  /** True for no progress block, such as for events as JSON. */
  readonly plain: boolean;
  readonly now: () => number;
  /** Calls `draw` some ten times a second until told to stop. */
  readonly repeat: (draw: () => void) => () => void;
}

/** Where a build prints. */
export interface BuildOutput {
  readonly write: (text: string) => void;
  readonly warn: (text: string) => void;
  readonly color: { readonly write: boolean; readonly warn: boolean };
  /** Begins to show a build, from its events. */
  show(): { readonly take: (event: BuildEvent) => void; readonly stop: () => void };
}

/** Opens the output. The block is drawn on the terminal of standard error, else of output. */
export function createBuildOutput(options: BuildOutputOptions): BuildOutput {
  const { stdout, stderr, env, now } = options;
  const isTerminal = (stream: OutputStream) => stream.isTTY === true && env["TERM"] !== "dumb";
  const terminal = options.plain ? undefined : [stderr, stdout].find(isTerminal);
  const block = terminal === undefined ? undefined : blockOn(terminal);
  const print = (stream: OutputStream) => (text: string) => {
    if (text === "") return;
    // Both streams may be the same terminal: what is printed goes where the block was.
    block?.clear();
    stream.write(text);
  };
  return {
    write: print(stdout),
    warn: print(stderr),
    color: {
      write: usesColor(options.color, env, stdout.isTTY === true),
      warn: usesColor(options.color, env, stderr.isTTY === true),
    },
    show: () => {
      if (block === undefined || terminal === undefined) return { take: () => {}, stop: () => {} };
      const progress = newProgress(now());
      const stop = options.repeat(() => {
        block.draw(progressLines(progress, now(), sizeOf(terminal)));
      });
      return {
        take: (event) => follow(progress, event, now()),
        stop: () => {
          stop();
          block.clear();
        },
      };
    },
  };
}

function blockOn(terminal: OutputStream): TerminalBlock {
  return createTerminalBlock({
    write: (text) => terminal.write(text),
    size: () => sizeOf(terminal),
  });
}

/** A terminal that does not know its size is taken for the smallest usual one. */
function sizeOf({ columns, rows }: OutputStream): { columns: number; rows: number } {
  return { columns: columns || 80, rows: rows || 24 };
}
