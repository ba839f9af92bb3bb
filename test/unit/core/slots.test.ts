import { expect, test } from "vitest";
import type { Token } from "../../../src/core/action.ts";
import type { Effect, Input } from "../../../src/core/machine.ts";
import type { Message } from "../../../src/core/message.ts";
import { Slots, slotDefaults } from "../../../src/core/slots.ts";
import { actionRequest, ofKind, resultOf, tokenOf } from "../../support/core-values.ts";

const profile = { name: "w", properties: {}, isolation: "none" };

function slotsOf(slots: number, ...ingresses: string[]): Slots {
  const machine = new Slots({ ...profile, slots });
  for (const peer of ingresses) machine.handle({ kind: "linked", peer }, 0);
  return machine;
}

function from(peer: string, message: Message): Input {
  return { kind: "message", from: peer, message };
}

function offer(token: Token, priority = 0): Input {
  const request = actionRequest(`${token.seq}`, { priority });
  return from(token.ingress, { kind: "offer", token, request, estimateMs: undefined });
}

function bound(token: Token): Input {
  return from(token.ingress, { kind: "bound", token });
}

/** Messages sent, loads left out, as `kind seq`. */
function sent(effects: readonly Effect[]): string[] {
  return ofKind(effects, "send")
    .filter(({ message }) => message.kind !== "load")
    .map(
      ({ to, message }) => `${message.kind} ${"token" in message ? message.token.seq : ""}>${to}`,
    );
}

function loads(effects: readonly Effect[]): string[] {
  return ofKind(effects, "send").flatMap(({ to, message }) =>
    message.kind === "load" ? [`${message.free} free ${message.queued} queued >${to}`] : [],
  );
}

test("a free slot claims at once, a busy worker keeps the reservation", () => {
  const worker = slotsOf(1, "i");
  expect(sent(worker.handle(offer(tokenOf(1)), 0))).toEqual(["claim 1>i"]);
  expect(sent(worker.handle(offer(tokenOf(2)), 0))).toEqual([]);
  const run = worker.handle(bound(tokenOf(1)), 1);
  expect(ofKind(run, "execute")).toMatchObject([{ token: tokenOf(1) }]);
  const end = worker.handle({ kind: "executed", token: tokenOf(1), outcome: resultOf("1") }, 9);
  expect(sent(end)).toEqual(["done 1>i", "claim 2>i"]);
});

test("the most urgent reservation is claimed first", () => {
  const worker = slotsOf(1, "i");
  worker.handle(offer(tokenOf(1)), 0);
  worker.handle(offer(tokenOf(2)), 0);
  worker.handle(offer(tokenOf(3), -1), 0);
  expect(sent(worker.handle(from("i", { kind: "gone", token: tokenOf(1) }), 1))).toEqual([
    "claim 3>i",
  ]);
});

test("doubled and late messages run nothing twice", () => {
  const worker = slotsOf(2, "i");
  worker.handle(offer(tokenOf(1)), 0);
  expect(sent(worker.handle(offer(tokenOf(1)), 0))).toEqual([]);
  expect(ofKind(worker.handle(bound(tokenOf(1)), 1), "execute")).toHaveLength(1);
  expect(ofKind(worker.handle(bound(tokenOf(1)), 1), "execute")).toEqual([]);
  expect(sent(worker.handle(offer(tokenOf(1)), 2))).toEqual([]);
  worker.handle({ kind: "executed", token: tokenOf(1), outcome: resultOf("1") }, 3);
  expect(ofKind(worker.handle(bound(tokenOf(1)), 4), "execute")).toEqual([]);
  const again = { kind: "executed", token: tokenOf(1), outcome: resultOf("1") } as const;
  expect(sent(worker.handle(again, 5))).toEqual([]);
});

test("an unanswered claim is dropped after five seconds and its slot claims again", () => {
  const worker = slotsOf(1, "i");
  worker.handle(offer(tokenOf(1)), 100);
  worker.handle(offer(tokenOf(2)), 100);
  expect(sent(worker.handle({ kind: "wake" }, 5_099))).toEqual([]);
  expect(sent(worker.handle({ kind: "wake" }, 5_100))).toEqual(["claim 2>i"]);
  expect(ofKind(worker.handle(bound(tokenOf(1)), 5_101), "execute")).toEqual([]);
});

test("what runs is renewed every three seconds, per ingress, while it runs", () => {
  const worker = slotsOf(3, "i", "j");
  for (const token of [tokenOf(1), tokenOf(2), tokenOf(7, 0, "j")]) {
    worker.handle(offer(token), 0);
    worker.handle(bound(token), 0);
  }
  const renewals = ofKind(worker.handle({ kind: "wake" }, 3_000), "send");
  expect(renewals).toEqual([
    { kind: "send", to: "i", message: { kind: "renew", tokens: [tokenOf(1), tokenOf(2)] } },
    { kind: "send", to: "j", message: { kind: "renew", tokens: [tokenOf(7, 0, "j")] } },
  ]);
  for (const seq of [1, 2]) {
    worker.handle({ kind: "executed", token: tokenOf(seq), outcome: resultOf("x") }, 3_100);
  }
  expect(sent(worker.handle({ kind: "wake" }, 6_000))).toEqual(["renew >j"]);
});

test("load goes to every link on each change, once per input, and every five seconds", () => {
  const worker = slotsOf(1, "i", "j");
  expect(loads(worker.handle(offer(tokenOf(1)), 10))).toEqual([
    "0 free 0 queued >i",
    "0 free 0 queued >j",
  ]);
  expect(loads(worker.handle(bound(tokenOf(1)), 11))).toEqual([]);
  expect(worker.wakeAtMs).toBe(3_011);
  expect(loads(worker.handle({ kind: "wake" }, 5_009))).toEqual([]);
  expect(loads(worker.handle({ kind: "wake" }, 5_010))).toHaveLength(2);
});

test("a new link hears the load once, others do not hear it again", () => {
  const worker = slotsOf(1, "i");
  expect(loads(worker.handle({ kind: "linked", peer: "j" }, 0))).toEqual(["1 free 0 queued >j"]);
});

test("a cancelled attempt is killed once, its slot is busy until it ended, and nobody is told", () => {
  const worker = slotsOf(1, "i");
  worker.handle(offer(tokenOf(1)), 0);
  worker.handle(bound(tokenOf(1)), 0);
  worker.handle(offer(tokenOf(2)), 0);
  const cancel = from("i", { kind: "cancel", token: tokenOf(1) });
  expect(ofKind(worker.handle(cancel, 1), "cancel")).toEqual([
    { kind: "cancel", token: tokenOf(1) },
  ]);
  expect(worker.handle(cancel, 1)).toEqual([]);
  expect(worker.running).toBe(1);
  const end = worker.handle({ kind: "executed", token: tokenOf(1), outcome: resultOf("1") }, 2);
  expect(sent(end)).toEqual(["claim 2>i"]);
});

test("only its own ingress may offer, bind or cancel an attempt", () => {
  const worker = slotsOf(1, "i", "j");
  const forged = { kind: "offer", token: tokenOf(1), request: actionRequest("1") } as const;
  expect(worker.handle(from("j", { ...forged, estimateMs: 1 }), 0)).toEqual([]);
  worker.handle(offer(tokenOf(1)), 0);
  expect(worker.handle(from("j", { kind: "bound", token: tokenOf(1) }), 0)).toEqual([]);
  worker.handle(bound(tokenOf(1)), 0);
  expect(worker.handle(from("j", { kind: "cancel", token: tokenOf(1) }), 0)).toEqual([]);
});

test("an ingress that leaves takes its reservations and claims along, not what runs", () => {
  const worker = slotsOf(2, "i", "j");
  worker.handle(offer(tokenOf(1)), 0);
  worker.handle(bound(tokenOf(1)), 0);
  worker.handle(offer(tokenOf(2)), 0);
  worker.handle(offer(tokenOf(3)), 0);
  worker.handle(offer(tokenOf(9, 0, "j")), 0);
  expect(sent(worker.handle({ kind: "unlinked", peer: "i" }, 1))).toEqual(["claim 9>j"]);
  expect(worker.running).toBe(1);
  const end = worker.handle({ kind: "executed", token: tokenOf(1), outcome: resultOf("1") }, 2);
  expect(sent(end)).toEqual([]);
});

test("a draining worker finishes what it has, answers for open claims and takes nothing new", () => {
  const worker = slotsOf(2, "i");
  worker.handle(offer(tokenOf(1)), 0);
  worker.handle(bound(tokenOf(1)), 0);
  worker.handle(offer(tokenOf(2)), 0);
  worker.handle(offer(tokenOf(3)), 0);
  const drain = worker.handle({ kind: "drain" }, 1);
  expect(ofKind(drain, "send")).toMatchObject([{ message: { kind: "load", draining: true } }]);
  expect(sent(drain)).toEqual([]);
  expect(worker.handle(offer(tokenOf(4)), 2)).toEqual([]);
  expect(ofKind(worker.handle(bound(tokenOf(2)), 3), "execute")).toHaveLength(1);
  for (const seq of [1, 2]) {
    worker.handle({ kind: "executed", token: tokenOf(seq), outcome: resultOf("x") }, 4);
  }
  expect(worker.isIdle).toBe(true);
});

test("reservations are bounded", () => {
  const worker = new Slots({ ...profile, slots: 1 }, { ...slotDefaults, reservationsMax: 2 });
  worker.handle({ kind: "linked", peer: "i" }, 0);
  const reports = [1, 2, 3, 4].flatMap((seq) => loads(worker.handle(offer(tokenOf(seq)), 0)));
  expect(reports).toEqual([0, 1, 2].map((queued) => `0 free ${queued} queued >i`));
});

test("a worker fills only as many slots as it is allowed and says so", () => {
  const worker = slotsOf(2, "i");
  expect(loads(worker.handle({ kind: "allow", slots: 1 }, 0))).toEqual(["1 free 0 queued >i"]);
  expect(sent(worker.handle(offer(tokenOf(1)), 0))).toEqual(["claim 1>i"]);
  expect(sent(worker.handle(offer(tokenOf(2)), 0))).toEqual([]);
  expect(sent(worker.handle({ kind: "allow", slots: 2 }, 1))).toEqual(["claim 2>i"]);
});

test("a worker that is allowed nothing drops its reservations and finishes what runs", () => {
  const worker = slotsOf(1, "i");
  worker.handle(offer(tokenOf(1)), 0);
  worker.handle(bound(tokenOf(1)), 0);
  worker.handle(offer(tokenOf(2)), 0);
  expect(loads(worker.handle({ kind: "allow", slots: 0 }, 1))).toEqual(["0 free 0 queued >i"]);
  expect(worker.running).toBe(1);
  expect(worker.handle(offer(tokenOf(3)), 2)).toEqual([]);
  const end = worker.handle({ kind: "executed", token: tokenOf(1), outcome: resultOf("1") }, 3);
  expect(sent(end)).toEqual(["done 1>i"]);
  expect(loads(worker.handle({ kind: "allow", slots: 9 }, 4))).toEqual(["1 free 0 queued >i"]);
  expect(sent(worker.handle(offer(tokenOf(3)), 5))).toEqual(["claim 3>i"]);
});

test("after a long pause claims and reservations are dropped, what runs goes on", () => {
  const worker = slotsOf(2, "i");
  worker.handle(offer(tokenOf(1)), 0);
  worker.handle(bound(tokenOf(1)), 0);
  worker.handle(offer(tokenOf(2)), 0);
  worker.handle(offer(tokenOf(3)), 0);
  const woken = worker.handle(bound(tokenOf(2)), 60_000);
  expect(ofKind(woken, "note")).toEqual([
    { kind: "note", note: { name: "woke-up", pausedMs: 57_000 } },
  ]);
  expect(ofKind(woken, "execute")).toEqual([]);
  expect(sent(woken)).toEqual(["renew >i"]);
  expect(loads(woken)).toEqual(["1 free 0 queued >i"]);
  const end = worker.handle(
    { kind: "executed", token: tokenOf(1), outcome: resultOf("1") },
    60_001,
  );
  expect(sent(end)).toEqual(["done 1>i"]);
  expect(ofKind(end, "note")).toEqual([]);
});

test("a turn that is a little late is no pause", () => {
  const worker = slotsOf(1, "i");
  expect(ofKind(worker.handle({ kind: "wake" }, 11_000), "note")).toEqual([]);
});

test("a worker whose machine is taken away hands over what cannot end in time, and takes nothing", () => {
  const worker = slotsOf(4, "i");
  const estimates = [5_000, 200_000, undefined, 90_500];
  for (const [index, estimateMs] of estimates.entries()) {
    const token = tokenOf(index + 1);
    const request = actionRequest(`${index}`);
    worker.handle(from("i", { kind: "offer", token, request, estimateMs }), 0);
    worker.handle(bound(token), 0);
  }
  worker.handle(offer(tokenOf(5)), 0);
  const told = worker.handle({ kind: "noticed", lastsMs: 120_000 }, 1_000);
  // Two minutes less what delivering takes: the fourth has 89.5 s to go, and may.
  expect(ofKind(told, "cancel").map(({ token }) => token.seq)).toEqual([2]);
  expect(sent(told)).toEqual(["done 2>i"]);
  const [first] = ofKind(told, "send");
  expect(first?.message).toMatchObject({ kind: "load", draining: true, queued: 0 });
  // The killed attempt's end is no news, and a doubled notice hands over nothing twice.
  const killed = { kind: "executed", token: tokenOf(2), outcome: resultOf("2") } as const;
  expect(sent(worker.handle(killed, 1_100))).toEqual([]);
  expect(sent(worker.handle({ kind: "noticed", lastsMs: 119_800 }, 1_200))).toEqual([]);
  expect(sent(worker.handle(offer(tokenOf(6)), 1_300))).toEqual([]);
  // Nothing opens it again.
  worker.handle({ kind: "allow", slots: 4 }, 1_400);
  expect(sent(worker.handle(offer(tokenOf(7)), 1_500))).toEqual([]);
  const ended = { kind: "executed", token: tokenOf(1), outcome: resultOf("1") } as const;
  expect(sent(worker.handle(ended, 1_600))).toEqual(["done 1>i"]);
});
