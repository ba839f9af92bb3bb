// A whole mesh as its users make it: `builder serve` on one host, `builder join` with the printed
// line on the others, each in a network namespace of its own.

import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { eventually } from "./eventually.ts";
import { createNetwork, type NamespacedHost } from "./namespaces.ts";
import { childrenOf, type Ended, type Place, root, run } from "./programs.ts";

/** One host of the mesh and what can befall it. */
export interface HostUnderTest {
  readonly name: string;
  /** Where clients reach it: IP:PORT. */
  readonly address: string;
  /** Runs one of our programs there. */
  run(cwd: string, program: string, args: readonly string[]): Promise<Ended>;
  /** Starts it, or starts it again with what it has on disk. */
  start(): Promise<void>;
  /** kill -9 of the node; its workers see to themselves. */
  kill(): Promise<void>;
  /** Ctrl-C, and wait for the end. */
  stop(): Promise<number | null>;
  /** Stops all its processes as a closed lid does, or lets them go on. */
  freeze(frozen: boolean): void;
  /** Takes its cable out, or puts it in. */
  cutOff(cut: boolean): void;
  readonly isRunning: boolean;
  said(): string;
}

/** A running mesh; the last namespace is for clients and has no node. */
export interface MeshUnderTest {
  readonly hosts: readonly HostUnderTest[];
  /** What a command line begins with that is to run where only a client is. */
  readonly clientWithin: readonly string[];
  /** Runs a program there. */
  client(cwd: string, program: string, args: readonly string[]): Promise<Ended>;
  remove(): Promise<void>;
}

const port = 9000;
/** Machines that the line printed at the start admits. */
const printedUses = 10;
const startsAtOnce = 4;
const startMs = 120_000;
const started = /service ready/;
const joinLine = /builder join '([^']+)'/;

/**
 * Starts `count` hosts with these further flags; resolves when all see each other. `within` is a
 * program with its flags that runs a host in a place of its own, such as a mount namespace.
 */
export async function startMesh(
  place: Place,
  count: number,
  flags: (at: number) => readonly string[] = () => [],
  within: (at: number) => readonly string[] = () => [],
): Promise<MeshUnderTest> {
  const network = createNetwork(count + 1);
  const client = network.hosts[count] as NamespacedHost;
  let link: string | undefined;
  const hosts = network.hosts.slice(0, count).map((host, at) =>
    createHost(
      place,
      { ...host, within: [...host.within, ...within(at)] },
      `host-${at}`,
      (isFirstStart) => {
        if (at === 0) return ["serve", "--remote", "--work-stealing", ...flags(at)];
        return ["join", ...(isFirstStart && link !== undefined ? [link] : []), ...flags(at)];
      },
    ),
  );
  const [first, ...others] = hosts;
  try {
    await first?.start();
    await eventually("the join line is printed", () => joinLine.test(first?.said() ?? ""));
    link = joinLine.exec(first?.said() ?? "")?.[1];
    if (first !== undefined && others.length > printedUses) {
      const own = ["--store", join(place.folder, first.name)];
      const args = ["mesh", "invite", "--uses", `${others.length}`, ...own];
      const invited = await first.run("/", "builder", args);
      link = joinLine.exec(invited.stdout)?.[1];
      if (link === undefined) throw new Error(`no invitation: ${invited.stderr}`);
    }
    // Programs that start share the machine's cores: a few at a time, or all of them are late.
    for (let at = 0; at < others.length; at += startsAtOnce) {
      await Promise.all(others.slice(at, at + startsAtOnce).map((host) => host.start()));
    }
  } catch (error) {
    await Promise.all(hosts.map((host) => host.kill()));
    network.remove();
    throw error;
  }
  return {
    hosts,
    clientWithin: client.within,
    client: (cwd, program, args) => runWithin(place, client, cwd, program, args),
    remove: async () => {
      await Promise.all(hosts.map((host) => host.kill()));
      network.remove();
    },
  };
}

function createHost(
  place: Place,
  host: NamespacedHost,
  name: string,
  command: (isFirstStart: boolean) => readonly string[],
): HostUnderTest {
  let child: ChildProcess | undefined;
  let ended: Promise<number | null> = Promise.resolve(null);
  let said = "";
  let starts = 0;
  const isRunning = () => child?.exitCode === null && child.signalCode === null;

  return {
    name,
    address: `${host.address}:${port}`,
    get isRunning() {
      return isRunning();
    },
    said: () => said,
    run: (cwd, program, args) => runWithin(place, host, cwd, program, args),
    start: async () => {
      const common = ["--coordinator", `0.0.0.0:${port}`, "--insecure", "--name", name];
      const own = ["--store", join(place.folder, name), "--workers-min", "1"];
      const [program = "", ...before] = host.within;
      const args = [join(root, "cli/bin/builder"), ...command(starts === 0), ...common, ...own];
      starts += 1;
      said = "";
      const now = spawn(program, [...before, ...args], { env: place.env });
      child = now;
      const read = (chunk: Buffer) => {
        said += chunk.toString();
      };
      now.stdout.on("data", read);
      now.stderr.on("data", read);
      ended = new Promise((resolve) => now.once("exit", resolve));
      await eventually(
        `${name} is ready: ${args.join(" ")}`,
        () => {
          if (now.exitCode !== null) throw new Error(`${name} ended early: ${said}`);
          return started.test(said);
        },
        startMs,
      ).catch((error: unknown) => {
        throw new Error(`${error}; it said: ${said}`);
      });
    },
    kill: async () => {
      if (!isRunning()) return;
      child?.kill("SIGKILL");
      await ended;
    },
    stop: () => {
      child?.kill("SIGINT");
      return ended;
    },
    freeze: (frozen) => {
      const pid = child?.pid;
      if (pid === undefined || !isRunning()) return;
      for (const each of [pid, ...childrenOf(pid)]) signal(each, frozen ? "SIGSTOP" : "SIGCONT");
    },
    cutOff: (cut) => (cut ? host.unplug() : host.plug()),
  };
}

function runWithin(
  place: Place,
  host: NamespacedHost,
  cwd: string,
  program: string,
  args: readonly string[],
): Promise<Ended> {
  const ours = program === "bldr" || program === "builder";
  const path = ours ? join(root, "cli/bin", program) : program;
  const [first = "", ...rest] = host.within;
  return run(place, cwd, first, [...rest, path, ...args]);
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It ended in this moment.
  }
}
