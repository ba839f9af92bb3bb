// Notes as log lines: the core says what happened, this file says it in words.

import { tokenKey } from "../core/action.ts";
import type { Note } from "../core/note.ts";
import type { Level } from "./logger.ts";

/** The level and the sentence of a note. */
export function describeNote(note: Note): { readonly level: Level; readonly text: string } {
  switch (note.name) {
    case "worker-linked":
      return { level: "info", text: `${note.worker} joined with ${note.slots} slots` };
    case "worker-lost":
      return note.actions === 0
        ? { level: "info", text: `${note.worker} left` }
        : {
            level: "warn",
            text: `${note.worker} is gone; ${note.actions} of its actions run elsewhere`,
          };
    case "worker-draining":
      return { level: "info", text: `${note.worker} is draining` };
    case "worker-launching":
      return {
        level: note.delayMs > 0 ? "info" : "debug",
        text: `Starting worker-${note.slot}${note.delayMs > 0 ? ` after ${note.delayMs} ms` : ""}`,
      };
    case "worker-ended":
      return { level: "warn", text: `worker-${note.slot} ended: ${note.why}` };
    case "action-refused":
      return {
        level: "warn",
        text: `Action ${tokenKey(note.token)} failed: ${note.failure.message}`,
      };
    case "action-retried":
      return { level: "warn", text: `Action ${tokenKey(note.token)} is retried: ${note.why}` };
    case "lease-expired":
      return {
        level: "warn",
        text: `${note.peer} did not renew action ${tokenKey(note.token)} in time`,
      };
    case "action-accepted":
      return { level: "debug", text: `Action ${note.action} accepted as ${tokenKey(note.token)}` };
    case "action-merged":
      return { level: "debug", text: `Action ${note.action} merged into ${tokenKey(note.token)}` };
    case "action-offered":
      return { level: "debug", text: `Action ${tokenKey(note.token)} offered to ${note.peers}` };
    case "action-bound":
      return {
        level: "debug",
        text: `Action ${tokenKey(note.token)} runs on ${note.peer} after ${note.waitMs} ms`,
      };
    case "action-done":
      return {
        level: "debug",
        text: `Action ${tokenKey(note.token)} ended in ${note.runMs} ms, exit ${note.exitCode ?? "none"}`,
      };
  }
}
