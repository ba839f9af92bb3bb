// The last minutes of a node, second by second, for throughput and the small curves of `watch`.

import type { Note } from "../core/note.ts";

/** One second: what ended in it, and what waited and ran at its end. */
export interface Beat {
  readonly ended: number;
  readonly lookups: number;
  readonly hits: number;
  readonly queued: number;
  readonly running: number;
}

/** Seconds that are kept. */
export const beatsKept = 120;

/**
 * Counts by the second; feed it every note and cache lookup. `counts` says what waits and runs, and
 * `now` is a clock in ms that never goes back.
 */
export function createBeats(deps: {
  readonly now: () => number;
  readonly counts: () => { readonly queued: number; readonly running: number };
}): {
  onNote(note: Note): void;
  onCacheLookup(hit: boolean): void;
  /** The last seconds, the present one last; at most `beatsKept`. */
  read(): readonly Beat[];
} {
  const beats: { -readonly [K in keyof Beat]: Beat[K] }[] = [];
  let second = Math.floor(deps.now() / 1000);

  /** The present second; those in which nothing happened are filled in. */
  function present() {
    const at = Math.floor(deps.now() / 1000);
    const passed = Math.min(at - second, beatsKept);
    const before = beats.at(-1) ?? { queued: 0, running: 0 };
    if (passed > 0 || beats.length === 0) {
      const { queued, running } = before;
      for (let one = 0; one < Math.max(1, passed); one += 1) {
        beats.push({ ended: 0, lookups: 0, hits: 0, queued, running });
      }
      beats.splice(0, beats.length - beatsKept);
      second = Math.max(at, second);
    }
    return beats.at(-1);
  }

  function count(change: (beat: { -readonly [K in keyof Beat]: Beat[K] }) => void): void {
    const beat = present();
    if (beat !== undefined) change(beat);
  }

  return {
    onNote: (note) => {
      if (!note.name.startsWith("action-")) return;
      count((beat) => {
        if (note.name === "action-done") beat.ended += 1;
        Object.assign(beat, deps.counts());
      });
    },
    onCacheLookup: (hit) =>
      count((beat) => {
        beat.lookups += 1;
        if (hit) beat.hits += 1;
      }),
    read: () => {
      present();
      return beats.map((beat) => ({ ...beat }));
    },
  };
}
