// All that follows a node's notes, in the order in which it must hear them.

import type { Note } from "../core/note.ts";
import type { LookUp } from "../ingress/toolchain-scope.ts";
import { createActionCounters } from "../telemetry/action-counters.ts";
import { type ActionRecorder, createActionRecorder } from "../telemetry/action-recorder.ts";
import { createBeats } from "../telemetry/beats.ts";
import { createLogRing, keptLog, type LogRing } from "../telemetry/log-ring.ts";
import type { Level, Log } from "../telemetry/logger.ts";
import { createReuse, type Reuse } from "../telemetry/reuse.ts";
import { createWorkerTimes } from "../telemetry/worker-times.ts";

/** What a node remembers of what happened. */
export interface Watched {
  readonly recorder: ActionRecorder;
  readonly counters: ReturnType<typeof createActionCounters>;
  readonly times: ReturnType<typeof createWorkerTimes>;
  readonly beats: ReturnType<typeof createBeats>;
  readonly reuse: Reuse;
  readonly ring: LogRing;
  /** Writes a line and keeps it. */
  readonly log: Log;
  onNote(note: Note): void;
  onLookUp(look: LookUp): void;
}

/** Begins to watch; of the log what is at least as urgent as `level` is kept. */
export function createWatched(
  deps: { readonly log: Log; readonly now: () => number },
  level: Level,
): Watched {
  const ring = createLogRing(deps.now);
  const recorder = createActionRecorder(deps);
  const counters = createActionCounters();
  const times = createWorkerTimes();
  const reuse = createReuse();
  const beats = createBeats({ now: () => performance.now(), counts: recorder.counts });
  return {
    ...{ recorder, counters, times, beats, reuse, ring, log: keptLog(deps.log, ring, level) },
    onNote: (note) => {
      counters.onNote(note);
      recorder.onNote(note);
      times.onNote(note);
      // It counts what the recorder has after the note.
      beats.onNote(note);
    },
    onLookUp: ({ hit, invocation, savedMs }) => {
      if (hit) reuse.count(invocation, savedMs);
      counters.onCacheLookup(hit);
      beats.onCacheLookup(hit);
    },
  };
}
