// The actions of a real build as sleeps: how long each ran and what it waited for.

import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { recordedDurationsMs } from "../simulations/recorded-durations.ts";

/** One action: it sleeps for `ms` once those of `deps`, places in the same list, have ended. */
export interface TracedAction {
  readonly ms: number;
  readonly deps: readonly number[];
}

/** How a trace is fitted to the machine that plays it. */
export interface TraceFit {
  /** Of so many actions one is kept; what waited for a left-out one waits for what that awaited. */
  readonly every: number;
  /** Durations are so many times as long as recorded. */
  readonly stretch: number;
}

interface RecordedAction {
  readonly ms: number;
  readonly deps: readonly number[];
}

/** Reads `file`, a gzipped JSON of `actions`; without one, durations of a real build, no graph. */
export function readTrace(file: string | undefined, { every, stretch }: TraceFit): TracedAction[] {
  const recorded = file === undefined ? withoutGraph() : parse(file);
  const places = new Map<number, number>();
  const awaited: number[][] = [];
  const kept: TracedAction[] = [];
  for (const [at, { ms, deps }] of recorded.entries()) {
    const own = new Set(deps.flatMap((dep) => awaited[dep] ?? []));
    const isKept = at % every === 0;
    awaited.push(isKept ? [at] : [...own]);
    if (!isKept) continue;
    places.set(at, kept.length);
    kept.push({ ms: ms * stretch, deps: [...own].flatMap((dep) => places.get(dep) ?? []) });
  }
  return kept;
}

/** Least time in ms in which so many slots can run it: max(T1/P, the longest chain). */
export function lowerBoundMs(actions: readonly TracedAction[], slots: number): number {
  const ends: number[] = [];
  for (const { ms, deps } of actions) {
    ends.push(ms + Math.max(0, ...deps.map((dep) => ends[dep] ?? 0)));
  }
  const workMs = actions.reduce((sum, { ms }) => sum + ms, 0);
  return Math.max(workMs / slots, ...ends);
}

/** The makespan in ms of slots that lose no time, take the longest first and know no chains. */
export function idealMs(actions: readonly TracedAction[], slots: number): number {
  const left = actions.map(({ deps }) => deps.length);
  const ready = actions.filter(({ deps }) => deps.length === 0);
  const waiters = new Map<TracedAction, number[]>();
  for (const [at, { deps }] of actions.entries()) {
    for (const dep of deps) {
      const action = actions[dep];
      if (action !== undefined) waiters.set(action, [...(waiters.get(action) ?? []), at]);
    }
  }
  const running: { readonly endMs: number; readonly action: TracedAction }[] = [];
  let nowMs = 0;
  for (;;) {
    ready.sort((a, b) => b.ms - a.ms);
    for (const action of ready.splice(0, slots - running.length)) {
      running.push({ endMs: nowMs + action.ms, action });
    }
    running.sort((a, b) => b.endMs - a.endMs);
    const ended = running.pop();
    if (ended === undefined) return nowMs;
    nowMs = ended.endMs;
    for (const at of waiters.get(ended.action) ?? []) {
      left[at] = (left[at] ?? 0) - 1;
      const action = actions[at];
      if (left[at] === 0 && action !== undefined) ready.push(action);
    }
  }
}

function withoutGraph(): RecordedAction[] {
  return recordedDurationsMs.map((ms) => ({ ms, deps: [] }));
}

function parse(file: string): RecordedAction[] {
  const read: unknown = JSON.parse(gunzipSync(readFileSync(file)).toString());
  const found = typeof read === "object" && read !== null && "actions" in read && read.actions;
  if (!Array.isArray(found)) throw new Error(`${file} holds no list of actions.`);
  return found.map((action: { ms?: unknown; deps?: unknown }, at) => {
    const { ms, deps } = action;
    const isRight = typeof ms === "number" && Array.isArray(deps) && deps.every((dep) => dep < at);
    if (!isRight) throw new Error(`${file}: action ${at} has no ms, or waits for a later one.`);
    return { ms, deps };
  });
}
