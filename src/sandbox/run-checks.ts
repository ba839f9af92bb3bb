// What every sandbox checks and answers before anything runs.

import { MeshError } from "../core/error.ts";
import type { SandboxResult, SandboxRun } from "./sandbox.ts";

/** The result of a run that was cancelled before it began, or of which nothing else is known. */
export const neverStarted: SandboxResult = {
  exitCode: 137,
  limit: undefined,
  cancelled: true,
  usage: { wallMs: 0, userCpuMs: 0, systemCpuMs: 0, memoryPeakBytes: 0 },
};

/** INVALID_ARGUMENT for a command that no system could run as it is written. */
export function checkCommand(run: SandboxRun): void {
  if (run.argv[0] === "") throw invalid("The command's first argument is empty.");
  const names = Object.keys(run.env);
  const bad = names.find((name) => name === "" || name.includes("="));
  if (bad !== undefined) {
    throw invalid(`The environment variable name ${JSON.stringify(bad)} is empty or holds "=".`);
  }
  const paths = [run.scratch, run.execRoot, run.workingDirectory, run.stdoutPath, run.stderrPath];
  const texts = [...run.argv, ...names, ...Object.values(run.env), ...paths];
  if (texts.some((text) => text.includes("\0"))) throw invalid("The command holds a NUL byte.");
}

/** The error for a run that its caller has to change. */
export function invalid(message: string): MeshError {
  return new MeshError("INVALID_ARGUMENT", message);
}
