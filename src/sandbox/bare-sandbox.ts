// No isolation at all: the command runs as a child of this process and sees the whole machine. Only
// for those who asked for it (--sandbox=none), on systems that have nothing better.

import { runAtTerminal, runInGroup, startFolder } from "./process-group.ts";
import { checkCommand, neverStarted } from "./run-checks.ts";
import type { Sandbox, SandboxResult, SandboxRun } from "./sandbox.ts";

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
    const command = { argv: run.argv, cwd: await startFolder(run), env: run.env };
    const startMs = performance.now();
    const ending =
      run.interactive === true
        ? { exitCode: await runAtTerminal(command), limit: undefined, cancelled: false }
        : await runInGroup(run, command, call);
    const wallMs = performance.now() - startMs;
    return { ...ending, usage: { wallMs, userCpuMs: 0, systemCpuMs: 0, memoryPeakBytes: 0 } };
  }
}
