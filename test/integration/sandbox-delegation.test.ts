// Where cgroup v2 lets a node limit its actions: in the places that systemd and containers put
// programs, made here by hand (https://systemd.io/CGROUP_DELEGATION). Wants root and a machine with
// version 2; on others `npm run test:cgroup2` has one.

import {
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parseCgroupMounts } from "../../src/sandbox/cgroup.ts";
import { actionHostId } from "../../src/sandbox/choose-sandbox.ts";
import { LinuxSandbox } from "../../src/sandbox/linux-sandbox.ts";
import { findSandboxProgram } from "../../src/sandbox/sandbox-program.ts";
import { removeFolders, shell } from "../conformance/sandbox.ts";
import { eventually } from "../support/eventually.ts";
import { newState, removeStates, self } from "./linux-subjects.ts";
import { canBecomeOrdinary, forkSandbox, ordinaryUser } from "./sandbox-process.ts";

const limits = "+memory +pids";
const mount = parseCgroupMounts(readFileSync("/proc/self/mountinfo", "utf8")).find(
  ({ version, folder }) => version === 2 && controllersOf(folder).includes("memory"),
);
const top = join(mount?.folder ?? "/", `builder-test-${process.pid}`);

describe.runIf(mount !== undefined && self === 0 && canBecomeOrdinary())("on cgroup v2", () => {
  beforeAll(() => {
    writeFileSync(join(top, "../cgroup.subtree_control"), limits);
    mkdirSync(top);
    writeFileSync(join(top, "cgroup.subtree_control"), limits);
  });
  afterAll(async () => {
    removeFolders();
    removeStates();
    // Nurseries end a moment after who started them.
    await eventually("the groups are empty", () => removeGroup(top), 100_000);
  });

  test("a delegated service moves below its folder, and its actions beside it", async () => {
    const service = newGroup("builder.service", ordinaryUser);
    const subject = await forkSandbox(ordinaryUser, newState(ordinaryUser), startIn(service));
    try {
      expect(subject.sandbox.isolation).toBe("namespaces+cgroup");
      const node = groupOf(subject.process.pid ?? 0);
      expect(node).toBe(join(service, "builder-node"));
      // `times` tells of this shell first.
      const work = "i=0; while [ $i -lt 9999 ]; do i=$((i+1)); done; times; cat /proc/self/cgroup";
      const ran = await shell(subject, `${work}; head -c 900m /dev/zero | tail`, {
        limits: { memoryBytes: 64 << 20 },
      });
      expect(ran).toMatchObject({ exitCode: 137, limit: "memory" });
      const [own = "", , group] = ran.stdout.split("\n");
      expect(group).toBe("0::/");
      const seconds = [...own.matchAll(/([\d.]+)s/g)].map(([, text]) => Number(text));
      const workedMs = seconds.reduce((sum, part) => sum + part, 0) * 1000;
      expect(workedMs).toBeGreaterThan(0);
      // Counted, though the kernel ended all processes at once. `times` ticks every 10 ms.
      expect(ran.usage.userCpuMs + ran.usage.systemCpuMs).toBeGreaterThan(workedMs - 20);
      expect(ran.usage.memoryPeakBytes).toBeGreaterThan(60 << 20);
      expect(ran.usage.memoryPeakBytes).toBeLessThanOrEqual(64 << 20);
      expect(groupsIn(service)).toEqual(["builder-node"]);
    } finally {
      await end(subject);
    }
  });

  test("a scope of a user manager has its actions in its slice", async () => {
    const manager = newGroup("user@1000.service", ordinaryUser);
    writeFileSync(join(manager, "cgroup.subtree_control"), limits);
    const slice = newGroup("user@1000.service/app.slice", ordinaryUser);
    writeFileSync(join(slice, "cgroup.subtree_control"), limits);
    const scope = newGroup("user@1000.service/app.slice/run-1.scope", ordinaryUser);
    const subject = await forkSandbox(ordinaryUser, newState(ordinaryUser), startIn(scope));
    try {
      expect(subject.sandbox.isolation).toBe("namespaces+cgroup");
      expect(groupOf(subject.process.pid ?? 0)).toBe(scope);
      const forks = "bash -c 'for i in $(seq 40); do sleep 600 & done; wait'";
      const ran = await shell(subject, forks, { limits: { pids: 32 } });
      expect(ran).toMatchObject({ exitCode: 137, limit: "pids" });
      expect(groupsIn(slice)).toEqual(["run-1.scope"]);
    } finally {
      await end(subject);
    }
  });

  test("the scope of a login is nobody's to divide, and is left as it was", async () => {
    const session = newGroup("session-1.scope", 0);
    const subject = await forkSandbox(ordinaryUser, newState(ordinaryUser), startIn(session));
    try {
      expect(subject.sandbox.isolation).toBe("namespaces+rlimits");
      expect(groupOf(subject.process.pid ?? 0)).toBe(session);
      expect(groupsIn(session)).toEqual([]);
    } finally {
      await end(subject);
    }
  });

  test("before Linux 5.19, which remembers no peak, it is looked at", async () => {
    const program = join(newState(0), "sandbox");
    const shipped = await findSandboxProgram({ stateFolder: newState(0), arch: process.arch });
    const bytes = readFileSync(shipped);
    const at = bytes.indexOf("memory.peak");
    writeFileSync(program, bytes.fill("memory.none", at, at + 11), { mode: 0o755 });
    const cgroups = [{ hierarchy: "2", parent: newGroup("old", 0) }] as const;
    writeFileSync(join(top, "old/cgroup.subtree_control"), limits);
    const sandbox = new LinuxSandbox({ program, hostId: actionHostId, cgroups });
    const subject = { sandbox, owner: 0, close: async () => {} };
    const hold = "bash -c 'x=$(head -c 20m /dev/zero | tr \\\\0 x); sleep 0.5'";
    const held = await shell(subject, hold);
    expect(held).toMatchObject({ exitCode: 0, limit: undefined });
    expect(held.usage.memoryPeakBytes).toBeGreaterThan(20 << 20);
    const hog = await shell(subject, "head -c 900m /dev/zero | tail", {
      limits: { memoryBytes: 64 << 20 },
    });
    expect(hog).toMatchObject({ exitCode: 137, limit: "memory" });
    expect(hog.usage.memoryPeakBytes).toBe(64 << 20);
  });

  test("a container's only folder is divided by its root", async () => {
    const container = newGroup("container", 0);
    const inside =
      `echo 0 >${container}/cgroup.procs; exec unshare --cgroup --mount ` +
      `sh -c 'umount -l ${mount?.folder}; mount -t cgroup2 none ${mount?.folder}; exec "$@"' sh "$@"`;
    const subject = await forkSandbox(0, newState(0), inside);
    try {
      expect(subject.sandbox.isolation).toBe("namespaces+cgroup");
      expect(groupOf(subject.process.pid ?? 0)).toBe(join(container, "builder-node"));
      const ran = await shell(subject, "head -c 900m /dev/zero | tail", {
        limits: { memoryBytes: 64 << 20 },
      });
      expect(ran).toMatchObject({ exitCode: 137, limit: "memory" });
    } finally {
      await end(subject);
    }
  });
});

function controllersOf(folder: string): string[] {
  return readFileSync(join(folder, "cgroup.controllers"), "utf8").trim().split(" ");
}

function newGroup(path: string, owner: number): string {
  const group = join(top, path);
  mkdirSync(group);
  for (const file of ["", "cgroup.procs", "cgroup.subtree_control"]) {
    chownSync(join(group, file), owner, owner);
  }
  return group;
}

/** Moves into a group as root, then becomes an ordinary user. */
function startIn(group: string): string {
  const user = `--reuid=${ordinaryUser} --regid=${ordinaryUser} --clear-groups`;
  return `echo 0 >${group}/cgroup.procs; exec setpriv ${user} "$@"`;
}

function groupOf(pid: number): string {
  const path = readFileSync(`/proc/${pid}/cgroup`, "utf8").match(/^0::(.*)$/m)?.[1] ?? "";
  return join(mount?.folder ?? "", path);
}

function groupsIn(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name);
}

async function end(subject: Awaited<ReturnType<typeof forkSandbox>>): Promise<void> {
  const pid = subject.process.pid ?? 0;
  await subject.close();
  await eventually("it has ended", () => !existsSync(`/proc/${pid}`), 100_000);
}

function removeGroup(folder: string): boolean {
  try {
    for (const name of groupsIn(folder)) removeGroup(join(folder, name));
    rmdirSync(folder);
    return true;
  } catch {
    return false;
  }
}
