import { expect, test } from "vitest";
import { createActionRecorder } from "../../../src/telemetry/action-recorder.ts";
import {
  explainAction,
  type Surroundings,
  waitsOf,
  whyUncached,
} from "../../../src/telemetry/explain-action.ts";
import { accepted, bound, done, retried, workerView } from "../../support/action-notes.ts";

function mesh(workers: Surroundings["workers"], workStealing = false) {
  const clock = { nowMs: 0 };
  const recorder = createActionRecorder({ now: () => clock.nowMs });
  const around = (): Surroundings => ({
    ...{ nowMs: clock.nowMs, self: "self", workers, workStealing },
    ...{ hostName: (peer) => `host ${peer}`, unfinished: recorder.unfinished() },
  });
  const why = (seq: number) => {
    const all = [...recorder.unfinished(), ...recorder.ended()];
    const record = all.find((one) => one.seq === seq);
    if (record === undefined) throw new Error(`there is no action ${seq}`);
    return explainAction(record, around()).join("\n");
  };
  return { clock, recorder, around, why };
}

test("slots that a less urgent build holds are told by whose it is", () => {
  const { clock, recorder, around, why } = mesh([workerView("w1"), workerView("w2")]);
  for (const seq of [1, 2]) {
    recorder.onNote(accepted(seq, { priority: 10, user: "eve", invocation: "nightly" }));
    recorder.onNote(bound(seq, `w${seq}`));
  }
  recorder.onNote(accepted(3, { user: "ann" }));
  recorder.onNote(accepted(4, { user: "ann", priority: -1 }));
  clock.nowMs = 40_000;
  expect(why(3)).toBe(
    [
      "It has waited for 40.0s: all 2 slots that could run it are taken.",
      "  2 by invocation nightly of eve, priority 10, less urgent than this one's 0; " +
        "what runs is not interrupted (longest for 40.0s)",
      "  1 more urgent ones wait too and go first.",
    ].join("\n"),
  );
  expect(waitsOf(around())).toEqual([
    { reason: "slots are taken by less urgent work", count: 2, longestMs: 40_000 },
  ]);
});

test("a platform that nobody has is told with what they offer", () => {
  const { clock, recorder, around, why } = mesh([workerView("w1", { free: 1 })]);
  recorder.onNote(accepted(1, { properties: { OSFamily: "plan9" } }));
  clock.nowMs = 3000;
  expect(why(1)).toMatch(
    /3\.0s: No worker has the platform property OSFamily=plan9; they offer OSF/,
  );
  expect(waitsOf(around())[0]?.reason).toBe("no worker has the platform");
});

test("without any worker, with leaving ones, and with a free slot it says so", () => {
  const none = mesh([]);
  none.recorder.onNote(accepted(1));
  expect(none.why(1)).toContain("no worker is linked");
  const leaving = mesh([workerView("w1", { draining: true })]);
  leaving.recorder.onNote(accepted(1, { properties: {} }));
  expect(leaving.why(1)).toContain("every worker that could run it is draining");
  const free = mesh([workerView("w1", { free: 1 })]);
  free.recorder.onNote(accepted(1, { properties: {} }));
  expect(free.why(1)).toContain("a slot is free for it");
});

test("other hosts' workers are named where only work stealing keeps them away", () => {
  const guests = [workerView("w1"), workerView("laptop/w", { home: "laptop", free: 1 })];
  const { recorder, why } = mesh(guests);
  recorder.onNote(accepted(1, { properties: {} }));
  expect(why(1)).toContain("laptop/w of other hosts could run it: serve with --work-stealing.");
  const open = mesh(guests, true);
  open.recorder.onNote(accepted(1, { properties: {} }));
  expect(open.why(1)).toContain("a slot is free for it");
});

test("a stolen and a repeated action tell who had them", () => {
  const { clock, recorder, why } = mesh([workerView("laptop/w", { home: "laptop" })], true);
  recorder.onNote(accepted(1));
  recorder.onNote(bound(1, "w1"));
  recorder.onNote(retried(1, "w1", "it did not renew its lease"));
  recorder.onNote(bound(1, "laptop/w", true));
  clock.nowMs = 500;
  expect(why(1)).toBe(
    [
      "It has run on laptop/w for 500ms, after 0ms in the queue.",
      "Stolen: laptop/w of host laptop had a free slot when this host's own workers had none.",
      "Attempt 1 on w1 was lost: it did not renew its lease. It was tried again.",
    ].join("\n"),
  );
});

test("where most of the time went beside the command is told", () => {
  const { recorder, why } = mesh([workerView("w1")]);
  recorder.onNote(accepted(1));
  recorder.onNote(bound(1, "w1"));
  const spans = { fetchMs: 10, setUpMs: 4000, storeMs: 900 };
  recorder.onNote(done(1, "w1", { runMs: 100, exitCode: 3, spans }));
  expect(why(1)).toContain(
    "It ran on w1 for 100ms after 0ms in the queue and ended with exit code 3.",
  );
  expect(why(1)).toContain(
    "10ms fetching inputs, 4.0s laying them out, 900ms storing what it made",
  );
  expect(why(1)).toContain("Most of its time went there");
});

test("what was never to be cached is no miss", () => {
  const { recorder } = mesh([]);
  recorder.onNote(accepted(1, { mayMerge: false, skipCacheLookup: true }));
  recorder.onNote(accepted(2, { skipCacheLookup: true }));
  recorder.onNote(accepted(3));
  const told = [...recorder.unfinished()].map(whyUncached);
  expect(told[0]).toContain("do_not_cache");
  expect(told[1]).toContain("did not want a result from the cache");
  expect(told[2]).toBeUndefined();
});
