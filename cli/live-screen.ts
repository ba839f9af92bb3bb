// A screen that is drawn again every second until somebody quits. On a terminal in place; in a pipe
// whatever is to be told goes out line by line.

import { failureOf } from "../src/core/error.ts";

/** What is shown. */
export interface LiveScreen<T> {
  readonly fetch: () => Promise<T>;
  readonly draw: (found: T, size: { readonly columns: number; readonly rows: number }) => string[];
  /** While the node is away: why, and for how long, ms. */
  readonly away: (why: string, sinceMs: number, columns: number) => string[];
  /** What a pipe gets, each second. */
  readonly line: (found: T) => string;
}

/** How often it is drawn, ms. */
const everyMs = 1000;

/** Shows it until q, Ctrl-C or SIGTERM; leaves the last screen and a terminal as it was. */
export async function showLive<T>(screen: LiveScreen<T>): Promise<void> {
  const quit = Promise.withResolvers<void>();
  const release = listenForQuit(quit.resolve);
  let quitting = false;
  quit.promise.then(() => {
    quitting = true;
  });
  const out = await openOutput();
  let awaySinceMs: number | undefined;
  try {
    while (!quitting) {
      const startedMs = performance.now();
      try {
        const found = await screen.fetch();
        awaySinceMs = undefined;
        if (!quitting) out.show(screen.draw(found, out.size()), screen.line(found));
      } catch (error) {
        awaySinceMs ??= startedMs;
        const { message } = failureOf(error);
        const { columns } = out.size();
        const lines = screen.away(message, performance.now() - awaySinceMs, columns);
        if (!quitting) out.show(lines, lines.slice(0, 2).join(" "));
      }
      const restMs = Math.max(50, everyMs - (performance.now() - startedMs));
      await Promise.race([quit.promise, new Promise((wake) => setTimeout(wake, restMs))]);
    }
  } finally {
    out.done();
    release();
  }
}

async function openOutput() {
  const { stdout } = process;
  const size = () => ({ columns: stdout.columns || 80, rows: stdout.rows || 24 });
  if (stdout.isTTY !== true || process.env["TERM"] === "dumb") {
    const show = (_: readonly string[], line: string) => void stdout.write(`${line}\n`);
    return { size, show, done: () => undefined };
  }
  const { createLogUpdate } = await import("log-update");
  // Whatever kills this process, the cursor is there.
  const update = createLogUpdate(stdout, { showCursor: true });
  return {
    size,
    show: (lines: readonly string[]) => update(lines.join("\n")),
    done: () => update.done(),
  };
}

/** q, Q, Ctrl-C and Ctrl-D. */
const quitKeys = new Set([0x71, 0x51, 0x03, 0x04]);

/** Keys without Enter need the terminal in raw mode, in which Ctrl-C is a key too. */
function listenForQuit(quit: () => void): () => void {
  const { stdin, stdout } = process;
  const onKey = (keys: Buffer) => {
    if (keys.some((key) => quitKeys.has(key))) quit();
  };
  // A reader that went away, such as `head`, is a reason to end and no error.
  const onError = (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") quit();
    else throw error;
  };
  const isRaw = stdin.isTTY === true && stdout.isTTY === true;
  if (isRaw) {
    stdin.setRawMode(true);
    stdin.on("data", onKey);
  }
  process.on("SIGINT", quit);
  process.on("SIGTERM", quit);
  process.on("SIGHUP", quit);
  stdout.on("error", onError);
  return () => {
    if (isRaw) {
      stdin.setRawMode(false);
      stdin.off("data", onKey);
      stdin.pause();
    }
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.off(signal, quit);
  };
}
