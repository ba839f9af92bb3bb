// What executors share: reading how an action ended.

import type { Digest } from "../core/digest.ts";
import { codes, isRetryable, MeshError } from "../core/error.ts";
import {
  ActionResult,
  type ExecuteResponse,
} from "../wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import { missingDigests, numberByCode } from "../wire/status.ts";
import type { ExecutedAction } from "./executor.ts";

/**
 * An ExecuteResponse as the build sees it. Throws what can be mended by trying again: missing blobs
 * (FAILED_PRECONDITION with `missing`) and passing failures of the node.
 */
export function readExecuteResponse(response: ExecuteResponse): ExecutedAction {
  const { result, status, message, cachedResult: cached } = response;
  const ended = result ?? ActionResult.fromPartial({ exitCode: 1 });
  if (status === undefined || status.code === 0) {
    return { result: ended, cached, failure: undefined, message };
  }
  const code = codes.find((name) => numberByCode[name] === status.code) ?? "INTERNAL";
  const missing = missingDigests(status);
  if (missing.length > 0 || isRetryable(code)) {
    throw new MeshError(code, status.message, { missing });
  }
  return { result: ended, cached, failure: { code, message: status.message }, message };
}

/** The blobs an error reports as gone. */
export function missingOf(error: unknown): readonly Digest[] {
  const missing = error instanceof MeshError ? error.context["missing"] : undefined;
  return Array.isArray(missing) ? missing : [];
}
