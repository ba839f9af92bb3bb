// The coordinator of a mesh vanishes under a client that has its address and another one.

import { eventually } from "../test/support/eventually.ts";
import type { HostUnderTest } from "../test/support/mesh-hosts.ts";
import { list } from "./mesh-build.ts";
import type { FlowEvent } from "./mesh-client.ts";
import { type MeasuredMesh, startMeasuredMesh } from "./mesh-under-test.ts";
import { median, type Row } from "./table.ts";

/** What befalls the coordinator, and how it is made good. */
interface Fault {
  readonly name: string;
  readonly wanted: string;
  strike(host: HostUnderTest): Promise<void>;
  heal(host: HostUnderTest): Promise<void>;
}

const faults: readonly Fault[] = [
  {
    name: "killed -9",
    wanted: "2 s",
    strike: (host) => host.kill(),
    heal: (host) => host.start(),
  },
  {
    name: "frozen",
    wanted: "8 s",
    strike: async (host) => host.freeze(true),
    heal: async (host) => host.freeze(false),
  },
  {
    name: "cut off",
    wanted: "8 s",
    strike: async (host) => host.cutOff(true),
    heal: async (host) => host.cutOff(false),
  },
];

const hosts = 4;
const lanes = 6;
const sleepMs = 300;
/** Actions before the fault and after the recovery. */
const [actionsBefore, actionsAfter] = [30, 30];
const patienceMs = 60_000;

interface Struck {
  /** Until the first action started at the other node, in ms. */
  readonly startedMs: number;
  readonly failures: readonly string[];
  readonly actions: number;
  /** Actions that ended at the struck node and at another: after a kill none may. */
  readonly completeTwice: number;
}

/** Strikes the coordinator in each way, `runs` times. */
export async function* benchMeshFailover(runs: number): AsyncGenerator<Row> {
  const flags = ["--slots", "2", "--log-level", "debug"];
  const mesh = await startMeasuredMesh(hosts, flags);
  try {
    for (const fault of faults) {
      const struck: Struck[] = [];
      for (let run = 0; run < runs; run += 1) struck.push(await strike(mesh, fault));
      const seconds = struck.map(({ startedMs }) => startedMs / 1000);
      const sum = (of: (one: Struck) => number) =>
        struck.reduce((total, one) => total + of(one), 0);
      const failures = struck.flatMap((one) => one.failures);
      yield {
        what: `coordinator ${fault.name}: until another node runs the next action`,
        figure: `${median(seconds).toFixed(2)} s (${list(seconds, 2)})`,
        beside:
          `wanted: ${fault.wanted}; of ${sum(({ actions }) => actions)} actions ` +
          `${failures.length} failed${failures.length > 0 ? ` (${failures[0]})` : ""}, ` +
          `${sum(({ completeTwice }) => completeTwice)} complete at two nodes`,
      };
    }
  } finally {
    await mesh.remove();
  }
}

async function strike(mesh: MeasuredMesh, fault: Fault): Promise<Struck> {
  await mesh.settled();
  const leader = await coordinatorOf(mesh);
  const other = mesh.hosts.find((host) => host !== leader);
  if (other === undefined) throw new Error("there is no other host");
  const saidBefore = mesh.hosts.map((host) => host.said().length);
  const events: FlowEvent[] = [];
  const addresses = [leader.address, other.address];
  const flow = mesh.start({ kind: "flow", addresses, lanes, sleepMs });
  const reading = (async () => {
    for await (const line of flow.lines) events.push(JSON.parse(line));
  })();
  const done = () => events.filter(({ what }) => what === "done").length;
  await eventually("actions before the fault", () => done() >= actionsBefore, patienceMs);
  const atMs = Date.now();
  await fault.strike(leader);
  const first = await eventually(
    "an action at the other node",
    () => startedAfter(events),
    patienceMs,
  );
  const doneThen = done();
  await eventually("actions after it", () => done() >= doneThen + actionsAfter, patienceMs);
  flow.finish();
  await reading;
  const said = mesh.hosts.map((host, at) => host.said().slice(saidBefore[at])).join("");
  await fault.heal(leader);
  return {
    startedMs: first.atMs - atMs,
    failures: events.flatMap(({ what, why }) => (what === "failed" ? [why ?? ""] : [])),
    actions: done(),
    completeTwice: completedTwice(said),
  };
}

/** Whoever starts after the first node was left runs at the second. */
function startedAfter(events: readonly FlowEvent[]): FlowEvent | undefined {
  const left = events.findIndex(({ what }) => what === "left");
  if (left < 0) return undefined;
  return events.slice(left).find(({ what }) => what === "started" || what === "done");
}

async function coordinatorOf(mesh: MeasuredMesh): Promise<HostUnderTest> {
  return eventually(
    "all agree on a coordinator",
    async () => {
      const seen = await Promise.all(mesh.hosts.map((host) => mesh.statusAt(host)));
      const leaders = new Set(seen.map(({ leader }) => leader));
      const peer = seen[0]?.leader;
      if (leaders.size !== 1 || peer === undefined || peer === "") return undefined;
      return mesh.hosts.find((_, at) => seen[at]?.peer === peer);
    },
    patienceMs,
  );
}

/** Actions of which two attempts were taken for complete, from the hosts' debug lines. */
function completedTwice(said: string): number {
  const actionByToken = new Map<string, string>();
  for (const [, action = "", token = ""] of said.matchAll(/Action (\S+) accepted as (\S+)/g)) {
    actionByToken.set(token, action);
  }
  const complete = new Set<string>();
  let again = 0;
  for (const [, token = ""] of said.matchAll(/Action (\S+) ended in \d+ ms/g)) {
    const action = actionByToken.get(token);
    if (action === undefined) continue;
    if (complete.has(action)) again += 1;
    complete.add(action);
  }
  return again;
}
