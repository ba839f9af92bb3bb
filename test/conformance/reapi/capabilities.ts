// What GetCapabilities must say, so that no client turns away.

import {
  Compressor_Value,
  DigestFunction_Value,
  type PriorityCapabilities,
} from "../../../src/wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import type { SemVer } from "../../../src/wire/gen/build/bazel/semver/semver.ts";
import { executeRequest } from "./actions.ts";
import { capabilities, execution } from "./calls.ts";
import type { Case } from "./case.ts";
import { absent, prefixOf, put, unique } from "./content.ts";
import { check, isServiceError, present, Skipped, same } from "./expectations.ts";
import type { Target } from "./target.ts";

const ask = (target: Target, instanceName = target.instance) =>
  target.calls.unary(capabilities.getCapabilities, { instanceName });

const cacheOf = (target: Target) =>
  present(target.capabilities.cacheCapabilities, "cache_capabilities");

const executionOf = (target: Target) =>
  present(target.capabilities.executionCapabilities, "execution_capabilities");

function compare(a: SemVer, b: SemVer): number {
  return a.major - b.major || a.minor - b.minor || a.patch - b.patch;
}

const written = ({ major, minor, patch }: SemVer) => `${major}.${minor}.${patch}`;

function takesPriorities(priorities: PriorityCapabilities | undefined): boolean {
  return (priorities?.priorities ?? []).some(
    ({ minPriority, maxPriority }) =>
      minPriority <= 0 && maxPriority >= 0 && minPriority < maxPriority,
  );
}

/** Versions and what is served at all. */
const versionCases: readonly Case[] = [
  {
    name: "the API versions are a range that holds some 2.x",
    client: "Bazel",
    rule: "REAPI: ServerCapabilities.low_api_version, high_api_version",
    run: async ({ capabilities: { lowApiVersion, highApiVersion } }) => {
      const low = present(lowApiVersion, "low_api_version");
      const high = present(highApiVersion, "high_api_version");
      check(compare(low, high) <= 0, `low ${written(low)} is above high ${written(high)}`);
      check(low.major <= 2 && high.major >= 2, `${written(low)} to ${written(high)} holds no 2.x`);
    },
  },
  {
    name: "clients that speak 2.0 are served",
    client: "Please",
    rule: "Please pins API 2.0 and refuses a higher low_api_version",
    run: async ({ capabilities: { lowApiVersion } }) => {
      const low = present(lowApiVersion, "low_api_version");
      check(
        compare(low, { major: 2, minor: 0, patch: 0, prerelease: "" }) <= 0,
        `low_api_version is ${written(low)}`,
      );
    },
  },
  {
    name: "the deprecated version is not above the low one",
    client: "every client",
    rule: "REAPI: ServerCapabilities.deprecated_api_version",
    run: async ({ capabilities: { deprecatedApiVersion, lowApiVersion } }) => {
      if (deprecatedApiVersion === undefined) throw new Skipped("no version is deprecated");
      const low = present(lowApiVersion, "low_api_version");
      check(
        compare(deprecatedApiVersion, low) <= 0,
        `${written(deprecatedApiVersion)} is above ${written(low)}`,
      );
    },
  },
  {
    name: "output_paths (2.1) and Action.platform (2.2) are within the announced versions",
    client: "remote-apis-sdks",
    rule: "SDK clients use 2.1 and 2.2 fields; high_api_version must be honest",
    run: async ({ capabilities: { highApiVersion } }) => {
      const high = present(highApiVersion, "high_api_version");
      check(high.major > 2 || high.minor >= 2, `high_api_version is ${written(high)}`);
    },
  },
  {
    name: "capabilities come within 5 seconds, and twice the same",
    client: "remote-apis-sdks",
    rule: "the SDK gives GetCapabilities 5 s and asks both endpoints",
    deadlineMs: 5_000,
    run: async (target) => same(await ask(target), await ask(target), "the second answer"),
  },
  {
    name: "an instance name with slashes is an instance like any other",
    client: "siso",
    rule: "siso names its instance projects/P/instances/I",
    run: async (target) => {
      const instance = `${prefixOf(target.instance)}projects/p/instances/i`;
      const found = await ask(target, instance).catch((error: unknown) => {
        if (isServiceError(error)) throw new Skipped(`instances are limited: ${error.details}`);
        throw error;
      });
      check(found.cacheCapabilities !== undefined, "cache_capabilities is not set");
      await put({ ...target, instance }, unique());
    },
  },
];

/** What is said of execution. */
const executionCases: readonly Case[] = [
  {
    name: "exec_enabled says whether Execute is served",
    client: "Bazel",
    rule: "REAPI: ExecutionCapabilities.exec_enabled",
    run: async (target) => {
      const enabled = target.capabilities.executionCapabilities?.execEnabled === true;
      const request = executeRequest(target, await absent());
      const code = await target.calls.collect(execution.execute, request).then(
        () => "OK",
        (error: unknown) => (isServiceError(error) ? error.code : error),
      );
      check(!enabled || code !== 12, "exec_enabled is true, but Execute is UNIMPLEMENTED");
      check(enabled || code !== "OK", "exec_enabled is false, but Execute was accepted");
    },
  },
  {
    name: "the singular digest function is SHA256",
    client: "remote-apis-sdks",
    rule: "Bazel to 6, reclient and Please compare ExecutionCapabilities.digest_function",
    needs: ["execution"],
    run: async (target) => {
      same(executionOf(target).digestFunction, DigestFunction_Value.SHA256, "digest_function");
    },
  },
  {
    name: "the singular digest function is one of the list",
    client: "Bazel",
    rule: "REAPI: ExecutionCapabilities.digest_functions",
    needs: ["execution"],
    run: async (target) => {
      const { digestFunction, digestFunctions } = executionOf(target);
      check(digestFunction !== 0, "digest_function is UNKNOWN");
      check(
        digestFunctions.length === 0 || digestFunctions.includes(digestFunction),
        `digest_functions ${digestFunctions.join(", ")} lacks ${digestFunction}`,
      );
    },
  },
  {
    name: "actions are executed only under digest functions that the cache serves",
    client: "Bazel",
    rule: "REAPI: CacheCapabilities.digest_functions",
    needs: ["execution"],
    run: async (target) => {
      const stored = cacheOf(target).digestFunctions;
      const alone = executionOf(target).digestFunctions.filter((fn) => !stored.includes(fn));
      same(alone, [], "the digest functions of execution alone");
    },
  },
  {
    name: "execution takes priorities besides 0",
    client: "Bazel",
    rule: "--remote_execution_priority fails without an advertised range; Buck2 always sends one",
    needs: ["execution"],
    run: async (target) => {
      const range = executionOf(target).executionPriorityCapabilities;
      check(takesPriorities(range), "no range of execution priorities holds 0 and more");
    },
  },
];

/** What is said of the cache. */
const cacheCases: readonly Case[] = [
  {
    name: "SHA256 is served",
    client: "moon",
    rule: "moon turns the cache off where CacheCapabilities lacks SHA256",
    run: async (target) => {
      const { digestFunctions } = cacheOf(target);
      check(digestFunctions.includes(DigestFunction_Value.SHA256), "digest_functions lacks SHA256");
    },
  },
  {
    name: "no digest function is named twice or UNKNOWN",
    client: "every client",
    rule: "REAPI: CacheCapabilities.digest_functions",
    run: async (target) => {
      const { digestFunctions } = cacheOf(target);
      same(digestFunctions.length, new Set(digestFunctions).size, "the number of functions");
      check(!digestFunctions.includes(DigestFunction_Value.UNKNOWN), "UNKNOWN is listed");
    },
  },
  {
    name: "the cache takes priorities besides 0",
    client: "Bazel",
    rule: "--remote_result_cache_priority fails without an advertised range",
    run: async (target) => {
      const range = cacheOf(target).cachePriorityCapabilities;
      check(takesPriorities(range), "no range of cache priorities holds 0 and more");
    },
  },
  {
    name: "whether results may be written is said",
    client: "Bazel",
    rule: "REAPI: CacheCapabilities.action_cache_update_capabilities",
    run: async (target) => {
      present(cacheOf(target).actionCacheUpdateCapabilities, "action_cache_update_capabilities");
    },
  },
  {
    name: "the batch limit is a number, never 0",
    client: "remote-apis-sdks",
    rule: "the SDK takes max_batch_total_size_bytes 0 literally; moon then sends 48 MiB",
    run: async (target) => {
      const bytes = cacheOf(target).maxBatchTotalSizeBytes;
      check(bytes > 0, `max_batch_total_size_bytes is ${bytes}`);
    },
  },
  {
    name: "a batch leaves room in gRPC's 4 MiB message",
    client: "Bazel",
    rule: "gRPC clients receive 4 MiB by default",
    run: async (target) => {
      const bytes = cacheOf(target).maxBatchTotalSizeBytes;
      check(bytes < 4 << 20, `max_batch_total_size_bytes is ${bytes}`);
    },
  },
  {
    name: "a batch is large enough to be worth it",
    client: "remote-apis-sdks",
    rule: "a limit of 64 KiB ends batching in the SDK and siso reads under 2 MiB as a batch",
    run: async (target) => {
      const bytes = cacheOf(target).maxBatchTotalSizeBytes;
      check(bytes === 0 || bytes >= 2 << 20, `max_batch_total_size_bytes is ${bytes}`);
    },
  },
  {
    name: "the largest blob is at least a batch",
    client: "every client",
    rule: "REAPI: CacheCapabilities.max_cas_blob_size_bytes, 0 for no limit",
    run: async (target) => {
      const { maxCasBlobSizeBytes: blob, maxBatchTotalSizeBytes: batch } = cacheOf(target);
      check(blob === 0 || blob >= batch, `max_cas_blob_size_bytes is ${blob}, a batch ${batch}`);
    },
  },
  {
    name: "what becomes of absolute symlinks is said",
    client: "every client",
    rule: "REAPI: SymlinkAbsolutePathStrategy, UNKNOWN is invalid",
    run: async (target) => {
      check(cacheOf(target).symlinkAbsolutePathStrategy !== 0, "the strategy is UNKNOWN");
    },
  },
  {
    name: "ZSTD is the first of the compressors",
    client: "siso",
    rule: "siso takes element 0 of supported_compressors, whatever it is",
    run: async (target) => {
      const [first] = cacheOf(target).supportedCompressors;
      if (first === undefined) throw new Skipped("no compressor is advertised");
      same(first, Compressor_Value.ZSTD, "the first of supported_compressors");
    },
  },
  {
    name: "chunking is advertised with its parameters",
    client: "Bazel",
    rule: "REAPI: fast_cdc_2020_params, average 1 KiB to 1 MiB; rep_max_cdc_params",
    run: async (target) => {
      const { splitBlobSupport, spliceBlobSupport, ...params } = cacheOf(target);
      const { fastCdc2020Params: fast, repMaxCdcParams: rep } = params;
      if (!splitBlobSupport && !spliceBlobSupport) throw new Skipped("chunking is not advertised");
      check(fast !== undefined || rep !== undefined, "neither set of parameters is set");
      const average = fast?.avgChunkSizeBytes ?? 1 << 10;
      check(
        average >= 1 << 10 && average <= 1 << 20 && Number.isInteger(Math.log2(average)),
        `avg_chunk_size_bytes is ${average}`,
      );
    },
  },
];

/** Cases of GetCapabilities. */
export const capabilityCases: readonly Case[] = [...versionCases, ...executionCases, ...cacheCases];
