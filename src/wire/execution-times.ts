// When each phase of an action was, by the clock of its worker, from its result's metadata; and the
// same by another clock.

import type { ExecutedActionMetadata } from "./gen/build/bazel/remote/execution/v2/remote_execution.ts";
import { fromTimestamp } from "./reapi.ts";

/** Ends of phases, Unix ms, none before the one above it. */
export interface ExecutionTimes {
  /** A worker began with it. */
  readonly startMs: number;
  /** Its inputs were on the worker's host. */
  readonly fetchedMs: number;
  /** They were laid out and the sandbox could start. */
  readonly laidOutMs: number;
  /** The command had ended. */
  readonly ranMs: number;
  /** Its outputs were stored. */
  readonly endMs: number;
}

/** The phases in their order; each ends where the next begins. */
export const phases = ["fetch", "set-up", "run", "upload"] as const;

/** The times that a result tells; undefined where it tells none, as of cached answers of others. */
export function readExecutionTimes(
  metadata: ExecutedActionMetadata | undefined,
): ExecutionTimes | undefined {
  const startMs = fromTimestamp(metadata?.workerStartTimestamp);
  const endMs = fromTimestamp(metadata?.workerCompletedTimestamp);
  if (startMs === undefined || endMs === undefined || endMs < startMs) return undefined;
  let latest = startMs;
  const next = (told: number | undefined) => {
    latest = Math.min(endMs, Math.max(latest, told ?? latest));
    return latest;
  };
  return {
    startMs,
    fetchedMs: next(fromTimestamp(metadata?.inputFetchCompletedTimestamp)),
    laidOutMs: next(fromTimestamp(metadata?.executionStartTimestamp)),
    ranMs: next(fromTimestamp(metadata?.executionCompletedTimestamp)),
    endMs,
  };
}

/** How long each phase took, in ms. */
export function phaseMs(times: ExecutionTimes): Readonly<Record<(typeof phases)[number], number>> {
  return {
    fetch: times.fetchedMs - times.startMs,
    "set-up": times.laidOutMs - times.fetchedMs,
    run: times.ranMs - times.laidOutMs,
    upload: times.endMs - times.ranMs,
  };
}

/**
 * The same times by the clock of whoever waited from `fromMs` to `toMs`. Clocks of two machines
 * differ: times that do not fit are moved as one so that what is left lies half before, half after
 * (as NTP does with a question and its answer); what is longer than the wait is cut.
 */
export function fitTimes(times: ExecutionTimes, fromMs: number, toMs: number): ExecutionTimes {
  const spanMs = times.endMs - times.startMs;
  const fits = times.startMs >= fromMs && times.endMs <= toMs;
  const byMs = fits ? 0 : fromMs + Math.max(0, toMs - fromMs - spanMs) / 2 - times.startMs;
  const moved = (ms: number) => Math.round(Math.min(Math.max(ms + byMs, fromMs), toMs));
  return {
    startMs: moved(times.startMs),
    fetchedMs: moved(times.fetchedMs),
    laidOutMs: moved(times.laidOutMs),
    ranMs: moved(times.ranMs),
    endMs: moved(times.endMs),
  };
}
