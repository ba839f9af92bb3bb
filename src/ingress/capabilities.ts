// What this server says it can do. Each value is there because some client checks it: an unset
// version stops Bazel, a batch size of 0 stops the SDK's batching, a missing range stops
// priorities.

import {
  DigestFunction_Value,
  ServerCapabilities,
  SymlinkAbsolutePathStrategy_Value,
} from "../wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";

const functions = [DigestFunction_Value.SHA256, DigestFunction_Value.BLAKE3];
const anyPriority = { priorities: [{ minPriority: -(2 ** 31), maxPriority: 2 ** 31 - 1 }] };

/** The answer to GetCapabilities, for every instance. */
export function serverCapabilities(options: {
  readonly batchBytesMax: number;
}): ServerCapabilities {
  return ServerCapabilities.fromPartial({
    lowApiVersion: { major: 2, minor: 0 },
    highApiVersion: { major: 2, minor: 11 },
    deprecatedApiVersion: { major: 2, minor: 0 },
    cacheCapabilities: {
      digestFunctions: functions,
      actionCacheUpdateCapabilities: { updateEnabled: true },
      cachePriorityCapabilities: anyPriority,
      maxBatchTotalSizeBytes: options.batchBytesMax,
      symlinkAbsolutePathStrategy: SymlinkAbsolutePathStrategy_Value.ALLOWED,
    },
    executionCapabilities: {
      digestFunction: DigestFunction_Value.SHA256,
      digestFunctions: functions,
      execEnabled: true,
      executionPriorityCapabilities: anyPriority,
    },
  });
}
