// No isolation at all: the command runs as a child of this process and sees the whole machine. Only
// for those who asked for it (--sandbox=none), on systems that have nothing better.

import { type ChildProcess, spawn } from "node:child_process";
import { constants as fileFlags } from "node:fs";
import { type FileHandle, open, stat } from "node:fs/promises";
import { constants } from "node:os";
import { join } from "node:path";
import { MeshError } from "../core/error.ts";
import { checkCommand, neverStarted } from "./run-checks.ts";
import type { Sandbox, SandboxResult, SandboxRun } from "./sandbox.ts";

/** How a child process ended. */
interface Ending {
  readonly exitCode: number;
  readonly limit: "timeout" | undefined;
  readonly cancelled: boolean;
}

/**
 * Runs commands without isolation. Of the limits only wall time holds; CPU and memory are not
 * measured and reported as 0. Processes that leave the command's process group survive it, and
 * everything survives the death of this process.
 */
export class BareSandbox implements Sandbox {
  readonly isolation = "none";

  async run(run: SandboxRun, call: { readonly signal?: AbortSignal } = {}): Promise<SandboxResult> {
    checkCommand(run);
    if (call.signal?.aborted) return neverStarted;
    const cwd = join(run.execRoot, run.workingDirectory);
    if (!(await isFolder(cwd))) {
      throw new MeshError(
        "INVALID_ARGUMENT",
        "The command's working directory cannot be entered. Declare it among the inputs.",
      );
    }
    if (run.interactive === true) return await atTerminal(run, cwd);
    await using stdout = await openOutput(run.stdoutPath);
    await using stderr = await openOutput(run.stderrPath);
    const startMs = performance.now();
    const ending = await runChild(run, cwd, stdout, stderr, call.signal);
    const wallMs = performance.now() - startMs;
    return { ...ending, usage: { wallMs, userCpuMs: 0, systemCpuMs: 0, memoryPeakBytes: 0 } };
  }
}

/** A command with this process's own standard input, output and error. */
async function atTerminal(run: SandboxRun, cwd: string): Promise<SandboxResult> {
  const [program, ...rest] = run.argv;
  const startMs = performance.now();
  const child = spawn(program, rest, { cwd, env: { ...run.env }, stdio: "inherit" });
  const exitCode = await new Promise<number>((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code, name) => {
      resolve(name === null ? (code ?? 0) : 128 + constants.signals[name]);
    });
  });
  const wallMs = performance.now() - startMs;
  const usage = { wallMs, userCpuMs: 0, systemCpuMs: 0, memoryPeakBytes: 0 };
  return { exitCode, limit: undefined, cancelled: false, usage };
}

async function runChild(
  run: SandboxRun,
  cwd: string,
  stdout: FileHandle,
  stderr: FileHandle,
  signal: AbortSignal | undefined,
): Promise<Ending> {
  const [program, ...rest] = run.argv;
  try {
    const child = spawn(program, rest, {
      cwd,
      env: { ...run.env },
      // A group of its own, so that it can be killed as one.
      detached: true,
      stdio: ["ignore", stdout.fd, stderr.fd],
    });
    return await ended(child, run.limits.wallMs, signal);
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "";
    if (!notRunnable.has(code)) throw error;
    await stderr.write(`builder: ${program}: ${code === "ENOENT" ? "not found" : code}\n`);
    return { exitCode: code === "ENOENT" ? 127 : 126, limit: undefined, cancelled: false };
  }
}

/** Why a command could not be started where the command, and not this machine, is to blame. */
const notRunnable = new Set(["ENOENT", "ENOTDIR", "EACCES", "E2BIG", "ENOEXEC", "EISDIR", "ELOOP"]);

function ended(
  child: ChildProcess,
  wallMs: number,
  signal: AbortSignal | undefined,
): Promise<Ending> {
  return new Promise((resolve, reject) => {
    let limit: Ending["limit"];
    let cancelled = false;
    const deadline = setTimeout(
      () => {
        limit = "timeout";
        killGroup(child);
      },
      Math.min(wallMs, timerMsMax),
    );
    const cancel = () => {
      cancelled = true;
      killGroup(child);
    };
    const finish = () => {
      clearTimeout(deadline);
      signal?.removeEventListener("abort", cancel);
    };
    child.once("error", (error) => {
      finish();
      reject(error);
    });
    child.once("exit", (code, name) => {
      finish();
      killGroup(child);
      const exitCode = name === null ? (code ?? 0) : 128 + constants.signals[name];
      resolve({ exitCode, limit, cancelled });
    });
    signal?.addEventListener("abort", cancel, { once: true });
  });
}

/** The longest a timer of Node can wait; some 24 days. */
const timerMsMax = 2 ** 31 - 1;

function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, "SIGKILL");
  } catch {
    // Nobody is left in the group.
  }
}

function openOutput(path: string): Promise<FileHandle> {
  const { O_WRONLY, O_CREAT, O_TRUNC, O_APPEND } = fileFlags;
  return open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0o644);
}

async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}
