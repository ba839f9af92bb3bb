// What executors share: reading how an action ended.

import { isRetryable, MeshError } from "../core/error.ts";
import {
  ActionResult,
  type ExecuteResponse,
} from "../wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import { codeOf, missingDigests } from "../wire/status.ts";
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
  const code = codeOf(status.code);
  const missing = missingDigests(status);
  if (missing.length > 0 || isRetryable(code)) {
    throw new MeshError(code, status.message, { missing });
  }
  return { result: ended, cached, failure: { code, message: status.message }, message };
}
