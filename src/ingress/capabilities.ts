// What this server says it can do. Each value is there because some client checks it: an unset
// version stops Bazel, a batch size of 0 stops the SDK's batching, a missing range stops
// priorities, and siso takes the first compressor whatever it is.

import { reapiChunks } from "../cas/fast-cdc.ts";
import { digestFunctions } from "../core/digest.ts";
import {
  Compressor_Value,
  DigestFunction_Value,
  ServerCapabilities,
  SymlinkAbsolutePathStrategy_Value,
} from "../wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import { supportedNodeProperties, toWireFunction } from "../wire/reapi.ts";
import type { IngressBounds } from "./bounds.ts";
import { hasRight, type Role } from "./roles.ts";

const anyPriority = { priorities: [{ minPriority: -(2 ** 31), maxPriority: 2 ** 31 - 1 }] };

/** The answer to GetCapabilities, for every instance, but for what the caller may do. */
export function serverCapabilities(
  bounds: Pick<IngressBounds, "batchBytesMax">,
  role: Role,
): ServerCapabilities {
  const functions = digestFunctions.map(toWireFunction);
  return ServerCapabilities.fromPartial({
    lowApiVersion: { major: 2, minor: 0 },
    highApiVersion: { major: 2, minor: 12 },
    deprecatedApiVersion: { major: 2, minor: 0 },
    cacheCapabilities: {
      digestFunctions: functions,
      actionCacheUpdateCapabilities: { updateEnabled: hasRight(role, "write-ac") },
      cachePriorityCapabilities: anyPriority,
      maxBatchTotalSizeBytes: bounds.batchBytesMax,
      symlinkAbsolutePathStrategy: SymlinkAbsolutePathStrategy_Value.ALLOWED,
      supportedCompressors: [Compressor_Value.ZSTD],
      supportedBatchUpdateCompressors: [Compressor_Value.ZSTD],
      splitBlobSupport: true,
      spliceBlobSupport: true,
      fastCdc2020Params: { avgChunkSizeBytes: reapiChunks.averageBytes, seed: reapiChunks.seed },
    },
    executionCapabilities: {
      digestFunction: DigestFunction_Value.SHA256,
      digestFunctions: functions,
      execEnabled: hasRight(role, "execute"),
      executionPriorityCapabilities: anyPriority,
      supportedNodeProperties: [...supportedNodeProperties],
    },
  });
}
