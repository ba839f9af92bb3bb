import { expect, test } from "vitest";
import { fitTimes, phaseMs, readExecutionTimes } from "../../../src/wire/execution-times.ts";
import { ExecutedActionMetadata } from "../../../src/wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import { toTimestamp } from "../../../src/wire/reapi.ts";

const times = { startMs: 1000, fetchedMs: 1010, laidOutMs: 1030, ranMs: 1100, endMs: 1105 };

function metadata(of: typeof times) {
  return ExecutedActionMetadata.fromPartial({
    workerStartTimestamp: toTimestamp(of.startMs),
    inputFetchCompletedTimestamp: toTimestamp(of.fetchedMs),
    executionStartTimestamp: toTimestamp(of.laidOutMs),
    executionCompletedTimestamp: toTimestamp(of.ranMs),
    workerCompletedTimestamp: toTimestamp(of.endMs),
  });
}

test("a result's metadata tells its phases", () => {
  expect(readExecutionTimes(metadata(times))).toEqual(times);
  expect(phaseMs(times)).toEqual({ fetch: 10, "set-up": 20, run: 70, upload: 5 });
});

test("a worker that tells no times, or ended before it began, tells nothing", () => {
  expect(readExecutionTimes(undefined)).toBeUndefined();
  expect(readExecutionTimes(ExecutedActionMetadata.fromPartial({}))).toBeUndefined();
  expect(readExecutionTimes(metadata({ ...times, endMs: 1 }))).toBeUndefined();
});

test("phases that a foreign worker tells in a wrong order take no negative time", () => {
  const read = readExecutionTimes(metadata({ ...times, laidOutMs: 1, ranMs: 9_000_000 }));
  for (const ms of Object.values(phaseMs(read ?? times))) expect(ms).toBeGreaterThanOrEqual(0);
});

test("times within the wait stay as they are", () => {
  expect(fitTimes(times, 990, 1200)).toEqual(times);
});

test("the times of a clock that is an hour ahead or behind fall into the middle of the wait", () => {
  for (const skewMs of [3_600_000, -3_600_000]) {
    const skewed = Object.fromEntries(Object.entries(times).map(([at, ms]) => [at, ms + skewMs]));
    const fitted = fitTimes({ ...times, ...skewed }, 1000, 1125);
    expect(fitted.startMs).toBe(1010);
    expect(phaseMs(fitted)).toEqual(phaseMs(times));
  }
});

test("what would be longer than the wait is cut to it", () => {
  const fitted = fitTimes(times, 5000, 5050);
  expect(fitted.startMs).toBe(5000);
  expect(fitted.endMs).toBe(5050);
  for (const ms of Object.values(phaseMs(fitted))) expect(ms).toBeGreaterThanOrEqual(0);
});
