import { expect, test } from "vitest";
import type { Effect, Input } from "../../../src/core/machine.ts";
import type { Message } from "../../../src/core/message.ts";
import { ofKind } from "../../support/core-values.ts";
import { Member, membersOf, recordOf, said } from "../../support/membership-bench.ts";

function sent(effects: readonly Effect[], kind: Message["kind"]): readonly string[] {
  return ofKind(effects, "send").flatMap(({ to, message }) => (message.kind === kind ? [to] : []));
}

function notes(effects: readonly Effect[]): readonly string[] {
  return ofKind(effects, "note").map(({ note }) => note.name);
}

test("a node that serves introduces itself on every link and passes the other on", () => {
  const member = new Member();
  const effects = member.meet("a");
  expect(ofKind(effects, "send")).toMatchObject([
    { to: "a", message: { kind: "members", members: [{ peer: "s", incarnation: 1_000_000 }] } },
  ]);
  expect(notes(effects)).toEqual(["member-alive"]);
  const more = member.meet("b");
  expect(sent(more, "members")).toEqual(["b", "a"]);
  expect(member.machine.liveHosts).toEqual(["a", "b", "s"]);
  expect(member.machine.linkedHosts.map(({ peer }) => peer)).toEqual(["a", "b"]);
});

test("a mere worker knows the hosts and is none", () => {
  const member = new Member({ serves: false });
  const [hello] = ofKind(member.tell({ kind: "linked", peer: "a" }), "send");
  expect(hello?.message).toMatchObject({ kind: "members", members: [] });
  member.tell(said("a", membersOf(recordOf("a"), recordOf("b"))));
  expect(member.machine.liveHosts).toEqual(["a"]);
  expect(ofKind(member.pass(200), "dial").map(({ peer }) => peer)).toEqual(["b"]);
});

test("a member heard of is dialled, later each time, and soon again after a link that lived", () => {
  const member = new Member();
  member.meet("a");
  member.tell(said("a", membersOf(recordOf("b"))));
  const dials: number[] = [];
  for (let i = 0; i < 12; i += 1) {
    const fromMs = member.nowMs;
    let dialled: readonly Effect[] = [];
    while (dialled.length === 0) {
      dialled = ofKind(member.pass(1), "dial");
      // Others are said to hear it, so that it stays.
      if (member.stateOf("b") === "dead") dialled = ofKind(member.pass(60_000), "dial");
    }
    dials.push(member.nowMs - fromMs);
    member.tell({ kind: "undialled", peer: "b" });
  }
  for (const [at, waitMs] of dials.entries()) {
    expect(waitMs, `dial ${at}`).toBeLessThanOrEqual(Math.min(60_000, 100 * 2 ** at) + 60_001);
  }
  expect(Math.max(...dials)).toBeGreaterThan(1_000);
  member.tell({ kind: "linked", peer: "b" });
  member.pass(5_000);
  member.tell({ kind: "unlinked", peer: "b" });
  expect(ofKind(member.pass(101), "dial").map(({ peer }) => peer)).toEqual(["b"]);
});

test("an unanswered dial counts as failed after its time, and one runs at once", () => {
  const member = new Member({ known: [recordOf("b", { incarnation: 0 })] });
  expect(ofKind(member.pass(101), "dial")).toHaveLength(1);
  expect(ofKind(member.pass(29_000), "dial")).toEqual([]);
  expect(ofKind(member.pass(1_300), "dial")).toHaveLength(1);
});

test("a node without addresses is not dialled", () => {
  const member = new Member();
  member.meet("a", { addresses: [] });
  member.pass(10_000);
  member.tell({ kind: "unlinked", peer: "a" });
  expect(ofKind(member.pass(600_000), "dial")).toEqual([]);
});

test("a closed link makes a member suspect, then dead; others are asked", () => {
  const member = new Member();
  for (const peer of ["a", "b", "c", "d", "e"]) member.meet(peer);
  const effects = member.tell({ kind: "unlinked", peer: "a" });
  expect(notes(effects)).toEqual(["member-suspect"]);
  expect(sent(effects, "probe")).toHaveLength(3);
  expect(member.stateOf("a")).toBe("suspect");
  expect(notes(member.pass(3_999))).toEqual([]);
  expect(notes(member.pass(1))).toEqual(["member-dead"]);
  expect(member.machine.liveHosts).toEqual(["b", "c", "d", "e", "s"]);
  expect(notes(member.tell({ kind: "linked", peer: "a" }))).toEqual(["member-alive"]);
});

test("a suspect that somebody asked hears is unreachable, and others are asked again", () => {
  const member = new Member();
  member.meet("a");
  member.meet("b");
  expect(sent(member.tell({ kind: "unlinked", peer: "a" }), "probe")).toEqual(["b"]);
  member.tell(said("x", { kind: "probed", peer: "a", linked: true }));
  expect(member.stateOf("a"), "nobody asked x").toBe("suspect");
  member.tell(said("b", { kind: "probed", peer: "a", linked: true }));
  expect(member.stateOf("a")).toBe("unreachable");
  expect(sent(member.pass(2_000), "probe")).toEqual(["b"]);
  member.tell(said("b", { kind: "probed", peer: "a", linked: false }));
  expect(notes(member.pass(4_000))).toEqual(["member-dead"]);
});

test("a probe is answered by whether the link stands; one about itself by an introduction too", () => {
  const member = new Member();
  member.meet("a");
  for (const [peer, linked] of [
    ["a", true],
    ["b", false],
  ] as const) {
    const answer = ofKind(member.tell(said("a", { kind: "probe", peer })), "send");
    expect(answer).toMatchObject([{ to: "a", message: { kind: "probed", peer, linked } }]);
  }
  const own = member.tell(said("a", { kind: "probe", peer: "s" }));
  expect([sent(own, "members"), sent(own, "probed")]).toEqual([["a"], ["a"]]);
});

test("a linked peer that said nothing is asked to introduce itself", () => {
  const member = new Member();
  member.tell({ kind: "linked", peer: "a" });
  expect(sent(member.pass(4_999), "probe")).toEqual([]);
  expect(sent(member.pass(1), "probe")).toEqual(["a"]);
  member.tell(said("a", membersOf()));
  expect(sent(member.pass(60_000), "probe")).toEqual([]);
});

test("the newer record counts, whatever comes first", () => {
  const member = new Member();
  member.meet("a", { version: 4, addresses: ["/new"] });
  const effects = member.tell(said("b", membersOf(recordOf("a", { version: 3 }))));
  expect(ofKind(effects, "send")).toMatchObject([
    { to: "b", message: { members: [{ peer: "a", version: 4 }] } },
  ]);
  expect(member.machine.members[0]?.addresses).toEqual(["/new"]);
  member.tell(said("b", membersOf(recordOf("a", { incarnation: 51, addresses: ["/later"] }))));
  expect(member.machine.members[0]?.addresses).toEqual(["/later"]);
});

test("what is said of a node and is not so is answered by a newer record", () => {
  const member = new Member();
  member.meet("a");
  const lie = recordOf("s", { incarnation: 1_000_000, version: 9, left: true });
  const [answer] = ofKind(member.tell(said("a", membersOf(lie))), "send");
  expect(answer).toMatchObject({
    to: "a",
    message: { members: [{ peer: "s", incarnation: 1_000_001, version: 0, left: false }] },
  });
  const old = recordOf("s", { incarnation: 5 });
  expect(sent(member.tell(said("a", membersOf(old))), "members")).toEqual(["a"]);
});

test("a goodbye counts from the node itself, or once its link is closed", () => {
  const member = new Member();
  member.meet("a");
  member.meet("b");
  const goodbye = membersOf(recordOf("a", { version: 1, left: true }));
  expect(notes(member.tell(said("b", goodbye)))).toEqual([]);
  expect(notes(member.tell(said("a", goodbye)))).toEqual(["member-left"]);
  expect(member.machine.liveHosts).toEqual(["b", "s"]);
  member.tell({ kind: "unlinked", peer: "a" });
  expect(ofKind(member.pass(60_000), "dial")).toEqual([]);
  expect(notes(member.meet("a", { incarnation: 60 }))).toEqual(["member-alive"]);
});

test("a node that drains says goodbye to everybody and dials no more", () => {
  const member = new Member({ known: [recordOf("z")] });
  member.meet("a");
  const effects = ofKind(member.tell({ kind: "drain" }), "send");
  expect(effects).toMatchObject([{ to: "a", message: { members: [{ peer: "s", left: true }] } }]);
  expect(member.machine.liveHosts).not.toContain("s");
  expect(ofKind(member.pass(60_000), "dial")).toEqual([]);
});

test("new addresses are told at once, the same ones not again", () => {
  const member = new Member();
  member.meet("a");
  const moved: Input = { kind: "addresses", addresses: ["/x"] };
  expect(ofKind(member.tell(moved), "send")).toMatchObject([
    { to: "a", message: { members: [{ peer: "s", version: 1, addresses: ["/x"] }] } },
  ]);
  expect(member.tell(moved)).toEqual([]);
});

test("a newcomer in a large mesh is told everything, in messages that fit a frame", () => {
  const member = new Member();
  member.tell({ kind: "addresses", addresses: ["/a", "x".repeat(257)] });
  expect(member.machine.own.addresses).toEqual(["/a"]);
  for (let i = 0; i < 250; i += 1) member.meet(`x${i}`);
  const told = member
    .meet("new")
    .flatMap((effect) =>
      effect.kind === "send" && effect.to === "new" && effect.message.kind === "members"
        ? [effect.message.members.length]
        : [],
    );
  expect(told).toEqual([16, 200, 52]);
});

test("a revoked member is dropped and not heard of again", () => {
  const member = new Member();
  member.meet("a");
  member.meet("b");
  member.tell({ kind: "revoked", peer: "a" });
  member.tell(said("b", membersOf(recordOf("a", { version: 7 }))));
  member.tell({ kind: "unlinked", peer: "a" });
  expect(member.machine.members.map(({ peer }) => peer)).toEqual(["b"]);
  expect(ofKind(member.pass(60_000), "dial")).toEqual([]);
});

test("the table is bounded, and who introduces itself gets in all the same", () => {
  const member = new Member();
  member.meet("a");
  const crowd = Array.from({ length: 1_024 }, (_, i) => recordOf(`x${i}`));
  const told = member.tell(said("a", membersOf(...crowd)));
  expect(notes(told)).toEqual(["member-ignored"]);
  expect(member.machine.members).toHaveLength(1_024);
  member.meet("b");
  expect(member.machine.members).toHaveLength(1_024);
  expect(member.stateOf("b")).toBe("alive");
  let dials = 0;
  for (let i = 0; i < 100; i += 1) dials += ofKind(member.pass(1), "dial").length;
  expect(dials).toBe(32);
});

test("a record from the future is not believed", () => {
  const member = new Member();
  member.meet("a");
  const future = recordOf("b", { incarnation: member.nowMs + 31 * 86_400_000 });
  expect(notes(member.tell(said("a", membersOf(future))))).toEqual(["member-ignored"]);
  expect(member.stateOf("b")).toBeUndefined();
});

test("the dead are forgotten, what was known from the start never", () => {
  const member = new Member({ known: [recordOf("k")] });
  member.meet("a");
  member.meet("b", { addresses: [] });
  member.tell(said("a", membersOf(recordOf("x"))));
  member.tell({ kind: "unlinked", peer: "b" });
  member.pass(60_000);
  expect(["b", "k", "x"].map((peer) => member.stateOf(peer))).toEqual(["dead", "dead", "dead"]);
  member.pass(600_000);
  expect(["b", "k", "x"].map((peer) => member.stateOf(peer))).toEqual(["dead", "dead", undefined]);
  member.pass(86_400_000);
  expect(["b", "k"].map((peer) => member.stateOf(peer))).toEqual([undefined, "dead"]);
});

test("a node that stood still gives suspects more time", () => {
  const member = new Member();
  member.meet("a");
  member.meet("b");
  member.tell({ kind: "unlinked", peer: "a" });
  member.nowMs += 20_000;
  expect(notes(member.tell({ kind: "wake" }))).toEqual([]);
  expect(notes(member.pass(7_999))).toEqual([]);
  expect(notes(member.pass(1))).toEqual(["member-dead"]);
});

test("the later decision about work stealing counts and goes on", () => {
  const member = new Member();
  member.meet("a");
  member.meet("b");
  const decided = (on: boolean, version: number) =>
    said("a", { kind: "members", members: [], workStealing: on, workStealingVersion: version });
  const effects = member.tell(decided(true, 500));
  expect(notes(effects)).toEqual(["work-stealing"]);
  expect(sent(effects, "members")).toEqual(["b"]);
  expect(member.tell(decided(false, 400))).toEqual([]);
  expect(member.machine.workStealing).toBe(true);
  member.tell(decided(false, 600));
  expect(member.machine.workStealing).toBe(false);
});

test("an idle member says nothing but one exchange about every 30 s", () => {
  const member = new Member();
  for (const peer of ["a", "b", "c"]) member.meet(peer);
  const effects = ofKind(member.pass(3_600_000), "send");
  expect(new Set(effects.map(({ message }) => message.kind))).toEqual(new Set(["members"]));
  expect(effects.length).toBeGreaterThan(100);
  expect(effects.length).toBeLessThan(140);
});

test("who vanished is missed until it is back; who said goodbye and what was started is not", () => {
  const member = new Member({ machineTag: "0811" });
  member.meet("a");
  member.meet("m", { name: "0811-1-x" });
  expect(member.machine.missesSomebody).toBe(false);
  member.tell({ kind: "unlinked", peer: "m" });
  member.pass(60_000);
  expect(member.machine.missesSomebody).toBe(false);
  member.tell({ kind: "unlinked", peer: "a" });
  expect(member.machine.missesSomebody).toBe(true);
  member.pass(600_000);
  expect(member.machine.missesSomebody).toBe(true);
  member.meet("a", { version: 1 });
  expect(member.machine.missesSomebody).toBe(false);
  member.tell(said("a", membersOf(recordOf("a", { version: 2, left: true }))));
  member.tell({ kind: "unlinked", peer: "a" });
  expect(member.machine.missesSomebody).toBe(false);
});
