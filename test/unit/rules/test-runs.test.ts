import { expect, test } from "vitest";
import { hermeticDefaults } from "../../../src/builderfile/model.ts";
import type { BuildAction } from "../../../src/rules/build-action.ts";
import { retryOf, testRuns } from "../../../src/rules/test-runs.ts";

const run: BuildAction = {
  ...{ id: "//:t TestRun", target: "//:t", mnemonic: "TestRun", argv: ["out/t"] },
  ...{ env: { A: "1" }, workingDirectory: "", inputs: [], outputs: [], keep: [], remote: true },
  hermetic: { ...hermeticDefaults, maxMemoryBytes: 1, maxCpus: 1, timeoutMs: 1 },
  ...{ cache: true, priority: 0, parallelism: undefined },
};
const whole = { shards: 1, args: [], command: undefined };

test("a test without shards and arguments runs as its rule says", () => {
  expect(testRuns(run, whole, [])).toEqual([run]);
});

test("each shard is an action of its own that knows which part it is", () => {
  const runs = testRuns(run, { ...whole, shards: 2 }, []);
  expect(runs.map(({ id, env }) => ({ id, env }))).toEqual([
    {
      id: "//:t TestRun shard 1/2",
      env: { A: "1", TEST_TOTAL_SHARDS: "2", TEST_SHARD_INDEX: "0" },
    },
    {
      id: "//:t TestRun shard 2/2",
      env: { A: "1", TEST_TOTAL_SHARDS: "2", TEST_SHARD_INDEX: "1" },
    },
  ]);
});

test("the user's arguments follow the target's own", () => {
  expect(testRuns(run, { ...whole, args: ["a"] }, ["b c"])[0]?.argv).toEqual(["out/t", "a", "b c"]);
});

test("the script of a command finds its first argument in $1", () => {
  const shell = { ...run, argv: ["/bin/sh", "-e", "-c", "echo $1"] };
  const [first] = testRuns(shell, { ...whole, command: "echo $1" }, ["x"]);
  expect(first?.argv).toEqual(["/bin/sh", "-e", "-c", "echo $1", "test", "x"]);
});

test("a further attempt is another action, and never cached", () => {
  const again = retryOf(run, 2);
  expect(again.env).toEqual({ A: "1", TEST_ATTEMPT: "2" });
  expect(again.cache).toBe(false);
  expect(again.id).toBe(run.id);
});
