// Hostile actions: each is refused or contained, told in one sentence, and leaves nothing behind.
// As root, as root without cgroups, and as an ordinary user.

import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import { createServer, type Server } from "node:net";
import { constants } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { removeFolders, type SandboxSubject, shell } from "../conformance/sandbox.ts";
import {
  linuxSubjects,
  newMark,
  newState,
  processesWith,
  removeStates,
  self,
} from "./linux-subjects.ts";

const probe = compileProbe();

afterAll(() => {
  removeFolders();
  removeStates();
});

describe.each(Object.entries(linuxSubjects()))("hostile actions of %s", (_, create) => {
  let subject: SandboxSubject;
  beforeAll(async () => {
    subject = await create();
  });
  afterAll(async () => {
    removeFolders();
    await subject.close();
  });
  const withProbe = {
    before: ({ execRoot }: { readonly execRoot: string }) => {
      if (probe !== undefined) fs.copyFileSync(probe, join(execRoot, "probe"));
    },
  };

  test.skipIf(probe === undefined)("system calls that no build needs are refused", async () => {
    const { stdout } = await shell(subject, "./probe", withProbe);
    const outcome = Object.fromEntries(
      stdout
        .trim()
        .split("\n")
        .map((line) => line.split(" ")),
    );
    const { allowed, absent, families, ...refused } = expectedOutcomes;
    expect(outcome).toEqual(
      Object.fromEntries([
        ...allowed.map((name) => [name, "ok"]),
        ...absent.map((name) => [name, "ENOSYS"]),
        ...families.map((name) => [name, "EAFNOSUPPORT"]),
        ...refused.permission.map((name) => [name, "EPERM"]),
        ...refused.access.map((name) => [name, "EACCES"]),
      ]),
    );
  });

  test("of the machine's part of /proc nothing can be written, and its secrets are empty", async () => {
    const line =
      "cat /proc/kcore /proc/keys /proc/kallsyms /proc/timer_list /proc/kmsg 2>/dev/null | wc -c;" +
      "for f in sys/kernel/core_pattern sys/kernel/hostname sys/vm/drop_caches; do " +
      "(echo b > /proc/$f) 2>/dev/null && echo wrote $f; done; " +
      "ls -A /sys /proc/bus 2>/dev/null; ls -l /proc/sysrq-trigger 2>/dev/null | cut -c 1";
    expect((await shell(subject, line)).stdout.replace(/\/proc\/bus:\n/, "")).toMatch(
      /^0\n(c\n)?$/,
    );
  });

  test("set-user-id programs give nothing", async () => {
    const line = "su -c id </dev/null; mount -t tmpfs none /tmp; chmod u+s /proc/self/exe; id -u";
    const ran = await shell(subject, line);
    expect(ran.stdout).toBe("1000\n");
  });

  test("the host's processes, folders and sockets are not there to be named", async () => {
    const state = newState(subject.owner);
    const line = `ls ${state}; ls -d /proc/${process.pid}; kill -0 ${process.pid}; ls /run /dev/mqueue`;
    const ran = await shell(subject, line);
    expect(ran.stdout).toBe("/run:\n");
    expect(ran.stderr.match(/No such/g)).toHaveLength(4);
  });

  describe("a server of the host", () => {
    const name = `builder-test-${process.pid}`;
    let abstract: Server;
    let connections = 0;
    beforeAll(async () => {
      abstract = createServer(() => {
        connections += 1;
      });
      await new Promise<void>((listening) => abstract.listen(`\0${name}`, listening));
    });
    afterAll(() => void abstract.close());

    test.skipIf(probe === undefined)("at an abstract socket is out of reach", async () => {
      const ran = await shell(subject, `./probe a ${name}`, withProbe);
      expect(ran.stdout).toBe("connect ECONNREFUSED\n");
      expect(connections).toBe(0);
    });

    test.runIf(probe !== undefined && scopesSockets())(
      "stays out of reach of an action with network",
      async () => {
        const line = `./probe a ${name}; mkdir a b; touch a/x; mv a/x b/x`;
        const ran = await shell(subject, line, { ...withProbe, network: true });
        expect(ran).toMatchObject({ exitCode: 0, stdout: "connect EPERM\n", stderr: "" });
        expect(connections).toBe(0);
      },
    );
  });

  test("who stopped itself, sleeps in a session of its own or lost its parent ends too", async () => {
    const mark = newMark();
    const line =
      `setsid sh -c 'trap "" TERM HUP INT; kill -STOP $$; sleep ${mark}' & ` +
      `(setsid sh -c '(trap "" TERM; sleep ${mark}) & exit' &) ; sleep 0.1; exec 1>&- 2>&-; exit 3`;
    expect((await shell(subject, line)).exitCode).toBe(3);
    expect(processesWith(mark)).toEqual([]);
  });

  test("a command that closes its output and sleeps on is ended by its wall time", async () => {
    const mark = newMark();
    const line = `exec <&- >&- 2>&-; exec sleep ${mark}`;
    const ran = await shell(subject, line, { limits: { wallMs: 300 } });
    expect(ran).toMatchObject({ exitCode: 137, limit: "timeout" });
    expect(processesWith(mark)).toEqual([]);
  });

  test.runIf(process.arch === "x64")("a 32-bit program ends at its first system call", async () => {
    const before = ({ execRoot }: { readonly execRoot: string }) =>
      fs.writeFileSync(join(execRoot, "old"), elf32(), { mode: 0o755 });
    const ran = await shell(subject, "exec ./old", { before });
    // Some kernels cannot run it at all.
    expect([128 + constants.signals.SIGSYS, 126]).toContain(ran.exitCode);
  });

  test.skipIf(!fs.existsSync("/usr/bin/strace"))("its own processes it may trace", async () => {
    const ran = await shell(subject, "strace -o log /bin/true && grep -c execve log");
    expect(ran).toMatchObject({ exitCode: 0, stdout: "1\n" });
  });
});

/** What sandbox-probe.c is to find: under `allowed` what builds need. */
const expectedOutcomes = {
  allowed: "unshare_files clone_plain unix inet6 netlink fifo trace_own kill_first".split(" "),
  absent: ["clone3_user", "io_uring_setup"],
  families: ["vsock", "alg", "packet"],
  permission: (
    "mount remount umount pivot_root chroot open_tree fsopen move_mount mount_setattr " +
    "open_by_handle_at unshare_user unshare_time clone_user setns bpf perf_event_open userfaultfd " +
    "keyctl add_key init_module kexec_load reboot swapon settimeofday clock_settime sethostname " +
    "syslog raw type_into_terminal type_high_bits block_device character_device trace_first"
  ).split(" "),
  access: ["root_of_first", "memory_of_first", "priority"],
};

/** A program for Intel's 32-bit processors that ends with exit code 7 (elf(5)). */
function elf32(): Buffer {
  const program = Buffer.alloc(84 + 12);
  const base = 0x08048000;
  program.set([0x7f, 0x45, 0x4c, 0x46, 1, 1, 1]);
  for (const [at, value] of [
    [16, 2],
    [18, 3],
    [40, 52],
    [42, 32],
    [44, 1],
  ] as const) {
    program.writeUInt16LE(value, at);
  }
  for (const [at, value] of [
    ...([
      [20, 1],
      [24, base + 84],
      [28, 52],
      [52, 1],
      [60, base],
      [64, base],
    ] as const),
    ...([
      [68, program.length],
      [72, program.length],
      [76, 5],
      [80, 4096],
    ] as const),
  ]) {
    program.writeUInt32LE(value, at);
  }
  // mov eax, 1 (exit); mov ebx, 7; int 0x80
  program.set([0xb8, 1, 0, 0, 0, 0xbb, 7, 0, 0, 0, 0xcd, 0x80], 84);
  return program;
}

/** Undefined, told once, where this machine has no C compiler. */
function compileProbe(): string | undefined {
  const program = join(newState(self), "probe");
  const source = new URL("sandbox-probe.c", import.meta.url).pathname;
  const made = spawnSync("cc", ["-O1", "-o", program, source], { encoding: "utf8" });
  if (made.status === 0) return program;
  process.stderr.write(`SKIPPED the sandbox's probe: ${made.stderr ?? "there is no cc"}\n`);
  return undefined;
}

/** Landlock can keep a process from abstract sockets since Linux 6.12. */
function scopesSockets(): boolean {
  const [major = 0, minor = 0] = fs
    .readFileSync("/proc/sys/kernel/osrelease", "utf8")
    .split(".")
    .map(Number);
  return major > 6 || (major === 6 && minor >= 12);
}
