// Executes a build's actions on this machine, without a node: the same store, cache, sandbox and
// executor that a worker has.

import { randomUUID } from "node:crypto";
import { createReadStream, mkdirSync, renameSync, rmSync } from "node:fs";
import { chmod, mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { PreparedAction } from "../build/build-action.ts";
import type { ActionExecutor, ExecutedAction } from "../build/executor.ts";
import { missingDigests } from "../build/reapi-client.ts";
import { CompletenessCheckingActionCache } from "../cas/completeness.ts";
import { openStore } from "../cas/open-store.ts";
import type { Digest } from "../core/digest.ts";
import { codes, MeshError } from "../core/error.ts";
import { chooseSandbox } from "../sandbox/choose-sandbox.ts";
import {
  ActionResult,
  ExecuteResponse,
} from "../wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import { numberByCode } from "../wire/status.ts";
import { createExecutor } from "../worker/executor.ts";
import { sweepScratch } from "../worker/scratch.ts";
import { defaultLimits } from "./limits.ts";

/** Where and how actions run on this machine. */
export interface LocalExecutorOptions {
  readonly store: string;
  readonly storeBytesMax: number;
  readonly sandbox: "auto" | "none";
  /** Actions at once. */
  readonly slots: number;
}

const responseBytesMax = 64 << 20;

/** Opens the host's store and a sandbox. Equal actions of one build are never in flight twice. */
export async function createLocalExecutor(
  deps: { readonly now: () => number },
  options: LocalExecutorOptions,
): Promise<ActionExecutor> {
  const store = openStore(deps, { folder: options.store, bytesMax: options.storeBytesMax });
  const scratch = join(options.store, "scratch");
  mkdirSync(scratch, { recursive: true, mode: 0o700 });
  await sweepScratch(scratch);
  const sandbox = await chooseSandbox({ want: options.sandbox, stateFolder: options.store });
  const { blobs } = store;
  const actionCache = new CompletenessCheckingActionCache({ base: store.actions, store: blobs });
  const run = createExecutor(
    { store: blobs, actionCache, sandbox, now: deps.now },
    {
      worker: "local",
      scratch,
      limits: defaultLimits(options.slots),
      messageBytesMax: 4 << 20,
    },
  );

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
        invocation,
        kind: `${action.build.target} ${action.build.mnemonic}`,
        inputRoot: action.digest,
        properties: {},
        mayMerge: false,
        skipCacheLookup: !action.build.cache,
      };
      const outcome = await run(request, { signal });
      if (outcome.kind === "fault") {
        throw new MeshError(outcome.failure.code, outcome.failure.message);
      }
      return readResponse(await blobs.get(outcome.response, responseBytesMax));
    },
    get: (digest) => blobs.get(digest, responseBytesMax),
    download: (digest, path, file) => place(blobs, digest, path, file),
    close: () => store.close(),
  };
}

function readResponse(bytes: Uint8Array): ExecutedAction {
  const { result, status, message } = ExecuteResponse.decode(bytes);
  const ended = result ?? ActionResult.fromPartial({ exitCode: 1 });
  if (status === undefined || status.code === 0) {
    return { result: ended, cached: false, failure: undefined, message };
  }
  const code = codes.find((name) => numberByCode[name] === status.code) ?? "INTERNAL";
  const missing = missingDigests(status);
  if (missing.length > 0) throw new MeshError(code, status.message, { missing });
  return { result: ended, cached: false, failure: { code, message: status.message }, message };
}

/** A copy, never a link: the user may edit what a build made. */
async function place(
  blobs: { read(digest: Digest): AsyncIterable<Uint8Array> },
  digest: Digest,
  path: string,
  file: { readonly executable: boolean },
): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const draft = `${path}.${randomUUID()}`;
  try {
    await writeFile(draft, blobs.read(digest));
    await chmod(draft, file.executable ? 0o755 : 0o644);
    renameSync(draft, path);
  } catch (error) {
    rmSync(draft, { force: true });
    throw error;
  }
}
