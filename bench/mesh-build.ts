// A build's actions, submitted at one host of a mesh: how well its hosts share them.

import type { PlayedAction } from "./mesh-client.ts";
import {
  idealMs,
  lowerBoundMs,
  readTrace,
  type TracedAction,
  type TraceFit,
} from "./mesh-trace.ts";
import { type HostCounts, type MeasuredMesh, startMeasuredMesh } from "./mesh-under-test.ts";
import { median, type Row } from "./table.ts";

/** What is played, and on how many hosts of two slots. */
export interface MeshBuildOptions {
  readonly hosts: number;
  readonly traceFile: string | undefined;
  readonly fit: TraceFit;
  readonly runs: number;
  /** What is wanted of the makespan, as a multiple of the lower bound. */
  readonly wanted: string;
}

const slotsPerHost = 2;
/** How long the actions sleep that show how fast work spreads, in ms. */
const spreadMs = 3000;

/** Plays it: one run before anything is known of the actions, then those that count. */
export async function* benchMeshBuild(options: MeshBuildOptions): AsyncGenerator<Row> {
  const actions = readTrace(options.traceFile, options.fit);
  const slots = options.hosts * slotsPerHost;
  const mesh = await startMeasuredMesh(options.hosts, ["--slots", `${slotsPerHost}`]);
  try {
    await mesh.settled();
    yield await spreadRow(mesh, options, slots);
    const boundMs = lowerBoundMs(actions, slots);
    const share = (run: readonly PlayedAction[]) => makespanMs(run) / boundMs;
    const [first] = await plays(mesh, actions, 1);
    const before = await countsOf(mesh);
    const runs = await plays(mesh, actions, options.runs);
    const costs = costsOf(before, await countsOf(mesh), runs.flat().length);
    const shares = runs.map(share);
    yield {
      what: `${options.hosts} hosts × 2: ${actions.length} sleeping actions, makespan`,
      figure: `${median(shares).toFixed(3)} × bound (${list(shares, 3)})`,
      beside:
        `wanted: ${options.wanted}; bound ${(boundMs / 1000).toFixed(1)} s; ` +
        `slots that lose no time ${(idealMs(actions, slots) / boundMs).toFixed(3)}; ` +
        `before run times are known ${share(first ?? []).toFixed(3)}`,
    };
    const idle = runs.map((run) => 100 * idleShare(run, slots));
    yield {
      what: "the same: slots idle while actions wait",
      figure: `${median(idle).toFixed(1)}% of slot time (${list(idle, 1)})`,
      beside: "wanted: 2%",
    };
    yield turnRow(runs, costs);
  } finally {
    await mesh.remove();
  }
}

/** What passes between one action's end and the next one's begin, as far as clients see it. */
function turnRow(runs: readonly (readonly PlayedAction[])[], costs: string): Row {
  const all = runs.flat();
  const at = (values: number[], share: number) =>
    values.sort((a, b) => a - b)[Math.floor(values.length * share)]?.toFixed(0) ?? "none";
  const told = all.map(({ endMs, doneMs }) => doneMs - endMs);
  return {
    what: "the same: worker's end to client's knowledge",
    figure: `p50 ${at(told, 0.5)} ms, p99 ${at(told, 0.99)} ms`,
    beside:
      `${new Set(all.map(({ worker }) => worker)).size} workers took part; nodes and workers ` +
      `used ${costs} an action, without the sandboxes`,
  };
}

/** As many long actions as there are slots, all at once: when does the last slot have one? */
async function spreadRow(
  mesh: MeasuredMesh,
  { runs }: MeshBuildOptions,
  slots: number,
): Promise<Row> {
  const actions = Array.from({ length: slots }, () => ({ ms: spreadMs, deps: [] }));
  const played = await plays(mesh, actions, runs + 1);
  const spans = played.slice(1).map((run) => {
    const begin = Math.min(...run.map(({ readyMs }) => readyMs));
    return Math.max(...run.map(({ startMs }) => startMs)) - begin;
  });
  return {
    what: `${slots} actions at one host: until all ${slots} slots are busy`,
    figure: `${median(spans).toFixed(0)} ms (${list(spans, 0)})`,
    beside: "wanted: 200 ms",
  };
}

async function plays(mesh: MeasuredMesh, actions: readonly TracedAction[], runs: number) {
  const played: PlayedAction[][] = [];
  const [entrance] = mesh.hosts;
  if (entrance === undefined) throw new Error("the mesh has no host");
  for (let run = 0; run < runs; run += 1) {
    const client = mesh.start({ kind: "play", address: entrance.address, actions });
    for await (const line of client.lines) played.push(JSON.parse(line));
    client.finish();
    if (played.length !== run + 1) throw new Error("the client ended without an answer");
  }
  return played;
}

async function countsOf(mesh: MeasuredMesh): Promise<HostCounts> {
  const counts = await Promise.all(mesh.hosts.map((host) => mesh.countsOf(host)));
  const sum = (name: keyof HostCounts) => counts.reduce((all, count) => all + count[name], 0);
  return { cpuMs: sum("cpuMs"), sentBytes: sum("sentBytes"), sentPackets: sum("sentPackets") };
}

/** What an action cost, what the mesh would have done without it included. */
function costsOf(before: HostCounts, after: HostCounts, actions: number): string {
  const each = (name: keyof HostCounts) => (after[name] - before[name]) / actions;
  const packets = `${each("sentPackets").toFixed(0)} packets`;
  const kib = `${(each("sentBytes") / 1024).toFixed(1)} KiB`;
  return `${each("cpuMs").toFixed(1)} ms of processor time, ${packets} and ${kib} between hosts`;
}

/** From the first action ready to the last one known to be done. */
function makespanMs(run: readonly PlayedAction[]): number {
  const last = Math.max(...run.map(({ doneMs }) => doneMs));
  return last - Math.min(...run.map(({ readyMs }) => readyMs));
}

/** Share of all slot time in which a slot was idle although an action waited for one. */
export function idleShare(run: readonly PlayedAction[], slots: number): number {
  const changes = run.flatMap(({ readyMs, startMs, endMs }) => [
    { atMs: readyMs, waiting: 1, running: 0 },
    { atMs: startMs, waiting: -1, running: 1 },
    { atMs: endMs, waiting: 0, running: -1 },
  ]);
  changes.sort((a, b) => a.atMs - b.atMs);
  let [waiting, running, idleMs] = [0, 0, 0];
  let beforeMs = changes[0]?.atMs ?? 0;
  for (const change of changes) {
    idleMs += Math.max(0, Math.min(waiting, slots - running)) * (change.atMs - beforeMs);
    beforeMs = change.atMs;
    waiting += change.waiting;
    running += change.running;
  }
  return idleMs / (slots * makespanMs(run));
}

/** Values in the order of their runs. */
export function list(values: readonly number[], digits: number): string {
  return values.map((value) => value.toFixed(digits)).join(", ");
}
