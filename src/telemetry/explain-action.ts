// Why an action waits, ran where it ran, was stolen or was tried again: what the recorder and the
// mesh as it stands know, in words for people.

import type { PeerId } from "../core/action.ts";
import { noSuchWorker } from "../core/refusals.ts";
import { satisfies, type WorkerView } from "../core/roster.ts";
import { type ActionRecord, type AttemptRecord, isEnded } from "./action-recorder.ts";
import { formatMs } from "./duration.ts";

/** The surroundings of an action at its node. */
export interface Surroundings {
  readonly nowMs: number;
  /** This node. */
  readonly self: PeerId;
  /** Workers that are linked, of whatever host. */
  readonly workers: readonly WorkerView[];
  /** Whether workers of other hosts take work from here. */
  readonly workStealing: boolean;
  /** Name of a host for people. */
  readonly hostName: (peer: PeerId) => string;
  readonly unfinished: Iterable<ActionRecord>;
}

/** What a waiting action waits for. */
export type WaitReason =
  | "no worker is linked"
  | "no worker has the platform"
  | "workers are leaving"
  | "slots are taken"
  | "slots are taken by less urgent work"
  | "about to start";

/** One reason and how many wait for it. */
export interface Waits {
  readonly reason: WaitReason;
  readonly count: number;
  readonly longestMs: number;
}

/** Bound: waiting actions that are looked at for `waitsOf`, the oldest. */
const waitsLookedMax = 2000;
/** Bound: lines for those who hold slots. */
const holdersMax = 5;

/** All that is to be said of an action but why it was not in the cache. */
export function explainAction(record: ActionRecord, around: Surroundings): string[] {
  const tries = record.attempts.flatMap(({ worker, lost }, at) =>
    lost === undefined
      ? []
      : [`Attempt ${at + 1} on ${worker} was lost: ${lost}. It was tried again.`],
  );
  const others = record.waiters.length - 1;
  const merged = others > 0 ? [`${others + 1} calls wait for this one run.`] : [];
  return [...stateOf(record, around), ...tries, ...merged];
}

/** What waits, by reason, the most first. */
export function waitsOf(around: Surroundings): Waits[] {
  const found = new Map<WaitReason, { count: number; longestMs: number }>();
  const running = [...around.unfinished].filter(({ state }) => state === "running");
  const reasonByKey = new Map<string, WaitReason>();
  let looked = 0;
  for (const record of around.unfinished) {
    if (record.state !== "queued") continue;
    looked += 1;
    if (looked > waitsLookedMax) break;
    // Thousands that wait are a handful of kinds.
    const key = JSON.stringify([record.priority, record.request.properties]);
    const reason = reasonByKey.get(key) ?? reasonOf(record, around, running);
    reasonByKey.set(key, reason);
    const wait = found.get(reason) ?? { count: 0, longestMs: 0 };
    wait.count += 1;
    wait.longestMs = Math.max(wait.longestMs, around.nowMs - record.acceptedAtMs);
    found.set(reason, wait);
  }
  return [...found]
    .map(([reason, wait]) => ({ reason, ...wait }))
    .sort((a, b) => b.count - a.count);
}

function stateOf(record: ActionRecord, around: Surroundings): string[] {
  const attempt = record.attempts.at(-1);
  const tookMs = record.stateAtMs - record.acceptedAtMs;
  switch (record.state) {
    case "queued":
      return explainWait(record, around);
    case "running":
      return attempt === undefined ? [] : explainRun(record, attempt, around);
    case "cached":
      return ["It was answered from the cache: nothing ran."];
    case "cancelled":
      return [`It was given up after ${formatMs(tookMs)}: nobody waited for it any more.`];
    case "done":
    case "failed":
      return explainEnd(record, attempt, around);
  }
}

function explainWait(record: ActionRecord, around: Surroundings): string[] {
  const running = [...around.unfinished].filter(({ state }) => state === "running");
  const waited = `It has waited for ${formatMs(around.nowMs - record.acceptedAtMs)}`;
  const { able, closed } = workersFor(record, around);
  switch (reasonOf(record, around, running)) {
    case "no worker is linked":
      return [
        `${waited}: no worker is linked. ` +
          "Serve with --workers-min above 0, or start a machine that joins.",
      ];
    case "no worker has the platform": {
      const failure = noSuchWorker(record.request.properties, usable(around));
      const why = failure?.message ?? "no worker that is open to it has its platform.";
      return [`${waited}: ${why}`, ...elsewhere(closed)];
    }
    case "workers are leaving":
      return [`${waited}: every worker that could run it is draining.`];
    case "about to start":
      return [`${waited}: a slot is free for it, and it starts in a moment.`];
    default:
      return [
        `${waited}: all ${slotsOf(able)} slots that could run it are taken.`,
        ...holders(record, able, running, around),
        ...ahead(record, around),
        ...elsewhere(closed),
      ];
  }
}

/** Whose work runs in the slots that an action could have. */
function holders(
  record: ActionRecord,
  able: readonly WorkerView[],
  running: readonly ActionRecord[],
  { nowMs }: Surroundings,
): string[] {
  const peers = new Set(able.map(({ peer }) => peer));
  const groups = new Map<string, { of: ActionRecord; count: number; longestMs: number }>();
  let known = 0;
  for (const one of running) {
    if (!peers.has(one.attempts.at(-1)?.peer ?? "")) continue;
    const { user, invocation } = one.request;
    const key = JSON.stringify([user, invocation, one.priority]);
    const group = groups.get(key) ?? { of: one, count: 0, longestMs: 0 };
    group.count += 1;
    group.longestMs = Math.max(group.longestMs, nowMs - one.stateAtMs);
    groups.set(key, group);
    known += 1;
  }
  const all = [...groups.values()].sort((a, b) => b.count - a.count);
  const lines = all.slice(0, holdersMax).map(({ of, count, longestMs }) => {
    const { user, invocation } = of.request;
    const less = of.priority > record.priority ? ", less urgent than this one's" : "";
    const rank = less === "" ? "" : `${less} ${record.priority}; what runs is not interrupted`;
    const whose = `invocation ${invocation} of ${user}`;
    return `  ${count} by ${whose}, priority ${of.priority}${rank} (longest for ${formatMs(longestMs)})`;
  });
  if (all.length > holdersMax) lines.push(`  and ${all.length - holdersMax} more invocations`);
  const busy = able.reduce((sum, { slots, free }) => sum + slots - free, 0);
  const others = Math.min(busy, slotsOf(able)) - known;
  if (others > 0) lines.push(`  ${others} by actions that other hosts accepted`);
  return lines;
}

/** Who goes before it. */
function ahead(record: ActionRecord, { unfinished }: Surroundings): string[] {
  let [urgent, equal] = [0, 0];
  for (const other of unfinished) {
    if (other.state !== "queued" || other.seq === record.seq) continue;
    if (other.priority < record.priority) urgent += 1;
    else if (other.priority === record.priority) equal += 1;
  }
  const lines: string[] = [];
  if (urgent > 0) lines.push(`  ${urgent} more urgent ones wait too and go first.`);
  if (equal > 0) lines.push(`  ${equal} of the same priority wait too; users share evenly.`);
  return lines;
}

function elsewhere(closed: readonly WorkerView[]): string[] {
  const [first] = closed;
  if (first === undefined) return [];
  const who = closed.length === 1 ? first.name : `${first.name} and ${closed.length - 1} more`;
  return [`  ${who} of other hosts could run it: serve with --work-stealing.`];
}

function explainRun(record: ActionRecord, attempt: AttemptRecord, around: Surroundings): string[] {
  const runs = formatMs(around.nowMs - attempt.boundAtMs);
  const waited = formatMs(attempt.boundAtMs - record.acceptedAtMs);
  const line = `It has run on ${attempt.worker} for ${runs}, after ${waited} in the queue.`;
  return [line, ...explainPlace(record, attempt, around)];
}

function explainPlace(
  record: ActionRecord,
  { peer, stolen, worker }: AttemptRecord,
  around: Surroundings,
): string[] {
  if (stolen) {
    const host = around.workers.find((view) => view.peer === peer)?.home ?? "";
    const of = host === "" ? "another host" : around.hostName(host);
    return [`Stolen: ${worker} of ${of} had a free slot when this host's own workers had none.`];
  }
  const { offers } = record;
  if (offers.length < 2) return [];
  const rank = offers[0] === peer ? ", and it is the one that such actions prefer" : "";
  return [
    `It was offered to ${offers.length} workers; ${worker} was the first with a free slot${rank}.`,
  ];
}

function explainEnd(
  record: ActionRecord,
  attempt: AttemptRecord | undefined,
  around: Surroundings,
): string[] {
  const { failure, runMs, exitCode, spans } = record;
  if (failure !== undefined) return [`It failed (${failure.code}): ${failure.message}`];
  if (attempt === undefined) return [];
  const waited = formatMs(attempt.boundAtMs - record.acceptedAtMs);
  const end = exitCode === undefined ? "was refused there" : `ended with exit code ${exitCode}`;
  const lines = [
    `It ran on ${attempt.worker} for ${formatMs(runMs ?? 0)} after ${waited} in the queue and ${end}.`,
    ...explainPlace(record, attempt, around),
  ];
  if (spans === undefined) return lines;
  const { fetchMs, setUpMs, storeMs } = spans;
  const besides = fetchMs + setUpMs + storeMs;
  const parts =
    `${formatMs(fetchMs)} fetching inputs, ${formatMs(setUpMs)} laying them out, ` +
    `${formatMs(storeMs)} storing what it made`;
  lines.push(`Besides the command itself: ${parts}.`);
  if (besides > 1000 && besides > 2 * (runMs ?? 0)) {
    lines.push("Most of its time went there: `builder remote top` compares disks and links.");
  }
  return lines;
}

function reasonOf(
  record: ActionRecord,
  around: Surroundings,
  running: readonly ActionRecord[],
): WaitReason {
  if (around.workers.length === 0) return "no worker is linked";
  const { able, leaving } = workersFor(record, around);
  if (able.length === 0) return leaving > 0 ? "workers are leaving" : "no worker has the platform";
  if (able.some(({ free }) => free > 0)) return "about to start";
  const peers = new Set(able.map(({ peer }) => peer));
  const holds = running.filter((one) => peers.has(one.attempts.at(-1)?.peer ?? ""));
  const less = holds.length > 0 && holds.every(({ priority }) => priority > record.priority);
  return less ? "slots are taken by less urgent work" : "slots are taken";
}

/** Workers that may run it; others that could, were they open to this host; how many leave. */
function workersFor({ request }: ActionRecord, around: Surroundings) {
  const matching = around.workers.filter((worker) => satisfies(worker, request.properties));
  const staying = matching.filter(({ draining }) => !draining);
  const able = staying.filter((worker) => isOpen(worker, around));
  const closed = staying.filter((worker) => !isOpen(worker, around));
  return { able, closed, leaving: matching.length - staying.length };
}

function usable(around: Surroundings): readonly WorkerView[] {
  return around.workers.filter((worker) => !worker.draining && isOpen(worker, around));
}

function isOpen({ home, peer }: WorkerView, { self, workStealing }: Surroundings): boolean {
  return workStealing || home === "" || home === self || peer === self;
}

function slotsOf(workers: readonly WorkerView[]): number {
  return workers.reduce((sum, { slots }) => sum + slots, 0);
}

/** Why an action had to run, as far as its call says; undefined where the cache was asked. */
export function whyUncached({ request, state }: ActionRecord): string | undefined {
  if (state === "cached") return undefined;
  if (!request.mayMerge) return "It is not to be cached (do_not_cache), so it runs every time.";
  if (request.skipCacheLookup) return "Its client did not want a result from the cache.";
  return undefined;
}

/** The action before this one that is nearest to it, by what both are; the latest first. */
export function* earlierAlike(
  record: ActionRecord,
  ended: Iterable<ActionRecord>,
): Iterable<ActionRecord> {
  const seen = new Set([record.request.action.hash]);
  for (const other of ended) {
    const { request } = other;
    if (request.kind !== record.request.kind || seen.has(request.action.hash)) continue;
    if (!isEnded(other) || other.acceptedAtMs > record.acceptedAtMs) continue;
    seen.add(request.action.hash);
    yield other;
  }
}
