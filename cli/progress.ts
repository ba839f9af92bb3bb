// How far a build is: what its events add up to, and the lines that show it on a terminal.

import type { BuildEvent } from "../src/build/build-event.ts";
import { formatMs } from "../src/telemetry/duration.ts";
import { cutMiddle, oneLine } from "./text-width.ts";

/** A running action. */
interface Running {
  readonly id: string;
  readonly mnemonic: string;
  readonly startedAtMs: number;
}

/** A build in progress. */
export interface Progress {
  /** Actions, 0 before that is known. */
  total: number;
  /** Ids of those that ended. */
  readonly done: Set<string>;
  /** Those whose result was known. */
  hits: number;
  failed: number;
  /** By id, oldest first. */
  readonly running: Map<string, Running>;
  /** Mnemonic → what is left of it. */
  readonly left: Map<string, { count: number; readonly expectedMs: number | undefined }>;
  /** How long what has ended would have been expected to take, all together. */
  doneExpectedMs: number;
  startedAtMs: number;
}

/** No time left is told before this much of a build has passed: the first ends say little. */
const estimateAfterMs = 1000;
/** An action of a kind that has never run here counts as much as this. */
const unknownMs = 1000;

/** A build of which nothing is known yet. */
export function newProgress(startedAtMs: number): Progress {
  return {
    total: 0,
    done: new Set(),
    hits: 0,
    failed: 0,
    running: new Map(),
    left: new Map(),
    doneExpectedMs: 0,
    startedAtMs,
  };
}

/** Takes an event in. */
export function follow(progress: Progress, event: BuildEvent, nowMs: number): void {
  if (event.kind === "planned") {
    progress.total = event.total;
    progress.startedAtMs = nowMs;
    for (const [mnemonic, kind] of Object.entries(event.kinds)) {
      progress.left.set(mnemonic, { ...kind });
    }
  }
  if (event.kind === "started") {
    const { id, mnemonic } = event;
    progress.running.set(id, { id, mnemonic, startedAtMs: nowMs });
  }
  if (event.kind !== "action") return;
  progress.running.delete(event.id);
  if (event.again || progress.done.has(event.id)) return;
  progress.done.add(event.id);
  if (event.how !== "ran") progress.hits += 1;
  if (event.exitCode !== 0 || event.failure !== "") progress.failed += 1;
  const kind = progress.left.get(event.mnemonic);
  if (kind === undefined) return;
  kind.count -= 1;
  progress.doneExpectedMs += kind.expectedMs ?? unknownMs;
}

/**
 * Time that is left in ms, or undefined where there is nothing to tell it from. What is left, in
 * remembered durations of its kinds, is taken to go as fast as what is done went: that counts cache
 * hits and parallelism without knowing of either.
 */
export function timeLeftMs(progress: Progress, nowMs: number): number | undefined {
  const passedMs = nowMs - progress.startedAtMs;
  if (passedMs < estimateAfterMs || progress.done.size === 0) return undefined;
  let leftMs = 0;
  for (const { count, expectedMs } of progress.left.values()) {
    leftMs += Math.max(0, count) * (expectedMs ?? unknownMs);
  }
  // What runs is done in part, at most in whole.
  let partMs = 0;
  for (const { mnemonic, startedAtMs } of progress.running.values()) {
    const expectedMs = progress.left.get(mnemonic)?.expectedMs ?? unknownMs;
    partMs += Math.min(expectedMs, nowMs - startedAtMs);
  }
  const doneMs = progress.doneExpectedMs + partMs;
  return doneMs <= 0 ? undefined : (Math.max(0, leftMs - partMs) * passedMs) / doneMs;
}

function timeLeftText(ms: number): string {
  return ms < 60_000 ? `${Math.ceil(ms / 1000)}s` : formatMs(ms);
}

/** The lines that show a build on a terminal of this size; none before its work is known. */
export function progressLines(
  progress: Progress,
  nowMs: number,
  size: { readonly columns: number; readonly rows: number },
): string[] {
  if (progress.total === 0) return [];
  const { running } = progress;
  const leftMs = timeLeftMs(progress, nowMs);
  const head = [
    `[${progress.done.size}/${progress.total}]`,
    [
      `${progress.hits} hit${progress.hits === 1 ? "" : "s"}`,
      ...(progress.failed > 0 ? [`${progress.failed} failed`] : []),
      `${running.size} running`,
      ...(leftMs === undefined || leftMs < 500 ? [] : [`about ${timeLeftText(leftMs)} left`]),
    ].join(", "),
  ].join(" ");
  // The last column stays free: a character there makes some terminals begin a line.
  const columns = Math.max(1, size.columns - 1);
  // A block of the terminal's whole height could not be drawn over: its top would scroll away.
  const rowsMax = Math.max(1, size.rows - 2);
  // Events come in order, and so the map is by age already.
  const all = [...running.values()];
  const shown = all.length < rowsMax ? all : all.slice(0, Math.max(0, rowsMax - 2));
  const more = all.length - shown.length;
  const lines = [
    head,
    ...shown.map(({ id, startedAtMs }) => {
      return `${formatMs(Math.max(0, nowMs - startedAtMs)).padStart(7)} ${oneLine(id)}`;
    }),
    ...(more > 0 ? [`        and ${more} more`] : []),
  ];
  return lines.slice(0, rowsMax).map((line) => cutMiddle(line, columns));
}
