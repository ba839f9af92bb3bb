import { expect, test } from "vitest";
import type { ActionRequest } from "../../../src/core/action.ts";
import type { LedgerOptions } from "../../../src/core/ledger.ts";
import {
  actionRequest,
  faultOf,
  loadOf,
  ofKind,
  resultOf,
  tokenOf,
} from "../../support/core-values.ts";
import { LedgerBench as Bench, failure, sent, told } from "../../support/ledger-bench.ts";

function twoWorkers(options: Partial<LedgerOptions> = {}): Bench {
  const bench = new Bench(options);
  bench.join("a");
  bench.join("b");
  return bench;
}

test("an action is queued, offered, bound to the first claim and completed", () => {
  const bench = twoWorkers();
  const submitted = bench.submit("x");
  expect(told(submitted)).toEqual([["x", "queued"]]);
  expect(sent(submitted)).toEqual(["offer 0/0>a", "offer 0/0>b"]);
  expect([bench.ledger.pending, bench.ledger.executing]).toEqual([1, 0]);
  const claimed = bench.claim("b", tokenOf(0));
  expect(sent(claimed)).toEqual(["bound 0/0>b", "gone 0/0>a"]);
  expect(told(claimed)).toEqual([["x", "executing"]]);
  expect(sent(bench.claim("a", tokenOf(0)))).toEqual(["gone 0/0>a"]);
  expect([bench.ledger.pending, bench.ledger.executing]).toEqual([0, 1]);
  expect(told(bench.done("b", tokenOf(0)))).toEqual([["x", "completed"]]);
  expect([bench.ledger.executing, bench.ledger.completed]).toEqual([0, 1]);
  expect(bench.ledger.wakeAtMs).toBe(Number.POSITIVE_INFINITY);
});

test("builds are counted as their actions wait, run, are tried again, given up and end", () => {
  const bench = twoWorkers();
  const seen = () =>
    bench.ledger.invocations.map(({ user, invocation, pending, executing, pendingMs }) => {
      expect(pendingMs > 0, "work is expected of what waits").toBe(pending > 0);
      return `${user} ${invocation} ${pending}/${executing}`;
    });
  const of = (user: string, invocation: string) => ({ user, invocation });
  bench.submit("x", of("ann", "1"));
  bench.submit("y", of("ann", "1"));
  bench.submit("z", of("bob", "1"));
  expect(seen()).toEqual(["ann 1 2/0", "bob 1 1/0"]);
  bench.claim("a", tokenOf(0));
  expect(seen()).toEqual(["ann 1 1/1", "bob 1 1/0"]);
  bench.done("a", tokenOf(0), faultOf("it broke"));
  expect(seen()).toEqual(["ann 1 2/0", "bob 1 1/0"]);
  bench.claim("b", tokenOf(1));
  bench.abandon("z");
  expect(seen()).toEqual(["ann 1 1/1"]);
  bench.leave("b");
  expect(seen()).toEqual(["ann 1 2/0"]);
  bench.abandon("x");
  bench.abandon("y");
  expect(seen()).toEqual([]);
  expect(bench.ledger.pendingMs).toBe(0);
});

test("the owner that claims again is bound again, because the answer was lost", () => {
  const bench = twoWorkers();
  bench.submit("x");
  bench.claim("a", tokenOf(0));
  expect(sent(bench.claim("a", tokenOf(0)))).toEqual(["bound 0/0>a"]);
});

test("equal actions in flight are one, and each waiter hears the end", () => {
  const bench = twoWorkers();
  bench.submit("x");
  const request = actionRequest("x");
  const same = (operation: string, changes: Partial<ActionRequest> = {}) =>
    bench.submit(operation, { ...request, ...changes });
  expect(told(same("y"))).toEqual([["y", "queued"]]);
  bench.claim("a", tokenOf(0));
  expect(told(same("z"))).toEqual([["z", "executing"]]);
  expect(sent(same("own", { mayMerge: false }))).toEqual(["offer 1/0>a", "offer 1/0>b"]);
  expect(sent(same("elsewhere", { instance: "other" }))).toContain("offer 2/0>a");
  expect(sent(same("fresh", { skipCacheLookup: true }))).toContain("offer 3/0>a");
  expect(told(bench.done("a", tokenOf(0)))).toEqual([["x+y+z", "completed"]]);
});

test("an operation that is submitted twice counts once", () => {
  const bench = twoWorkers();
  bench.submit("x");
  expect(bench.submit("x")).toEqual([]);
});

test("a more urgent waiter makes a waiting action more urgent", () => {
  const bench = new Bench();
  bench.submit("x");
  bench.submit("y");
  bench.submit("z", { ...actionRequest("y"), priority: -1 });
  const offers = ofKind(bench.join("a", { slots: 1, free: 1 }), "send").map(
    ({ message }) => message.kind === "offer" && [message.token.seq, message.request.priority],
  );
  expect(offers).toEqual([
    [1, -1],
    [0, 0],
  ]);
});

test("a worker that leaves loses its attempts, which go to others with the next hop", () => {
  const bench = twoWorkers();
  bench.submit("x");
  bench.claim("a", tokenOf(0));
  const left = bench.leave("a");
  expect(told(left)).toEqual([["x", "queued"]]);
  expect(sent(left)).toEqual(["offer 0/1>b"]);
  expect(ofKind(left, "note").map(({ note }) => note.name)).toEqual([
    "worker-lost",
    "action-retried",
    "action-offered",
  ]);
});

test("a lease that is not renewed ends, one that is renewed goes on", () => {
  const bench = twoWorkers();
  bench.submit("x");
  bench.submit("y");
  bench.claim("a", tokenOf(0));
  bench.claim("a", tokenOf(1));
  bench.nowMs = 9_000;
  bench.hear("a", { kind: "renew", tokens: [tokenOf(1)] });
  bench.hear("b", loadOf("b"));
  const expired = bench.wakeAfter(1_000);
  expect(sent(expired)).toEqual(["offer 0/1>b"]);
  expect(bench.ledger.executing).toBe(1);
  bench.wakeAfter(8_999);
  expect(bench.ledger.executing).toBe(1);
  bench.wakeAfter(1);
  expect(bench.ledger.executing).toBe(0);
});

test("a worker that was silent for the whole lease is given nothing until it is heard", () => {
  const bench = new Bench();
  bench.join("a");
  bench.submit("x");
  bench.claim("a", tokenOf(0));
  expect(sent(bench.wakeAfter(10_000))).toEqual([]);
  expect(bench.ledger.pending).toBe(1);
  expect(sent(bench.hear("a", loadOf("a")))).toEqual(["offer 0/1>a"]);
});

test("a node that slept itself gives every lease another span", () => {
  const bench = twoWorkers();
  bench.submit("x");
  bench.claim("a", tokenOf(0));
  expect(sent(bench.wakeAfter(3_600_000))).toEqual([]);
  expect([bench.ledger.executing, bench.ledger.wakeAtMs]).toEqual([1, 3_610_000]);
  expect(told(bench.wakeAfter(10_000))).toEqual([["x", "queued"]]);
});

test("a late claim of an attempt that is lost gets nothing", () => {
  const bench = twoWorkers();
  bench.submit("x");
  bench.claim("a", tokenOf(0));
  bench.leave("a");
  expect(sent(bench.claim("b", tokenOf(0)))).toEqual(["gone 0/0>b"]);
  expect(sent(bench.claim("b", tokenOf(0, 1)))).toEqual(["bound 0/1>b"]);
});

test("the first completion of any hop counts and the other attempt is called off", () => {
  const bench = twoWorkers();
  bench.submit("x");
  bench.claim("a", tokenOf(0));
  bench.wakeAfter(10_000);
  bench.hear("b", loadOf("b"));
  bench.claim("b", tokenOf(0, 1));
  const done = bench.done("a", tokenOf(0));
  expect(told(done)).toEqual([["x", "completed"]]);
  expect(sent(done)).toEqual(["cancel 0/1>b"]);
  expect(bench.done("b", tokenOf(0, 1))).toEqual([]);
});

test("a fault is tried elsewhere, and not where it happened while another worker could", () => {
  const bench = new Bench();
  bench.join("a", { slots: 8, free: 8 });
  bench.join("b", { slots: 1, free: 0 });
  for (const name of ["p", "q", "r"]) bench.submit(name, { kind: name });
  for (const seq of [0, 1, 2]) bench.claim("a", tokenOf(seq));
  bench.submit("x");
  bench.claim("a", tokenOf(3));
  const fault = bench.done("a", tokenOf(3), faultOf("the disk is full"));
  expect(sent(fault)).toEqual(["offer 3/1>b"]);
  bench.leave("b");
  expect(bench.ledger.pending).toBe(1);
});

test("after five lost attempts the action fails and tells each of them", () => {
  const bench = twoWorkers();
  bench.submit("x");
  const ends = [0, 1, 2, 3, 4].map((hop) => {
    const peer = hop % 2 === 0 ? "a" : "b";
    bench.claim(peer, tokenOf(0, hop));
    return bench.done(peer, tokenOf(0, hop), faultOf(`fault ${hop}`));
  });
  expect(ends.map((effects) => told(effects)[0]?.[1])).toEqual([
    "queued",
    "queued",
    "queued",
    "queued",
    "failed",
  ]);
  expect(failure(ends[4]!)).toMatch(/^INTERNAL .*1\. a: fault 0; .*5\. a: fault 4/);
  expect(bench.ledger.pending + bench.ledger.executing).toBe(0);
});

test("of actions that are lost together none is blamed as one that is lost alone", () => {
  const bench = new Bench();
  bench.join("a", { slots: 4, free: 4 });
  bench.submit("x");
  bench.submit("y", { kind: "y" });
  const isFailed = (hop: number, others: readonly number[]) => {
    bench.claim("a", tokenOf(0, hop));
    for (const seq of others) bench.claim("a", tokenOf(seq, hop));
    const left = bench.leave("a");
    bench.join("a", { slots: 4, free: 4 });
    return told(left).filter(([name, stage]) => name === "x" && stage === "failed").length === 1;
  };
  // Eight halves and one whole.
  for (let hop = 0; hop < 8; hop += 1) expect(isFailed(hop, [1])).toBe(false);
  bench.done("a", tokenOf(1, 7));
  expect(isFailed(8, [])).toBe(true);
});

test("a platform that no linked worker has is refused at once, with what they offer", () => {
  const bench = twoWorkers();
  const properties = { OSFamily: "windows" };
  expect(failure(bench.submit("x", { properties }))).toMatch(
    /^FAILED_PRECONDITION .*OSFamily=windows.*OSFamily=linux/,
  );
  expect(failure(bench.submit("y", { properties: { gpu: "a100" } }))).toMatch(/no gpu at all/);
  expect(failure(bench.submit("z", { properties: { __proto__x: "1" } }))).toMatch(/no __proto__x/);
});

test("the network where every owner forbids it is refused as a policy, by its field", () => {
  expect(failure(twoWorkers().submit("x", { properties: { network: "on" } }))).toMatch(
    /^INVALID_ARGUMENT .*hermetic\.network.*--action-limits network=off/,
  );
});

test("properties that exist, but on different workers, are refused together", () => {
  const bench = new Bench();
  bench.join("a", { properties: { gpu: ["yes"] } });
  bench.join("b", { properties: { disk: ["big"] } });
  expect(failure(bench.submit("x", { properties: { gpu: "yes", disk: "big" } }))).toMatch(
    /No single worker has all of disk=big, gpu=yes/,
  );
  expect(sent(bench.submit("y", { properties: { gpu: "yes" } }))).toEqual(["offer 1/0>a"]);
});

test("without any worker an action waits for a minute and then says what to do", () => {
  const bench = new Bench();
  expect(told(bench.submit("x"))).toEqual([["x", "queued"]]);
  expect(bench.ledger.wakeAtMs).toBe(60_000);
  expect(bench.wakeAfter(59_999)).toEqual([]);
  expect(failure(bench.wakeAfter(1))).toMatch(
    /^UNAVAILABLE No workers available: .*--workers-min.*--workers-max/,
  );
});

test("a worker that joins in time gets what waits, 20 reservations at most", () => {
  const bench = new Bench();
  for (let i = 0; i < 50; i += 1) bench.submit(`x${i}`);
  bench.nowMs = 59_000;
  expect(sent(bench.join("a", { slots: 16, free: 16 }))).toHaveLength(20);
  expect(bench.wakeAfter(1_500).filter(({ kind }) => kind === "publish")).toEqual([]);
});

test("a worker holds few reservations and gets more as it works them off", () => {
  const bench = new Bench();
  bench.join("a");
  for (let i = 0; i < 20; i += 1) bench.submit(`x${i}`);
  expect(bench.ledger.pending).toBe(20);
  for (const seq of [0, 1]) expect(sent(bench.claim("a", tokenOf(seq)))).toHaveLength(1);
  expect(sent(bench.done("a", tokenOf(0)))).toEqual(["offer 6/0>a"]);
});

test("reservations that only busy workers hold are shared with an idle one", () => {
  const bench = new Bench();
  bench.join("a", { slots: 1, free: 1 });
  bench.submit("x");
  bench.claim("a", tokenOf(0));
  bench.hear("a", loadOf("a", { slots: 1, free: 0 }));
  expect(sent(bench.submit("y"))).toEqual(["offer 1/0>a"]);
  expect(sent(bench.join("b"))).toEqual(["offer 1/0>b"]);
  expect(sent(bench.claim("b", tokenOf(1)))).toEqual(["bound 1/0>b", "gone 1/0>a"]);
});

test("reservations that nobody claims are sent again after five seconds", () => {
  const bench = new Bench();
  bench.join("a");
  bench.submit("x");
  expect(bench.ledger.wakeAtMs).toBe(5_000);
  expect(sent(bench.wakeAfter(5_000))).toEqual(["offer 0/0>a"]);
});

test("a draining worker gives its reservations back and keeps what it runs", () => {
  const bench = twoWorkers();
  bench.submit("x");
  bench.claim("a", tokenOf(0));
  bench.leave("b");
  bench.submit("y");
  const drained = bench.hear("a", loadOf("a", { draining: true }));
  expect([bench.ledger.pending, bench.ledger.executing]).toEqual([1, 1]);
  expect(ofKind(drained, "note")).toMatchObject([{ note: { name: "worker-draining" } }]);
  expect(sent(bench.join("c"))).toEqual(["offer 1/0>c"]);
});

test("the last waiter that gives up stops the work, earlier ones do not", () => {
  const bench = twoWorkers();
  bench.submit("x");
  bench.submit("y", actionRequest("x"));
  expect(sent(bench.abandon("x"))).toEqual([]);
  expect(sent(bench.abandon("y"))).toEqual(["gone 0/0>a", "gone 0/0>b"]);
  bench.submit("z");
  bench.claim("a", tokenOf(1));
  expect(sent(bench.abandon("z"))).toEqual(["cancel 1/0>a"]);
  expect(sent(bench.hear("a", { kind: "renew", tokens: [tokenOf(1)] }))).toEqual(["cancel 1/0>a"]);
  expect(bench.abandon("unknown")).toEqual([]);
  expect(bench.ledger.pending + bench.ledger.executing).toBe(0);
});

test("beyond its bound the ledger refuses, and accepts again when it empties", () => {
  const bench = twoWorkers({ pendingMax: 2 });
  bench.submit("x");
  bench.submit("y", actionRequest("x"));
  expect(failure(bench.submit("z"))).toMatch(/^RESOURCE_EXHAUSTED .*2 unfinished/);
  bench.abandon("y");
  expect(told(bench.submit("z"))).toEqual([["z", "queued"]]);
});

test("a worker that says over and over that it leaves, and not, is told of once and has left", () => {
  const bench = twoWorkers();
  bench.leave("b");
  const words = Array.from({ length: 50 }, (_, at) => at % 2 === 0);
  const heard = words.flatMap((draining) => bench.hear("a", loadOf("a", { draining })));
  expect(ofKind(heard, "note")).toHaveLength(1);
  expect(ofKind(bench.submit("x"), "send")).toEqual([]);
});

test("a draining ingress refuses new actions and finishes the old ones", () => {
  const bench = twoWorkers();
  bench.submit("x");
  bench.ledger.handle({ kind: "drain" }, 0);
  expect(failure(bench.submit("y"))).toMatch(/^UNAVAILABLE .*shutting down/);
  bench.claim("a", tokenOf(0));
  expect(told(bench.done("a", tokenOf(0)))).toEqual([["x", "completed"]]);
});

test("results of unknown attempts, other ingresses and strangers are ignored", () => {
  const bench = twoWorkers();
  bench.submit("x");
  bench.claim("a", tokenOf(0));
  expect(bench.done("a", tokenOf(77))).toEqual([]);
  expect(bench.done("a", tokenOf(0, 0, "j"))).toEqual([]);
  expect(bench.done("b", tokenOf(0))).toEqual([]);
  expect(bench.done("b", tokenOf(0, 3))).toEqual([]);
  expect(bench.claim("stranger", tokenOf(0))).toEqual([]);
  expect(bench.hear("stranger", loadOf("stranger"))).toEqual([]);
  expect(bench.ledger.workers.map(({ peer }) => peer)).toEqual(["a", "b"]);
});

test("sequence numbers start at the clock, so that a restart names nothing twice", () => {
  const bench = twoWorkers();
  bench.nowMs = 1_700_000_000_000;
  bench.hear("a", loadOf("a"));
  bench.hear("b", loadOf("b"));
  const [offer] = ofKind(bench.submit("x"), "send");
  expect(offer).toMatchObject({ message: { token: { seq: 1_700_000_000_000_000 } } });
});

test("learned run times travel with the offer", () => {
  const bench = new Bench();
  bench.join("a");
  bench.submit("x");
  bench.claim("a", tokenOf(0));
  bench.done("a", tokenOf(0), resultOf("x", 750));
  expect(ofKind(bench.submit("y"), "send")).toMatchObject([{ message: { estimateMs: 750 } }]);
});
