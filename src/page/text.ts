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

/** A size for people, in powers of 1024. */
export function bytes(count: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const at = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(1, count)) / 10));
  return `${(count / 1024 ** at).toFixed(at === 0 ? 0 : 1)} ${units[at]}`;
}

/** Seconds and the rest of a moment on the reader's clock. */
export function clock(atMs: number): string {
  return new Date(atMs).toLocaleTimeString();
}

/** The short form of a digest, enough to ask for it. */
export function shortDigest(action: string): string {
  return action.replace(/^[a-z0-9]+:/, "").slice(0, 12);
}
