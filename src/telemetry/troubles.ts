// What looks wrong at a node, in sentences that name the machine and the next thing to look at.
// Nothing here is exact: a trouble is a reason to look, so each wants a clear difference.

import { formatMs } from "./duration.ts";
import type { Waits } from "./explain-action.ts";
import type { WorkerTimes } from "./worker-times.ts";

/** A link to another node, as measured. */
export interface LinkFigures {
  readonly name: string;
  readonly rttMs: number | undefined;
  readonly rttWorstMs: number | undefined;
  readonly asked: number;
  readonly late: number;
}

/** What is judged. */
export interface JudgedFigures {
  readonly times: readonly WorkerTimes[];
  readonly links: readonly LinkFigures[];
  readonly waits: readonly Waits[];
  /** How late timers of this process are, ms. */
  readonly lagMs: number;
  /** Reasons of late failures without a result, with how many there were. */
  readonly failures: readonly { readonly message: string; readonly count: number }[];
}

/** From where on something is a trouble. */
const limits = {
  /** Actions of a worker before its times count. */
  ended: 5,
  /** Times in ms that are never too long. */
  partMs: 100,
  linkMs: 50,
  lagMs: 250,
  waitMs: 5000,
  /** So many times what is usual elsewhere. */
  ratio: 5,
  /** Answers of a link before it is judged, and the share of late ones that is bad. */
  asked: 3,
  lateShare: 0.1,
};

/** Bound: sentences. */
export const troublesMax = 20;

/** The troubles, what stops work first. */
export function troublesOf(figures: JudgedFigures): string[] {
  return [
    ...figures.failures.map(failureTrouble),
    ...figures.waits.flatMap(waitTrouble),
    ...linkTroubles(figures.links),
    ...diskTroubles(figures.times),
    ...fetchTroubles(figures.times),
    ...lossTroubles(figures.times),
    ...lagTrouble(figures.lagMs),
  ].slice(0, troublesMax);
}

function failureTrouble({ message, count }: JudgedFigures["failures"][number]): string {
  const what = count === 1 ? "An action could" : `${count} actions could`;
  return `${what} not be run of late: ${message}`;
}

function waitTrouble({ reason, count, longestMs }: Waits): string[] {
  if (longestMs < limits.waitMs || reason === "about to start" || reason === "slots are taken") {
    return [];
  }
  const what = count === 1 ? "An action waits" : `${count} actions wait`;
  const look = "`builder remote actions --queued` lists them, `builder remote why` tells more.";
  return [`${what} up to ${formatMs(longestMs)} because ${reason}. ${look}`];
}

function linkTroubles(links: readonly LinkFigures[]): string[] {
  const judged = links.filter(({ asked }) => asked >= limits.asked);
  // A host that has just joined knows one link first, and would blame it for its own line.
  const isKnown = judged.length === links.length;
  return judged.flatMap((link) => {
    const { name, rttMs, rttWorstMs, asked, late } = link;
    const others = judged.flatMap((other) =>
      other === link || other.rttMs === undefined ? [] : [other.rttMs],
    );
    const usualMs = Math.max(limits.linkMs, limits.ratio * median(others));
    const isSlow = isKnown && (rttMs ?? 0) > usualMs;
    if (!isSlow && late < limits.lateShare * asked) return [];
    const times =
      rttMs === undefined ? "does not answer" : `takes ${formatMs(rttMs)} there and back`;
    const worst = rttWorstMs === undefined ? "" : `, at worst ${formatMs(rttWorstMs)}`;
    const share = late === 0 ? "" : `, ${late} of ${asked} answers late`;
    const usual = others.length === 0 ? "" : `; other links take ${formatMs(median(others))}`;
    return [`The link to ${name} ${times}${worst}${share}${usual}: a bad line.`];
  });
}

function diskTroubles(times: readonly WorkerTimes[]): string[] {
  return outliers(times, ({ setUp }) => setUp.p50Ms).map(({ one, usualMs }) => {
    const { worker, setUp, store } = one;
    return (
      `${worker} takes ${formatMs(setUp.p50Ms)} to lay out inputs and ${formatMs(store.p50Ms)} ` +
      `to store outputs, others ${formatMs(usualMs)}: a slow disk.`
    );
  });
}

function fetchTroubles(times: readonly WorkerTimes[]): string[] {
  // Who fetches nothing is of the host that has it all, and nothing to compare with.
  const fetching = times.filter(({ fetch }) => fetch.p95Ms > 0);
  return outliers(fetching, ({ fetch }) => fetch.p50Ms).map(
    ({ one: { worker, fetch }, usualMs }) =>
      `${worker} takes ${formatMs(fetch.p50Ms)} to fetch inputs, others ${formatMs(usualMs)}: ` +
      "its line is slow, or it lacks what the others have.",
  );
}

function lossTroubles(times: readonly WorkerTimes[]): string[] {
  return times.flatMap(({ worker, lost }) => {
    if (lost === 0) return [];
    const what = lost === 1 ? "an action" : `${lost} actions`;
    return [`${worker} went away with ${what}: \`builder remote logs\` may say why.`];
  });
}

function lagTrouble(lagMs: number): string[] {
  if (lagMs < limits.lagMs) return [];
  return [`This node is held up for ${formatMs(lagMs)} at a time: its machine is overloaded.`];
}

/** Workers that are far slower than half of the others. */
function outliers(times: readonly WorkerTimes[], part: (of: WorkerTimes) => number) {
  const judged = times.filter(({ ended }) => ended >= limits.ended);
  return judged.flatMap((one) => {
    const others = judged.filter((other) => other !== one);
    if (others.length === 0) return [];
    const usualMs = median(others.map(part));
    const isSlow = part(one) > Math.max(limits.partMs, limits.ratio * usualMs);
    return isSlow ? [{ one, usualMs }] : [];
  });
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? 0;
}
