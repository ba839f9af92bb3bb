// Figures and names as text.

import { formatMs } from "../telemetry/duration.ts";
import { printable } from "../telemetry/logger.ts";

/** A name from outside: control and direction characters are shown, not obeyed. */
export function name(text: string): string {
  return printable(text);
}

/** A share in percent; a dash where there is nothing to take a share of. */
export function share(part: number, whole: number, digits = 0): string {
  return whole === 0 ? "-" : `${((100 * part) / whole).toFixed(digits)}%`;
}

/** A time for people; a dash for none. */
export function time(ms: number | undefined): string {
  return ms === undefined ? "-" : formatMs(ms);
}

/** Seconds and the rest of a moment on the reader's clock. */
export function clock(atMs: number): string {
  return new Date(atMs).toLocaleTimeString();
}

/** The short form of a digest, enough to ask for it. */
export function shortDigest(action: string): string {
  return action.replace(/^[a-z0-9]+:/, "").slice(0, 12);
}
