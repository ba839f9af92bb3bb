// An action that a user looks into: laid out and isolated as when it is executed, but with a
// command of the user's own, at the user's terminal, and without anything of it being kept.

import { chmodSync, lchownSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Digest } from "../core/digest.ts";
import { type ExecutorDeps, type ExecutorOptions, prepareRun } from "./executor.ts";
import { loadAction } from "./load-action.ts";

/** What to do inside. */
export interface Entering {
  readonly argv: readonly [string, ...string[]];
  /** Variables beside those of the action. */
  readonly env: Readonly<Record<string, string>>;
  /** A script to put into the working directory, executable. */
  readonly script: { readonly name: string; readonly text: string };
}

/** Nobody sits at a terminal for longer. */
const wallMs = 7 * 86_400_000;

/**
 * Runs a command where the action `digest` would run. Resolves with its exit code; nothing of it
 * stays. FAILED_PRECONDITION with `missing` where an input is not in the store.
 */
export async function enterAction(
  deps: ExecutorDeps,
  options: ExecutorOptions,
  digest: Digest,
  entering: Entering,
): Promise<number> {
  const loaded = await loadAction(deps.store, digest, options.messageBytesMax);
  const scratch = deps.scratch.take();
  try {
    const { run } = await prepareRun(deps, options, loaded, scratch);
    const script = join(run.execRoot, run.workingDirectory, entering.script.name);
    writeFileSync(script, entering.script.text);
    chmodSync(script, 0o755);
    const { ownerId } = deps.sandbox;
    if (ownerId !== undefined) lchownSync(script, ownerId, ownerId);
    const ended = await deps.sandbox.run({
      ...run,
      argv: entering.argv,
      env: { ...run.env, ...entering.env },
      interactive: true,
      limits: { ...run.limits, wallMs },
    });
    return ended.exitCode;
  } finally {
    await deps.scratch.give(scratch);
  }
}
