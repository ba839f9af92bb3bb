// Runs actions on this machine in the executor that workers have. Apart from the local executor:
// a build whose results are all known already needs neither a sandbox nor this code.

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { ActionCache } from "../cas/action-cache.ts";
import type { BlobStore, LocalFiles } from "../cas/blob-store.ts";
import { chooseSandbox } from "../sandbox/choose-sandbox.ts";
import { createExecutor } from "../worker/executor.ts";
import { createScratchPool, sweepScratch } from "../worker/scratch.ts";
import { defaultLimits } from "./limits.ts";

/** Where and how it runs actions. */
export interface LocalRunnerOptions {
  /** Folder of the store, which has the scratch folders too. */
  readonly store: string;
  readonly sandbox: "auto" | "none";
  /** Cores for actions. */
  readonly slots: number;
}

/** Tries the sandbox out: FAILED_PRECONDITION with the remedy where there is none. */
export async function createLocalRunner(
  deps: {
    readonly now: () => number;
    readonly blobs: BlobStore & LocalFiles;
    readonly actionCache: ActionCache;
  },
  options: LocalRunnerOptions,
): Promise<{ readonly run: ReturnType<typeof createExecutor>; close(): Promise<void> }> {
  const scratch = join(options.store, "scratch");
  mkdirSync(scratch, { recursive: true, mode: 0o700 });
  await sweepScratch(scratch);
  const sandbox = await chooseSandbox({ want: options.sandbox, stateFolder: options.store });
  const pool = createScratchPool(scratch);
  const { blobs: store, actionCache, now } = deps;
  const run = createExecutor(
    { store, actionCache, sandbox, scratch: pool, now },
    { worker: "local", limits: defaultLimits(options.slots), messageBytesMax: 4 << 20 },
  );
  return { run, close: () => pool.close() };
}
