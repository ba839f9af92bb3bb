import { expect, test } from "vitest";
import { createBuildEvents, defaultBuildEventBounds } from "../../../src/ingress/build-events.ts";
import { BuildEvent as BazelEvent } from "../../../src/wire/gen/build_event_stream/build_event_stream.ts";
import { BuildEvent } from "../../../src/wire/gen/google/devtools/build/v1/build_events.ts";
import { toTimestamp } from "../../../src/wire/reapi.ts";

type Bazel = Parameters<typeof BazelEvent.fromPartial>[0];

const bounds = { ...defaultBuildEventBounds };

/** Feeds one invocation. */
function teller(events = createBuildEvents(bounds), invocation = "inv", user = "ann") {
  let sequence = 0;
  const raw = (value: Uint8Array, atMs: number, number: number) => {
    const event = BuildEvent.fromPartial({
      eventTime: toTimestamp(atMs),
      event: { $case: "bazelEvent", value: { typeUrl: "t/build_event_stream.BuildEvent", value } },
    });
    events.take({ build: "b", invocation, user, sequence: number }, event);
  };
  const tell = (bazel: Bazel, atMs = 1000 + sequence) => {
    sequence += 1;
    raw(BazelEvent.encode(BazelEvent.fromPartial(bazel)).finish(), atMs, sequence);
  };
  return { events, tell, raw };
}

const completed = (label: string, success: boolean): Bazel => ({
  id: { id: { $case: "targetCompleted", value: { label } } },
  payload: { $case: "completed", value: { success } },
});
const progress = (stderr: string): Bazel => ({ payload: { $case: "progress", value: { stderr } } });

test("an invocation is shown from its start to its end", () => {
  const { events, tell } = teller();
  tell({
    payload: {
      $case: "started",
      value: { command: "test", buildToolVersion: "7.4.1", workspaceDirectory: "/w" },
    },
  });
  expect(events.list()).toMatchObject([{ id: "inv", result: "", tool: "Bazel 7.4.1" }]);
  tell(progress("Analyzing…\n"));
  tell(completed("//a:good", true));
  tell(completed("//a:bad", false));
  tell({
    id: { id: { $case: "actionCompleted", value: { primaryOutput: "out/bad" } } },
    payload: { $case: "action", value: { exitCode: 3, label: "//a:bad", type: "Genrule" } },
  });
  tell({
    id: { id: { $case: "testSummary", value: { label: "//a:test" } } },
    payload: { $case: "testSummary", value: { overallStatus: 3, totalRunDurationMillis: 5 } },
  });
  tell({ payload: { $case: "finished", value: { exitCode: { name: "BUILD_FAILURE", code: 1 } } } });
  events.ended("inv");
  expect(events.get("in")).toMatchObject({
    summary: {
      ...{ command: "test", workspace: "/w", user: "ann", build: "b", result: "BUILD_FAILURE" },
      ...{ exitCode: 1, targets: 2, targetsFailed: 1, tests: 1, testsFailed: 1, events: 7 },
      ...{ startedAtMs: 1000, endedAtMs: 1006 },
    },
    targets: [
      { label: "//a:good", success: true },
      { label: "//a:bad", success: false },
    ],
    tests: [{ label: "//a:test", status: "TIMEOUT", durationMs: 5 }],
    failedActions: [{ label: "//a:bad", mnemonic: "Genrule", output: "out/bad", exitCode: 3 }],
    output: "Analyzing…\n",
    isCut: false,
  });
});

test("events that a client sends again count once", () => {
  const { events, tell, raw } = teller();
  tell(completed("//:a", true));
  tell(completed("//:b", true));
  raw(BazelEvent.encode(BazelEvent.fromPartial(completed("//:c", true))).finish(), 5, 2);
  expect(events.list()).toMatchObject([{ targets: 2, events: 2 }]);
});

test("a target and its aspects are one target, and one of them that fails makes it fail", () => {
  const { events, tell } = teller();
  tell(completed("//:a", true));
  tell(completed("//:a", false));
  tell(completed("//:a", true));
  expect(events.list()).toMatchObject([{ targets: 1, targetsFailed: 1 }]);
});

test("a stream that breaks off leaves an interrupted invocation", () => {
  const { events, tell } = teller();
  tell(progress("on the way"));
  events.ended("inv");
  expect(events.list()).toMatchObject([{ result: "INTERRUPTED" }]);
});

test("an event that makes no sense is passed over", () => {
  const { events, raw } = teller();
  raw(Buffer.from([0xff, 0xff, 0xff]), 1, 1);
  expect(events.list()).toMatchObject([{ events: 1, targets: 0 }]);
});

test("another user can neither add to an invocation nor take its name", () => {
  const { events, tell } = teller();
  tell(completed("//:a", true));
  const other = teller(events, "inv", "bob");
  expect(() => other.tell(completed("//:b", false))).toThrow(/another user's/);
  expect(events.list()).toMatchObject([{ user: "ann", targets: 1 }]);
});

test("no client makes a node hold more than its bounds; counts stay exact", () => {
  const { events, tell } = teller();
  const long = "x".repeat(100_000);
  for (let count = 0; count < 2000; count += 1) {
    tell(completed(`//${count}:${long}`, count % 2 === 0));
    tell(progress(long));
  }
  const report = events.get("inv");
  expect(report.summary).toMatchObject({ targets: 2000, targetsFailed: 1000 });
  expect(report.isCut).toBe(true);
  expect(report.output.length).toBeLessThanOrEqual(bounds.outputCharsMax);
  const chars = report.targets.reduce((sum, { label }) => sum + label.length, 0);
  expect(chars).toBeLessThanOrEqual(bounds.charsMax);
});

test("beyond the bound the oldest invocation that has ended goes first", () => {
  const events = createBuildEvents({ ...bounds, invocationsMax: 3 });
  const open = (id: string) => teller(events, id).tell(progress(id));
  for (const id of ["running", "ended", "third"]) open(id);
  events.ended("ended");
  open("fourth");
  expect(events.list().map(({ id }) => id)).toEqual(["fourth", "third", "running"]);
  open("fifth");
  expect(events.list().map(({ id }) => id)).toEqual(["fifth", "fourth", "third"]);
});

test("an id that none or several begin with is NOT_FOUND, with what to do", () => {
  const { events, tell } = teller();
  tell(progress(""));
  teller(events, "inv-2").tell(progress(""));
  expect(() => events.get("x")).toThrow(/No invocation's id begins with "x".*lists them/);
  expect(() => events.get("inv")).toThrow(/ids of 2 invocations/);
  expect(events.get("inv-").summary?.id).toBe("inv-2");
});
