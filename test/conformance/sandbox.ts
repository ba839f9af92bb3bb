// What every sandbox must do, isolated or not: run the command as written and say how it ended.

import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Sandbox, SandboxResult, SandboxRun } from "../../src/sandbox/sandbox.ts";

/** A sandbox with folders that its commands may use. */
export interface SandboxSubject {
  readonly sandbox: Sandbox;
  /** The host's user that owns what the caller of the sandbox lays out. */
  readonly owner: number;
  close(): Promise<void>;
}

/** What a run left behind, besides its result. */
export interface Ran extends SandboxResult {
  readonly scratch: string;
  readonly execRoot: string;
  readonly stdout: string;
  readonly stderr: string;
}

/** Changes to the usual run of a test. */
export interface RunChanges extends Partial<Omit<SandboxRun, "limits">> {
  readonly limits?: Partial<SandboxRun["limits"]>;
  /** Files to lay out below the exec root; executable where they start with "#!". */
  readonly files?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
  /** Called once all is laid out, before the run. */
  readonly before?: (run: SandboxRun) => void;
}

const searchPath = { PATH: "/usr/bin:/bin" };

/** Lays out a run in a fresh folder, without starting it. */
export function prepareRun(
  subject: SandboxSubject,
  argv: readonly [string, ...string[]],
  { files = {}, limits = {}, before, signal: _, ...changes }: RunChanges = {},
): SandboxRun {
  const scratch = mkdtempSync(join(tmpdir(), "builder-sandbox-"));
  const execRoot = join(scratch, "root");
  mkdirSync(execRoot);
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(execRoot, path)), { recursive: true });
    writeFileSync(join(execRoot, path), text);
    if (text.startsWith("#!")) chmodSync(join(execRoot, path), 0o755);
  }
  const run: SandboxRun = {
    execRoot,
    workingDirectory: "",
    argv,
    env: searchPath,
    stdoutPath: join(scratch, "stdout"),
    stderrPath: join(scratch, "stderr"),
    scratch,
    network: false,
    ...changes,
    limits: {
      wallMs: 100_000,
      memoryBytes: 256 << 20,
      cpus: 1,
      pids: 64,
      openFiles: 1024,
      fileBytes: 16 << 20,
      logBytes: 16 << 20,
      outputBytes: 64 << 20,
      outputFiles: 10_000,
      tmpBytes: 64 << 20,
      tmpFiles: 10_000,
      ...limits,
    },
  };
  const owner = String(subject.owner);
  before?.(run);
  execFileSync("chown", ["-R", `${owner}:${owner}`, scratch]);
  return run;
}

/** Runs a command in a fresh folder, which is removed after the test. */
export async function runIn(
  subject: SandboxSubject,
  argv: readonly [string, ...string[]],
  changes: RunChanges = {},
): Promise<Ran> {
  const run = prepareRun(subject, argv, changes);
  const call = changes.signal === undefined ? {} : { signal: changes.signal };
  folders.push(run.scratch);
  const result = await subject.sandbox.run(run, call);
  const text = (path: string) => (result.usage.wallMs === 0 ? "" : readFileSync(path, "utf8"));
  return {
    ...result,
    scratch: run.scratch,
    execRoot: run.execRoot,
    stdout: text(run.stdoutPath),
    stderr: text(run.stderrPath),
  };
}

/** Runs a line of shell. */
export function shell(subject: SandboxSubject, line: string, changes: RunChanges = {}) {
  return runIn(subject, ["/bin/sh", "-c", line], changes);
}

const folders: string[] = [];

/** Removes what runs left; for `afterAll`. */
export function removeFolders(): void {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
}

/** The suite. `isolated` sandboxes show the exec root as /work and measure what they run. */
export function describeSandbox(
  name: string,
  create: () => Promise<SandboxSubject>,
  { isolated }: { readonly isolated: boolean },
): void {
  describe(name, () => {
    let subject: SandboxSubject;
    beforeAll(async () => {
      subject = await create();
    });
    afterAll(async () => {
      removeFolders();
      await subject.close();
    });

    describeEndings(() => subject);
    describeSurroundings(() => subject, isolated);
    describePrograms(() => subject);
    describeRefusals(() => subject);
  });
}

function describeEndings(subject: () => SandboxSubject): void {
  test("the exit code is the command's", async () => {
    expect(await shell(subject(), "exit 7")).toMatchObject({ exitCode: 7, cancelled: false });
    expect(await shell(subject(), "exit 0")).toMatchObject({ exitCode: 0, limit: undefined });
  });

  test("a death by signal is 128 and the signal's number", async () => {
    expect((await shell(subject(), "kill -TERM $$")).exitCode).toBe(143);
    expect((await shell(subject(), "kill -SEGV $$")).exitCode).toBe(139);
  });

  test("a command over its wall time is killed, and the limit named", async () => {
    const ran = await shell(subject(), "sleep 100", { limits: { wallMs: 200 } });
    expect(ran).toMatchObject({ exitCode: 137, limit: "timeout", cancelled: false });
    expect(ran.usage.wallMs).toBeGreaterThanOrEqual(200);
  });

  test("an aborted command is killed, and the result says so", async () => {
    const abort = new AbortController();
    const running = shell(subject(), "sleep 100", { signal: abort.signal });
    setTimeout(() => abort.abort(), 100);
    expect(await running).toMatchObject({ exitCode: 137, limit: undefined, cancelled: true });
  });

  test("a command aborted before it began leaves no trace", async () => {
    const ran = await shell(subject(), "touch trace", { signal: AbortSignal.abort() });
    expect(ran.cancelled).toBe(true);
    expect(() => readFileSync(join(ran.execRoot, "trace"))).toThrow("ENOENT");
  });
}

function describeSurroundings(subject: () => SandboxSubject, isolated: boolean): void {
  test("the environment is exactly the given one", async () => {
    const env = { B: "two words", A: "", ["C D"]: "=é" };
    const ran = await runIn(subject(), ["/usr/bin/env"], { env });
    expect(ran.stdout.split("\n").sort()).toEqual(["", "A=", "B=two words", "C D==é"]);
  });

  test("standard input is empty", async () => {
    expect(await runIn(subject(), ["cat"])).toMatchObject({ exitCode: 0, stdout: "" });
  });

  test("the command starts in its working directory", async () => {
    const ran = await shell(subject(), "pwd; cat here", {
      workingDirectory: "a/b",
      files: { "a/b/here": "found\n" },
    });
    const root = isolated ? "/work" : ran.execRoot;
    expect(ran.stdout).toBe(`${root}/a/b\nfound\n`);
  });

  test("what the command writes appears in the exec root", async () => {
    const line = "mkdir -p out/deep && cat src/in > out/deep/copy && rm src/in";
    const ran = await shell(subject(), line, { files: { "src/in": "text" } });
    expect(ran).toMatchObject({ exitCode: 0, stderr: "" });
    expect(readFileSync(join(ran.execRoot, "out/deep/copy"), "utf8")).toBe("text");
    expect(() => readFileSync(join(ran.execRoot, "src/in"))).toThrow("ENOENT");
  });

  test("a megabyte on both streams at once arrives whole and apart", async () => {
    const line = "for i in $(seq 1024); do printf '%1024s' o; printf '%1024s' e >&2; done";
    const ran = await shell(subject(), line);
    expect(ran.stdout).toBe("o".padStart(1024).repeat(1024));
    expect(ran.stderr).toBe("e".padStart(1024).repeat(1024));
  });

  test("old output is replaced, not added to", async () => {
    const before = (run: SandboxRun) => writeFileSync(run.stdoutPath, "old output\n");
    expect((await shell(subject(), "echo new", { before })).stdout).toBe("new\n");
  });
}

function describePrograms(subject: () => SandboxSubject): void {
  const script = (text: string) => `#!/bin/sh\necho ${text} "$@"\n`;

  test("a program with a slash is found from the working directory", async () => {
    const ran = await runIn(subject(), ["./tools/say", "a b", ""], {
      workingDirectory: "sub",
      files: { "sub/tools/say": script("hello") },
    });
    expect(ran).toMatchObject({ exitCode: 0, stdout: "hello a b \n" });
  });

  test("a program without a slash is found on the PATH of the action", async () => {
    const files = { "first/say": "no program\n", "second/say": script("second") };
    const env = { PATH: "missing:first:second" };
    expect((await runIn(subject(), ["say"], { files, env })).stdout).toBe("second\n");
  });

  test("without a PATH the usual folders are searched", async () => {
    expect((await runIn(subject(), ["true"], { env: {} })).exitCode).toBe(0);
  });

  test("a missing program is exit code 127 with a sentence", async () => {
    const ran = await runIn(subject(), ["no-such-program"]);
    expect(ran.exitCode).toBe(127);
    expect(ran.stderr).toContain("no-such-program: not found");
  });

  test("a file that may not be executed is exit code 126", async () => {
    const ran = await runIn(subject(), ["./plain"], { files: { plain: "text" } });
    expect(ran.exitCode).toBe(126);
    expect(ran.stderr).toContain("./plain");
  });
}

function describeRefusals(subject: () => SandboxSubject): void {
  test("a missing working directory is the caller's mistake", async () => {
    const refused = runIn(subject(), ["true"], { workingDirectory: "not/there" });
    await expect(refused).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  });

  test("NUL bytes and impossible names are the caller's mistake", async () => {
    const invalid = { code: "INVALID_ARGUMENT" };
    await expect(runIn(subject(), ["echo", "a\0b"])).rejects.toMatchObject(invalid);
    await expect(runIn(subject(), [""])).rejects.toMatchObject(invalid);
    await expect(runIn(subject(), ["true"], { env: { "A=B": "" } })).rejects.toMatchObject(invalid);
    await expect(runIn(subject(), ["true"], { env: { "": "x" } })).rejects.toMatchObject(invalid);
  });
}
