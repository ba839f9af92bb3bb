// What the audit's tracer sees, of real programs: nothing that a program can do gets past it.

import { execFileSync, spawnSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type AuditedFile, type AuditTrace, decodeTrace } from "../../src/sandbox/audit-trace.ts";
import { AuditingSandbox } from "../../src/sandbox/auditing-sandbox.ts";
import type { SandboxResult } from "../../src/sandbox/sandbox.ts";
import { findSandboxProgram } from "../../src/sandbox/sandbox-program.ts";
import { eventually } from "../support/eventually.ts";
import { allProcesses } from "../support/programs.ts";

const native = new URL("../../native", import.meta.url).pathname;
const deedsSource = new URL("../support/audit-deeds.c", import.meta.url).pathname;
const base = realpathSync(mkdtempSync(join(tmpdir(), "builder-audit-")));
const hasCompiler = spawnSync("cc", ["--version"]).status === 0;
const deeds = join(base, "deeds");
const staticDeeds = join(base, "deeds-static");
let program = "";
let hasStatic = false;

beforeAll(async () => {
  program = await findSandboxProgram({ stateFolder: base, arch: process.arch, program: "audit" });
  if (!hasCompiler) return;
  execFileSync("cc", ["-w", "-o", deeds, deedsSource, "-pthread"]);
  hasStatic =
    spawnSync("cc", ["-w", "-static", "-o", staticDeeds, deedsSource, "-pthread"]).status === 0;
});
afterAll(() => rmSync(base, { recursive: true, force: true }));

interface Done {
  readonly result: SandboxResult;
  readonly trace: AuditTrace | undefined;
  readonly stdout: string;
  readonly stderr: string;
  readonly execRoot: string;
  readonly workspace: string;
  /** What was noted of a file, by the end of its path. */
  file(end: string): AuditedFile | undefined;
}

interface Setting {
  /** Files of the workspace that are not laid out, with their text; `-> x` makes a link. */
  readonly workspace?: Readonly<Record<string, string>>;
  readonly laidOut?: Readonly<Record<string, string>>;
  readonly skipped?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly wallMs?: number;
  readonly signal?: AbortSignal;
}

function write(folder: string, files: Readonly<Record<string, string>> = {}): void {
  mkdirSync(folder, { recursive: true });
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    const target = /^-> (.*)$/.exec(text)?.[1];
    if (target === undefined) writeFileSync(join(folder, name), text);
    else symlinkSync(target, join(folder, name));
  }
}

async function audit(argv: [string, ...string[]], setting: Setting = {}): Promise<Done> {
  const scratch = mkdtempSync(join(base, "run-"));
  const execRoot = join(scratch, "root");
  const workspace = join(scratch, "ws");
  write(execRoot, setting.laidOut);
  write(workspace, { ...setting.laidOut, ...setting.workspace });
  let trace: AuditTrace | undefined;
  const sandbox = new AuditingSandbox({
    ...{ program, workspace, skipped: setting.skipped ?? [] },
    onTrace: (seen) => {
      trace = seen;
    },
  });
  const [stdoutPath, stderrPath] = [join(scratch, "stdout"), join(scratch, "stderr")];
  const limits = {
    ...{ memoryBytes: 1 << 30, cpus: 1, pids: 100, openFiles: 1024, fileBytes: 1 << 30 },
    ...{ logBytes: 1 << 20, outputBytes: 1 << 30, outputFiles: 1000 },
    ...{ tmpBytes: 1 << 30, tmpFiles: 1000 },
  };
  const result = await sandbox.run(
    {
      ...{ execRoot, scratch, stdoutPath, stderrPath, argv, workingDirectory: "", network: false },
      env: { PATH: "/usr/bin:/bin", LANG: "C.UTF-8", ...setting.env },
      limits: { ...limits, wallMs: setting.wallMs ?? 100_000 },
    },
    setting.signal === undefined ? {} : { signal: setting.signal },
  );
  const read = (path: string) => readFileSync(path, "utf8");
  const file = (end: string) => trace?.files.find(({ path }) => path.endsWith(end));
  const said = { stdout: read(stdoutPath), stderr: read(stderrPath) };
  return { result, trace, ...said, execRoot, workspace, file };
}

const ops = (file: AuditedFile | undefined) => [...(file?.ops ?? [])].sort();

describe.skipIf(!hasCompiler)(
  "the tracer sees (compiled here, where there is a C compiler)",
  () => {
    const undeclared = { workspace: { "data/a.txt": "hello" } };

    test.each([
      ...["read", "thread", "grandchild", "vfork", "openat2", "folder", "stopped"],
      ...(process.arch === "x64" ? ["old"] : []),
    ])("a file that is read: %s", async (deed) => {
      const done = await audit([deeds, deed, "data/a.txt"], undeclared);
      expect(done.result.exitCode).toBe(0);
      expect(done.file("root/data/a.txt")).toMatchObject({ undeclared: true, program: "deeds" });
      expect(ops(done.file("root/data/a.txt"))).toEqual(["read"]);
    });

    test("a thread that becomes another program", async () => {
      const done = await audit([deeds, "thread-exec", "data/a.txt"], undeclared);
      expect(done).toMatchObject({ stdout: "hello", result: { exitCode: 0 } });
      expect(done.file("root/data/a.txt")).toMatchObject({ undeclared: true, program: "cat" });
    });

    test.for(["read", "thread", "grandchild", "vfork"])(
      "what a static program does: %s",
      async (deed, context) => {
        if (!hasStatic) context.skip("this machine has no static C library");
        const done = await audit([staticDeeds, deed, "data/a.txt"], undeclared);
        expect(done.file("root/data/a.txt")).toMatchObject({ undeclared: true });
        expect(done.trace?.files.some(({ path }) => path.includes("libc.so"))).toBe(false);
      },
    );

    test.each(["stat", "statx", "access", "readlink", "xattr"])("a look: %s", async (deed) => {
      const done = await audit([deeds, deed, "data/a.txt"], undeclared);
      expect(ops(done.file("root/data/a.txt"))).toEqual(["looked"]);
    });

    test("every kind of change, none of which reaches the workspace", async () => {
      const laidOut = { "one.txt": "1", "two.txt": "2", "three.txt": "3" };
      const workspace = { "data/a.txt": "hello", "data/b.txt": "there" };
      const run = (words: string[]) => audit([deeds, ...words], { laidOut, workspace });
      const changed = await run(["change,append", "data/a.txt"]);
      expect(ops(changed.file("root/data/a.txt"))).toEqual(["changed", "written"]);
      expect(readFileSync(join(changed.workspace, "data/a.txt"), "utf8")).toBe("hello");
      expect(readFileSync(join(changed.execRoot, "data/a.txt"), "utf8")).toBe("h");
      const moved = await run(["rename", "one.txt", "four.txt"]);
      expect(ops(moved.file("root/one.txt"))).toEqual(["read", "removed"]);
      expect(ops(moved.file("root/four.txt"))).toEqual(["created", "written"]);
      const linked = await run(["link", "data/b.txt", "five.txt"]);
      expect(linked.file("root/data/b.txt")).toMatchObject({ undeclared: true });
      expect(ops(linked.file("root/five.txt"))).toEqual(["created", "written"]);
      expect(ops((await run(["unlink", "two.txt"])).file("root/two.txt"))).toEqual(["removed"]);
      for (const deed of ["create", "symlink", "mkdir"]) {
        expect(ops((await run([deed, "new"])).file("root/new"))).toContain("created");
      }
    });

    test("addresses, by every call that takes one", async () => {
      const done = await audit([deeds, "tcp,sendto,sendmsg,sendmmsg,abstract"]);
      expect(done.trace?.addresses.map(({ address }) => address).sort()).toEqual([
        ...["192.0.2.7:1", "192.0.2.7:2", "192.0.2.7:3", "192.0.2.7:4", "unix @audit-deeds"],
      ]);
    });

    test("names that are looked up, beside the address that is asked", async () => {
      const done = await audit([deeds, "name"]);
      expect(done.trace?.addresses).toEqual([
        { verb: "connect", address: "192.0.2.53:53", count: 1, program: "deeds" },
        { verb: "lookup", address: "builder.example", count: 2, program: "deeds" },
      ]);
    });

    test("the real file behind links, and links of the workspace on the way", async () => {
      const workspace = {
        "real/a.txt": "x",
        "by/link": "-> ../real",
        "out.txt": "-> /etc/hostname",
      };
      const done = await audit([deeds, "read", "by/link/a.txt"], { workspace });
      expect(done.file("root/real/a.txt")).toMatchObject({ undeclared: true });
      expect(done.file("root/by/link")).toMatchObject({ undeclared: true });
      const outside = await audit([deeds, "read", "out.txt"], { workspace });
      expect(ops(outside.file("/etc/hostname"))).toContain("read");
    });

    test("what the kernel opens to start a program: interpreters of scripts, loaders", async () => {
      const script = join(base, "tool.sh");
      const interpreter = join(base, "own-sh");
      writeFileSync(script, `#!${interpreter} -e\ncat data/a.txt\n`);
      chmodSync(script, 0o755);
      writeFileSync(interpreter, readFileSync("/bin/sh"), { mode: 0o755 });
      const done = await audit([deeds, "exec", script], undeclared);
      expect(done.stdout).toBe("hello");
      expect(ops(done.file("/tool.sh"))).toContain("executed");
      expect(ops(done.file("/own-sh"))).toContain("executed");
      expect(done.file("root/data/a.txt")).toMatchObject({ undeclared: true, program: "cat" });
    });

    test("a listing with names that were not laid out, whose content comes when asked for", async () => {
      const workspace = { "data/a.txt": "hello", "data/deep/b.txt": "there" };
      const setting = { laidOut: { "data/own.txt": "mine" }, workspace };
      const listed = await audit([deeds, "list", "data"], setting);
      expect(listed.stdout.split("\n")).toEqual(
        expect.arrayContaining(["own.txt", "a.txt", "deep"]),
      );
      expect(listed.file("root/data")).toMatchObject({ undeclared: true, isFolder: true });
      expect(listed.file("a.txt")).toBeUndefined();
      const all = await audit(["find", "data", "-type", "f", "-exec", "cat", "{}", "+"], setting);
      expect(["hello", "mine", "there"].every((text) => all.stdout.includes(text))).toBe(true);
      expect(all.file("data/own.txt")).toMatchObject({ undeclared: false });
      expect(all.file("data/deep/b.txt")).toMatchObject({ undeclared: true });
    });

    test("nothing of outputs that an earlier build left in the workspace", async () => {
      const workspace = { "bin/app": "old", "data/a.txt": "x" };
      const done = await audit([deeds, "read,stat", "bin/app"], {
        workspace,
        skipped: ["bin/app"],
      });
      expect(done.file("bin/app")).toBeUndefined();
      expect(existsSync(join(done.execRoot, "bin/app"))).toBe(false);
    });

    test("calls that would get past it fail, and those that hide names are told", async () => {
      const done = await audit([deeds, "ring,newer,unshare"]);
      expect(done.stdout).toBe("no ring\nunknown\n");
      expect(done.trace?.blind.map(({ call }) => call)).toEqual(["unshare"]);
    });

    test("signals end what waits for others, and no look at a file", async () => {
      const done = await audit([deeds, "alarms", "data/a.txt"], undeclared);
      expect(done.result.exitCode).toBe(0);
      expect(done.file("root/data/a.txt")).toMatchObject({ undeclared: true });
    });

    test("where there is no listener to have, it sees the same", () => {
      const folder = mkdtempSync(join(base, "below-"));
      write(folder, { "root/x": "", "ws/data/a.txt": "hello" });
      writeFileSync(join(folder, "layout"), `${folder}/root\0${folder}/ws\0`);
      const tracer = [program, "trace", join(folder, "trace"), join(folder, "layout"), "--"];
      const words = ["below-listener", ...tracer, deeds, "read,thread,alarms", "data/a.txt"];
      expect(spawnSync(deeds, words, { cwd: join(folder, "root") }).status).toBe(0);
      const { files } = decodeTrace(readFileSync(join(folder, "trace")));
      const file = files.find(({ path }) => path.endsWith("root/data/a.txt"));
      expect(file).toMatchObject({ undeclared: true, program: "deeds" });
    });

    test("ends as the command ends, and takes along what that left behind", async () => {
      expect((await audit([deeds, "die"])).result.exitCode).toBe(128 + 10);
      const marker = `mark-${process.pid}`;
      const done = await audit([deeds, "daemon", marker]);
      expect(done.result).toMatchObject({ exitCode: 0, limit: undefined, cancelled: false });
      const alive = () => allProcesses().filter(({ command }) => command.includes(marker));
      expect(alive()).toEqual([]);
    });

    test("a time-out ends everything, and what was seen until then is told", async () => {
      const marker = join(base, "waits");
      const done = await audit([deeds, "create,daemon,wait", marker], { wallMs: 6000 });
      expect(done.result.limit).toBe("timeout");
      expect(ops(done.file("/waits"))).toContain("created");
      const alive = () => allProcesses().filter(({ command }) => command.includes(marker));
      expect(alive()).toEqual([]);
    });

    test("a cancelled command is gone, with the tracer and all", async () => {
      const abort = new AbortController();
      const marker = join(base, "cancelled");
      const running = audit([deeds, "create,daemon,wait", marker], { signal: abort.signal });
      await eventually("it runs", () => existsSync(marker));
      abort.abort();
      expect((await running).result.cancelled).toBe(true);
      const alive = () => allProcesses().filter(({ command }) => command.includes(marker));
      await eventually("all are gone", () => alive().length === 0);
    });
  },
);

test("a command that is not there ends like in a shell", async () => {
  const done = await audit(["no-such-command"]);
  expect(done.result.exitCode).toBe(127);
  expect(done.stderr).toContain("no-such-command: not found");
});

test("a home in /tmp is the action's own, any other is as it was said", async () => {
  const script = 'echo "$HOME"; echo x > "$HOME/own"';
  const done = await audit(["sh", "-c", script], { env: { HOME: "/tmp" } });
  expect(done.stdout.trim()).toBe(join(dirname(done.execRoot), "audit-home"));
  expect(existsSync("/tmp/own")).toBe(false);
  const other = await audit(["sh", "-c", 'echo "$HOME"'], { env: { HOME: "/home/x" } });
  expect(other.stdout).toBe("/home/x\n");
});

test("names that lead nowhere are not told", async () => {
  const done = await audit(["sh", "-c", "test -e nothing || test -e /nowhere/x || true"]);
  expect(done.trace?.files.filter(({ path }) => /nothing|nowhere/.test(path))).toEqual([]);
});

test("the shipped audit program is made from these sources, by these tools to the same bytes", (context) => {
  const shipped = join(native, "prebuilt/linux-x64/builder-audit");
  const cwd = join(native, "audit");
  const sources = execFileSync("sh", ["-c", "cat ./*.c ./*.h ../build.sh | sha256sum"], {
    cwd,
    env: { ...process.env, LC_ALL: "C" },
  });
  const madeWith = readFileSync(`${shipped}.made-with`, "utf8");
  expect(madeWith).toContain(`sources ${sources.toString().split(" ")[0]}\n`);
  if (spawnSync("musl-gcc", ["--version"]).status !== 0) {
    context.skip("this machine has no musl-gcc (Debian: apt install musl-tools)");
  }
  const rebuilt = join(base, "rebuilt");
  execFileSync(join(native, "build.sh"), ["audit", rebuilt]);
  if (readFileSync(`${rebuilt}.made-with`, "utf8") !== madeWith) {
    context.skip("the tools differ from those that built the shipped one");
  }
  expect(readFileSync(rebuilt).equals(readFileSync(shipped))).toBe(true);
});

test.skipIf(!hasCompiler)("other processors compile it on first use", async () => {
  const own = mkdtempSync(join(base, "own-"));
  const made = await findSandboxProgram({ stateFolder: own, arch: "other", program: "audit" });
  expect(spawnSync(made, []).status).toBe(125);
});
