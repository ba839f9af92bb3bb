// A build's profile for trace viewers: Perfetto and chrome://tracing. The format is the Trace Event
// Format of Chromium ("JSON object format"): processes are workers, threads lanes, times µs.

import {
  type BuildProfile,
  type ExecutedNow,
  type ProfilePhase,
  phasesOf,
  workOf,
} from "./profile.ts";

/** One event of the format; `ph` says which kind. */
type TraceEvent = Readonly<Record<string, unknown>> & { readonly ph: string };

/** The process of what is the build's own; workers follow. */
const buildPid = 1;
const [pathLane, buildLane] = [1, 2];

/** The whole document as text. */
export function renderChromeTrace(profile: BuildProfile): string {
  const events = [
    ...names(buildPid, "build", [
      [pathLane, "critical path"],
      [buildLane, "build"],
    ]),
    ...buildSpan(profile),
    ...workerLanes(profile),
    ...waits(profile),
    ...running(profile),
  ];
  const head = { displayTimeUnit: "ms", otherData: { startUnixMs: profile.startMs } };
  // An event a line: such files are looked into with other tools, too.
  const lines = events.map((event) => JSON.stringify(event)).join(",\n");
  return `${JSON.stringify(head).slice(0, -1)},"traceEvents":[\n${lines}\n]}\n`;
}

function buildSpan({ startMs, endMs, criticalPath }: BuildProfile): TraceEvent[] {
  const whole = { ph: "X", name: "build", cat: "build", pid: buildPid, tid: buildLane };
  return [
    { ...whole, ...span(startMs, startMs, endMs) },
    ...criticalPath.map((action) => {
      const { sentMs, doneMs } = action.times;
      const base = { ph: "X", name: action.id, cat: "critical path", pid: buildPid, tid: pathLane };
      return { ...base, ...span(startMs, sentMs, doneMs), args: argsOf(action) };
    }),
  ];
}

/** Each worker's actions on as few lanes as they need: those are its slots. */
function workerLanes({ startMs, executed, criticalPath }: BuildProfile): TraceEvent[] {
  const pidByWorker = new Map<string, number>();
  const lanes = new Map<string, number[]>();
  const placed = new Map<ExecutedNow, { pid: number; tid: number }>();
  for (const action of [...executed].sort((a, b) => workOf(a).startMs - workOf(b).startMs)) {
    const worker = action.worker || "unknown worker";
    const pid = pidByWorker.get(worker) ?? buildPid + 1 + pidByWorker.size;
    pidByWorker.set(worker, pid);
    const freeAtMs = lanes.get(worker) ?? [];
    lanes.set(worker, freeAtMs);
    const work = workOf(action);
    const free = freeAtMs.findIndex((atMs) => atMs <= work.startMs);
    const lane = free < 0 ? freeAtMs.length : free;
    freeAtMs[lane] = work.endMs;
    placed.set(action, { pid, tid: lane + 1 });
  }
  const headings = [...pidByWorker].flatMap(([worker, pid]) =>
    names(
      pid,
      worker,
      (lanes.get(worker) ?? []).map((_, lane) => [lane + 1, `slot ${lane + 1}`]),
    ),
  );
  const spans = [...placed].flatMap(([action, at]) => actionSpans(action, at, startMs));
  return [...headings, ...spans, ...flows(criticalPath, placed, startMs)];
}

/** The action, and its phases within it. */
function actionSpans(
  action: ExecutedNow,
  at: { readonly pid: number; readonly tid: number },
  originMs: number,
): TraceEvent[] {
  const work = workOf(action);
  const base = { ph: "X", cat: action.mnemonic, ...at };
  const whole = {
    ...{ ...base, name: action.id, ...span(originMs, work.startMs, work.endMs) },
    args: argsOf(action),
  };
  const { work: told } = action.times;
  if (told === undefined) return [whole];
  const phases: readonly (readonly [ProfilePhase, number, number])[] = [
    ["fetch", told.startMs, told.fetchedMs],
    ["set-up", told.fetchedMs, told.laidOutMs],
    ["run", told.laidOutMs, told.ranMs],
    ["upload", told.ranMs, told.endMs],
  ];
  const parts = phases
    .filter(([, fromMs, toMs]) => toMs > fromMs)
    .map(([name, fromMs, toMs]) => ({ ...base, name, ...span(originMs, fromMs, toMs) }));
  return [whole, ...parts];
}

/** Arrows along the critical path. */
function flows(
  path: readonly ExecutedNow[],
  placed: ReadonlyMap<ExecutedNow, { readonly pid: number; readonly tid: number }>,
  originMs: number,
): TraceEvent[] {
  return path.slice(1).flatMap((action, index) => {
    const before = path[index];
    if (before === undefined) return [];
    const base = { name: "critical path", cat: "critical path", id: index + 1 };
    // The arrow begins within the slice, not at its very end, where viewers find no slice.
    const leaves = Math.max(workOf(before).startMs, workOf(before).endMs - 0.001);
    return [
      { ...base, ph: "s", ...placed.get(before), ts: micros(originMs, leaves) },
      {
        ...base,
        ph: "f",
        bp: "e",
        ...placed.get(action),
        ts: micros(originMs, workOf(action).startMs),
      },
    ];
  });
}

/** Time before a worker had them, as tracks of their own. */
function waits({ startMs, executed }: BuildProfile): TraceEvent[] {
  return executed.flatMap((action, index) => {
    const { wait } = phasesOf(action);
    if (wait <= 0) return [];
    const { sentMs } = action.times;
    const base = { name: "wait", cat: "wait", id: index + 1, pid: buildPid, tid: buildLane };
    const args = { action: action.id };
    return [
      { ...base, ph: "b", ts: micros(startMs, sentMs), args },
      { ...base, ph: "e", ts: micros(startMs, sentMs + wait) },
    ];
  });
}

/** How many actions waited and were at workers, as a curve. */
function running({ startMs, executed }: BuildProfile): TraceEvent[] {
  const changes = executed.flatMap((action) => {
    const work = workOf(action);
    return [
      { atMs: action.times.sentMs, waiting: 1, working: 0 },
      { atMs: work.startMs, waiting: -1, working: 1 },
      { atMs: work.endMs, waiting: 0, working: -1 },
    ];
  });
  changes.sort((a, b) => a.atMs - b.atMs);
  let [waiting, working] = [0, 0];
  return changes.map((change) => {
    waiting += change.waiting;
    working += change.working;
    const args = { waiting, "at workers": working };
    return { ph: "C", name: "actions", pid: buildPid, ts: micros(startMs, change.atMs), args };
  });
}

function argsOf(action: ExecutedNow): Readonly<Record<string, unknown>> {
  const { target, mnemonic, exitCode, worker, isolation, attempt, failure, usage } = action;
  const ms = phasesOf(action);
  return { target, mnemonic, exitCode, worker, isolation, attempt, failure, ms, usage };
}

function names(
  pid: number,
  name: string,
  lanes: readonly (readonly [tid: number, name: string])[],
): TraceEvent[] {
  const base = { ph: "M", pid };
  return [
    { ...base, name: "process_name", args: { name } },
    { ...base, name: "process_sort_index", args: { sort_index: pid } },
    ...lanes.flatMap(([tid, lane]) => [
      { ...base, tid, name: "thread_name", args: { name: lane } },
      { ...base, tid, name: "thread_sort_index", args: { sort_index: tid } },
    ]),
  ];
}

function span(originMs: number, fromMs: number, toMs: number): { ts: number; dur: number } {
  const ts = micros(originMs, fromMs);
  return { ts, dur: Math.max(0, micros(originMs, toMs) - ts) };
}

function micros(originMs: number, atMs: number): number {
  return Math.round((atMs - originMs) * 1000);
}
