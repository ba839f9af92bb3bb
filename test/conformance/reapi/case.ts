// What one case of the conformance suite is, and what a server must have for it to apply.

import type { ServerCapabilities } from "../../../src/wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import { Compressor_Value } from "../../../src/wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import type { Target } from "./target.ts";

/** Whose need a case checks; the report is grouped by it, in this order. */
export const clients = [
  "every client",
  "Bazel",
  "remote-apis-sdks",
  "Buck2",
  "siso",
  "Pants",
  "Please",
  "BuildStream/recc",
  "moon",
  "hostile client",
] as const;

/** One of these. */
export type ClientName = (typeof clients)[number];

/** What a server may or may not have; GetCapabilities tells. */
export type Need =
  | "execution"
  | "cache writes"
  | "zstd streams"
  | "zstd batches"
  | "SplitBlob"
  | "SpliceBlob";

/** One rule, checked. */
export interface Case {
  /** A sentence about the server, unique in the suite. */
  readonly name: string;
  readonly client: ClientName;
  /** Where the rule is from, in words. */
  readonly rule: string;
  readonly needs?: readonly Need[];
  /** Not beside other cases: it loads the server or measures its patience. */
  readonly alone?: boolean;
  /** A case that has not ended by then has failed: a server that hangs breaks every rule. */
  readonly deadlineMs?: number;
  /** Throws `Mismatch` with what is wrong, `Skipped` where the rule does not apply. */
  run(target: Target): Promise<void>;
}

/** For cases that do not say. */
export const deadlineMsDefault = 20_000;

/** Why a server lacks what a case needs; undefined where it has it. */
export function unmet(need: Need, capabilities: ServerCapabilities): string | undefined {
  const { cacheCapabilities: cache, executionCapabilities: execution } = capabilities;
  const zstd = Compressor_Value.ZSTD;
  switch (need) {
    case "execution":
      return execution?.execEnabled === true ? undefined : "exec_enabled is false";
    case "cache writes":
      return cache?.actionCacheUpdateCapabilities?.updateEnabled === true
        ? undefined
        : "update_enabled is false";
    case "zstd streams":
      return cache?.supportedCompressors.includes(zstd)
        ? undefined
        : "supported_compressors lacks ZSTD";
    case "zstd batches":
      return cache?.supportedBatchUpdateCompressors.includes(zstd)
        ? undefined
        : "supported_batch_update_compressors lacks ZSTD";
    case "SplitBlob":
      return cache?.splitBlobSupport === true ? undefined : "split_blob_support is false";
    case "SpliceBlob":
      return cache?.spliceBlobSupport === true ? undefined : "splice_blob_support is false";
  }
}
