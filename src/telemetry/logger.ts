// Log lines, one an event: for people the level first, as in `[INFO] …`, for programs JSON.

import { tokenKey } from "../core/action.ts";
import type { Note } from "../core/note.ts";

/** Levels: `error` the user must act, `warn` may need to, `info` life cycle, `debug` per action. */
export type Level = "error" | "warn" | "info" | "debug";

/**
 * Takes one event. Messages are whole sentences or labels, never secrets. An event of the core
 * comes with its note, which programs read better than sentences.
 */
export type Log = (level: Level, message: string, note?: Note) => void;

/** `pretty`: lines for people; `json`: an object a line. */
export type LogFormat = (typeof logFormats)[number];

/** How lines look and what they say besides. */
export interface LogOptions {
  readonly format: LogFormat;
  /** Who speaks, for programs: a node's or worker's name; left out where undefined. */
  readonly node?: string | undefined;
  /** Unix ms; for programs. */
  readonly now: () => number;
}

const rank: Readonly<Record<Level, number>> = { error: 0, warn: 1, info: 2, debug: 3 };

/** The levels in the order of `--log-level`. */
export const levels = ["error", "warn", "info", "debug"] as const;

/** The formats in the order of `--log-format`. */
export const logFormats = ["pretty", "json"] as const;

const forPeople: LogOptions = { format: "pretty", now: Date.now };

/** A log that writes lines of `level` and more urgent ones; control characters are escaped. */
export function createLog(
  write: (line: string) => void,
  level: Level,
  options: LogOptions = forPeople,
): Log {
  const line = options.format === "json" ? jsonLine : prettyLine;
  return (at, message, note) => {
    if (rank[at] <= rank[level]) write(line(options, at, message, note));
  };
}

function prettyLine(_: LogOptions, level: Level, message: string): string {
  return `[${level.toUpperCase()}] ${printable(message)}\n`;
}

/** Of a note its name as `event` and its fields; a token is one text, as in the sentences. */
function jsonLine(
  { node, now }: LogOptions,
  level: Level,
  message: string,
  note: Note | undefined,
): string {
  const { name: event, ...fields } = note ?? { name: undefined };
  const texts = "token" in fields ? { ...fields, token: tokenKey(fields.token) } : fields;
  const time = new Date(now()).toISOString();
  const json = JSON.stringify({ time, level, node, event, message, ...texts });
  // What JSON leaves as it is and a terminal would still obey.
  return `${json.replaceAll(/[\u007f-\u009f]/g, escaped)}\n`;
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

/**
 * Text from outside made safe for a terminal or a page: control characters other than tab, and
 * those that turn the direction of what follows, are escaped.
 */
export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: finding them is the purpose
  const unsafe = /[\0-\x08\x0a-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;
  return text.replaceAll(unsafe, (character) => {
    const code = character.charCodeAt(0);
    const hex = code.toString(16);
    return code > 0xff ? `\\u{${hex}}` : `\\x${hex.padStart(2, "0")}`;
  });
}
