// REAPI ActionCache: results that are complete, written only when everything they name is there.

import type { BlobStore } from "../cas/blob-store.ts";
import { namedBlobs } from "../cas/completeness.ts";
import type { Digest, DigestFunction } from "../core/digest.ts";
import { MeshError } from "../core/error.ts";
import type { Log } from "../telemetry/logger.ts";
import { encodeBytes } from "../wire/encode.ts";
import {
  ActionResult,
  ExecutedActionMetadata,
  type GetActionResultRequest,
  type UpdateActionResultRequest,
} from "../wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import { fromWireDigest, fromWireFunction } from "../wire/reapi.ts";
import { claimantOf } from "./action-request.ts";
import type { IngressBounds } from "./bounds.ts";
import { type Handlers, unary } from "./handlers.ts";
import { checkInstance } from "./instance-name.ts";
import type { LostBlobs } from "./lost-blobs.ts";
import { type LookUpDeps, lookUp, scopeOf, scopesOf } from "./toolchain-scope.ts";

/** What a caller wants inlined; wishes, honoured while the answer stays small. */
export interface InlineWishes {
  readonly inlineStdout: boolean;
  readonly inlineStderr: boolean;
  readonly inlineOutputFiles: readonly string[];
}

/** For answers nobody asked to fill. */
export const noWishes: InlineWishes = {
  inlineStdout: false,
  inlineStderr: false,
  inlineOutputFiles: [],
};

/** The service's handlers. */
export function actionResultHandlers(
  deps: LookUpDeps & {
    readonly store: BlobStore;
    /** This node's toolchain; empty where it has none. */
    readonly toolchain: () => string;
    readonly lost: Pick<LostBlobs, "told">;
    readonly log: Log;
  },
  bounds: IngressBounds,
): Handlers {
  return {
    getActionResult: unary(deps.log, async (request: GetActionResultRequest, call) => {
      const instance = checkInstance(request.instanceName);
      const fn = fromWireFunction(request.digestFunction, request.actionDigest);
      const action = fromWireDigest(request.actionDigest, fn, "action_digest");
      const scopes = scopesOf(instance, deps.toolchain());
      const by = claimantOf(call);
      const found = await lookUp(deps, action, scopes, by.invocation);
      if (found === undefined || found.bytes.length > bounds.answerBytesMax) {
        throw new MeshError("NOT_FOUND", `No result of action ${action.hash} is cached.`);
      }
      deps.lost.told(by, { instance, action }, found.named);
      const room = inlineRoom(bounds, found.bytes.length);
      return inlined(deps.store, room, found.result, fn, request);
    }),
    updateActionResult: unary(deps.log, async (request: UpdateActionResultRequest) => {
      const instance = checkInstance(request.instanceName);
      const fn = fromWireFunction(request.digestFunction, request.actionDigest);
      const action = fromWireDigest(request.actionDigest, fn, "action_digest");
      const result = request.actionResult;
      if (result === undefined) {
        throw new MeshError("INVALID_ARGUMENT", "action_result is missing.");
      }
      const stored = storable(result);
      await checkComplete(deps.store, stored, fn);
      // Made elsewhere, with tools that only the client can know; for its own node to believe.
      const key = { instance: scopeOf(instance, deps.toolchain()), action };
      await deps.actionCache.put(key, encodeBytes(ActionResult, stored));
      return stored;
    }),
  };
}

/**
 * Some clients take a result without metadata for none, and some layers lose a message without any
 * field: a worker is always named. Inlined contents are dropped; their blobs are what counts.
 */
function storable(result: ActionResult): ActionResult {
  const metadata = result.executionMetadata ?? ExecutedActionMetadata.fromPartial({});
  return {
    ...result,
    outputFiles: result.outputFiles.map((file) => ({ ...file, contents: new Uint8Array() })),
    executionMetadata: { ...metadata, worker: metadata.worker || "client" },
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

/** Bytes that may be inlined beside a result of `bytes` bytes. */
export function inlineRoom(
  { inlineBytesMax, answerBytesMax }: Pick<IngressBounds, "inlineBytesMax" | "answerBytesMax">,
  bytes: number,
): number {
  return Math.max(0, Math.min(inlineBytesMax, answerBytesMax - bytes));
}

/** Fills in what the caller wished for, within the bound; the digests stay. */
export async function inlined(
  store: BlobStore,
  roomBytes: number,
  result: ActionResult,
  fn: DigestFunction,
  wishes: InlineWishes,
): Promise<ActionResult> {
  const { inlineStdout, inlineStderr, inlineOutputFiles } = wishes;
  if (!inlineStdout && !inlineStderr && inlineOutputFiles.length === 0) return result;
  let left = roomBytes;
  const take = async (digest: Digest): Promise<Uint8Array | undefined> => {
    if (digest.sizeBytes > left) return undefined;
    left -= digest.sizeBytes;
    // A wish is no reason to fail: whoever reads the blob is told that it is gone.
    return store.get(digest, roomBytes).catch(() => undefined);
  };
  const stream = async (wish: boolean, field: "stdout" | "stderr") => {
    const digest = field === "stdout" ? result.stdoutDigest : result.stderrDigest;
    if (!wish || digest === undefined) return new Uint8Array();
    return (await take(fromWireDigest(digest, fn, `${field}_digest`))) ?? new Uint8Array();
  };
  const stdoutRaw = await stream(inlineStdout, "stdout");
  const stderrRaw = await stream(inlineStderr, "stderr");
  const wishedPaths = new Set(inlineOutputFiles);
  const outputFiles = [];
  for (const file of result.outputFiles) {
    const wished = wishedPaths.has(file.path);
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
