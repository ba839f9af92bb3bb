// A machine that was started to be a worker ends itself: where it cannot join in time, and where it
// is left alone with nothing to do. Nobody else may be there to end it.

import { failureOf, MeshError } from "../core/error.ts";

/** What such a machine was told. */
export interface BootLimits {
  /** It joins within so many ms, or ends; undefined: it tries once. */
  readonly joinWithinMs: number | undefined;
  /** It ends after so many ms without another host and without work; undefined: it stays. */
  readonly aloneMsMax: number | undefined;
}

/** The exit code of a machine that ended itself for one of these reasons. */
export const endedItselfCode = 4;

/** The error of a machine that could not join in time; its message says why. */
export class NotJoinedError extends MeshError {}

/** Between two tries, in ms. */
const retryMs = 2_000;
/** How often it is looked whether anybody is there, in ms. */
const lookMs = 1_000;

/** What time is, and how it passes. */
export interface Clock {
  readonly now: () => number;
  readonly sleep: (ms: number) => Promise<void>;
}

/**
 * Joins, and tries again while nobody answers. NotJoinedError where the time is over, or where
 * another try would end alike.
 */
export async function joinInTime<T>(
  join: () => Promise<T>,
  { joinWithinMs }: BootLimits,
  { now, sleep }: Clock,
): Promise<T> {
  if (joinWithinMs === undefined) return join();
  const untilMs = now() + joinWithinMs;
  for (;;) {
    try {
      return await join();
    } catch (error) {
      const { code, message } = failureOf(error);
      const mayChange = code === "UNAVAILABLE" || code === "DEADLINE_EXCEEDED";
      if (mayChange && now() + retryMs < untilMs) await sleep(retryMs);
      else throw new NotJoinedError(code, `This machine did not join and ends: ${message}`);
    }
  }
}

/** Resolves once it has been alone and idle for so long without a break; never without a limit. */
export async function aloneForLong(
  isAloneAndIdle: () => boolean,
  { aloneMsMax }: BootLimits,
  { now, sleep }: Clock,
): Promise<void> {
  if (aloneMsMax === undefined) return new Promise(() => undefined);
  let sinceMs = now();
  while (now() - sinceMs < aloneMsMax) {
    await sleep(lookMs);
    if (!isAloneAndIdle()) sinceMs = now();
  }
}
