// Executes a build's actions on this machine, without a node: the same store, cache, sandbox and
// executor that a worker has.

import { createReadStream } from "node:fs";
import { placeFile, readExecuteResponse } from "../build/executed-action.ts";
import type { ActionExecutor } from "../build/executor.ts";
import type { PreparedAction } from "../build/prepared-action.ts";
import { CompletenessCheckingActionCache } from "../cas/completeness.ts";
import { openStore } from "../cas/open-store.ts";
import { MeshError } from "../core/error.ts";
import {
  ActionResult,
  ExecuteResponse,
} from "../wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import type { createLocalRunner, LocalRunnerOptions } from "./local-runner.ts";

type LocalRunner = Awaited<ReturnType<typeof createLocalRunner>>;

/** Where and how actions run on this machine. */
export interface LocalExecutorOptions extends LocalRunnerOptions {
  readonly storeBytesMax: number;
}

const responseBytesMax = 64 << 20;

/**
 * Opens the host's store; a sandbox only when the first action must run. Equal actions of one build
 * are never in flight twice.
 */
export async function createLocalExecutor(
  deps: { readonly now: () => number },
  options: LocalExecutorOptions,
): Promise<ActionExecutor> {
  const store = openStore(deps, { folder: options.store, bytesMax: options.storeBytesMax });
  const { blobs } = store;
  const actionCache = new CompletenessCheckingActionCache({ base: store.actions, store: blobs });
  let runner: Promise<LocalRunner> | undefined;

  async function openRunner(): Promise<LocalRunner> {
    const { createLocalRunner } = await import("./local-runner.ts");
    return createLocalRunner({ ...deps, blobs, actionCache }, options);
  }

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
      const key = { instance: "", action: action.digest };
      const hit = action.build.cache ? await actionCache.get(key) : undefined;
      if (hit !== undefined) {
        const result = ActionResult.decode(hit.bytes);
        return { result, cached: true, failure: undefined, message: "" };
      }
      const kept = await keepInputs(action);
      if (kept > 0) events.uploaded(kept);
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
      runner ??= openRunner();
      const outcome = await (await runner).run(request, { signal });
      if (outcome.kind === "fault") {
        throw new MeshError(outcome.failure.code, outcome.failure.message);
      }
      const response = await blobs.get(outcome.response, responseBytesMax);
      return readExecuteResponse(ExecuteResponse.decode(response));
    },
    get: (digest) => blobs.get(digest, responseBytesMax),
    download: (digest, path, file) => placeFile(path, blobs.read(digest), file),
    close: async () => {
      await runner?.then(({ close }) => close()).catch(() => undefined);
      await store.close();
    },
  };
}
