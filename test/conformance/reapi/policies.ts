// What is cached, merged, run again, timed out and preferred.

import type { PriorityCapabilities } from "../../../src/wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import { cachedResult, executeToEnd, putAction, ran, ranAgain, stdoutOf } from "./actions.ts";
import type { Case } from "./case.ts";
import { unique } from "./content.ts";
import { check, isServiceError, nameOfCode, refused, Skipped, same } from "./expectations.ts";
import type { Target } from "./target.ts";

const needs = ["execution"] as const;

/** Writes something else at every run. */
const dice = "od -An -N16 -tx1 /dev/urandom";

async function checkNotCached(target: Target, action: Parameters<typeof cachedResult>[1]) {
  await refused(cachedResult(target, action), "NOT_FOUND", "its result in the cache");
}

const cachingCases: readonly Case[] = [
  {
    name: "an action that ran is answered from the cache",
    client: "Bazel",
    rule: "REAPI: ExecuteResponse.cached_result",
    needs,
    run: async (target) => {
      const first = await ran(target, { run: dice });
      check(first.response?.cachedResult === false, "the first run is said to be cached");
      const second = await ranAgain(target, first.action);
      check(second.response?.cachedResult === true, "the second run is not said to be cached");
      const [a, b] = [await stdoutOf(target, first.result), await stdoutOf(target, second.result)];
      same(b, a, "stdout of the second run");
      same((await cachedResult(target, first.action)).exitCode, 0, "the cached exit_code");
    },
  },
  {
    name: "an action that failed is not cached",
    client: "every client",
    rule: "a failure that is served again cannot be tried again",
    needs,
    run: async (target) => {
      const { action } = await ran(target, { run: "exit 1" });
      await checkNotCached(target, action);
    },
  },
  {
    name: "do_not_cache leaves nothing in the cache and runs every time",
    client: "Bazel",
    rule: "REAPI: Action.do_not_cache",
    needs,
    run: async (target) => {
      const first = await ran(target, { run: dice, action: { doNotCache: true } });
      await checkNotCached(target, first.action);
      const second = await ranAgain(target, first.action);
      check(second.response?.cachedResult === false, "the second run is said to be cached");
      const [a, b] = [await stdoutOf(target, first.result), await stdoutOf(target, second.result)];
      check(a !== b, "the second run has the output of the first");
    },
  },
  {
    name: "do_not_cache is not merged with the same action under way",
    client: "every client",
    rule: "REAPI: Action.do_not_cache forbids merging in flight",
    needs,
    run: async (target) => {
      const run = `sleep 0.7; ${dice}`;
      const action = await putAction(target, { run, action: { doNotCache: true } });
      const both = await Promise.all([ranAgain(target, action), ranAgain(target, action)]);
      const [a, b] = await Promise.all(both.map(({ result }) => stdoutOf(target, result)));
      check(a !== b, "both have one output");
    },
  },
  {
    name: "skip_cache_lookup runs again and its result takes the place of the old",
    client: "Bazel",
    rule: "REAPI: ExecuteRequest.skip_cache_lookup skips the read only",
    needs,
    run: async (target) => {
      const first = await ran(target, { run: dice });
      const second = await ranAgain(target, first.action, { skipCacheLookup: true });
      check(second.response?.cachedResult === false, "it is said to be cached");
      const [a, b] = [await stdoutOf(target, first.result), await stdoutOf(target, second.result)];
      check(a !== b, "it did not run again");
      const cached = await cachedResult(target, first.action);
      same(await stdoutOf(target, cached), b, "stdout of the cached result");
    },
  },
  {
    name: "equal actions under way run once, and everyone gets the result",
    client: "every client",
    rule: "REAPI: servers may merge equal actions; all waiters are answered",
    needs,
    run: async (target) => {
      const action = await putAction(target, { run: `sleep 0.7; ${dice}` });
      const waits = Array.from({ length: 4 }, () => {
        return ranAgain(target, action, { calls: target.connect() });
      });
      const ends = await Promise.all(waits);
      const outputs = await Promise.all(ends.map(({ result }) => stdoutOf(target, result)));
      same(new Set(outputs).size, 1, "the number of different outputs");
    },
  },
  {
    name: "actions that differ only in their salt are different",
    client: "every client",
    rule: "REAPI: Action.salt",
    needs,
    run: async (target) => {
      const [a, b] = [
        await ran(target, { run: dice, salt: unique(8) }),
        await ran(target, { run: dice, salt: unique(8) }),
      ];
      check(b.response?.cachedResult === false, "the second is said to be cached");
      check(
        (await stdoutOf(target, a.result)) !== (await stdoutOf(target, b.result)),
        "both have one output",
      );
    },
  },
];

const timeoutText = "execution timeout exceeded";

const timeoutCases: readonly Case[] = [
  {
    name: "an action over its timeout is DEADLINE_EXCEEDED inside the response",
    client: "every client",
    rule: "REAPI: Action.timeout",
    needs,
    run: async (target) => {
      const action = await putAction(target, { run: "sleep 15", timeoutMs: 300 });
      const { code, response } = await executeToEnd(target, action);
      same(nameOfCode(code), "DEADLINE_EXCEEDED", "the status");
      check(response !== undefined, "the call failed instead");
    },
  },
  {
    name: `the message of a timeout is exactly "${timeoutText}"`,
    client: "siso",
    rule: "siso takes any other text for its own stream's deadline and executes again at once",
    needs,
    run: async (target) => {
      const action = await putAction(target, { run: "sleep 15", timeoutMs: 300 });
      same((await executeToEnd(target, action)).message, timeoutText, "the message");
    },
  },
  {
    name: "a timeout keeps what the action had written",
    client: "Bazel",
    rule: "REAPI: a response with DEADLINE_EXCEEDED may carry the partial result",
    needs,
    run: async (target) => {
      const action = await putAction(target, { run: "echo begun; sleep 15", timeoutMs: 500 });
      const { response } = await executeToEnd(target, action);
      if (response?.result === undefined) throw new Skipped("no partial result is sent");
      same(await stdoutOf(target, response.result), "begun\n", "stdout");
    },
  },
  {
    name: "a timeout is not cached",
    client: "every client",
    rule: "REAPI: a response that is not OK MUST NOT be cached",
    needs,
    run: async (target) => {
      const action = await putAction(target, { run: "sleep 15", timeoutMs: 300 });
      await executeToEnd(target, action);
      await checkNotCached(target, action);
    },
  },
  {
    name: "a timeout beyond every maximum is refused before the action runs",
    client: "every client",
    rule: "REAPI: Action.timeout over the server's maximum is INVALID_ARGUMENT",
    needs,
    run: async (target) => {
      const timeout = { seconds: 315_576_000_000, nanos: 0 };
      const action = await putAction(target, { run: "true", action: { timeout } });
      same(nameOfCode((await executeToEnd(target, action)).code), "INVALID_ARGUMENT", "the status");
    },
  },
  {
    name: "a negative timeout is refused",
    client: "hostile client",
    rule: "REAPI: Action.timeout",
    needs,
    run: async (target) => {
      const timeout = { seconds: -5, nanos: 0 };
      const action = await putAction(target, { run: "true", action: { timeout } });
      same(nameOfCode((await executeToEnd(target, action)).code), "INVALID_ARGUMENT", "the status");
    },
  },
];

type Range = PriorityCapabilities["priorities"][number];

function rangesOf(priorities: PriorityCapabilities | undefined): readonly [Range, ...Range[]] {
  const [first, ...rest] = priorities?.priorities ?? [];
  if (first === undefined) throw new Skipped("no range of priorities is advertised");
  return [first, ...rest];
}

/** A 32-bit number outside all ranges. */
function outside(ranges: readonly Range[]): number {
  const wanted = [
    -(2 ** 31),
    2 ** 31 - 1,
    ...ranges.map(({ maxPriority }) => maxPriority + 1),
  ].find(
    (priority) =>
      priority < 2 ** 31 &&
      !ranges.some((range) => range.minPriority <= priority && priority <= range.maxPriority),
  );
  if (wanted === undefined) throw new Skipped("every priority is within the advertised range");
  return wanted;
}

const priorityCases: readonly Case[] = [
  {
    name: "the ends of the advertised priorities are taken",
    client: "Buck2",
    rule: "REAPI: ExecutionPolicy.priority; Buck2 always sends a policy",
    needs,
    run: async (target) => {
      const { executionCapabilities: execution, cacheCapabilities: cache } = target.capabilities;
      const [range] = rangesOf(execution?.executionPriorityCapabilities);
      const results = cache?.cachePriorityCapabilities?.priorities[0]?.maxPriority ?? 0;
      for (const priority of [range.minPriority, 0, range.maxPriority]) {
        const policies = {
          executionPolicy: { priority },
          resultsCachePolicy: { priority: results },
        };
        await ran(target, { run: "true" }, policies);
      }
    },
  },
  {
    name: "a priority outside the advertised range is refused",
    client: "hostile client",
    rule: "REAPI: PriorityCapabilities",
    needs,
    run: async (target) => {
      const { executionCapabilities: execution } = target.capabilities;
      const priority = outside(rangesOf(execution?.executionPriorityCapabilities));
      const action = await putAction(target, { run: "true" });
      const { code } = await executeToEnd(target, action, { executionPolicy: { priority } });
      same(nameOfCode(code), "INVALID_ARGUMENT", `the status of priority ${priority}`);
    },
  },
  {
    name: "RequestMetadata that cannot be read does no harm",
    client: "hostile client",
    rule: "REAPI: RequestMetadata is a hint",
    needs,
    run: async (target) => {
      const action = await putAction(target, { run: "echo fine" });
      const requestMetadata = Buffer.from([0x0f, 0xff, 0xff, 0xff, 0xff]);
      const end = await executeToEnd(target, action, { requestMetadata });
      check(!isServiceError(end) && end.code === 0, `it ended with ${nameOfCode(end.code)}`);
    },
  },
];

/** Some servers queue an action until a worker that can run it appears. */
const platformPatienceMs = 5_000;

const platformCases: readonly Case[] = [
  {
    name: "an action that no worker can run is not told as a missing image",
    client: "siso",
    rule: "siso reads NOT_FOUND and PERMISSION_DENIED of a response as a bad container image",
    needs,
    run: async (target) => {
      const properties = [{ name: "OSFamily", value: "no-such-system" }];
      const action = await putAction(target, { run: "true", action: { platform: { properties } } });
      const waits = new Promise<undefined>((wake) =>
        setTimeout(wake, platformPatienceMs, undefined),
      );
      const end = await Promise.race([executeToEnd(target, action), waits]);
      if (end === undefined) throw new Skipped("it waits for such a worker");
      const code = nameOfCode(end.code);
      check(!["OK", "NOT_FOUND", "PERMISSION_DENIED"].includes(code), `it ended with ${code}`);
    },
  },
];

/** Cases of caching, merging, timeouts and priorities. */
export const policyCases: readonly Case[] = [
  ...cachingCases,
  ...timeoutCases,
  ...priorityCases,
  ...platformCases,
];
