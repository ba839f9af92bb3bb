// The victim's side of work stealing: what an ingress gives to workers of other hosts, and when.

import { expect, test } from "vitest";
import type { Effect } from "../../../src/core/machine.ts";
import type { Load } from "../../../src/core/message.ts";
import { loadOf, ofKind, resultOf, tokenOf } from "../../support/core-values.ts";
import { failure, LedgerBench, sent, told } from "../../support/ledger-bench.ts";

const guest: Partial<Load> = { home: "other" };
const busy: Partial<Load> = { slots: 1, free: 0 };

/** A home worker `a` with one slot that runs action 0, and idle guests. */
function busyHome(...guests: string[]): LedgerBench {
  const bench = new LedgerBench();
  bench.isStealing = true;
  bench.join("a", { slots: 1, free: 1, home: "i" });
  bench.submit("x0");
  bench.claim("a", tokenOf(0));
  bench.hear("a", loadOf("a", { ...busy, home: "i" }));
  for (const peer of guests) bench.join(peer, guest);
  return bench;
}

function steal(bench: LedgerBench, from: string, room: number, nonce = 1): readonly Effect[] {
  return bench.hear(from, { kind: "steal", nonce, room });
}

function submitMany(bench: LedgerBench, count: number): void {
  for (let i = 1; i <= count; i += 1) bench.submit(`x${i}`);
}

function warnings(effects: readonly Effect[]): string[] {
  return ofKind(effects, "note").flatMap(({ note }) =>
    note.name === "peer-refused" ? [`${note.peer} ${note.forMs}`] : [],
  );
}

test("a worker of another host is offered nothing unasked", () => {
  const bench = busyHome("g");
  submitMany(bench, 1);
  expect(sent(bench.submit("y"))).toEqual(["offer 2/0>a"]);
  expect(bench.ledger.surplus).toBe(2);
});

test("who asks is given what waits first, then what only busy workers hold, and hears how many", () => {
  const bench = busyHome("g");
  submitMany(bench, 3);
  expect(sent(steal(bench, "g", 3))).toEqual([
    "offer 3/0>g",
    "offer 1/0>g",
    "offer 2/0>g",
    "granted 3/0>g",
  ]);
});

test("what this host can start by itself is not given away", () => {
  const bench = new LedgerBench();
  bench.isStealing = true;
  bench.join("a", { home: "i" });
  bench.join("g", guest);
  submitMany(bench, 2);
  expect(bench.ledger.surplus).toBe(0);
  expect(sent(steal(bench, "g", 3))).toEqual(["granted 0/0>g"]);
});

test("the first claim wins whoever it is", () => {
  const bench = busyHome("g");
  submitMany(bench, 1);
  steal(bench, "g", 1);
  expect(sent(bench.claim("g", tokenOf(1)))).toEqual(["bound 1/0>g", "gone 1/0>a"]);
  expect(told(bench.done("g", tokenOf(1)))).toEqual([["x1", "completed"]]);
});

test("an idle worker of this host does not wait for a guest that holds something", () => {
  const bench = busyHome("g");
  submitMany(bench, 3);
  steal(bench, "g", 1);
  const joined = bench.join("b", { home: "i", slots: 4, free: 4 });
  expect(sent(joined)).toContain("offer 3/0>b");
});

test("a guest claims only what it was offered", () => {
  const bench = busyHome("g");
  submitMany(bench, 1);
  expect(sent(bench.claim("g", tokenOf(1)))).toEqual(["gone 1/0>g"]);
});

test("with work stealing off a thief gets nothing, and what it holds it may still claim", () => {
  const bench = busyHome("g");
  submitMany(bench, 2);
  steal(bench, "g", 1);
  bench.isStealing = false;
  expect(sent(steal(bench, "g", 1))).toEqual(["granted 0/1000>g"]);
  expect(sent(bench.claim("g", tokenOf(1)))[0]).toBe("bound 1/0>g");
});

test("offers that were lost are repeated to the thief that asks again", () => {
  const bench = busyHome("g");
  submitMany(bench, 1);
  steal(bench, "g", 1);
  expect(sent(steal(bench, "g", 1, 2))).toEqual(["offer 1/0>g", "granted 1/0>g"]);
});

test("a guest with a free slot that claims nothing loses its reservations after a while", () => {
  const bench = busyHome("g");
  submitMany(bench, 3);
  steal(bench, "g", 1);
  bench.hear("g", loadOf("g", guest));
  bench.wakeAfter(5_000);
  expect(sent(steal(bench, "g", 1, 2))).toEqual(["offer 3/0>g", "granted 1/0>g"]);
});

test("a guest that nothing suits is told to wait, one that comes too early is not", () => {
  const bench = busyHome();
  bench.join("g", { ...guest, properties: { OSFamily: ["plan9"] } });
  bench.join("h", guest);
  const linux = { properties: { OSFamily: "linux" } };
  for (const name of ["p", "q", "r"]) bench.submit(name, linux);
  expect(sent(steal(bench, "g", 1))).toEqual(["granted 0/1000>g"]);
  steal(bench, "h", 3);
  expect(sent(steal(bench, "g", 1))).toEqual(["granted 0/0>g"]);
});

test("what no worker of this host can run is offered to guests unasked", () => {
  const bench = busyHome();
  bench.join("g", { ...guest, properties: { gpu: ["a100"] } });
  expect(sent(bench.submit("y", { properties: { gpu: "a100" } }))).toEqual(["offer 1/0>g"]);
});

test("without work stealing such an action is refused, and the sentence says what would help", () => {
  const bench = busyHome();
  bench.isStealing = false;
  bench.join("g", { ...guest, properties: { gpu: ["a100"] } });
  expect(failure(bench.submit("y", { properties: { gpu: "a100" } }))).toMatch(
    /^FAILED_PRECONDITION .*no gpu at all.*--work-stealing, which would let g of other hosts/,
  );
  const empty = new LedgerBench();
  empty.join("g", guest);
  empty.submit("y");
  expect(failure(empty.wakeAfter(60_000))).toMatch(/^UNAVAILABLE .*--work-stealing/);
});

test("a lifeline is offered what appears, as far as slots are free and until it is used up", () => {
  const bench = busyHome("g");
  bench.hear("g", { kind: "lifeline", on: true, room: 3 });
  submitMany(bench, 2);
  expect(sent(bench.submit("x3"))).toEqual([]);
  bench.claim("g", tokenOf(1));
  bench.claim("g", tokenOf(2));
  bench.hear("g", loadOf("g", { ...guest, free: 0 }));
  expect(sent(bench.submit("x4"))).toEqual(["offer 4/0>a"]);
  bench.done("g", tokenOf(1));
  bench.done("g", tokenOf(2));
  expect(sent(bench.hear("g", loadOf("g", guest)))).toEqual(["offer 3/0>g"]);
  expect(sent(bench.submit("x5"))).toEqual([]);
});

test("a lifeline ends with the link, with a question and when it is taken back", () => {
  for (const end of [
    (bench: LedgerBench) => [...bench.leave("g"), ...bench.join("g", guest)],
    (bench: LedgerBench) => steal(bench, "g", 1),
    (bench: LedgerBench) => bench.hear("g", { kind: "lifeline", on: false, room: 0 }),
  ]) {
    const bench = busyHome("g");
    bench.hear("g", { kind: "lifeline", on: true, room: 3 });
    end(bench);
    submitMany(bench, 3);
    expect(sent(steal(bench, "g", 1))).toHaveLength(2);
  }
});

test("a flood of questions is answered with a pause and told once", () => {
  const bench = busyHome("g");
  const answers = Array.from({ length: 200 }, (_, nonce) => steal(bench, "g", 1, nonce));
  expect(answers.filter((effects) => sent(effects)[0] === "granted 0/1000>g")).toHaveLength(150);
  expect(answers.flatMap(warnings)).toEqual(["g 1000"]);
  bench.nowMs += 5;
  expect(sent(steal(bench, "g", 1))).toEqual(["granted 0/0>g"]);
});

test("room beyond reason is refused by name", () => {
  const bench = busyHome("g");
  submitMany(bench, 3);
  const answer = steal(bench, "g", 4_096);
  expect(sent(answer)).toEqual(["granted 0/1000>g"]);
  expect(warnings(answer)).toEqual(["g 1000"]);
  expect(sent(bench.hear("g", { kind: "lifeline", on: true, room: 4_096 }))).toEqual([]);
  expect(sent(steal(bench, "stranger", 1))).toEqual([]);
});

/** `g` claims an action, speaks and never renews, until the lease is over. */
function neverRuns(bench: LedgerBench, from: string): readonly Effect[] {
  const offers = ofKind(steal(bench, from, 1), "send").map(({ message }) => message);
  const offer = offers.find((message) => message.kind === "offer");
  if (offer?.kind === "offer") bench.claim(from, offer.token);
  const effects: Effect[] = [];
  for (let i = 0; i < 4; i += 1) {
    for (const peer of ["a", from]) {
      const home = peer === "a" ? "i" : "other";
      bench.hear(peer, loadOf(peer, peer === "a" ? { ...busy, home } : guest));
    }
    bench.hear("a", { kind: "renew", tokens: [tokenOf(0)] });
    effects.push(...bench.wakeAfter(2_500));
  }
  return effects;
}

test("who takes actions and never runs them is given nothing for a minute, then for two", () => {
  const bench = busyHome("g");
  submitMany(bench, 3);
  const barred = [1, 2, 3].map(() => warnings(neverRuns(bench, "g")));
  expect(barred).toEqual([[], [], ["g 60000"]]);
  expect(sent(steal(bench, "g", 1))[0]).toMatch(/^granted 0/);
  bench.nowMs += 60_000;
  bench.hear("a", { kind: "renew", tokens: [tokenOf(0)] });
  bench.hear("a", loadOf("a", { ...busy, home: "i" }));
  submitMany(bench, 6);
  expect([1, 2, 3].map(() => warnings(neverRuns(bench, "g")))).toEqual([[], [], ["g 120000"]]);
});

test("the only worker there is gets work whatever it did", () => {
  const bench = new LedgerBench();
  bench.join("a", { slots: 1, free: 1 });
  submitMany(bench, 1);
  for (let hop = 0; hop < 3; hop += 1) {
    bench.claim("a", tokenOf(0, hop));
    bench.nowMs += 9_000;
    bench.hear("a", loadOf("a", { slots: 1, free: 1 }));
    const effects = bench.wakeAfter(1_000);
    expect(sent(effects)).toEqual([`offer 0/${hop + 1}>a`]);
  }
});

test("a result that comes after the lease was lost is recorded once", () => {
  const bench = busyHome("g");
  submitMany(bench, 1);
  steal(bench, "g", 1);
  bench.claim("g", tokenOf(1));
  bench.leave("g");
  bench.claim("a", tokenOf(1, 1));
  expect(told(bench.done("g", tokenOf(1)))).toEqual([["x1", "completed"]]);
  expect(bench.done("a", tokenOf(1, 1), resultOf("late"))).toEqual([]);
  expect(bench.ledger.completed).toBe(1);
});

test("reservations that a worker says it does not hold go elsewhere or are sent again", () => {
  const bench = new LedgerBench();
  bench.join("a", { home: "i", slots: 1, free: 1 });
  bench.submit("x");
  const paused = { home: "i", slots: 1, free: 0 };
  expect(sent(bench.hear("a", loadOf("a", paused)))).toEqual([]);
  bench.nowMs += 2_000;
  expect(sent(bench.hear("a", loadOf("a", { ...paused, free: 1 })))).toEqual(["offer 0/0>a"]);
  bench.join("b", { home: "i" });
  const moved = sent(bench.hear("a", loadOf("a", paused)));
  expect(moved).toContain("offer 0/0>b");
});

test("a claim beyond twice the slots is refused", () => {
  const bench = new LedgerBench();
  bench.join("a", { slots: 1, free: 1 });
  submitMany(bench, 3);
  expect([0, 1, 2].map((seq) => sent(bench.claim("a", tokenOf(seq)))[0])).toEqual([
    "bound 0/0>a",
    "bound 1/0>a",
    "gone 2/0>a",
  ]);
});
