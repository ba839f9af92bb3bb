import { expect, test } from "vitest";
import { beatsKept, createBeats } from "../../../src/telemetry/beats.ts";
import {
  createLogRing,
  keptLog,
  lineSearch,
  logRingBounds,
  readLogMessage,
} from "../../../src/telemetry/log-ring.ts";
import { troublesOf } from "../../../src/telemetry/troubles.ts";
import { createWorkerTimes } from "../../../src/telemetry/worker-times.ts";
import { accepted, bound, done } from "../../support/action-notes.ts";

test("beats count by the second, and fill the seconds in which nothing happened", () => {
  const clock = { nowMs: 0 };
  const counts = { queued: 0, running: 0 };
  const beats = createBeats({ now: () => clock.nowMs, counts: () => counts });
  counts.queued = 3;
  beats.onNote(accepted(1));
  beats.onCacheLookup(true);
  clock.nowMs = 2500;
  expect(beats.read()).toEqual([
    { ended: 0, lookups: 1, hits: 1, queued: 3, running: 0 },
    { ended: 0, lookups: 0, hits: 0, queued: 3, running: 0 },
    { ended: 0, lookups: 0, hits: 0, queued: 3, running: 0 },
  ]);
  counts.queued = 2;
  beats.onNote(done(1, "w"));
  expect(beats.read().at(-1)).toMatchObject({ ended: 1, queued: 2 });
  clock.nowMs = 10_000_000;
  expect(beats.read()).toHaveLength(beatsKept);
});

test("times are percentiles of the last actions, by worker", () => {
  const times = createWorkerTimes();
  times.onNote(bound(0, "w", true));
  for (let seq = 1; seq <= 100; seq += 1) {
    const spans = { fetchMs: seq, setUpMs: 2 * seq, storeMs: 0 };
    times.onNote(done(seq, "w", { runMs: 5, spans }));
  }
  times.onNote({ name: "worker-lost", peer: "peer of w", worker: "w", actions: 2 });
  times.onNote({ name: "worker-lost", peer: "never seen", worker: "x", actions: 0 });
  expect(times.read()).toEqual([
    {
      ...{ peer: "peer of w", worker: "w", ended: 100, stolen: 1, lost: 2 },
      fetch: { p50Ms: 50, p95Ms: 95 },
      setUp: { p50Ms: 100, p95Ms: 190 },
      run: { p50Ms: 5, p95Ms: 5 },
      store: { p50Ms: 0, p95Ms: 0 },
    },
  ]);
});

test("the log keeps its last lines, and tells those after one that is known", () => {
  const ring = createLogRing(() => 7);
  const said: string[] = [];
  const log = keptLog((level, text) => said.push(`${level} ${text}`), ring, "info");
  log("debug", "not kept");
  for (let at = 1; at <= logRingBounds.lines + 10; at += 1) log("info", `line ${at}`);
  log("warn", "x".repeat(logRingBounds.chars + 1));
  expect(said).toHaveLength(logRingBounds.lines + 12);
  const [last] = ring.after(0, 1);
  expect(last).toMatchObject({ seq: logRingBounds.lines + 11, level: "warn", atMs: 7 });
  expect(last?.text).toHaveLength(logRingBounds.chars);
  const before = logRingBounds.lines + 8;
  expect(ring.after(before, 2).map(({ seq }) => seq)).toEqual([before + 1, before + 2]);
  expect(ring.after(3, 1)[0]?.seq).toBe(12);
  expect(ring.after(last?.seq ?? 0, 10)).toEqual([]);
  const found = (text: string, after = 0) => ring.after(after, 2, lineSearch(text));
  expect(found("LINE 200").map(({ text }) => text)).toEqual(["line 2008", "line 2009"]);
  expect(found("line 200", 1).map(({ text }) => text)).toEqual(["line 200", "line 2000"]);
  expect(found("warn")).toEqual([last]);
  expect(found("nowhere")).toEqual([]);
});

test("a line from another process is taken as it is, anything else is none", () => {
  const line = { kind: "log", level: "warn", text: "it is hot" };
  expect(readLogMessage({ ...line, more: 1 })).toEqual(line);
  for (const wrong of [{ kind: "x" }, { level: "loud" }, { text: 7 }]) {
    expect(readLogMessage({ ...line, ...wrong })).toBeUndefined();
  }
  expect([undefined, null, "log", 1].map(readLogMessage)).toEqual(Array(4).fill(undefined));
});

const quiet = { times: [], links: [], waits: [], lagMs: 0, failures: [] };
const link = { rttMs: 1, rttWorstMs: 3, asked: 16, late: 0 };
const time = (worker: string, setUpMs: number, fetchMs = 0) => ({
  ...{ peer: worker, worker, ended: 20, stolen: 0, lost: 0 },
  fetch: { p50Ms: fetchMs, p95Ms: fetchMs },
  setUp: { p50Ms: setUpMs, p95Ms: setUpMs },
  run: { p50Ms: 500, p95Ms: 500 },
  store: { p50Ms: 300, p95Ms: 300 },
});

test("machines that are alike are no trouble, however slow all of them are", () => {
  const links = ["a", "b", "c"].map((name) => ({ ...link, name, rttMs: 200 }));
  const times = [time("a", 900, 900), time("b", 1000, 800), time("c", 800, 900)];
  expect(troublesOf({ ...quiet, links, times })).toEqual([]);
});

test("the one disk and the one line that are far worse than the others are named", () => {
  const links = ["a", "b"].map((name) => ({ ...link, name }));
  const bad = { ...link, name: "laptop", rttMs: 310, rttWorstMs: 900, late: 3 };
  const times = [time("desk/worker-1", 20), time("desk/worker-2", 30), time("slow/worker-1", 700)];
  expect(troublesOf({ ...quiet, links: [...links, bad], times })).toEqual([
    "The link to laptop takes 310ms there and back, at worst 900ms, 3 of 16 answers late; " +
      "other links take 1ms: a bad line.",
    "slow/worker-1 takes 700ms to lay out inputs and 300ms to store outputs, others 20ms: " +
      "a slow disk.",
  ]);
});

test("no link is blamed for its delay before the others are measured, but for its losses", () => {
  const far = { ...link, name: "desk", rttMs: 445 };
  const fresh = { ...link, name: "lab", rttMs: undefined, rttWorstMs: undefined, asked: 2 };
  expect(troublesOf({ ...quiet, links: [far, fresh] })).toEqual([]);
  expect(troublesOf({ ...quiet, links: [far, { ...far, name: "lab" }] })).toEqual([]);
  expect(troublesOf({ ...quiet, links: [{ ...far, late: 4 }, fresh] })).toEqual([
    "The link to desk takes 445ms there and back, at worst 3ms, 4 of 16 answers late: a bad line.",
  ]);
  expect(troublesOf({ ...quiet, links: [far] })).toHaveLength(1);
});

test("work that nobody may start is told, work that takes its turn is not", () => {
  const wait = { count: 3, longestMs: 20_000 };
  const waits = [
    { reason: "slots are taken" as const, ...wait },
    { reason: "slots are taken by less urgent work" as const, ...wait },
  ];
  const failures = [{ message: "No worker has gpu=yes.", count: 2 }];
  expect(troublesOf({ ...quiet, waits, failures, lagMs: 900 })).toEqual([
    "2 actions could not be run of late: No worker has gpu=yes.",
    "3 actions wait up to 20.0s because slots are taken by less urgent work. " +
      "`builder remote actions --queued` lists them, `builder remote why` tells more.",
    "This node is held up for 900ms at a time: its machine is overloaded.",
  ]);
});
