// A mesh of processes to measure: each host in a network of its own, the client in another.

import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Status } from "../src/node/status.ts";
import { eventually } from "../test/support/eventually.ts";
import { type HostUnderTest, type MeshUnderTest, startMesh } from "../test/support/mesh-hosts.ts";
import { allProcesses, childrenOf, createPlace } from "../test/support/programs.ts";
import type { MeshTask } from "./mesh-client.ts";

/** What a host's interface and processes have counted since they were made. */
export interface HostCounts {
  readonly sentBytes: number;
  readonly sentPackets: number;
  /** Of the node and its workers, in ms. */
  readonly cpuMs: number;
}

/** A client process: what it tells, line by line. */
export interface TaskRun {
  readonly lines: AsyncIterable<string>;
  /** Ends its standard input: no more, please. */
  finish(): void;
}

/** The mesh. */
export interface MeasuredMesh {
  readonly hosts: readonly HostUnderTest[];
  /** What a host says of itself and the others. */
  statusAt(host: HostUnderTest): Promise<Status>;
  countsOf(host: HostUnderTest): Promise<HostCounts>;
  /** Runs a task where only the client is. */
  start(task: MeshTask): TaskRun;
  /** Resolves when every host knows every other and is linked with every worker. */
  settled(): Promise<void>;
  remove(): Promise<void>;
}

/** How long a mesh may take until everybody is linked, in ms. */
const settleMs = 180_000;
/** The hosts share this machine's cores, where nice workers would wait for all others' programs. */
const eager = ["--nice", "0"];
const ticksPerSecond = 100;

/** Starts `count` hosts of one worker with these further flags. */
export async function startMeasuredMesh(
  count: number,
  flags: readonly string[],
): Promise<MeasuredMesh> {
  const place = createPlace();
  let mesh: MeshUnderTest;
  try {
    mesh = await startMesh(place, count, () => [...flags, ...eager]);
  } catch (error) {
    place.remove();
    throw error;
  }
  const clients = new Set<ChildProcess>();
  const statusAt = async (host: HostUnderTest): Promise<Status> => {
    const args = ["remote", "status", "--json", "--coordinator", host.address];
    const { stdout, stderr } = await mesh.client("/", "builder", args);
    if (stdout === "") throw new Error(`${host.name} tells no status: ${stderr}`);
    return JSON.parse(stdout);
  };

  function start(task: MeshTask): TaskRun {
    const program = join(import.meta.dirname, "mesh-client.ts");
    const [first = "", ...rest] = mesh.clientWithin;
    const child = spawn(first, [...rest, process.execPath, program], {
      stdio: ["pipe", "pipe", "inherit"],
      env: place.env,
    });
    clients.add(child);
    child.stdin.write(`${JSON.stringify(task)}\n`);
    return { lines: createInterface({ input: child.stdout }), finish: () => child.stdin.end() };
  }

  async function isSettled(host: HostUnderTest): Promise<boolean> {
    const { members, workers } = await statusAt(host).catch(() => ({ members: [], workers: [] }));
    const alive = members.filter(({ state }) => state === "alive").length;
    return alive === count && workers.length === count;
  }

  return {
    hosts: mesh.hosts,
    statusAt,
    countsOf: async (host) => {
      const counter = (name: string) => `/sys/class/net/eth0/statistics/${name}`;
      const counters = [counter("tx_bytes"), counter("tx_packets")];
      const { stdout } = await host.run("/", "cat", counters);
      const [sentBytes = Number.NaN, sentPackets = Number.NaN] = stdout.split("\n").map(Number);
      const node = nodeOf(host, place.folder);
      const cpuMs = [node, ...childrenOf(node)].reduce((sum, pid) => sum + cpuMsOf(pid), 0);
      return { sentBytes, sentPackets, cpuMs };
    },
    start,
    settled: async () => {
      for (const host of mesh.hosts) {
        await eventually(`${host.name} knows all`, () => isSettled(host), settleMs);
      }
    },
    remove: async () => {
      for (const child of clients) child.kill("SIGKILL");
      await mesh.remove();
      place.remove();
    },
  };
}

function nodeOf(host: HostUnderTest, folder: string): number {
  const own = `--store ${join(folder, host.name)} `;
  const found = allProcesses().find(({ command }) => command.includes(own));
  if (found === undefined) throw new Error(`${host.name} does not run`);
  return found.pid;
}

/** Processor time of a process so far. */
function cpuMsOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return ((Number(fields[11]) + Number(fields[12])) * 1000) / ticksPerSecond;
}
