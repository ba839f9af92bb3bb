// The thief's side: when an idle worker asks whom for how much, and when it falls silent.

import { expect, test } from "vitest";
import type { Effect, Input } from "../../../src/core/machine.ts";
import type { Load, Message } from "../../../src/core/message.ts";
import { createRng } from "../../../src/core/rng.ts";
import { type SlotOptions, Slots, slotDefaults } from "../../../src/core/slots.ts";
import { stealingDefaults } from "../../../src/core/stealing.ts";
import { actionRequest, loadOf, ofKind, resultOf, tokenOf } from "../../support/core-values.ts";

/** A worker of host `h`, linked to it and to victims. */
class Thief {
  readonly slots: Slots;
  nowMs = 1_000;
  isStealing = true;

  constructor(slots: number, victims: readonly string[], options: Partial<SlotOptions> = {}) {
    this.slots = new Slots(
      { name: "w", properties: {}, isolation: "none", slots, home: "h" },
      { ...slotDefaults, ...options },
      {
        ...{ self: "w", rng: createRng(7), stealingOn: () => this.isStealing },
        ...{ pending: () => 0, pendingMs: () => 0 },
      },
    );
    for (const peer of ["h", ...victims]) this.tell({ kind: "linked", peer });
  }

  tell(input: Input): readonly Effect[] {
    return this.slots.handle(input, this.nowMs);
  }

  hear(from: string, message: Message): readonly Effect[] {
    return this.tell({ kind: "message", from, message });
  }

  load(from: string, pending: number, changes: Partial<Load> = {}): readonly Effect[] {
    return this.hear(from, loadOf(from, { slots: 0, free: 0, serves: true, pending, ...changes }));
  }

  offer(ingress: string, seq: number): readonly Effect[] {
    const token = tokenOf(seq, 0, ingress);
    const request = actionRequest(`${seq}`);
    return this.hear(ingress, { kind: "offer", token, request, estimateMs: undefined });
  }

  refuse(from: string, nonce: number, retryMs = 0): readonly Effect[] {
    return this.hear(from, { kind: "granted", nonce, count: 0, retryMs });
  }

  /** Wakes it whenever it wants until `ms` passed; everything it did. */
  pass(ms: number): readonly Effect[] {
    const endMs = this.nowMs + ms;
    const effects: Effect[] = [];
    while (this.slots.wakeAtMs <= endMs) {
      this.nowMs = Math.max(this.nowMs, this.slots.wakeAtMs);
      effects.push(...this.tell({ kind: "wake" }));
    }
    this.nowMs = endMs;
    return effects;
  }
}

/** Questions and lifelines as `steal nonce room>peer`. */
function asked(effects: readonly Effect[]): string[] {
  return ofKind(effects, "send").flatMap(({ to, message }) => {
    if (message.kind === "steal") return [`steal ${message.nonce} ${message.room}>${to}`];
    return message.kind === "lifeline" ? [`lifeline ${message.room}>${to}`] : [];
  });
}

test("a report of waiting work is answered by a question in the same turn", () => {
  const thief = new Thief(2, ["v"]);
  expect(asked(thief.load("v", 5))).toEqual(["steal 1 3>v"]);
  expect(asked(thief.load("v", 9))).toEqual([]);
});

test("room is the free slots and one action ahead for every four slots, at least one", () => {
  expect(asked(new Thief(8, ["v"]).load("v", 1))).toEqual(["steal 1 10>v"]);
  expect(asked(new Thief(1, ["v"]).load("v", 1))).toEqual(["steal 1 2>v"]);
});

test("nobody is asked who has nothing, is the own host, only works, or is not linked", () => {
  const thief = new Thief(2, ["v"]);
  expect(asked(thief.load("v", 0))).toEqual([]);
  expect(asked(thief.load("h", 5))).toEqual([]);
  expect(asked(thief.load("v", 5, { serves: false }))).toEqual([]);
  expect(asked(thief.load("stranger", 5))).toEqual([]);
});

test("a mesh with nothing queued hears no question in an hour", () => {
  const thief = new Thief(2, ["v", "u", "t"]);
  thief.load("v", 3);
  thief.refuse("v", 1);
  for (const victim of ["v", "u", "t"]) thief.load(victim, 0);
  expect(asked(thief.pass(3_600_000))).toEqual([]);
});

test("with work stealing off, while draining or while not allowed nobody is asked", () => {
  const off = new Thief(2, ["v"]);
  off.isStealing = false;
  expect(asked(off.load("v", 5))).toEqual([]);
  const draining = new Thief(2, ["v"]);
  draining.tell({ kind: "drain" });
  expect(asked(draining.load("v", 5))).toEqual([]);
  const paused = new Thief(2, ["v"]);
  paused.tell({ kind: "allow", slots: 0 });
  expect(asked(paused.load("v", 5))).toEqual([]);
  expect(asked(paused.tell({ kind: "allow", slots: 1 }))).toEqual(["steal 1 2>v"]);
});

test("the heavier of two victims is asked", () => {
  const thief = new Thief(1, ["v", "u"]);
  thief.isStealing = false;
  thief.load("v", 2);
  thief.load("u", 40);
  thief.isStealing = true;
  expect(asked(thief.tell({ kind: "wake" }))).toEqual(["steal 1 2>u"]);
});

test("what is offered is claimed, and a slot that ends with nothing reserved asks again", () => {
  const thief = new Thief(1, ["v"]);
  thief.load("v", 5);
  const claims = ofKind(thief.offer("v", 1), "send").map(({ message }) => message.kind);
  expect(claims).toContain("claim");
  thief.hear("v", { kind: "granted", nonce: 1, count: 1, retryMs: 0 });
  const token = tokenOf(1, 0, "v");
  expect(asked(thief.hear("v", { kind: "bound", token }))).toEqual([]);
  const end = thief.tell({ kind: "executed", token, outcome: resultOf("1") });
  expect(asked(end)).toEqual(["steal 2 2>v"]);
});

test("an answer that does not come counts as refused after a second", () => {
  const thief = new Thief(1, ["v"]);
  thief.load("v", 5);
  expect(asked(thief.pass(999))).toEqual([]);
  expect(asked(thief.pass(21))).toEqual(["steal 2 2>v"]);
});

test("refusals are followed by longer and longer pauses and then by three lifelines", () => {
  const victims = ["v", "u", "t", "s"];
  const thief = new Thief(1, victims);
  const pauses: number[] = [];
  let question = asked(thief.load("v", 5));
  for (let nonce = 1; nonce <= 4; nonce += 1) {
    expect(question).toEqual([`steal ${nonce} 2>v`]);
    const startMs = thief.nowMs;
    const answer = asked(thief.refuse("v", nonce));
    if (nonce === 4) question = answer;
    for (question = answer; question.length === 0; ) question = asked(thief.pass(1));
    pauses.push(thief.nowMs - startMs);
  }
  expect(pauses.every((ms, k) => ms <= stealingDefaults.stealBackoffMs * 2 ** k + 1)).toBe(true);
  expect(question).toEqual(["lifeline 2>v"]);
  expect(asked(thief.pass(60_000))).toEqual([]);
});

test("lifelines go to the three that this worker always picks, those with work first", () => {
  const thief = new Thief(1, ["v", "u", "t", "s"]);
  for (const idle of ["u", "t", "s"]) thief.load(idle, 0);
  thief.load("v", 5);
  let left: string[] = [];
  for (let nonce = 1; nonce <= 4; nonce += 1) {
    left = asked(thief.refuse("v", nonce));
    thief.pass(700);
  }
  expect(left).toHaveLength(3);
  expect(left).toContain("lifeline 2>v");
});

test("who holds a lifeline offers by itself; its reports count again after four seconds", () => {
  const thief = new Thief(1, ["v", "u"]);
  thief.load("v", 5);
  for (let nonce = 1; nonce <= 4; nonce += 1) {
    thief.refuse("v", nonce);
    thief.pass(700);
  }
  expect(asked(thief.load("v", 9))).toEqual([]);
  expect(asked(thief.load("u", 1))).toEqual(["steal 5 2>u"]);
  thief.refuse("u", 5);
  thief.load("u", 0);
  expect(asked(thief.pass(500))).toEqual([]);
  expect(asked(thief.pass(4_000))[0]).toEqual("steal 6 2>v");
});

test("an offer that a lifeline brought ends the silence", () => {
  const thief = new Thief(2, ["v"]);
  thief.load("v", 5);
  for (let nonce = 1; nonce <= 4; nonce += 1) {
    thief.refuse("v", nonce);
    thief.pass(700);
  }
  expect(asked(thief.offer("v", 1))).toEqual(["steal 5 2>v"]);
});

test("a victim that names a time is not asked before, others are", () => {
  const thief = new Thief(1, ["v", "u"]);
  thief.load("v", 5);
  thief.refuse("v", 1, 1_000);
  expect(asked(thief.load("v", 8))).toEqual([]);
  expect(asked(thief.pass(900))).toEqual([]);
  expect(asked(thief.load("u", 1))).toEqual(["steal 2 2>u"]);
});

test("answers that nobody waits for change nothing", () => {
  const thief = new Thief(1, ["v", "u"]);
  thief.load("v", 5);
  expect(thief.refuse("u", 1)).toEqual([]);
  expect(thief.refuse("v", 99)).toEqual([]);
  expect(asked(thief.tell({ kind: "unlinked", peer: "v" }))).toEqual([]);
  expect(thief.refuse("v", 1)).toEqual([]);
  expect(asked(thief.load("u", 5))).toEqual(["steal 2 2>u"]);
});
