// Isolation on macOS: `sandbox-exec` with a profile of our own, a process group that is killed as
// one, and limits by what the shell's `ulimit` and looking at the processes can give.
//
// Not had here: a path that is the same on every machine, processors, processes that leave their
// group (they keep the profile), and cleaning up after the death of this process.

import { execFile } from "node:child_process";
import { mkdir, readFile, realpath, rm, stat, truncate } from "node:fs/promises";
import { join } from "node:path";
import { type GroupWatch, runAtTerminal, runInGroup, startFolder } from "./process-group.ts";
import { checkCommand, neverStarted } from "./run-checks.ts";
import type { Sandbox, SandboxResult, SandboxRun, SandboxUsage } from "./sandbox.ts";
import { seatbeltCommand } from "./seatbelt-profile.ts";

/** Programs of macOS that do the work. */
export interface DarwinSandboxOptions {
  /** `sandbox-exec`. */
  readonly sandboxProgram: string;
  /** BSD's `time`, which writes what a command and all it waited for have used. */
  readonly timeProgram: string;
}

/** Where macOS has them. */
export const darwinPrograms: DarwinSandboxOptions = {
  sandboxProgram: "/usr/bin/sandbox-exec",
  timeProgram: "/usr/bin/time",
};

/** How often a running group is looked at, in ms. */
const lookMs = 250;

/** Lowers its own limits, then becomes the command: Node cannot set limits of a child. */
const limitScript = 'ulimit -c 0; ulimit -f "$1"; ulimit -n "$2"; shift 2; exec "$@"';

/**
 * Runs each command under a profile that denies all but its folders and the system, read-only.
 * What passes a limit of memory, processes or logs is noticed within a quarter of a second.
 */
export class DarwinSandbox implements Sandbox {
  readonly isolation = "seatbelt";
  readonly #options: DarwinSandboxOptions;

  constructor(options: DarwinSandboxOptions = darwinPrograms) {
    this.#options = options;
  }

  async run(run: SandboxRun, call: { readonly signal?: AbortSignal } = {}): Promise<SandboxResult> {
    checkCommand(run);
    if (call.signal?.aborted) return neverStarted;
    const temporary = join(run.scratch, "tmp");
    const usageFile = join(run.scratch, "usage");
    await mkdir(temporary, { recursive: true });
    const folders = {
      execRoot: await realpath(run.execRoot),
      temporary: await realpath(temporary),
    };
    const inside = seatbeltCommand(this.#options.sandboxProgram, folders, run.network, run.argv);
    const cwd = await startFolder({ ...run, execRoot: folders.execRoot });
    const env = { TMPDIR: folders.temporary, ...run.env };
    const command = { argv: measured(this.#options, usageFile, limited(run, inside)), cwd, env };
    const startMs = performance.now();
    try {
      const ending =
        run.interactive === true
          ? { exitCode: await runAtTerminal(command), limit: undefined, cancelled: false }
          : await runInGroup(run, command, { ...call, watch: watchGroup(run) });
      const wallMs = performance.now() - startMs;
      const isCut = run.interactive !== true && (await cutLogs(run));
      const passed = ending.limit ?? (isCut ? "logBytes" : undefined);
      const exitCode = passed === undefined ? ending.exitCode : 137;
      const usage = await readFile(usageFile, "utf8").then(parseUsage, () => noUsage);
      return { ...ending, exitCode, limit: passed, usage: { ...usage, wallMs } };
    } finally {
      await rm(temporary, { recursive: true, force: true });
      await rm(usageFile, { force: true });
    }
  }
}

type Argv = readonly [string, ...string[]];
type Usage = Omit<SandboxUsage, "wallMs">;

/** The shell counts files in blocks of 512 bytes. */
function limited({ limits }: SandboxRun, argv: Argv): Argv {
  const blocks = Math.ceil(Math.max(limits.fileBytes, limits.logBytes) / 512);
  const words = [String(blocks), String(limits.openFiles)];
  return ["/bin/sh", "-c", limitScript, "sh", ...words, ...argv];
}

function measured({ timeProgram }: DarwinSandboxOptions, usageFile: string, argv: Argv): Argv {
  return [timeProgram, "-l", "-o", usageFile, ...argv];
}

const noUsage: Usage = { userCpuMs: 0, systemCpuMs: 0, memoryPeakBytes: 0 };

/**
 * Reads what `time -l` wrote: `0.15 real 0.10 user 0.02 sys`, then a number and a name a line. The
 * memory is that of the largest process, in bytes.
 */
export function parseUsage(text: string): Usage {
  const ms = (name: string) => {
    const seconds = new RegExp(`([\\d.]+) ${name}\\b`).exec(text)?.[1];
    return Math.round(Number(seconds ?? 0) * 1000);
  };
  const memoryPeakBytes = Number(/(\d+)\s+maximum resident set size/.exec(text)?.[1] ?? 0);
  return { userCpuMs: ms("user"), systemCpuMs: ms("sys"), memoryPeakBytes };
}

/** Memory and processes of a group, by the text of `ps -axo pgid=,rss=`; `rss` is in KiB. */
export function sumGroup(text: string, group: number): { bytes: number; processes: number } {
  const rows = text.split("\n").map((line) => line.trim().split(/\s+/).map(Number));
  const own = rows.filter(([pgid]) => pgid === group);
  const bytes = own.reduce((sum, [, kib = 0]) => sum + kib * 1024, 0);
  return { bytes, processes: own.length };
}

function watchGroup(run: SandboxRun): GroupWatch {
  const { limits } = run;
  return (group, pass) => {
    let isLooking = false;
    const look = async () => {
      const { bytes, processes } = sumGroup(await listProcesses(), group);
      if (bytes > limits.memoryBytes) pass("memory");
      if (processes > limits.pids) pass("pids");
      for (const path of [run.stdoutPath, run.stderrPath]) {
        if ((await sizeOf(path)) > limits.logBytes) pass("logBytes");
      }
    };
    const timer = setInterval(() => {
      if (isLooking) return;
      isLooking = true;
      void look().finally(() => {
        isLooking = false;
      });
    }, lookMs);
    return () => clearInterval(timer);
  };
}

function listProcesses(): Promise<string> {
  return new Promise((resolve) => {
    // A list that could not be had says nothing; the next one is a moment away.
    execFile("ps", ["-axo", "pgid=,rss="], { maxBuffer: 8 << 20 }, (_, text) => resolve(text));
  });
}

function sizeOf(path: string): Promise<number> {
  return stat(path).then(
    ({ size }) => size,
    () => 0,
  );
}

/** Cuts off what is over; true where something was. */
async function cutLogs({ stdoutPath, stderrPath, limits }: SandboxRun): Promise<boolean> {
  let isCut = false;
  for (const path of [stdoutPath, stderrPath]) {
    if ((await sizeOf(path)) <= limits.logBytes) continue;
    await truncate(path, limits.logBytes);
    isCut = true;
  }
  return isCut;
}
