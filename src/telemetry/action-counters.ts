// Notes as figures: what `builder remote status` shows beside the core's own view.

import type { Note } from "../core/note.ts";

/** Running totals since the node started. */
export interface ActionCounters {
  /** Actions that ended with a result, cached answers not included. */
  readonly ended: number;
  /** Those of them whose command exited with 0. */
  readonly succeeded: number;
  /** Actions that the mesh itself could not run. */
  readonly failed: number;
  /** Sum of the commands' wall times in ms. */
  readonly runMs: number;
  /** Action-cache questions by Execute calls and clients, and how many had an answer. */
  readonly cacheLookups: number;
  readonly cacheHits: number;
}

/** Keeps the totals; feed it every note and every cache lookup. */
export function createActionCounters(): {
  onNote(note: Note): void;
  onCacheLookup(hit: boolean): void;
  read(): ActionCounters;
} {
  const total = { ended: 0, succeeded: 0, failed: 0, runMs: 0, cacheLookups: 0, cacheHits: 0 };
  return {
    onNote: (note) => {
      if (note.name === "action-refused") total.failed += 1;
      if (note.name !== "action-done") return;
      total.ended += 1;
      total.runMs += note.runMs;
      if (note.exitCode === 0) total.succeeded += 1;
    },
    onCacheLookup: (hit) => {
      total.cacheLookups += 1;
      if (hit) total.cacheHits += 1;
    },
    read: () => ({ ...total }),
  };
}
