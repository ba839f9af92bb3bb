// One build for `builder remote profile` and the dashboard: what a node remembers of it, and what
// all of them tell put together.

import { MeshError } from "../core/error.ts";
import type { ActionRecord } from "../telemetry/action-recorder.ts";
import { drawLanes } from "../telemetry/build-lanes.ts";
import { atOnce, chainOf, type Placed, phaseSums, placed } from "../telemetry/build-times.ts";
import {
  BuildPart,
  type BuildProfile,
  type TimedAction,
} from "../wire/gen/builder/node/v1/insight.ts";
import type { Watched } from "./watched.ts";

/** Bounds of what is told of a build. */
export const buildBounds = {
  /** Actions that one host tells, and those of all hosts that are looked at. */
  partActions: 8192,
  actions: 32_768,
  kindChars: 120,
  slowest: 10,
  pathLongest: 5,
};

/** What this node remembers of a build; an empty part where that is nothing. */
export function buildPart({ recorder, reuse }: Watched, wanted: string, nowMs: number): BuildPart {
  const invocation = wholeName(wanted, { recorder, reuse });
  const part = BuildPart.fromPartial({});
  if (invocation === undefined) return part;
  const isOfIt = ({ request, waiters }: ActionRecord) =>
    request.invocation === invocation || waiters.some((one) => one.invocation === invocation);
  const { results, savedMs } = reuse.of(invocation);
  Object.assign(part, { invocation, cached: results, savedMs });
  const take = (record: ActionRecord) => {
    if (part.actions.length < buildBounds.partActions) part.actions.push(timed(record, nowMs));
    else part.cut = true;
  };
  for (const record of [...recorder.unfinished()].reverse()) {
    if (!isOfIt(record)) continue;
    if (record.state === "running") take(record);
    else {
      part.queued += 1;
      part.queuedMs = Math.max(part.queuedMs, nowMs - record.acceptedAtMs);
    }
  }
  for (const record of recorder.ended()) {
    if (record.state !== "cached" && record.attempts.length > 0 && isOfIt(record)) take(record);
  }
  return part;
}

/** Puts the parts of all hosts together. NOT_FOUND where nobody remembers anything. */
export function profileOfParts(
  parts: readonly BuildPart[],
  wanted: string,
  silent: readonly string[],
): BuildProfile {
  const known = parts.filter(({ invocation }) => invocation !== "");
  const [first] = known;
  if (first === undefined) throw unknownBuild(wanted, silent);
  const told = known.flatMap(({ actions }) => actions);
  const actions = told.slice(0, buildBounds.actions);
  const counts = countsOf(known, actions);
  const isOver = counts.queued + counts.running === 0;
  const beganMs = largest([...actions.map(({ ageMs }) => ageMs), ...known.map((p) => p.queuedMs)]);
  const wallMs = isOver ? beganMs - smallest(actions.map(({ endedMs }) => endedMs)) : beganMs;
  const all = placed(actions, beganMs);
  const path = chainOf(all);
  const { mean, most } = atOnce(all, wallMs);
  const drawn = drawLanes(all, path, wallMs);
  return {
    ...{ invocation: first.invocation, wallMs, ...counts, ...phaseSums(all) },
    ...{ atOnceMean: mean, atOnceMost: most },
    ...{ pathActions: path.length, pathMs: path.reduce((sum, one) => sum + tookMs(one), 0) },
    pathLongest: [...path]
      .sort((a, b) => tookMs(b) - tookMs(a))
      .slice(0, buildBounds.pathLongest)
      .sort((a, b) => a.acceptedMs - b.acceptedMs)
      .map(({ of }) => ({ ...of })),
    slowest: [...actions].sort((a, b) => b.runMs - a.runMs).slice(0, buildBounds.slowest),
    path: { ...drawn.path, bars: [...drawn.path.bars] },
    lanes: drawn.lanes.map((lane) => ({ ...lane, bars: [...lane.bars] })),
    ...{ lanesLeftOut: drawn.lanesLeftOut, silent: [...silent] },
    cut: told.length > actions.length || known.some(({ cut }) => cut),
  };
}

/** The invocation that is meant: by its id, or by the first digits of a UUID. */
function wholeName(
  wanted: string,
  { recorder, reuse }: Pick<Watched, "recorder" | "reuse">,
): string | undefined {
  const isBegin = /^[0-9a-f][0-9a-f-]{5,34}$/.test(wanted);
  const isMeant = (name: string) => name === wanted || (isBegin && name.startsWith(wanted));
  for (const list of [recorder.unfinished(), recorder.ended()]) {
    for (const { request, waiters } of list) {
      const names = [request.invocation, ...waiters.map(({ invocation }) => invocation)];
      const found = names.find(isMeant);
      if (found !== undefined) return found;
    }
  }
  return reuse.invocations().find(isMeant);
}

function timed(record: ActionRecord, nowMs: number): TimedAction {
  const { request, state, attempts, acceptedAtMs, stateAtMs, spans } = record;
  const attempt = attempts.at(-1);
  const boundAtMs = attempt?.boundAtMs ?? stateAtMs;
  const since = (atMs: number) => Math.max(0, nowMs - atMs);
  const isRunning = state === "running";
  const runMs = isRunning ? since(boundAtMs) : (record.runMs ?? 0);
  const hadMs = isRunning ? runMs : Math.max(0, stateAtMs - boundAtMs);
  return {
    action: request.action.hash.slice(0, 12),
    kind: request.kind.slice(0, buildBounds.kindChars),
    ...{ worker: attempt?.worker ?? "", state, stolen: attempt?.stolen ?? false },
    ...{ ageMs: since(acceptedAtMs), endedMs: isRunning ? 0 : since(stateAtMs) },
    waitMs: Math.max(0, boundAtMs - acceptedAtMs),
    ...fitted({ ...(spans ?? { fetchMs: 0, setUpMs: 0, storeMs: 0 }), runMs }, hadMs),
  };
}

/** Phases as told, each within what is left of the time that the worker had the action. */
function fitted(
  told: Pick<TimedAction, "fetchMs" | "setUpMs" | "runMs" | "storeMs">,
  hadMs: number,
) {
  let leftMs = hadMs;
  const take = (ms: number) => {
    const taken = Math.min(leftMs, Math.max(0, Math.round(ms)));
    leftMs -= taken;
    return taken;
  };
  // The command first: what its worker spent beside it was measured elsewhere.
  const runMs = take(told.runMs);
  const [fetchMs, setUpMs, storeMs] = [take(told.fetchMs), take(told.setUpMs), take(told.storeMs)];
  return { fetchMs, setUpMs, runMs, storeMs };
}

function countsOf(parts: readonly BuildPart[], actions: readonly TimedAction[]) {
  const sum = (key: "queued" | "cached" | "savedMs") =>
    parts.reduce((total, part) => total + part[key], 0);
  const running = actions.filter(({ state }) => state === "running").length;
  return {
    ...{ running, ran: actions.length - running },
    failed: actions.filter(({ state }) => state === "failed").length,
    ...{ queued: sum("queued"), cached: sum("cached"), savedMs: sum("savedMs") },
  };
}

function unknownBuild(wanted: string, silent: readonly string[]): MeshError {
  const away = silent.length > 0 ? ` ${silent.length} hosts did not answer.` : "";
  return new MeshError(
    "NOT_FOUND",
    `No action of an invocation ${JSON.stringify(wanted.slice(0, 80))} is remembered.${away} ` +
      "`builder remote actions --ended --json` names invocations; old ones are forgotten.",
  );
}

const tookMs = ({ acceptedMs, toMs }: Placed) => toMs - acceptedMs;
const largest = (all: readonly number[]) => all.reduce((a, b) => Math.max(a, b), 0);
const smallest = (all: readonly number[]) =>
  all.length === 0 ? 0 : all.reduce((a, b) => Math.min(a, b));
