// Where a build's time went: made of its events, shown by the command line and by trace viewers.

import { phaseMs } from "../wire/execution-times.ts";
import type { BuildEvent } from "./build-event.ts";

/** An action of the build, as its event told it. */
export type ProfiledAction = Extract<BuildEvent, { kind: "action" }>;

/** An action that was executed in this build. */
export type ExecutedNow = ProfiledAction & {
  readonly times: NonNullable<ProfiledAction["times"]>;
};

/** Names of phases in their order. `wait` is for a slot, `return` until the result was here. */
export const profilePhases = ["wait", "fetch", "set-up", "run", "upload", "return"] as const;

/** One of them. */
export type ProfilePhase = (typeof profilePhases)[number];

/** Where the time went; all times in ms. */
export interface BuildProfile {
  /** Unix ms. */
  readonly startMs: number;
  readonly endMs: number;
  readonly executed: readonly ExecutedNow[];
  /** Answered from the action cache, or known from the last build. */
  readonly reused: readonly ProfiledAction[];
  /** Summed over all executed actions. */
  readonly phases: Readonly<Record<ProfilePhase, number>>;
  /** What the build had to wait for, in the order in which it ran: each needs the one before. */
  readonly criticalPath: readonly ExecutedNow[];
  /** Commands that ran at once, on average over the build and at most. */
  readonly parallelism: { readonly mean: number; readonly most: number };
  /** The longest commands first. */
  readonly slowest: readonly ExecutedNow[];
  /** How long the commands had run whose results were reused. */
  readonly savedMs: number;
}

/** Bound: actions among the slowest. */
const slowestMax = 10;

/** Makes a profile of the events of one build, which began at `startMs` and ended at `endMs`. */
export function profileOf(
  events: readonly BuildEvent[],
  startMs: number,
  endMs: number,
): BuildProfile {
  const actions = events.filter((event) => event.kind === "action");
  const executed = actions.filter(isExecuted);
  const reused = actions.filter(({ how }) => how !== "ran");
  return {
    startMs,
    endMs,
    executed,
    reused,
    phases: sumPhases(executed),
    criticalPath: criticalPathOf(executed),
    parallelism: parallelismOf(executed, endMs - startMs),
    slowest: [...executed].sort((a, b) => ranMs(b) - ranMs(a)).slice(0, slowestMax),
    savedMs: reused.reduce((sum, { runMs = 0 }) => sum + runMs, 0),
  };
}

/** How long each phase of an action took. Without a word of its worker all of it is `run`. */
export function phasesOf({ times }: ExecutedNow): Readonly<Record<ProfilePhase, number>> {
  const { sentMs, work, doneMs } = times;
  if (work === undefined) {
    return { wait: 0, fetch: 0, "set-up": 0, run: doneMs - sentMs, upload: 0, return: 0 };
  }
  return { wait: work.startMs - sentMs, ...phaseMs(work), return: doneMs - work.endMs };
}

/** From when to when a worker had it. */
export function workOf({ times }: ExecutedNow): {
  readonly startMs: number;
  readonly endMs: number;
} {
  return times.work ?? { startMs: times.sentMs, endMs: times.doneMs };
}

function isExecuted(action: ProfiledAction): action is ExecutedNow {
  return action.times !== undefined;
}

function ranMs(action: ExecutedNow): number {
  return phasesOf(action).run;
}

function sumPhases(executed: readonly ExecutedNow[]): Record<ProfilePhase, number> {
  const total = { wait: 0, fetch: 0, "set-up": 0, run: 0, upload: 0, return: 0 };
  for (const action of executed) {
    const own = phasesOf(action);
    for (const phase of profilePhases) total[phase] += own[phase];
  }
  return total;
}

/**
 * From the action that ended last back to whichever of its inputs came last, and so on: had one of
 * these been quicker, the build would have been.
 */
function criticalPathOf(executed: readonly ExecutedNow[]): ExecutedNow[] {
  const byId = new Map<string, ExecutedNow>();
  // Of several attempts the last one made what others need.
  for (const action of executed) byId.set(action.id, action);
  const path: ExecutedNow[] = [];
  let next = latest(executed);
  while (next !== undefined && byId.delete(next.id)) {
    path.push(next);
    next = latest((next.needs ?? []).flatMap((id) => byId.get(id) ?? []));
  }
  return path.reverse();
}

function latest(actions: readonly ExecutedNow[]): ExecutedNow | undefined {
  return actions.reduce<ExecutedNow | undefined>(
    (last, one) => (last === undefined || one.times.doneMs > last.times.doneMs ? one : last),
    undefined,
  );
}

function parallelismOf(executed: readonly ExecutedNow[], wallMs: number) {
  const changes = executed.flatMap((action) => {
    const { startMs, endMs } = commandOf(action);
    return endMs > startMs
      ? [
          { atMs: startMs, by: 1 },
          { atMs: endMs, by: -1 },
        ]
      : [];
  });
  changes.sort((a, b) => a.atMs - b.atMs || a.by - b.by);
  let [now, most, busyMs, beforeMs] = [0, 0, 0, 0];
  for (const { atMs, by } of changes) {
    busyMs += now * (atMs - beforeMs);
    now += by;
    beforeMs = atMs;
    most = Math.max(most, now);
  }
  return { mean: wallMs > 0 ? busyMs / wallMs : 0, most };
}

/** When its command ran. */
function commandOf({ times: { sentMs, work, doneMs } }: ExecutedNow) {
  return work === undefined
    ? { startMs: sentMs, endMs: doneMs }
    : { startMs: work.laidOutMs, endMs: work.ranMs };
}
