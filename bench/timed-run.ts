// A program run to its end, with the time it took on the clock and of the processor.

import { spawnSync } from "node:child_process";

/** How a run went. */
export interface TimedRun {
  readonly wallMs: number;
  /** User and system time of the program and of all it waited for; in steps of 10 ms. */
  readonly cpuMs: number;
  readonly stdout: string;
  /** What it printed to stdout and stderr. */
  readonly said: string;
}

/** Where a program runs. */
export interface RunPlace {
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
}

const saidBytesMax = 256 << 20;

/** Runs a program as people start it. Throws what it said where it failed. */
export function timedRun(program: string, args: readonly string[], place: RunPlace): TimedRun {
  return finish(program, args, spawnTimed(program, args, place), 0);
}

/** The same, with the processor's time: a shell between tells it, and adds some two ms. */
export function countedRun(program: string, args: readonly string[], place: RunPlace): TimedRun {
  const script = '"$@"; code=$?; times >&2; exit $code';
  const run = spawnTimed("/bin/sh", ["-c", script, "sh", program, ...args], place);
  const words = run.stderr.trim().split("\n").at(-1) ?? "";
  const cpuMs = [...words.matchAll(/(\d+)m([\d.]+)s/g)]
    .map(([, minutes, seconds]) => 60_000 * Number(minutes) + 1000 * Number(seconds))
    .reduce((sum, ms) => sum + ms, 0);
  return finish(program, args, run, cpuMs);
}

interface Spawned {
  readonly wallMs: number;
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function spawnTimed(program: string, args: readonly string[], place: RunPlace): Spawned {
  const startMs = performance.now();
  const { status, stdout, stderr, error } = spawnSync(program, args, {
    ...place,
    maxBuffer: saidBytesMax,
    encoding: "utf8",
  });
  if (error !== undefined) throw error;
  return { wallMs: performance.now() - startMs, status, stdout, stderr };
}

function finish(
  program: string,
  args: readonly string[],
  { wallMs, status, stdout, stderr }: Spawned,
  cpuMs: number,
): TimedRun {
  if (status !== 0) {
    const tail = `${stdout}${stderr}`.slice(-4000);
    throw new Error(`${program} ${args.join(" ")} ended with ${status}:\n${tail}`);
  }
  return { wallMs, cpuMs, stdout, said: stdout + stderr };
}
