import { afterEach, describe, expect, test } from "vitest";
import { readHistory } from "../../src/build/action-history.ts";
import type { BuildEvent } from "../../src/build/build-event.ts";
import { type Built, removeWorkspaces, workspaceOf } from "../support/build-workspace.ts";

afterEach(removeWorkspaces);

/** The runs of tests in a build, as `id attempt exit code how`. */
function runs({ events }: Built): string[] {
  return events
    .filter((event): event is Extract<BuildEvent, { kind: "action" }> => event.kind === "action")
    .filter(({ mnemonic }) => mnemonic === "TestRun")
    .map(({ id, attempt, exitCode, how }) => {
      return `${id.replace("//:t TestRun", "").trim()} ${attempt} ${exitCode} ${how}`.trim();
    })
    .sort();
}

const testing = (command: string, fields = "") =>
  workspaceOf({ Builderfile: `target t:\n    type: test\n    command: ${command}\n${fields}` });

describe("shards", () => {
  test("each runs its own part, and each part is remembered by itself", async () => {
    const workspace = testing(
      'echo "$TEST_SHARD_INDEX of $TEST_TOTAL_SHARDS"; test "$TEST_SHARD_INDEX" != 1',
      "    shards: 3\n",
    );
    const first = await workspace.build({ test: true, keepGoing: true });
    expect(runs(first)).toEqual(["shard 1/3 1 0 ran", "shard 2/3 1 1 ran", "shard 3/3 1 0 ran"]);
    expect(first.failures[0]).toContain("1 of 3");
    expect(first.ok).toBe(false);
    const second = await workspace.build({ test: true, keepGoing: true });
    expect(runs(second)).toEqual(["shard 1/3 1 0 kept", "shard 2/3 1 1 ran", "shard 3/3 1 0 kept"]);
  });
});

describe("retries", () => {
  const flaky = 'test "$TEST_ATTEMPT" = 2';

  test("a test that passes when it is tried again is flaky, and not remembered", async () => {
    const workspace = testing(flaky, "    flaky_retries: 2\n");
    for (let round = 0; round < 2; round += 1) {
      const built = await workspace.build({ test: true });
      expect(runs(built)).toEqual(["1 1 ran", "2 0 ran"]);
      expect([built.ok, built.flaky, built.failed]).toEqual([true, 1, 0]);
    }
  });

  test("the user's number of retries goes before the target's", async () => {
    const workspace = testing(flaky, "    flaky_retries: 2\n");
    const none = await workspace.build({ test: true, flakyRetries: 0 });
    expect([runs(none), none.ok]).toEqual([["1 1 ran"], false]);
    const plain = testing(flaky);
    expect((await plain.build({ test: true })).ok).toBe(false);
    expect((await plain.build({ test: true, flakyRetries: 1 })).ok).toBe(true);
  });

  test("a test that always fails fails after its last attempt, and runs again next time", async () => {
    const workspace = testing("exit 9", "    flaky_retries: 1\n");
    for (let round = 0; round < 2; round += 1) {
      const built = await workspace.build({ test: true });
      expect(runs(built)).toEqual(["1 9 ran", "2 9 ran"]);
      expect([built.ok, built.failed, built.flaky]).toEqual([false, 1, 0]);
    }
  });

  test("a passed test is not tried again and is known next time", async () => {
    const workspace = testing("true", "    flaky_retries: 5\n");
    expect(runs(await workspace.build({ test: true }))).toEqual(["1 0 ran"]);
    const again = await workspace.build({ test: true });
    expect([runs(again), again.calls]).toEqual([["1 0 kept"], 0]);
  });

  test("a compile that fails is not tried again", async () => {
    const workspace = workspaceOf({
      Builderfile: "target t:\n    type: test\n    sources: [t.c]\n    flaky_retries: 3\n",
      "t.c": "no C",
    });
    expect((await workspace.build({ test: true })).ids).toEqual(["t CppCompile t.c"]);
  });
});

test("arguments reach the test, and other arguments are another run", async () => {
  const workspace = testing('test "$1 $2" = "a b c"');
  expect((await workspace.build({ test: true, testArgs: ["a", "b c"] })).ok).toBe(true);
  expect((await workspace.build({ test: true, testArgs: ["a"] })).ok).toBe(false);
  const again = await workspace.build({ test: true, testArgs: ["a", "b c"] });
  expect([again.ok, again.ran]).toEqual([true, 0]);
});

describe("what a build tells and remembers", () => {
  test("how much there is to do, and each start before its end", async () => {
    const workspace = workspaceOf({
      Builderfile: "target app:\n    type: executable\n    sources: [a.c, b.c]\n",
      "a.c": "int b(void); int main(void) { return b(); }\n",
      "b.c": "int b(void) { return 0; }\n",
    });
    const { events } = await workspace.build();
    const [planned] = events.filter(({ kind }) => kind === "planned");
    expect(planned).toEqual({
      kind: "planned",
      total: 3,
      kinds: {
        CppCompile: { count: 2, expectedMs: undefined },
        CppLink: { count: 1, expectedMs: undefined },
      },
    });
    const order = events.flatMap((event) =>
      event.kind === "started" || event.kind === "action" ? [`${event.kind} ${event.id}`] : [],
    );
    for (const id of ["//:app CppCompile a.c", "//:app CppCompile b.c", "//:app CppLink"]) {
      expect(order.indexOf(`started ${id}`)).toBeGreaterThanOrEqual(0);
      expect(order.indexOf(`started ${id}`)).toBeLessThan(order.indexOf(`action ${id}`));
    }
    workspace.write("b.c", "int b(void) { return 1; }\n");
    const second = await workspace.build();
    const [again] = second.events.filter((event) => event.kind === "planned");
    expect(again?.kinds["CppLink"]?.expectedMs).toBeGreaterThan(0);
    expect(readHistory(workspace.folder).get("//:app CppLink")?.argv[0]).toBe("cc");
  });

  test("a damaged history is no reason to fail", async () => {
    const workspace = testing("true");
    await workspace.build({ test: true });
    workspace.write(".builder/history", '{"files":[[1]],"actions":[]}\nx\n[]\n{"files":[]');
    workspace.write(".builder/durations", "[1");
    workspace.write("Builderfile", "target t:\n    type: test\n    command: 'true '\n");
    expect((await workspace.build({ test: true })).ok).toBe(true);
    expect([...readHistory(workspace.folder).keys()]).toEqual(["//:t TestRun"]);
  });
});
