// The same work on a real node with 16 worker processes and in the simulator: how far they differ.
//
// Actions sleep for as long as recorded ones ran. What an action costs besides its sleep is
// measured first, with all workers busy, and told to the simulator; the rest it must find out.

import { fixed } from "../simulations/policies.ts";
import { runScaling } from "../simulations/scaling/scaling-run.ts";
import { parseScenario } from "../simulations/scaling/scenario-file.ts";
import { type ScalingWorkload, WorkloadWriter } from "../simulations/scaling/workload.ts";
import { createRng } from "../src/core/rng.ts";
import { fromTimestamp } from "../src/wire/reapi.ts";
import { readTrace, type TracedAction } from "./mesh-trace.ts";
import { startOwnNode } from "./own-node.ts";
import { type Reapi, reapiClient } from "./reapi-client.ts";
import { median, type Row } from "./table.ts";

/** What is played. */
export interface ValidateOptions {
  readonly folder: string;
  readonly env: NodeJS.ProcessEnv;
  readonly workers: number;
  /** Gzipped JSON of a build with its graph; a recorded one without graph where none is named. */
  readonly trace: string;
}

/** A build to play: when it begins, its actions, and how many its client keeps open. */
interface PlannedBuild {
  readonly atMs: number;
  readonly parallelism: number;
  readonly actions: readonly TracedAction[];
}

/** One action as it went on the node; ms of one clock. */
interface PlayedAction {
  readonly readyMs: number;
  readonly startMs: number;
  readonly endMs: number;
  readonly doneMs: number;
}

/** What an action costs besides its run time, in ms. */
interface Overheads {
  readonly begin: number;
  readonly run: number;
  readonly answer: number;
}

/** Makespans within a tenth, other figures within a fifth: what is wanted. */
const wanted = { makespan: 10, other: 20 };

/** Plays one build with its graph, then builds that overlap. */
export async function* benchValidate(options: ValidateOptions): AsyncGenerator<Row> {
  const flags = ["--workers-min", `${options.workers}`, "--workers-max", `${options.workers}`];
  const node = await startOwnNode(options.folder, options.env, flags);
  try {
    const client = reapiClient(node.address);
    const overheads = await calibrate(client, options.workers);
    yield {
      what: "an action: before it runs, besides its sleep, until the client knows; means",
      figure: `${overheads.begin}, ${overheads.run}, ${overheads.answer} ms`,
      beside: "told to the simulator",
    };
    const graph = readTrace(options.trace, { every: 4, stretch: 4 });
    const one = [{ atMs: 0, parallelism: graph.length, actions: graph }];
    yield* compare("one build with its graph", client, one, options.workers, overheads);
    yield* compare("builds that overlap", client, overlapping(), options.workers, overheads);
    client.close();
  } finally {
    await node.stop();
  }
}

/** Twelve builds of recorded run times in three minutes, half of them small. */
function overlapping(): PlannedBuild[] {
  const rng = createRng(1);
  const recorded = readTrace(undefined, { every: 1, stretch: 4 });
  return Array.from({ length: 12 }, (_, at): PlannedBuild => {
    const count = at % 2 === 0 ? 15 + rng.below(30) : 90 + rng.below(90);
    const actions = Array.from({ length: count }, (): TracedAction => {
      return { ms: recorded[rng.below(recorded.length)]?.ms ?? 1, deps: [] };
    });
    return { atMs: at * 15_000 + rng.below(5_000), parallelism: 24, actions };
  });
}

async function* compare(
  what: string,
  client: Reapi,
  builds: readonly PlannedBuild[],
  workers: number,
  overheads: Overheads,
): AsyncGenerator<Row> {
  // Everything is uploaded before the first build begins.
  const beganMs = Date.now() + 5_000;
  const runs = await Promise.all(
    builds.map((build, at) => play(client, build, `${what} ${at}`, beganMs)),
  );
  const real = figures(runs, overheads);
  const simulated = simulatedFigures(builds, workers, overheads);
  for (const [name, value] of real) {
    const other = simulated.get(name) ?? Number.NaN;
    // Waits of a few ms have no meaningful share.
    const share = (100 * (other - value)) / Math.max(50, value);
    const bar = name === "makespan" ? wanted.makespan : wanted.other;
    yield {
      what: `${what}, ${workers} workers: ${name}`,
      figure: `${(value / 1000).toFixed(2)} s; simulated ${(other / 1000).toFixed(2)} s`,
      beside: `error ${share.toFixed(1)}%; wanted: within ${bar}%`,
    };
  }
}

/** As many at once as there are workers, so that none waits; of the length of recorded ones. */
async function calibrate(client: Reapi, workers: number): Promise<Overheads> {
  const sleepMs = 1_500;
  const actions = Array.from({ length: workers * 12 }, () => ({ ms: sleepMs, deps: [] }));
  const build = { atMs: 0, parallelism: workers, actions };
  const all = await play(client, build, "calibration", Date.now());
  // The first ones meet a node that nobody has used yet.
  const played = all.slice(workers * 2);
  const of = (value: (one: PlayedAction) => number) =>
    Math.max(0, Math.round(played.reduce((sum, one) => sum + value(one), 0) / played.length));
  return {
    begin: of(({ readyMs, startMs }) => startMs - readyMs),
    run: of(({ startMs, endMs }) => endMs - startMs - sleepMs),
    answer: of(({ endMs, doneMs }) => doneMs - endMs),
  };
}

/** Plays a build from its begin on, `parallelism` actions open at once, the first ready first. */
async function play(
  client: Reapi,
  { atMs, parallelism, actions }: PlannedBuild,
  name: string,
  beganMs: number,
): Promise<PlayedAction[]> {
  const sleeps = actions.map(({ ms }) => ["/bin/sleep", (ms / 1000).toFixed(3)]);
  const digests = await client.uploadCommands(sleeps, `${name} ${beganMs}`);
  await new Promise((resolve) => setTimeout(resolve, Math.max(1, beganMs + atMs - Date.now())));
  const left = actions.map(({ deps }) => deps.length);
  const waiters = actions.map((): number[] => []);
  for (const [at, { deps }] of actions.entries()) for (const dep of deps) waiters[dep]?.push(at);
  const ready = [...actions.keys()].filter((at) => left[at] === 0);
  const played: PlayedAction[] = [];
  return await new Promise((resolve, reject) => {
    let open = 0;
    const submit = () => {
      while (open < parallelism && ready.length > 0) {
        const at = ready.shift() ?? 0;
        open += 1;
        one(at).then(() => {
          open -= 1;
          for (const waiter of waiters[at] ?? []) {
            left[waiter] = (left[waiter] ?? 0) - 1;
            if (left[waiter] === 0) ready.push(waiter);
          }
          if (played.length === actions.length) resolve(played);
          else submit();
        }, reject);
      }
    };
    const one = async (at: number) => {
      const digest = digests[at];
      if (digest === undefined) throw new Error(`action ${at} was not uploaded`);
      const readyMs = Date.now();
      const names = { toolInvocationId: name, actionMnemonic: "Sleep", targetId: `//sleep:${at}` };
      const { result, status } = await client.execute(digest, names);
      if ((status?.code ?? 0) !== 0) throw new Error(`action ${at}: ${status?.message}`);
      const ran = result?.executionMetadata;
      const startMs = fromTimestamp(ran?.workerStartTimestamp) ?? Number.NaN;
      const endMs = fromTimestamp(ran?.workerCompletedTimestamp) ?? Number.NaN;
      played.push({ readyMs, startMs, endMs, doneMs: Date.now() });
    };
    submit();
  });
}

function figures(
  runs: readonly (readonly PlayedAction[])[],
  { begin }: Overheads,
): ReadonlyMap<string, number> {
  const all = runs.flat();
  const firstMs = Math.min(...all.map(({ readyMs }) => readyMs));
  const waits = all.map(({ readyMs, startMs }) => Math.max(0, startMs - readyMs - begin));
  waits.sort((a, b) => a - b);
  const at = (quantile: number) => waits[Math.ceil(waits.length * quantile) - 1] ?? Number.NaN;
  const builds = runs.map((run) => {
    const last = Math.max(...run.map(({ doneMs }) => doneMs));
    return last - Math.min(...run.map(({ readyMs }) => readyMs));
  });
  return new Map([
    ["makespan", Math.max(...all.map(({ doneMs }) => doneMs)) - firstMs],
    ["median build", median(builds)],
    ["mean wait", waits.reduce((sum, wait) => sum + wait, 0) / waits.length],
    ["p95 wait", at(0.95)],
  ]);
}

function simulatedFigures(
  builds: readonly PlannedBuild[],
  workers: number,
  { begin, run, answer }: Overheads,
): ReadonlyMap<string, number> {
  const { world } = parseScenario(`nodes: {min: ${workers}, max: ${workers}, slots: 1}`, "");
  const scenario = {
    ...world,
    dispatchMs: begin + run,
    roundTripMs: answer,
    durationMs: 0,
    seed: 1,
  };
  const result = runScaling({ ...scenario, workload: workloadOf(builds) }, fixed("", "", "min"));
  return new Map([
    ["makespan", result.makespanMs + answer],
    ["median build", result.buildMs.p50 + answer],
    ["mean wait", result.meanWaitMs],
    ["p95 wait", result.waitMs.p95],
  ]);
}

function workloadOf(builds: readonly PlannedBuild[]): ScalingWorkload {
  const writer = new WorkloadWriter("validation");
  const firstMs = Math.min(...builds.map(({ atMs }) => atMs));
  for (const { atMs, parallelism, actions } of builds) {
    const first = writer.actions;
    for (const { ms } of actions) writer.action(ms);
    for (const [at, { deps }] of actions.entries()) {
      for (const dep of deps) writer.edge(first + at, first + dep);
    }
    writer.build(atMs - firstMs, parallelism);
  }
  return writer.finish();
}
