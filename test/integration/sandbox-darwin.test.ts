// What surrounds the profile on macOS, with the system's own processes and limits. `sandbox-exec`
// and BSD's `time` are programs that say how they were called and start the command: on macOS they
// are the real ones, and the profile is tried as well.

import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { DarwinSandbox, darwinPrograms } from "../../src/sandbox/darwin-sandbox.ts";
import type { SandboxResult, SandboxRun } from "../../src/sandbox/sandbox.ts";
import { eventually } from "../support/eventually.ts";

const isMac = process.platform === "darwin";
let folder: string;
let options = darwinPrograms;
let count = 0;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "darwin-sandbox-"));
  if (isMac) return;
  const script = (name: string, lines: readonly string[]) => {
    const path = join(folder, name);
    writeFileSync(path, `#!/bin/sh\n${lines.join("\n")}\n`, { mode: 0o755 });
    return path;
  };
  const sandbox = [
    'printf "%s\\n" "$@" > "$TMPDIR/../called"',
    'while [ "$1" != -- ]; do shift; done',
  ];
  const usage =
    "        0.30 real         0.20 user         0.10 sys\\n  4096  maximum resident set size\\n";
  options = {
    sandboxProgram: script("sandbox-exec", [...sandbox, "shift", 'exec "$@"']),
    timeProgram: script("time", [
      ...['[ "$1 $2" = "-l -o" ] || exit 99', "file=$3", "shift 3", '"$@"', "code=$?"],
      ...[`printf '${usage}' > "$file"`, "exit $code"],
    ]),
  };
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Ran extends SandboxResult {
  readonly scratch: string;
  readonly stdout: string;
}

async function ran(
  script: string,
  changes: { limits?: Partial<SandboxRun["limits"]>; network?: boolean } = {},
  signal?: AbortSignal,
): Promise<Ran> {
  count += 1;
  const scratch = join(folder, `run-${count}`);
  mkdirSync(join(scratch, "root"), { recursive: true });
  const run: SandboxRun = {
    ...{ execRoot: join(scratch, "root"), workingDirectory: "", scratch },
    ...{ argv: ["/bin/sh", "-c", script], env: { PATH: "/usr/bin:/bin" } },
    ...{ stdoutPath: join(scratch, "stdout"), stderrPath: join(scratch, "stderr") },
    network: changes.network ?? false,
    limits: {
      ...{ wallMs: 60_000, memoryBytes: 1 << 30, cpus: 1, pids: 64, openFiles: 100 },
      ...{ fileBytes: 1 << 20, logBytes: 1 << 20, outputBytes: 1 << 24, outputFiles: 1000 },
      ...{ tmpBytes: 1 << 24, tmpFiles: 1000, ...changes.limits },
    },
  };
  const result = await new DarwinSandbox(options).run(run, signal ? { signal } : {});
  return { ...result, scratch, stdout: readFileSync(run.stdoutPath, "utf8") };
}

test("it gets its folders, its words, its environment and what it used is told", async () => {
  const { exitCode, stdout, scratch, usage } = await ran('pwd; echo "$TMPDIR"; exit 3');
  expect(exitCode).toBe(3);
  const [cwd, temporary] = stdout.split("\n");
  expect([cwd?.endsWith("/root"), temporary?.endsWith("/tmp")]).toEqual([true, true]);
  expect([existsSync(join(scratch, "tmp")), existsSync(join(scratch, "usage"))]).toEqual([
    false,
    false,
  ]);
  if (!isMac) {
    expect(usage).toMatchObject({ userCpuMs: 200, systemCpuMs: 100, memoryPeakBytes: 4096 });
    const called = readFileSync(join(scratch, "called"), "utf8");
    expect(called).toContain(
      `-D\nROOT=${join(scratch, "root")}\n-D\nTMP=${join(scratch, "tmp")}\n-p\n`,
    );
    expect(called).toContain("(deny default)");
  }
});

test("open files, files and core dumps have limits of the system", async () => {
  const { stdout } = await ran("ulimit -n; ulimit -f; ulimit -c");
  expect(stdout).toBe(`100\n${(1 << 20) / 512}\n0\n`);
  const { stdout: sizes } = await ran("head -c 3m /dev/zero > big; wc -c < big");
  expect(Number(sizes)).toBeLessThanOrEqual(1 << 20);
});

test("wall time, memory, processes and logs end the group and are named", async () => {
  const slow = await ran("sleep 60", { limits: { wallMs: 300 } });
  expect([slow.limit, slow.exitCode]).toEqual(["timeout", 137]);
  const hog = `exec "${process.execPath}" -e "b=Buffer.alloc(3e8,1);setTimeout(()=>b,60000)"`;
  expect((await ran(hog, { limits: { memoryBytes: 2e8 } })).limit).toBe("memory");
  const many = "for i in 1 2 3 4 5 6 7 8; do sleep 60 & done; wait";
  expect((await ran(many, { limits: { pids: 4 } })).limit).toBe("pids");
  const loud = await ran("while :; do echo 0123456789; done", { limits: { logBytes: 50_000 } });
  expect([loud.limit, loud.stdout.length]).toEqual(["logBytes", 50_000]);
});

test("what it leaves running ends with it, and a cancelled one is gone", async () => {
  const touching = "(while :; do date > alive; sleep 0.05; done) &";
  const left = await ran(`${touching} sleep 0.3`);
  expect(left.exitCode).toBe(0);
  const stop = new AbortController();
  const running = ran(`${touching} wait`, {}, stop.signal);
  const alive = join(folder, `run-${count}`, "root/alive");
  await eventually("it runs", () => existsSync(alive));
  stop.abort();
  expect((await running).cancelled).toBe(true);
  for (const scratch of [left.scratch, join(folder, `run-${count}`)]) {
    const file = join(scratch, "root/alive");
    rmSync(file, { force: true });
    // Twenty rounds of the loop that would make it again.
    await new Promise((wake) => setTimeout(wake, 1000));
    expect(existsSync(file)).toBe(false);
  }
});

describe.skipIf(!isMac)("on macOS itself", () => {
  test("homes are hidden, the network is off, inputs and system are read", async () => {
    expect((await ran("ls ~ 2>/dev/null || ls /Users/*/Library")).exitCode).not.toBe(0);
    expect((await ran("curl -m 3 http://127.0.0.1:1; nc -z 127.0.0.1 22")).exitCode).not.toBe(0);
    expect((await ran("echo 'int main(){return 0;}' > a.c && cc a.c && ./a.out")).exitCode).toBe(0);
  });
});
