// A command as a child of this process, in a group of processes that is killed as one: what systems
// without namespaces have.

import { type ChildProcess, spawn } from "node:child_process";
import { constants as fileFlags } from "node:fs";
import { type FileHandle, open, stat } from "node:fs/promises";
import { constants } from "node:os";
import { join } from "node:path";
import { invalid } from "./run-checks.ts";
import type { PassedLimit, SandboxRun } from "./sandbox.ts";

/** What is started, which may be another program that starts the run's command. */
export interface GroupCommand {
  readonly argv: readonly [string, ...string[]];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
}

/** How it ended. */
export interface GroupEnding {
  readonly exitCode: number;
  readonly limit: PassedLimit | undefined;
  readonly cancelled: boolean;
}

/** Watches a running group; called with what ends it, and stopped by the answer. */
export type GroupWatch = (group: number, pass: (limit: PassedLimit) => void) => () => void;

/** The folder that a run starts in. INVALID_ARGUMENT where it is not there. */
export async function startFolder(run: SandboxRun): Promise<string> {
  const folder = join(run.execRoot, run.workingDirectory);
  if (await isFolder(folder)) return folder;
  throw invalid("The command's working directory cannot be entered. Declare it among the inputs.");
}

/**
 * Runs a command with the run's output files. What its processes leave in the group ends with it;
 * what left the group survives.
 */
export async function runInGroup(
  run: SandboxRun,
  { argv, cwd, env }: GroupCommand,
  call: { readonly signal?: AbortSignal | undefined; readonly watch?: GroupWatch },
): Promise<GroupEnding> {
  await using stdout = await openOutput(run.stdoutPath);
  await using stderr = await openOutput(run.stderrPath);
  const [program, ...rest] = argv;
  try {
    const child = spawn(program, rest, {
      cwd,
      env: { ...env },
      detached: true,
      stdio: ["ignore", stdout.fd, stderr.fd],
    });
    return await ended(child, run.limits.wallMs, call);
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "";
    if (!notRunnable.has(code)) throw error;
    await stderr.write(`builder: ${program}: ${code === "ENOENT" ? "not found" : code}\n`);
    return { exitCode: code === "ENOENT" ? 127 : 126, limit: undefined, cancelled: false };
  }
}

/** A command with this process's own standard input, output and error; its exit code. */
export function runAtTerminal({ argv, cwd, env }: GroupCommand): Promise<number> {
  const [program, ...rest] = argv;
  const child = spawn(program, rest, { cwd, env: { ...env }, stdio: "inherit" });
  return new Promise<number>((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code, name) => resolve(codeOf(code, name)));
  });
}

/** Why a command could not be started where the command, and not this machine, is to blame. */
const notRunnable = new Set(["ENOENT", "ENOTDIR", "EACCES", "E2BIG", "ENOEXEC", "EISDIR", "ELOOP"]);

function ended(
  child: ChildProcess,
  wallMs: number,
  { signal, watch }: Parameters<typeof runInGroup>[2],
): Promise<GroupEnding> {
  return new Promise((resolve, reject) => {
    let limit: GroupEnding["limit"];
    let cancelled = false;
    const pass = (passed: PassedLimit) => {
      limit ??= passed;
      killGroup(child);
    };
    const deadline = setTimeout(() => pass("timeout"), Math.min(wallMs, timerMsMax));
    const stop = child.pid === undefined ? undefined : watch?.(child.pid, pass);
    const cancel = () => {
      cancelled = true;
      killGroup(child);
    };
    const finish = () => {
      clearTimeout(deadline);
      stop?.();
      signal?.removeEventListener("abort", cancel);
    };
    child.once("error", (error) => {
      finish();
      reject(error);
    });
    child.once("exit", (code, name) => {
      finish();
      killGroup(child);
      resolve({ exitCode: codeOf(code, name), limit, cancelled });
    });
    signal?.addEventListener("abort", cancel, { once: true });
  });
}

function codeOf(code: number | null, name: NodeJS.Signals | null): number {
  return name === null ? (code ?? 0) : 128 + constants.signals[name];
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
