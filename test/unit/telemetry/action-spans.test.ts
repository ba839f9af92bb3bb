import { expect, test } from "vitest";
import type { ActionRequest } from "../../../src/core/action.ts";
import type { Note } from "../../../src/core/note.ts";
import { createActionSpans, type Span, traceIdOf } from "../../../src/telemetry/action-spans.ts";

const uuid = "3f0c1b5e-9d7a-4c7b-8a55-0123456789ab";
const digest = { fn: "sha256", hash: "ab".repeat(32), sizeBytes: 1 } as const;
const request: ActionRequest = {
  ...{ action: digest, inputRoot: digest, instance: "", priority: 0, properties: {} },
  ...{ user: "ann", invocation: uuid, kind: "//:app Compile" },
  ...{ mayMerge: true, skipCacheLookup: false },
};
const token = (seq: number, hop = 0) => ({ ingress: "desk", seq, hop });
const accepted = (seq: number): Note => {
  return { name: "action-accepted", token: token(seq), request, operation: `o${seq}` };
};
const bound = (seq: number, hop: number, worker: string, stolen: boolean): Note => {
  const peer = `peer of ${worker}`;
  return { name: "action-bound", token: token(seq, hop), peer, worker, stolen, waitMs: 1 };
};
const done = (seq: number, hop: number, exitCode: number | undefined): Note => {
  const spans = { fetchMs: 10, setUpMs: 20, storeMs: 5 };
  const where = { peer: "p", worker: "w" };
  return { name: "action-done", token: token(seq, hop), ...where, runMs: 100, exitCode, spans };
};

function follow(steps: readonly (readonly [atMs: number, note: Note])[], max?: number) {
  const spans: Span[] = [];
  const actions = createActionSpans((span) => spans.push(span), max);
  for (const [atMs, note] of steps) actions.onNote(note, atMs);
  return { spans, actions };
}

test("an action's phases lie one after the other in the middle of its attempt", () => {
  const { spans } = follow([
    [1000, accepted(1)],
    [1050, bound(1, 0, "w", false)],
    [1205, done(1, 0, 0)],
  ]);
  expect(spans.map(({ name, startMs, endMs }) => [name, startMs, endMs])).toEqual([
    ["queued", 1000, 1050],
    ["attempt", 1050, 1205],
    ["fetch", 1060, 1070],
    ["set-up", 1070, 1090],
    ["run", 1090, 1190],
    ["store", 1190, 1195],
    ["action", 1000, 1205],
  ]);
  expect(new Set(spans.map(({ spanId }) => spanId)).size).toBe(spans.length);
  expect(spans.every(({ traceId }) => traceId === uuid.replaceAll("-", ""))).toBe(true);
});

test("a retried action has an attempt that failed and one that a thief ended", () => {
  const { spans } = follow([
    [0, accepted(1)],
    [10, bound(1, 0, "near", false)],
    [20, { name: "action-retried", token: token(1), worker: "near", why: "near is gone" }],
    [30, bound(1, 1, "far", true)],
    [200, done(1, 1, 3)],
  ]);
  const attempts = spans.filter(({ name }) => name === "attempt");
  expect(attempts).toMatchObject([
    { startMs: 10, endMs: 20, error: "near is gone", attributes: { "builder.worker": "near" } },
    {
      ...{ startMs: 30, endMs: 200, error: "exit code 3" },
      attributes: { "builder.worker": "far", "builder.stolen": true, "builder.attempt": 2 },
    },
  ]);
  expect(spans.filter(({ name }) => name === "queued")).toMatchObject([
    { startMs: 0, endMs: 10 },
    { startMs: 20, endMs: 30 },
  ]);
  expect(spans.at(-1)).toMatchObject({ name: "action", error: "exit code 3" });
});

test("phases longer than their attempt, of a worker that lies, stay within it", () => {
  const { spans } = follow([
    [0, accepted(1)],
    [10, bound(1, 0, "w", false)],
    [20, done(1, 0, 0)],
  ]);
  for (const { startMs, endMs } of spans) {
    expect(endMs).toBeLessThanOrEqual(20);
    expect(endMs).toBeGreaterThanOrEqual(startMs);
  }
});

test("an action that is refused or given up while it waits ends as an error", () => {
  const failure = { code: "FAILED_PRECONDITION", message: "no such platform" } as const;
  const { spans } = follow([
    [0, accepted(1)],
    [0, accepted(2)],
    [5, { name: "action-refused", token: token(1), request, operations: ["o1"], failure }],
    [6, { name: "action-abandoned", token: token(2), operation: "o2", last: true }],
  ]);
  const actions = spans.filter(({ name }) => name === "action");
  expect(actions.map(({ error }) => error)).toEqual(["no such platform", "given up"]);
});

test("beyond the bound nothing is told of an action, and that is counted", () => {
  const { spans, actions } = follow(
    [
      [0, accepted(1)],
      [0, accepted(2)],
      [1, bound(2, 0, "w", false)],
      [2, done(2, 0, 0)],
    ],
    1,
  );
  expect(spans).toEqual([]);
  expect(actions.untold).toBe(1);
});

test("the trace of an invocation is its UUID, or a hash that is always the same", () => {
  expect(traceIdOf(uuid.toUpperCase())).toBe("3f0c1b5e9d7a4c7b8a550123456789ab");
  expect(traceIdOf("ipv4:127.0.0.1:5")).toMatch(/^[0-9a-f]{32}$/);
  expect(traceIdOf("ipv4:127.0.0.1:5")).toBe(traceIdOf("ipv4:127.0.0.1:5"));
  // All zeros is no trace id.
  expect(traceIdOf("00000000-0000-0000-0000-000000000000")).not.toMatch(/^0+$/);
});
