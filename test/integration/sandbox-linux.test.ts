// What only the Linux sandbox promises: what a command sees, what it may use, and that nothing of
// it stays. As root, as root without cgroups, and as an ordinary user.

import * as fs from "node:fs";
import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { chooseSandbox } from "../../src/sandbox/choose-sandbox.ts";
import { prepareRun, removeFolders, type SandboxSubject, shell } from "../conformance/sandbox.ts";
import {
  cgroups,
  linuxSubjects,
  newMark,
  newState,
  processesWith,
  removeStates,
  self,
} from "./linux-subjects.ts";

afterAll(() => {
  removeFolders();
  removeStates();
});

describe.each(Object.entries(linuxSubjects()))("the Linux sandbox of %s", (_, create) => {
  let subject: SandboxSubject;
  beforeAll(async () => {
    subject = await create();
  });
  afterAll(async () => {
    removeFolders();
    await subject.close();
  });

  describe("what a command sees", () => {
    test("of the host's folders only the system's, and none of the host's files", async () => {
      const ran = await shell(subject, "ls -A / /var /run /tmp /var/tmp");
      const [root = "", ...empty] = ran.stdout.split("\n\n");
      const system = /^(bin|sbin|lib(|32|64|x32)|usr|etc|opt|nix)$/;
      const names = root.split("\n").slice(1);
      expect(names.filter((name) => !system.test(name)).sort()).toEqual(
        ["dev", "proc", "run", "tmp", "var", "work"].sort(),
      );
      expect(
        empty
          .join("\n")
          .split("\n")
          .filter((line) => !line.endsWith(":")),
      ).toEqual(expect.arrayContaining(["tmp"]));
    });

    test("a file that is not an input is not there, whatever its permissions", async () => {
      const outside = join(newState(self), "undeclared");
      fs.writeFileSync(outside, "secret");
      fs.chmodSync(outside, 0o644);
      const ran = await shell(subject, `cat ${outside} ${process.execPath} /root/.profile`);
      expect(ran).toMatchObject({ exitCode: 1, stdout: "" });
      expect(ran.stderr.match(/No such file/g)).toHaveLength(3);
    });

    test("the system is read-only", async () => {
      const ran = await shell(
        subject,
        "touch /usr/x; touch /etc/x; touch /x; touch /work/../dev/x",
      );
      expect(ran.stderr.match(/Read-only file system/g)).toHaveLength(4);
    });

    test("temporary folders are private, writable, and run programs", async () => {
      const line =
        "for d in /tmp /var/tmp /dev/shm; do cp /bin/true $d/t && $d/t && echo ok; done; " +
        "ls -A /tmp";
      expect((await shell(subject, line)).stdout).toBe("ok\nok\nok\nt\n");
      expect((await shell(subject, "ls -A /tmp")).stdout).toBe("");
    });

    test("it is user 1000 of host `builder`, without privileges or a way to them", async () => {
      const line = "id -u; hostname; grep -E '^(Cap|NoNewPrivs)' /proc/self/status";
      const { stdout } = await shell(subject, line);
      const [user, host, ...rights] = stdout.trim().split("\n");
      expect([user, host]).toEqual(["1000", "builder"]);
      expect(rights.map((line) => line.split("\t")[1])).toEqual([
        ...Array(5).fill("0".repeat(16)),
        "1",
      ]);
    });

    test("devices work, and no other is there", async () => {
      const line =
        "head -c 3 /dev/zero | wc -c; head -c 3 /dev/urandom | wc -c; echo x > /dev/null;" +
        "echo named >> /dev/stdout; : < /dev/stdin; ls /dev | tr '\\n' ' '";
      expect((await shell(subject, line)).stdout).toBe(
        "3\n3\nnamed\nfd full null ptmx pts random shm stderr stdin stdout tty urandom zero ",
      );
    });

    test("only its own processes, and no descriptor of ours", async () => {
      const line = "ls /proc | grep -c '^[0-9]'; ls /proc/self/fd | wc -l; cat /proc/1/environ";
      const ran = await shell(subject, line);
      const [processes, descriptors] = ran.stdout.split("\n").map(Number);
      expect(processes).toBeLessThanOrEqual(4);
      expect(descriptors).toBe(4); // 0, 1, 2 and the one that lists them
      expect(ran.stderr).toMatch(/Permission denied/);
    });
  });

  describe("the network", () => {
    let server: Server;
    let port: number;
    let connections = 0;
    beforeAll(async () => {
      server = createServer((socket) => {
        connections += 1;
        socket.end("greetings\n");
      });
      await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
      const address = server.address();
      port = typeof address === "object" ? (address?.port ?? 0) : 0;
    });
    afterAll(() => void server.close());
    const connect = () => `bash -c 'cat < /dev/tcp/127.0.0.1/${port}'`;

    test("is closed: not even the host's loopback can be reached", async () => {
      const ran = await shell(subject, connect());
      expect(ran.exitCode).not.toBe(0);
      expect(ran.stderr).toContain("Connection refused");
      expect(connections).toBe(0);
    });

    test("has a loopback of the action's own, which is up", async () => {
      expect((await shell(subject, "grep -q 127.0.0.1 /proc/net/fib_trie")).exitCode).toBe(0);
    });

    test("is the host's where the action asked for it", async () => {
      expect((await shell(subject, connect(), { network: true })).stdout).toBe("greetings\n");
    });
  });

  describe("limits", () => {
    test("memory counts for the tree together", async () => {
      const line = "for i in 1 2 3; do (head -c 40m /dev/zero; sleep 90) | tail & done; wait";
      const ran = await shell(subject, line, { limits: { memoryBytes: 64 << 20 } });
      expect(ran).toMatchObject({ exitCode: 137, limit: "memory" });
      expect(ran.usage.memoryPeakBytes).toBeGreaterThan(32 << 20);
    });

    test("memory that was too much before anybody looked is told all the same", async () => {
      const line = "exec perl -e 'push @all, \"x\" x (90 << 20) for 1 .. 9'";
      const ran = await shell(subject, line, { limits: { memoryBytes: 64 << 20 } });
      expect(ran).toMatchObject({ exitCode: 137, limit: "memory" });
      expect(ran.usage.memoryPeakBytes).toBeGreaterThanOrEqual(64 << 20);
    });

    test("memory that processes share counts once", async () => {
      const line = "for i in $(seq 30); do bash -c 'sleep 0.4; :' & done; wait";
      const ran = await shell(subject, line, { limits: { memoryBytes: 60 << 20 } });
      expect(ran).toMatchObject({ exitCode: 0, limit: undefined });
    });

    test("more processes than allowed end the action", async () => {
      const line = "bash -c 'for i in $(seq 40); do sleep 60 & done; wait'";
      const ran = await shell(subject, line, { limits: { pids: 32 } });
      expect(ran).toMatchObject({ exitCode: 137, limit: "pids" });
    });

    test("a fork bomb ends, at its wall time at the latest", async () => {
      const bomb = "bash -c 'b() { b | b & }; b; sleep 60'";
      const ran = await shell(subject, bomb, { limits: { pids: 32, wallMs: 5_000 } });
      expect(ran.exitCode).toBe(137);
      expect(ran.limit).toMatch(/^(pids|timeout)$/);
    });

    test("as many processes as allowed are allowed", async () => {
      const line = "for i in 1 2 3 4 5 6; do sleep 0.2 & done; wait";
      expect((await shell(subject, line, { limits: { pids: 7 } })).exitCode).toBe(0);
    });

    test("a file stops growing at its limit", async () => {
      const ran = await shell(subject, "head -c 100000 /dev/zero > big", {
        limits: { fileBytes: 65536 },
      });
      expect(ran.limit).toBe("fileBytes");
      expect(fs.statSync(join(ran.execRoot, "big")).size).toBe(65536);
    });

    test("stdout and stderr end at their limit, and what is over is cut off", async () => {
      const line = "yes | head -c 1000; exec yes >&2";
      const ran = await shell(subject, line, { limits: { logBytes: 65_536, wallMs: 60_000 } });
      expect(ran).toMatchObject({ exitCode: 137, limit: "logBytes" });
      expect(ran.stdout).toHaveLength(1000);
      expect(ran.stderr).toHaveLength(65_536);
    });

    test("a command that said too much before anybody looked has failed too", async () => {
      const ran = await shell(subject, "seq 2000", { limits: { logBytes: 4096 } });
      expect(ran).toMatchObject({ exitCode: 137, limit: "logBytes" });
      expect(ran.stdout).toHaveLength(4096);
    });

    test("a million lines of stderr are no trouble", async () => {
      const ran = await shell(subject, "seq 1000000 >&2");
      expect(ran).toMatchObject({ exitCode: 0, limit: undefined });
      expect(ran.stderr).toHaveLength(6_888_896);
    });

    test("many files may not grow beyond the limit together, deleted ones included", async () => {
      const limits = { outputBytes: 4 << 20, wallMs: 60_000 };
      const inputs = { bytes: 3 << 20, files: 1 };
      const before = ({ execRoot }: { readonly execRoot: string }) =>
        fs.writeFileSync(join(execRoot, "in"), Buffer.alloc(3 << 20, "x"));
      const grow = (line: string) => shell(subject, line, { limits, inputs, before });
      const fill = "for i in $(seq 10); do head -c 1m /dev/zero > out$i; done; exec sleep 1000";
      expect(await grow(fill)).toMatchObject({ exitCode: 137, limit: "outputBytes" });
      const hide =
        "mkdir d; cd d; for i in $(seq 10); do head -c 1m /dev/zero > $i; done; chmod 0 .";
      expect((await grow(`(${hide}); sleep 1000`)).limit).toBe("outputBytes");
      const unlink = "exec 3>f; rm f; head -c 9m /dev/zero >&3; exec sleep 1000";
      expect((await grow(unlink)).limit).toBe("outputBytes");
      expect((await grow("head -c 3m /dev/zero > out")).limit).toBeUndefined();
    });

    test("so may not their number", async () => {
      const limits = { outputFiles: 200, wallMs: 60_000 };
      const line = "mkdir d; cd d; i=0; while :; do i=$((i+1)); : > $i; done";
      const ran = await shell(subject, line, { limits });
      expect(ran).toMatchObject({ exitCode: 137, limit: "outputFiles" });
    });

    test("temporary folders hold what they may, and filling them ends the action", async () => {
      const limits = { tmpBytes: 1 << 20, tmpFiles: 50 };
      const full = await shell(subject, "head -c 2m /dev/zero > /dev/shm/x", { limits });
      expect(full).toMatchObject({ exitCode: 137, limit: "tmpBytes" });
      const many = "for i in $(seq 200); do : > /tmp/$i; done; sleep 1000";
      expect((await shell(subject, many, { limits })).limit).toBe("tmpFiles");
      const fine = "head -c 900k /dev/zero > /tmp/x; for i in $(seq 40); do : > /var/tmp/$i; done";
      expect(await shell(subject, fine, { limits })).toMatchObject({ exitCode: 0 });
    });

    test("open files are refused beyond their limit", async () => {
      const line =
        "bash -c 'ulimit -n; ulimit -Hn; for i in {3..60}; do eval \"exec $i</dev/null\"; done'";
      const ran = await shell(subject, line, { limits: { openFiles: 40 } });
      expect(ran.stdout).toBe("40\n40\n");
      expect(ran.stderr).toContain("Too many open files");
    });

    test("what was read, written and waited for is counted", async () => {
      const { usage } = await shell(subject, "head -c 3m /dev/zero | cat > out; sleep 0.01");
      const { io } = usage;
      expect(io?.readBytes).toBeGreaterThanOrEqual(6 << 20);
      expect(io?.writtenBytes).toBeGreaterThanOrEqual(6 << 20);
      expect(io?.diskWrittenBytes).toBeGreaterThanOrEqual(3 << 20);
      expect(io?.waits).toBeGreaterThan(0);
    });

    test("without a cgroup a share of the cores is whole cores", async (context) => {
      if (availableParallelism() < 2) context.skip("this machine has one core");
      const ran = await shell(subject, "nproc", { limits: { cpus: 0.5 } });
      const isShared = subject.sandbox.isolation === "namespaces+cgroup";
      expect(ran.stdout).toBe(isShared ? `${availableParallelism()}\n` : "1\n");
    });

    test("output counts as a file", async () => {
      const ran = await shell(subject, "exec yes", { limits: { fileBytes: 4096 } });
      expect(ran).toMatchObject({ exitCode: 153, limit: "fileBytes" });
      expect(ran.stdout).toHaveLength(4096);
    });

    test("the time of all processes counts, of those left behind too", async () => {
      const loop = "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; : > done; exec sleep 90";
      const ran = await shell(subject, `(${loop}) & until [ -e done ]; do sleep 0.05; done`);
      // The loop alone takes 100 ms and more; a shell but a few.
      expect(ran.usage.userCpuMs + ran.usage.systemCpuMs).toBeGreaterThan(30);
    });
  });

  describe("what stays behind", () => {
    test("no daemon after the command's end", async () => {
      const mark = newMark();
      await shell(subject, `(setsid sleep ${mark} &) & sleep 0.05`);
      expect(processesWith(mark)).toEqual([]);
    });

    test("no daemon after the wall time, detached as it may be", async () => {
      const mark = newMark();
      const ran = await shell(
        subject,
        `(trap '' TERM HUP; setsid sleep ${mark} &) & sleep ${mark}`,
        {
          limits: { wallMs: 300 },
        },
      );
      expect(ran.limit).toBe("timeout");
      expect(processesWith(mark)).toEqual([]);
    });
  });
});

describe.runIf(self === 0)("the Linux sandbox of root", () => {
  test("an input shared with the store cannot be altered", async () => {
    const sandbox = await chooseSandbox({ want: "auto", stateFolder: newState(0) });
    const subject = { sandbox, owner: 0, close: async () => {} };
    const blob = join(newState(0), "blob");
    fs.writeFileSync(blob, "content", { mode: 0o444 });
    const line = "chmod u+w in; echo x > in; echo x >> in; mv in moved && echo new > in && cat in";
    const ran = await shell(subject, line, {
      before: ({ execRoot }) => fs.linkSync(blob, join(execRoot, "in")),
    });
    expect(ran.stdout).toBe("new\n");
    expect(ran.stderr.match(/not permitted|denied/g)).toHaveLength(3);
    expect(readFileSync(blob, "utf8")).toBe("content");
    expect(fs.statSync(blob)).toMatchObject({ uid: 0, mode: 0o100444 });
  });

  test.runIf(cgroups.some(({ hierarchy }) => hierarchy !== "memory" && hierarchy !== "pids"))(
    "a share of a core is what it says",
    async () => {
      const sandbox = await chooseSandbox({ want: "auto", stateFolder: newState(0) });
      const run = prepareRun(
        { sandbox, owner: 0, close: async () => {} },
        ["timeout", "1", "sh", "-c", "while :; do :; done"],
        { limits: { cpus: 0.25 } },
      );
      const { usage } = await sandbox.run(run);
      fs.rmSync(run.scratch, { recursive: true });
      expect((usage.userCpuMs + usage.systemCpuMs) / usage.wallMs).toBeLessThan(0.5);
    },
  );
});
