// Sudden deaths: of the process that asked for an action, and of the supervisor itself.

import {
  chownSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { findCgroupPlaces, sweepCgroups } from "../../src/sandbox/cgroup.ts";
import { chooseSandbox } from "../../src/sandbox/choose-sandbox.ts";
import { removeScratch } from "../../src/worker/scratch.ts";
import { prepareRun } from "../conformance/sandbox.ts";
import { eventually } from "../support/eventually.ts";
import { canBecomeOrdinary, forkSandbox, ordinaryUser } from "./sandbox-process.ts";

const self = process.getuid?.() ?? 0;
const users = canBecomeOrdinary() ? [self, ordinaryUser] : [self];
const cgroups = findCgroupPlaces();
const folders: string[] = [];

afterAll(async () => {
  // An ordinary user cannot enter what an action locked before it gives that back to itself.
  for (const folder of folders) await removeScratch(folder);
});

function newState(owner: number): string {
  const folder = mkdtempSync(join(tmpdir(), "builder-state-"));
  chownSync(folder, owner, owner);
  folders.push(folder);
  return folder;
}

// Leaves a daemon, files without permission, and a pile of temporary files; then waits.
const mess =
  "mkdir -p locked/in && touch locked/in/x /tmp/y && chmod 0 locked && (setsid sleep 300 &) && " +
  "echo started && exec sleep 300";

describe.each(users)("after kill -9 of a caller of user %i", (user) => {
  test("no process, mount, cgroup or scratch folder is left", async () => {
    const subject = await forkSandbox(user, newState(user));
    const run = prepareRun(subject, ["/bin/sh", "-c", mess]);
    void subject.sandbox.run(run);
    await eventually("the action runs", () => hasStarted(run.stdoutPath));
    const supervisor = supervisorOf(subject.process.pid ?? 0);
    const inside = descendantsOf(supervisor);
    expect(inside.length).toBeGreaterThanOrEqual(3);
    expect(mentionsOf(run.scratch)).not.toEqual([]);

    subject.process.kill("SIGKILL");

    await eventually("the supervisor is gone", () => !existsSync(`/proc/${supervisor}`));
    expect(inside.filter((pid) => existsSync(`/proc/${pid}`))).toEqual([]);
    expect(mentionsOf(run.scratch)).toEqual([]);
    expect(existsSync(run.scratch)).toBe(false);
    expect(cgroupsOf(supervisor)).toEqual([]);
  });
});

test("after kill -9 of the nursery what runs goes on, and the next run gets a new one", async () => {
  const sandbox = await chooseSandbox({ want: "auto", stateFolder: newState(self) });
  const subject = { sandbox, owner: self, close: async () => {} };
  const before = nurseriesOf(process.pid);
  const first = prepareRun(subject, ["/bin/sh", "-c", "echo started; sleep 1; exit 7"]);
  folders.push(first.scratch);
  const running = sandbox.run(first);
  await eventually("the action runs", () => hasStarted(first.stdoutPath));
  for (const pid of nurseriesOf(process.pid)) {
    if (!before.includes(pid)) process.kill(pid, "SIGKILL");
  }
  const second = prepareRun(subject, ["/bin/sh", "-c", "exit 3"]);
  folders.push(second.scratch);
  expect(await sandbox.run(second)).toMatchObject({ exitCode: 3 });
  expect(await running).toMatchObject({ exitCode: 7 });
});

describe("after kill -9 of the supervisor", () => {
  test("the tree dies, the run fails, and a sweep removes the cgroup", async () => {
    const sandbox = await chooseSandbox({ want: "auto", stateFolder: newState(self) });
    const subject = { sandbox, owner: self, close: async () => {} };
    const run = prepareRun(subject, ["/bin/sh", "-c", mess]);
    folders.push(run.scratch);
    const running = sandbox.run(run).catch((error: unknown) => error);
    await eventually("the action runs", () => hasStarted(run.stdoutPath));
    const supervisor = supervisorOf(process.pid);
    const inside = descendantsOf(supervisor);
    expect(inside.length).toBeGreaterThanOrEqual(3);
    expect(cgroupsOf(supervisor)).toHaveLength(cgroups.length);

    process.kill(supervisor, "SIGKILL");

    expect(await running).toMatchObject({ code: "UNAVAILABLE" });
    await eventually("the tree is gone", () => inside.every((pid) => !existsSync(`/proc/${pid}`)));
    await eventually("the cgroup is swept", () => {
      sweepCgroups(cgroups);
      return cgroupsOf(supervisor).length === 0;
    });
  });

  test("a sweep leaves a running action alone, and its end leaves only its folder", async () => {
    const sandbox = await chooseSandbox({ want: "auto", stateFolder: newState(self) });
    const subject = { sandbox, owner: self, close: async () => {} };
    const run = prepareRun(subject, ["/bin/sh", "-c", "echo started; exec sleep 300"]);
    folders.push(run.scratch);
    const abort = new AbortController();
    const running = sandbox.run(run, { signal: abort.signal });
    await eventually("the action runs", () => hasStarted(run.stdoutPath));
    const supervisor = supervisorOf(process.pid);
    sweepCgroups(cgroups);
    expect(cgroupsOf(supervisor)).toHaveLength(cgroups.length);
    abort.abort();
    expect(await running).toMatchObject({ cancelled: true });
    expect(cgroupsOf(supervisor)).toEqual([]);
    expect(mentionsOf(run.scratch)).toEqual([]);
    expect(existsSync(run.scratch)).toBe(true);
  });
});

test("a run that ended when it is cancelled, and nobody read its answer yet, is cancelled", async () => {
  const sandbox = await chooseSandbox({ want: "auto", stateFolder: newState(self) });
  const subject = { sandbox, owner: self, close: async () => {} };
  const run = prepareRun(subject, ["/bin/sh", "-c", "echo started; sleep 0.2; exit 7"]);
  folders.push(run.scratch);
  const abort = new AbortController();
  const running = sandbox.run(run, { signal: abort.signal });
  await eventually("the action runs", () => hasStarted(run.stdoutPath));
  const supervisor = supervisorOf(process.pid);
  // In one turn, so that nothing is read meanwhile.
  while (existsSync(`/proc/${supervisor}`))
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
  abort.abort();
  expect(await running).toMatchObject({ cancelled: true });
});

function hasStarted(stdoutPath: string): boolean {
  return existsSync(stdoutPath) && readFileSync(stdoutPath, "utf8") === "started\n";
}

function childrenOf(pid: number): number[] {
  return processes().filter((child) => {
    const stat = readOr(`/proc/${child}/stat`);
    return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]) === pid;
  });
}

function descendantsOf(pid: number): number[] {
  return childrenOf(pid).flatMap((child) => [child, ...descendantsOf(child)]);
}

function nurseriesOf(caller: number): number[] {
  return childrenOf(caller).filter((pid) => linkOr(`/proc/${pid}/exe`).includes("sandbox"));
}

/** The process beside one action: a child of a nursery, of which each sandbox has one. */
function supervisorOf(caller: number): number {
  const found = nurseriesOf(caller).flatMap(childrenOf);
  expect(found).toHaveLength(1);
  return found[0]!;
}

/** Processes that see a mount of something below `folder`. */
function mentionsOf(folder: string): number[] {
  return processes().filter((pid) => readOr(`/proc/${pid}/mountinfo`).includes(folder));
}

function cgroupsOf(supervisor: number): string[] {
  const names = cgroups.flatMap(({ parent }) => readdirSync(parent));
  return names.filter((name) => name.startsWith(`builder-${supervisor}-`));
}

function processes(): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

function readOr(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

function linkOr(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}
