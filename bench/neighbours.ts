// What hostile actions do to a normal one beside them. A compile is timed alone, beside honest
// actions that compute all the time, and beside as many hostile ones, in turn: what honest ones
// leave of the processor is its share, so that is what hostile ones are held against.

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { defaultLimits } from "../src/node/limits.ts";
import { chooseSandbox } from "../src/sandbox/choose-sandbox.ts";
import type { Sandbox } from "../src/sandbox/sandbox.ts";
import { readActionLimits } from "../src/worker/action-limits.ts";
import { createScratchPool, type ScratchPool } from "../src/worker/scratch.ts";
import { enterCgroups, leaveCgroups, makeOwnCgroups, removeCgroups } from "./own-cgroups.ts";
import { median, type Row } from "./table.ts";

/** Some 30 ms of the processor; beside a hundred others that is seconds. */
const compile =
  "printf '#include <stdio.h>\\nint f(int n) { return printf(\"%%d\", n); }\\n' > a.c && " +
  "cc -O2 -c a.c -o a.o";
/** An action that takes all the time it is given, on one processor. */
const honest = "while :; do :; done";
/** Each for as long as its limits and its time let it. */
const hostile: readonly string[] = [
  "b() { b | b & }; b; sleep 600",
  "while :; do setsid sleep 600 & done",
  "for i in 1 2 3 4 5 6 7 8; do (while :; do :; done) & done; wait",
  "while :; do (for i in 1 2 3 4 5 6 7 8; do (exit) & done; wait); done",
  "head -c 900m /dev/zero | tail",
  "exec yes >&2",
  "i=0; while :; do i=$((i+1)); head -c 1m /dev/zero > big$i; done",
  "exec 2>&-; i=0; while :; do i=$((i+1)); : > /tmp/f$i; done",
];
const hostileLimits = {
  "builder.max_memory": `${256 << 20}`,
  "builder.max_processes": "100",
  "builder.max_output": `${64 << 20}`,
  "builder.max_tmp_files": "10000",
};
const hostileMs = 3000;

/** How long neighbours have run when the clock starts, in ms. */
const settleMs = 2000;

type Limits = Readonly<Record<string, string>>;

/** The rows of one neighbour, as on a worker of two slots, and of a hundred. */
export async function* benchNeighbours(folder: string, runs: number): AsyncGenerator<Row> {
  const cgroups = makeOwnCgroups(`neighbours-${process.pid}`);
  enterCgroups(cgroups);
  const base = join(folder, "neighbours");
  mkdirSync(base);
  const pool = createScratchPool(base);
  try {
    // One that makes its cgroups below ours.
    const bench = createActions(await chooseSandbox({ want: "auto", stateFolder: base }), pool);
    yield await row(bench, 1, runs);
    yield await row(bench, 100, Math.min(runs, 3));
  } finally {
    await pool.close();
    leaveCgroups(cgroups);
    await removeCgroups(cgroups);
  }
}

async function row(actions: Actions, count: number, runs: number): Promise<Row> {
  const times = { alone: [] as number[], honest: [] as number[], hostile: [] as number[] };
  await actions.compileMs();
  for (let run = 0; run < runs; run += 1) {
    times.alone.push(await actions.compileMs());
    const beside = async (scriptOf: (at: number) => string, limits: Limits) => {
      const neighbours = actions.beside(count, scriptOf, limits);
      try {
        await setTimeout(settleMs);
        return await actions.compileMs();
      } finally {
        await neighbours.stop();
      }
    };
    times.honest.push(await beside(() => honest, {}));
    times.hostile.push(await beside((at) => hostile[at % hostile.length] ?? "", hostileLimits));
  }
  const [alone, share, beside] = [times.alone, times.honest, times.hostile].map(median);
  const ms = (value: number | undefined) => `${value?.toFixed(0)} ms`;
  return {
    what: `a compile beside ${count} hostile at once`,
    figure: `${ms(beside)}, ${((beside ?? 0) / (share ?? 1)).toFixed(2)} × its share`,
    beside: `beside as many honest ones: ${ms(share)}, alone: ${ms(alone)}`,
  };
}

interface Actions {
  compileMs(): Promise<number>;
  /** Keeps so many running, each followed by the next, until it is told to stop. */
  beside(
    count: number,
    scriptOf: (at: number) => string,
    limits: Limits,
  ): { stop(): Promise<void> };
}

function createActions(sandbox: Sandbox, pool: ScratchPool): Actions {
  let number = 0;
  async function act(script: string, properties: Limits, timeoutMs: number, signal?: AbortSignal) {
    number += 1;
    const scratch = pool.take();
    const execRoot = join(scratch, "root");
    mkdirSync(execRoot);
    try {
      return await sandbox.run(
        {
          ...{ execRoot, scratch, workingDirectory: "", env: { PATH: "/usr/bin:/bin" } },
          argv: ["/bin/bash", "-c", script, "bash", `${number}`],
          ...{ stdoutPath: join(scratch, "stdout"), stderrPath: join(scratch, "stderr") },
          ...readActionLimits(new Map(Object.entries(properties)), timeoutMs, defaultLimits(2)),
        },
        signal === undefined ? {} : { signal },
      );
    } finally {
      await pool.give(scratch);
    }
  }
  return {
    compileMs: async () => {
      const startMs = performance.now();
      const { exitCode } = await act(compile, {}, 600_000);
      if (exitCode !== 0) throw new Error(`the compile ended with exit code ${exitCode}`);
      return performance.now() - startMs;
    },
    beside: (count, scriptOf, limits) => {
      const abort = new AbortController();
      let started = 0;
      const lane = async () => {
        while (!abort.signal.aborted) {
          const script = scriptOf(started);
          started += 1;
          await act(script, limits, hostileMs, abort.signal);
        }
      };
      const all = Promise.all(Array.from({ length: count }, lane));
      return {
        stop: async () => {
          abort.abort();
          await all;
        },
      };
    },
  };
}
