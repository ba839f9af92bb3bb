// Twins that say the wrong things of themselves.

import {
  Compressor_Value,
  type ServerCapabilities,
} from "../../../src/wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import { capabilities } from "./calls.ts";
import { type Twin, twisted } from "./twin.ts";

function says(change: (right: ServerCapabilities) => ServerCapabilities): Twin["twists"] {
  return () => [twisted(capabilities.getCapabilities, { response: (right) => [change(right)] })];
}

/** Changes only what the cache can do. */
function saysOfCache(
  change: Partial<NonNullable<ServerCapabilities["cacheCapabilities"]>>,
): Twin["twists"] {
  return says((right) =>
    right.cacheCapabilities === undefined
      ? right
      : { ...right, cacheCapabilities: { ...right.cacheCapabilities, ...change } },
  );
}

/** Changes only what execution can do. */
function saysOfExecution(
  change: Partial<NonNullable<ServerCapabilities["executionCapabilities"]>>,
): Twin["twists"] {
  return says((right) =>
    right.executionCapabilities === undefined
      ? right
      : { ...right, executionCapabilities: { ...right.executionCapabilities, ...change } },
  );
}

/** Twins that say the wrong things of themselves. */
export const capabilityTwins: readonly Twin[] = [
  {
    wrong: "serves no client below 2.3",
    topic: "capabilities",
    fails: ["clients that speak 2.0 are served"],
    twists: says((right) => ({
      ...right,
      lowApiVersion: { major: 2, minor: 3, patch: 0, prerelease: "" },
    })),
  },
  {
    wrong: "says no version at all",
    topic: "capabilities",
    fails: [/^the API versions/, /2\.0 are served$/, /^the deprecated version/, /^output_paths/],
    twists: says((right) => ({ ...right, lowApiVersion: undefined, highApiVersion: undefined })),
  },
  {
    wrong: "says that batches are unlimited",
    topic: "capabilities",
    fails: ["the batch limit is a number, never 0"],
    twists: saysOfCache({ maxBatchTotalSizeBytes: 0 }),
  },
  {
    wrong: "takes batches of 64 KiB only",
    topic: "capabilities",
    fails: ["a batch is large enough to be worth it"],
    twists: saysOfCache({ maxBatchTotalSizeBytes: 65_536 }),
  },
  {
    wrong: "says batches of 8 MiB",
    topic: "capabilities",
    fails: ["a batch leaves room in gRPC's 4 MiB message"],
    twists: saysOfCache({ maxBatchTotalSizeBytes: 8 << 20 }),
  },
  {
    wrong: "lists IDENTITY as its first compressor",
    topic: "capabilities",
    fails: ["ZSTD is the first of the compressors"],
    twists: saysOfCache({
      supportedCompressors: [Compressor_Value.IDENTITY, Compressor_Value.ZSTD],
    }),
  },
  {
    wrong: "does not say what becomes of absolute symlinks",
    topic: "capabilities",
    fails: ["what becomes of absolute symlinks is said"],
    twists: saysOfCache({ symlinkAbsolutePathStrategy: 0 }),
  },
  {
    wrong: "chunks without saying how",
    topic: "capabilities",
    fails: ["chunking is advertised with its parameters"],
    twists: saysOfCache({ fastCdc2020Params: undefined, splitBlobSupport: true }),
  },
  {
    wrong: "prefers BLAKE3 in the singular field",
    topic: "capabilities",
    fails: ["the singular digest function is SHA256"],
    twists: saysOfExecution({ digestFunction: 9 }),
  },
  {
    wrong: "advertises no execution priorities",
    topic: "capabilities",
    fails: ["execution takes priorities besides 0"],
    twists: saysOfExecution({ executionPriorityCapabilities: undefined }),
  },
];
