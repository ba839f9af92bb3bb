// REAPI ActionCache: results that are complete, written only when everything they name is there.

import type { ActionCache } from "../cas/action-cache.ts";
import type { BlobStore } from "../cas/blob-store.ts";
import { namedBlobs } from "../cas/completeness.ts";
import type { Digest, DigestFunction } from "../core/digest.ts";
import { MeshError } from "../core/error.ts";
import type { Log } from "../telemetry/logger.ts";
import {
  ActionResult,
  type GetActionResultRequest,
  type UpdateActionResultRequest,
} from "../wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import { fromWireDigest, fromWireFunction } from "../wire/reapi.ts";
import { type Handlers, unary } from "./handlers.ts";

/** What a caller wants inlined; wishes, honoured while the answer stays small. */
export interface InlineWishes {
  readonly inlineStdout: boolean;
  readonly inlineStderr: boolean;
  readonly inlineOutputFiles: readonly string[];
}

/** Bound: bytes inlined into one answer, well below gRPC's 4 MiB. */
const inlineBytesMax = 1 << 20;

/** The service's handlers. */
export function actionResultHandlers(deps: {
  readonly store: BlobStore;
  readonly actionCache: ActionCache;
  readonly log: Log;
}): Handlers {
  return {
    getActionResult: unary(deps.log, async (request: GetActionResultRequest) => {
      const fn = fromWireFunction(request.digestFunction, request.actionDigest);
      const action = fromWireDigest(request.actionDigest, fn, "action_digest");
      const found = await deps.actionCache.get({ instance: request.instanceName, action });
      if (found === undefined) {
        throw new MeshError("NOT_FOUND", `No result of action ${action.hash} is cached.`);
      }
      return inlined(deps.store, ActionResult.decode(found.bytes), fn, request);
    }),
    updateActionResult: unary(deps.log, async (request: UpdateActionResultRequest) => {
      const fn = fromWireFunction(request.digestFunction, request.actionDigest);
      const action = fromWireDigest(request.actionDigest, fn, "action_digest");
      const result = request.actionResult;
      if (result === undefined)
        throw new MeshError("INVALID_ARGUMENT", "action_result is missing.");
      await checkComplete(deps.store, result, fn);
      const bytes = ActionResult.encode(result).finish();
      await deps.actionCache.put({ instance: request.instanceName, action }, bytes);
      return result;
    }),
  };
}

async function checkComplete(
  store: BlobStore,
  result: ActionResult,
  fn: DigestFunction,
): Promise<void> {
  const named = await namedBlobs(store, result, fn);
  const missing = named === undefined ? [] : await store.missing(named);
  if (named !== undefined && missing.length === 0) return;
  throw new MeshError(
    "FAILED_PRECONDITION",
    "The result names blobs that are not in the store. Upload them first.",
    { missing },
  );
}

/** Fills in what the caller wished for, within the bound; the digests stay. */
export async function inlined(
  store: BlobStore,
  result: ActionResult,
  fn: DigestFunction,
  wishes: InlineWishes,
): Promise<ActionResult> {
  let room = inlineBytesMax;
  const take = async (digest: Digest): Promise<Uint8Array | undefined> => {
    if (digest.sizeBytes > room) return undefined;
    room -= digest.sizeBytes;
    return store.get(digest, inlineBytesMax);
  };
  const stream = async (wish: boolean, field: "stdout" | "stderr") => {
    const digest = field === "stdout" ? result.stdoutDigest : result.stderrDigest;
    if (!wish || digest === undefined) return new Uint8Array();
    return (await take(fromWireDigest(digest, fn, `${field}_digest`))) ?? new Uint8Array();
  };
  const stdoutRaw = await stream(wishes.inlineStdout, "stdout");
  const stderrRaw = await stream(wishes.inlineStderr, "stderr");
  const outputFiles = [];
  for (const file of result.outputFiles) {
    const wished = wishes.inlineOutputFiles.includes(file.path);
    const contents = wished ? await take(fromWireDigest(file.digest, fn, file.path)) : undefined;
    outputFiles.push(contents === undefined ? file : { ...file, contents });
  }
  return {
    ...result,
    outputFiles,
    stdoutRaw: stdoutRaw.length > 0 ? stdoutRaw : result.stdoutRaw,
    stderrRaw: stderrRaw.length > 0 ? stderrRaw : result.stderrRaw,
  };
}
