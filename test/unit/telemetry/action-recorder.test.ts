import { expect, test } from "vitest";
import { createActionRecorder } from "../../../src/telemetry/action-recorder.ts";
import { abandoned, accepted, bound, done, retried } from "../../support/action-notes.ts";
import { actionRequest } from "../../support/core-values.ts";

function recorder(bounds = { endedMax: 3, unfinishedMax: 4, waitersMax: 2 }) {
  const clock = { nowMs: 1000 };
  return { clock, of: createActionRecorder({ now: () => clock.nowMs }, bounds) };
}

test("an action is followed from its call to its end", () => {
  const { clock, of } = recorder();
  of.onNote(accepted(1));
  expect(of.counts()).toEqual({ queued: 1, running: 0 });
  clock.nowMs = 1200;
  of.onNote(bound(1, "w1"));
  expect(of.counts()).toEqual({ queued: 0, running: 1 });
  clock.nowMs = 1500;
  of.onNote(retried(1, "w1", "the link to it closed"));
  expect([...of.unfinished()][0]).toMatchObject({ state: "queued", stateAtMs: 1500 });
  of.onNote(bound(1, "w2", true));
  clock.nowMs = 2000;
  of.onNote(done(1, "w2", { runMs: 400, spans: { fetchMs: 1, setUpMs: 2, storeMs: 3 } }));
  expect([...of.unfinished()]).toEqual([]);
  expect(of.counts()).toEqual({ queued: 0, running: 0 });
  const [record] = of.ended();
  expect(record).toMatchObject({
    ...{ state: "done", acceptedAtMs: 1000, stateAtMs: 2000, runMs: 400, exitCode: 0 },
    attempts: [
      { worker: "w1", stolen: false, boundAtMs: 1200, lost: "the link to it closed" },
      { worker: "w2", stolen: true, boundAtMs: 1500, lost: undefined },
    ],
  });
});

test("the last ends are kept, the newest first; more unfinished ones than fit go unseen", () => {
  const { of } = recorder();
  for (let seq = 0; seq < 6; seq += 1) of.onNote(accepted(seq));
  expect(of.counts().queued).toBe(4);
  for (let seq = 0; seq < 6; seq += 1) of.onNote(done(seq, "w", { exitCode: seq }));
  expect([...of.ended()].map(({ seq, state }) => `${seq} ${state}`)).toEqual([
    "3 failed",
    "2 failed",
    "1 failed",
  ]);
});

test("who joins is named, who gives up is not, and the last one ends it", () => {
  const { of } = recorder();
  of.onNote(accepted(1, { priority: 5 }));
  for (const operation of ["b", "c", "d"]) {
    const request = actionRequest("action 1", { priority: 2 });
    const token = { ingress: "self", seq: 1, hop: 0 };
    of.onNote({ name: "action-merged", token, request, operation });
  }
  const [record] = of.unfinished();
  expect(record?.priority).toBe(2);
  expect(record?.waiters.map(({ operation }) => operation)).toEqual(["operation-1", "b"]);
  of.onNote(abandoned(1, false));
  expect(record?.waiters.map(({ operation }) => operation)).toEqual(["b"]);
  of.onNote(abandoned(1));
  expect([...of.ended()][0]?.state).toBe("cancelled");
});

test("what is refused at once and what the cache answers are remembered too", () => {
  const { of } = recorder();
  const request = actionRequest("x");
  const failure = { code: "FAILED_PRECONDITION" as const, message: "No worker has it." };
  const token = { ingress: "self", seq: 9, hop: 0 };
  of.onNote({ name: "action-refused", token, request, operations: ["op"], failure });
  of.onCached("other", request);
  expect([...of.ended()].map(({ state }) => state)).toEqual(["cached", "failed"]);
  expect([...of.ended()][1]?.failure).toEqual(failure);
});
