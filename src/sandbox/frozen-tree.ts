// Stops all processes of a sandbox, for certain, so that its files can be handled from outside: a
// process that runs could put a symlink in the way of whoever does that (docs/adr/0031).
//
// SIGSTOP alone proves nothing, as one process can wake another before it stops itself. So the tree
// is looked at twice: where the same processes are stopped both times, and no thread was on a core
// in between (its switches are counted), nobody was left to wake anybody.

import { readdirSync, readFileSync } from "node:fs";
import type { KeptUsage } from "./sandbox.ts";

/** The process that a tree hangs on, a child of this one. */
export interface Supervisor {
  readonly pid: number;
  readonly isOver: () => boolean;
}

/** A tree that is stopped. */
export interface FrozenTree {
  readonly usage: KeptUsage;
  /** Lets it go on. */
  thaw(): void;
}

interface Seen {
  /** Processes that can be stopped, with their threads' switches. */
  readonly marks: ReadonlyMap<number, string>;
  readonly running: readonly number[];
  readonly usage: KeptUsage;
}

interface ProcessStat {
  readonly parent: number;
  readonly state: string;
  readonly userTicks: number;
  readonly systemTicks: number;
  readonly pages: number;
}

/** Bound: how long a tree may take to stop, in ms. */
const stopMsMax = 10_000;
/** The kernel tells programs of processor time in hundredths of a second (USER_HZ). */
const msPerTick = 10;
const pageBytes = 4096;

/**
 * Stops everything two levels below a supervisor: not itself, not the first process inside, which
 * are ours. Undefined where nothing is there, or where it would not stop. `isOver` tells that its
 * process id may be another's by now.
 */
export async function freezeTree({
  pid: supervisor,
  isOver,
}: Supervisor): Promise<FrozenTree | undefined> {
  const deadline = performance.now() + stopMsMax;
  let before: Seen | undefined;
  for (let waitMs = 0; performance.now() < deadline; waitMs = Math.min(20, waitMs + 1)) {
    if (isOver()) return undefined;
    const seen = lookAt(supervisor);
    if (seen?.marks.size === 0) return undefined;
    const isStill = seen !== undefined && seen.running.length === 0;
    if (isStill && before !== undefined && isSame(before.marks, seen.marks)) {
      const pids = [...seen.marks.keys()];
      const thaw = () => {
        if (!isOver()) for (const pid of pids) signal(pid, "SIGCONT");
      };
      return { usage: seen.usage, thaw };
    }
    for (const pid of seen?.running ?? []) signal(pid, "SIGSTOP");
    before = isStill ? seen : undefined;
    if (!isStill) await new Promise((wake) => setTimeout(wake, waitMs));
  }
  return undefined;
}

/** Undefined where the processes changed so much meanwhile that some may have been missed. */
function lookAt(supervisor: number): Seen | undefined {
  const statByPid = readAll();
  const tree = below(supervisor, statByPid);
  if (tree === undefined) return undefined;
  const marks = new Map<number, string>();
  const running: number[] = [];
  let [userCpuMs, systemCpuMs, residentBytes] = [0, 0, 0];
  for (const pid of tree) {
    const stat = statByPid.get(pid);
    if (stat === undefined) continue;
    userCpuMs += stat.userTicks * msPerTick;
    systemCpuMs += stat.systemTicks * msPerTick;
    residentBytes += stat.pages * pageBytes;
    // A dead one that nobody has reaped does nothing any more.
    if (stat.state === "Z" || stat.state === "X") continue;
    const threads = readThreads(pid);
    marks.set(pid, threads?.mark ?? "");
    if (threads === undefined || !threads.stopped) running.push(pid);
  }
  return { marks, running, usage: { userCpuMs, systemCpuMs, residentBytes } };
}

function below(
  supervisor: number,
  statByPid: ReadonlyMap<number, ProcessStat>,
): number[] | undefined {
  const childrenByPid = new Map<number, number[]>();
  for (const [pid, { parent }] of statByPid) {
    // Its parent died while we read: it may be one of the tree, and would not be found.
    if (parent !== 0 && !statByPid.has(parent)) return undefined;
    childrenByPid.set(parent, [...(childrenByPid.get(parent) ?? []), pid]);
  }
  const firsts = childrenByPid.get(supervisor) ?? [];
  const found = firsts.flatMap((first) => childrenByPid.get(first) ?? []);
  for (const pid of found) found.push(...(childrenByPid.get(pid) ?? []));
  return found;
}

function readAll(): Map<number, ProcessStat> {
  const found = new Map<number, ProcessStat>();
  for (const name of readdirSync("/proc")) {
    const text = /^\d+$/.test(name) ? readText(`/proc/${name}/stat`) : undefined;
    // The name may hold anything, `)` included; the rest is plain (proc(5)).
    const fields = text?.slice(text.lastIndexOf(")") + 2).split(" ");
    if (fields === undefined) continue;
    const number = (at: number) => Number(fields[at] ?? 0);
    found.set(Number(name), {
      ...{ state: fields[0] ?? "", parent: number(1), pages: number(21) },
      // Of itself, and of the children that it waited for.
      userTicks: number(11) + number(13),
      systemTicks: number(12) + number(14),
    });
  }
  return found;
}

function readThreads(pid: number): { mark: string; stopped: boolean } | undefined {
  const folder = `/proc/${pid}/task`;
  const marks: string[] = [];
  let stopped = true;
  try {
    for (const thread of readdirSync(folder)) {
      const text = readText(`${folder}/${thread}/status`);
      const state = /^State:\s+(\S)/m.exec(text ?? "")?.[1];
      if (text === undefined || state === undefined) return undefined;
      if (!["T", "Z", "X"].includes(state)) stopped = false;
      const switches = [...text.matchAll(/^(?:non)?voluntary_ctxt_switches:\s+(\d+)$/gm)];
      if (switches.length !== 2) return undefined;
      marks.push([thread, ...switches.map(([, count]) => count)].join(":"));
    }
  } catch {
    return undefined;
  }
  return { mark: marks.join(" "), stopped: stopped && marks.length > 0 };
}

function isSame(a: ReadonlyMap<number, string>, b: ReadonlyMap<number, string>): boolean {
  return a.size === b.size && [...a].every(([pid, mark]) => b.get(pid) === mark);
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

function signal(pid: number, name: "SIGSTOP" | "SIGCONT"): void {
  try {
    process.kill(pid, name);
  } catch {
    // It ended.
  }
}
