// An invitation as people take it along: a line to paste, and a QR code for cameras.

import { renderUnicodeCompact } from "uqr";

/** The command to run on the other machine, indented; with `qr` the link as a picture below it. */
export function renderInvitation(link: string, qr: boolean): string {
  const line = `  builder join '${link}'\n`;
  return qr ? `${line}\n${renderUnicodeCompact(link, { border: 2 })}\n` : line;
}

/** A span of time as people say it before: `90m`, `24h`, `7d`. */
export function formatSpan(ms: number): string {
  const minutes = Math.max(1, Math.round(ms / 60_000));
  if (minutes < 120) return `${minutes}m`;
  const hours = Math.round(minutes / 60);
  return hours < 72 ? `${hours}h` : `${Math.round(hours / 24)}d`;
}
