// The small world of hermetic-soak.ts, from inside: a node, its actions, deaths of its workers, and
// a look around before and after. Takes a WorldOrder as its argument, prints a HermeticReport.

import { chownSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { createRng } from "../src/core/rng.ts";
import { fetchStatus } from "../src/node/status.ts";
import { eventually } from "../test/support/eventually.ts";
import {
  allProcesses,
  childrenOf,
  type Place,
  type SpawnedNode,
  startServing,
} from "../test/support/programs.ts";
import { messyAction, messyRunner } from "./hermetic-actions.ts";
import type { HermeticReport, WorldOrder } from "./hermetic-soak.ts";
import { differencesOf, findTraces } from "./machine-traces.ts";
import { enterCgroups } from "./own-cgroups.ts";
import { reapiClient } from "./reapi-client.ts";

const workers = 4;
const slots = 2;
/** Actions asked for at once: some more than there are slots. */
const lanes = workers * slots + 4;
/** The first run is only there to make what a node keeps for good. */
const warmingActions = 24;
/** A worker dies this long after its action was found, at most: when it ended, too. In ms. */
const laterMsMax = 600;
/** How long the last traces may take to go, in ms. */
const settleMs = 120_000;

const order = JSON.parse(process.argv[2] ?? "") as WorldOrder;
const store = join(order.folder, "store");
const place = worldPlace();
const tracePlaces = {
  cgroups: order.cgroups,
  folders: [order.folder],
  // What a store is for.
  except: [join(store, "blobs")],
};

enterCgroups(order.cgroups);
const warmed = await withNode((node) => runAll(node, { ...order, actions: warmingActions }, false));
const before = findTraces(tracePlaces);
const startMs = performance.now();
const report = await withNode(async (node) => {
  const opened = descriptorsOf(node);
  const ran = await runAll(node, order, true);
  await linked(node);
  const strange = await settled(() => strangersOf(node));
  return { ...ran, strange, descriptors: [opened, descriptorsOf(node)] as const };
});
const left = await settled(() => differencesOf(before, findTraces(tracePlaces)));
const answer: HermeticReport = {
  ...{ actions: order.actions, kills: report.kills, missed: report.missed },
  wrong: [...warmed.wrong, ...report.wrong],
  left: [...report.strange, ...left],
  seconds: Math.round((performance.now() - startMs) / 1000),
  descriptors: report.descriptors,
};
process.stdout.write(JSON.stringify(answer));

/** Folders of the node's user, in the world's own folder. */
function worldPlace(): Place {
  const { folder, user } = order;
  const folderOf = (name: string) => {
    const path = join(folder, name);
    mkdirSync(path);
    chownSync(path, user, user);
    return path;
  };
  const [HOME, TMPDIR, XDG_CACHE_HOME] = ["home", "tmp", "cache"].map(folderOf);
  const { PATH } = process.env;
  const none = () => {
    throw new Error("A small world has no workspaces.");
  };
  const env = { PATH, HOME, TMPDIR, XDG_CACHE_HOME };
  return { folder, env, example: none, workspace: none, remove: none };
}

async function withNode<T>(work: (node: SpawnedNode) => Promise<T>): Promise<T> {
  const { user } = order;
  const within = ["setpriv", `--reuid=${user}`, `--regid=${user}`, "--clear-groups", "--"];
  const serve = ["serve", "--remote", "--coordinator", "127.0.0.1:0", "--store", store];
  const size = ["--workers-min", `${workers}`, "--slots", `${slots}`, "--nice", "0"];
  const node = await startServing(place, [...serve, ...size], user === 0 ? {} : { within });
  try {
    await linked(node);
    return await work(node);
  } catch (error) {
    process.stderr.write(node.said());
    throw error;
  } finally {
    await node.stop();
  }
}

interface Ran {
  readonly kills: number;
  readonly missed: number;
  readonly wrong: readonly string[];
}

async function runAll(
  node: SpawnedNode,
  { actions, seed, killsPercent }: WorldOrder,
  kills: boolean,
): Promise<Ran> {
  const client = reapiClient(node.address);
  const reaper = createReaper(node, seed);
  const run = await messyRunner(client);
  const wrong: string[] = [];
  const numbers = Array.from({ length: actions }, (_, at) => at + 1).values();
  const lane = async () => {
    for (const number of numbers) {
      // By number, and not by who comes first: a seed means the same actions and victims each time.
      const rng = createRng(seed).fork(`${number}`);
      const isDoomed = kills && rng.below(100) < killsPercent;
      // Of the warming nothing is to be answered from the cache.
      const name = kills ? number : actions + number + 1e9;
      const action = messyAction(name, rng.below(1000), isDoomed);
      const doom = isDoomed ? reaper.await(action.mark) : undefined;
      const complaint = await run(action);
      doom?.end();
      if (complaint !== undefined) wrong.push(complaint);
      if (number % 500 === 0) process.stderr.write(`${number} actions, ${reaper.kills} kills\n`);
    }
  };
  try {
    await Promise.all(Array.from({ length: lanes }, lane));
    return { kills: reaper.kills, missed: reaper.missed, wrong };
  } finally {
    reaper.stop();
    client.close();
  }
}

interface Reaper {
  readonly kills: number;
  readonly missed: number;
  /** Kills the worker in which a process with this mark appears, once, until the action ended. */
  await(mark: string): { end(): void };
  stop(): void;
}

function createReaper(node: SpawnedNode, seed: number): Reaper {
  const rng = createRng(seed).fork("deaths");
  const awaited = new Set<string>();
  const deaths = new Set<NodeJS.Timeout>();
  let [kills, missed] = [0, 0];
  const kill = (worker: number) => {
    // Another death may have come first; then its number may be another process's.
    if (!childrenOf(node.process.pid ?? -1).includes(worker)) return;
    process.kill(worker, "SIGKILL");
    kills += 1;
  };
  const timer = setInterval(() => {
    if (awaited.size === 0) return;
    const all = allProcesses();
    const parentByPid = new Map(all.map(({ pid, parent }) => [pid, parent]));
    for (const { pid, command } of all) {
      const mark = [...awaited].find((each) => command.includes(each));
      const worker = mark && ancestorBelow(node.process.pid ?? -1, pid, parentByPid);
      if (mark === undefined || typeof worker !== "number") continue;
      awaited.delete(mark);
      deaths.add(setTimeout(() => kill(worker), rng.below(laterMsMax)));
    }
  }, 20);
  return {
    get kills() {
      return kills;
    },
    get missed() {
      return missed;
    },
    await: (mark) => {
      awaited.add(mark);
      return {
        end: () => {
          if (awaited.delete(mark)) missed += 1;
        },
      };
    },
    stop: () => {
      clearInterval(timer);
      for (const death of deaths) clearTimeout(death);
    },
  };
}

/** The ancestor of a process that is a child of `top`; undefined where there is none. */
function ancestorBelow(
  top: number,
  pid: number,
  parentByPid: ReadonlyMap<number, number>,
): number | undefined {
  for (let at: number | undefined = pid; at !== undefined; at = parentByPid.get(at)) {
    if (parentByPid.get(at) === top) return at;
  }
  return undefined;
}

/** A worker that is stopped while it starts leaves what only its successor removes. */
async function linked(node: SpawnedNode): Promise<void> {
  const endpoint = { address: node.address, tls: undefined, token: undefined };
  const all = async () => (await fetchStatus(endpoint)).workers.length === workers;
  await eventually("all workers are linked", all, settleMs);
}

/** What is there while nothing runs, and belongs to no process of the node that lives. */
function strangersOf(node: SpawnedNode): string[] {
  const workersNow = node.workers();
  const known = [1, process.pid, node.process.pid, ...workersNow];
  const nurseries = workersNow.flatMap(childrenOf);
  const processes = allProcesses()
    .filter(({ pid }) => !known.includes(pid) && !nurseries.includes(pid))
    .map(({ pid, command }) => `beside an idle node: process ${pid}: ${command}`);
  const folders = readdirSync(join(store, "scratch"))
    .filter((name) => !workersNow.includes(Number.parseInt(name, 10)))
    .map((name) => `beside an idle node: scratch folder ${name}`);
  const cgroups = [...findTraces({ ...tracePlaces, folders: [] })]
    .filter((trace) => trace.startsWith("cgroup"))
    .map((trace) => `beside an idle node: ${trace}`);
  if (workersNow.length < workers) processes.push(`only ${workersNow.length} workers`);
  return [...processes, ...folders, ...cgroups];
}

/** What is still found at the deadline. */
async function settled(look: () => string[]): Promise<string[]> {
  const none = () => look().length === 0;
  await eventually("all is as it was", none, settleMs).catch(() => undefined);
  return look();
}

function descriptorsOf(node: SpawnedNode): number {
  return readdirSync(`/proc/${node.process.pid}/fd`).length;
}
