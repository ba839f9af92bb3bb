// Executes a build's actions on this machine, without a node: the same store, cache, sandbox and
// executor that a worker has.

import { createReadStream, mkdirSync } from "node:fs";
import { join } from "node:path";
import { placeFile, readExecuteResponse } from "../build/executed-action.ts";
import type { ActionExecutor } from "../build/executor.ts";
import type { PreparedAction } from "../build/prepared-action.ts";
import { CompletenessCheckingActionCache } from "../cas/completeness.ts";
import { openStore } from "../cas/open-store.ts";
import { MeshError } from "../core/error.ts";
import { chooseSandbox } from "../sandbox/choose-sandbox.ts";
import {
  ActionResult,
  ExecuteResponse,
} from "../wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import { type Entering, enterAction } from "../worker/enter-action.ts";
import { createExecutor, type ExecutorOptions } from "../worker/executor.ts";
import { createScratchPool, sweepScratch } from "../worker/scratch.ts";
import { defaultLimits } from "./limits.ts";

/** Where and how actions run on this machine. */
export interface LocalExecutorOptions {
  readonly store: string;
  readonly storeBytesMax: number;
  readonly sandbox: "auto" | "none";
  /** Actions at once. */
  readonly slots: number;
}

/** An executor that can also let a user in. */
export interface LocalExecutor extends ActionExecutor {
  /**
   * Runs another command in the place of the action's own, at the user's terminal; its exit code.
   * FAILED_PRECONDITION with `missing` where an input is gone.
   */
  enter(action: PreparedAction, entering: Entering): Promise<number>;
}

const responseBytesMax = 64 << 20;

/** Opens the host's store and a sandbox. Equal actions of one build are never in flight twice. */
export async function createLocalExecutor(
  deps: { readonly now: () => number },
  options: LocalExecutorOptions,
): Promise<LocalExecutor> {
  const store = openStore(deps, { folder: options.store, bytesMax: options.storeBytesMax });
  const scratch = join(options.store, "scratch");
  mkdirSync(scratch, { recursive: true, mode: 0o700 });
  await sweepScratch(scratch);
  const sandbox = await chooseSandbox({ want: options.sandbox, stateFolder: options.store });
  const { blobs } = store;
  const actionCache = new CompletenessCheckingActionCache({ base: store.actions, store: blobs });
  const pool = createScratchPool(scratch);
  const executorDeps = { store: blobs, actionCache, sandbox, scratch: pool, now: deps.now };
  const executorOptions: ExecutorOptions = {
    worker: "local",
    limits: defaultLimits(options.slots),
    messageBytesMax: 4 << 20,
  };
  const run = createExecutor(executorDeps, executorOptions);

  async function keepInputs(action: PreparedAction): Promise<number> {
    const all = [...action.blobByKey.values()];
    const missing = new Set(
      (await blobs.missing(all.map(({ digest }) => digest))).map(({ hash }) => hash),
    );
    let bytes = 0;
    for (const blob of all) {
      if (!missing.has(blob.digest.hash)) continue;
      bytes += blob.digest.sizeBytes;
      if ("bytes" in blob) await blobs.put(blob.bytes, "sha256");
      else await blobs.write(blob.digest, createReadStream(blob.file));
    }
    return bytes;
  }

  return {
    execute: async (action, { invocation, signal, events }) => {
      const kept = await keepInputs(action);
      if (kept > 0) events.uploaded(kept);
      const key = { instance: "", action: action.digest };
      const hit = action.build.cache ? await actionCache.get(key) : undefined;
      if (hit !== undefined) {
        const result = ActionResult.decode(hit.bytes);
        return { result, cached: true, failure: undefined, message: "" };
      }
      const request = {
        action: action.digest,
        instance: "",
        priority: action.build.priority,
        user: "",
        invocation,
        kind: `${action.build.target} ${action.build.mnemonic}`,
        inputRoot: action.digest,
        properties: {},
        mayMerge: false,
        skipCacheLookup: !action.build.cache,
      };
      events.started();
      const outcome = await run(request, { signal });
      if (outcome.kind === "fault") {
        throw new MeshError(outcome.failure.code, outcome.failure.message);
      }
      const response = await blobs.get(outcome.response, responseBytesMax);
      return readExecuteResponse(ExecuteResponse.decode(response));
    },
    enter: async (action, entering) => {
      await keepInputs(action);
      return await enterAction(executorDeps, executorOptions, action.digest, entering);
    },
    get: (digest) => blobs.get(digest, responseBytesMax),
    download: (digest, path, file) => placeFile(path, blobs.read(digest), file),
    close: async () => {
      await pool.close();
      await store.close();
    },
  };
}
