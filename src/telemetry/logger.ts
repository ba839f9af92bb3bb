// Log lines for people: one line an event, the level first, as in `[INFO] …`.

/** Levels: `error` the user must act, `warn` may need to, `info` life cycle, `debug` per action. */
export type Level = "error" | "warn" | "info" | "debug";

/** Takes one event. Messages are whole sentences or labels, never secrets. */
export type Log = (level: Level, message: string) => void;

const rank: Readonly<Record<Level, number>> = { error: 0, warn: 1, info: 2, debug: 3 };

/** The levels in the order of `--log-level`. */
export const levels = ["error", "warn", "info", "debug"] as const;

/** A log that writes lines of `level` and more urgent ones; control characters are escaped. */
export function createLog(write: (line: string) => void, level: Level): Log {
  return (at, message) => {
    if (rank[at] > rank[level]) return;
    write(`[${at.toUpperCase()}] ${printable(message)}\n`);
  };
}

/** Text from outside made safe for a terminal: other control characters than tab are escaped. */
export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: finding them is the purpose
  return text.replaceAll(/[\u0000-\u0008\u000a-\u001f\u007f-\u009f]/g, (character) => {
    return `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`;
  });
}
