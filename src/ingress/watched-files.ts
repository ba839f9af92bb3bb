// What was read from files, and is read again when they change: tokens taken back and renewed
// certificates count without a restart.

import { statSync } from "node:fs";
import { failureOf } from "../core/error.ts";
import type { Log } from "../telemetry/logger.ts";

/** Something that comes from files. */
export interface Watched<T> {
  /** The value as of the last time that the files made sense; looks at them when it is time. */
  latest(): T;
}

/** Which files, and how they become a value. */
export interface WatchOptions<T> {
  readonly paths: readonly string[];
  /** What people call the value, for the log: `tokens`. */
  readonly name: string;
  /** A change is noticed after this time at the earliest, in ms. */
  readonly lookEveryMs: number;
  /** Throws where the files make no sense. */
  readonly read: () => T;
}

/**
 * Reads now, and throws what `read` throws. Later failures leave the earlier value in force, and
 * are logged once per change: whoever took a token back must hear that it still counts.
 */
export function watchFiles<T>(
  deps: { readonly now: () => number; readonly log: Log },
  options: WatchOptions<T>,
): Watched<T> {
  const { paths, name, lookEveryMs, read } = options;
  // Looked at before it is read: a change in between shows up as a change.
  let seen = traits(paths);
  let lookedMs = deps.now();
  let value = read();

  function look(): void {
    lookedMs = deps.now();
    const found = traits(paths);
    if (found === seen) return;
    seen = found;
    try {
      value = read();
      deps.log("info", `The ${name} have changed and were read again.`);
    } catch (error) {
      const { message } = failureOf(error);
      deps.log("warn", `The ${name} have changed but the earlier ones stay in force: ${message}`);
    }
  }

  return {
    latest: () => {
      // A clock that was set back must not keep a token alive that was taken back.
      if (Math.abs(deps.now() - lookedMs) >= lookEveryMs) look();
      return value;
    },
  };
}

/** Changes whenever a file does, also where its time of modification was kept. */
function traits(paths: readonly string[]): string {
  return paths.map(traitsOf).join("\n");
}

function traitsOf(path: string): string {
  try {
    const { dev, ino, size, mode, mtimeMs, ctimeMs } = statSync(path);
    return [dev, ino, size, mode, mtimeMs, ctimeMs].join(" ");
  } catch {
    return "unreadable";
  }
}
