// The last log lines of a node, kept so that they can be read from elsewhere.

import { type Level, type Log, levels } from "./logger.ts";

/** One line. */
export interface LogLine {
  /** Counts the lines of this node from 1. */
  readonly seq: number;
  /** Unix ms. */
  readonly atMs: number;
  readonly level: Level;
  readonly text: string;
}

/** Bounds: lines kept, and characters of one; a longer one is cut. */
export const logRingBounds = { lines: 2000, chars: 2000 };

/** A bounded memory of log lines. */
export interface LogRing {
  add(level: Level, text: string): void;
  /**
   * Lines after `seq`, the oldest first, at most `limit`; 0 with `limit`: the last so many. Only
   * those that `isMeant`.
   */
  after(seq: number, limit: number, isMeant?: (line: LogLine) => boolean): readonly LogLine[];
}

/** Makes an empty one. */
export function createLogRing(now: () => number): LogRing {
  const lines: LogLine[] = [];
  let seq = 0;
  return {
    add: (level, text) => {
      seq += 1;
      lines.push({ seq, atMs: now(), level, text: text.slice(0, logRingBounds.chars) });
      if (lines.length > logRingBounds.lines) lines.shift();
    },
    after: (from, limit, isMeant = () => true) => {
      if (from === 0) return lines.filter(isMeant).slice(-limit);
      const first = lines[0]?.seq ?? 1;
      return lines
        .slice(Math.max(0, from + 1 - first))
        .filter(isMeant)
        .slice(0, limit);
    },
  };
}

/** Tells lines that contain a text, whatever the case, or whose level it is; "" tells all. */
export function lineSearch(
  text: string,
): (line: { readonly level: string; readonly text: string }) => boolean {
  const wanted = text.trim().toLowerCase();
  return (line) => line.level === wanted || line.text.toLowerCase().includes(wanted);
}

/** A log that also keeps what is at least as urgent as `level`. */
export function keptLog(log: Log, ring: Pick<LogRing, "add">, level: Level): Log {
  const kept = new Set<Level>(levels.slice(0, levels.indexOf(level) + 1));
  return (at, message, note) => {
    if (kept.has(at)) ring.add(at, message);
    log(at, message, note);
  };
}

/** A line as one process of a host tells it to the one that keeps it. */
export interface LogMessage {
  readonly kind: "log";
  readonly level: Level;
  readonly text: string;
}

/** A message that is such a line; undefined for any other. */
export function readLogMessage(message: unknown): LogMessage | undefined {
  if (typeof message !== "object" || message === null) return undefined;
  const [kind, text] = [Reflect.get(message, "kind"), Reflect.get(message, "text")];
  const level = levels.find((known) => known === Reflect.get(message, "level"));
  if (kind !== "log" || level === undefined || typeof text !== "string") return undefined;
  return { kind, level, text };
}
