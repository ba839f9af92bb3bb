import { expect, test } from "vitest";
import { membershipDefaults } from "../../../src/core/membership-options.ts";
import { ofKind } from "../../support/core-values.ts";
import { Member, membersOf, recordOf, said, switchTo } from "../../support/membership-bench.ts";

test("invented nodes are dialled and count for nothing, whoever says to hear them", () => {
  const member = new Member();
  member.meet("m");
  const invented = Array.from({ length: 300 }, (_, at) => recordOf(`x${at}`));
  member.tell(said("m", membersOf(...invented)));
  for (const { message } of ofKind(member.pass(10_000), "send")) {
    if (message.kind !== "probe") continue;
    member.tell(said("m", { kind: "probed", peer: message.peer, linked: true }));
  }
  expect(member.machine.liveHosts).toEqual(["m", "s"]);
});

test("who tells without end is listened to as far as a large mesh needs, with one note", () => {
  const { attentionMax, attentionPerS, wholeTableMax } = membershipDefaults;
  const member = new Member();
  member.meet("m");
  member.meet("b");
  const tell = (version: number) =>
    member.tell(said("m", membersOf(recordOf("a", { version }), recordOf("c", { version }))));
  const effects = Array.from({ length: 3000 }, (_, version) => tell(version)).flat();
  const told = ofKind(effects, "send").filter(({ to }) => to === "b");
  expect(told.length).toBeGreaterThan(attentionMax / 4);
  expect(told.length).toBeLessThanOrEqual(attentionMax / 3 + 1);
  const notes = ofKind(effects, "note").filter(({ note }) => note.name === "member-ignored");
  expect(notes).toHaveLength(1);
  member.pass((3 * 1000) / attentionPerS + 1);
  expect(ofKind(tell(5000), "send")).not.toEqual([]);
  const asked = Array.from({ length: 500 }, () =>
    member.tell(said("b", { kind: "probe", peer: "s" })),
  ).flat();
  const answers = ofKind(asked, "send").map(({ message }) => message.kind);
  expect(answers.filter((kind) => kind === "probed")).toHaveLength(500);
  const introductions = answers.filter((kind) => kind === "members").length;
  expect(introductions).toBeLessThanOrEqual(attentionMax / wholeTableMax + 1);
});

test("a switch that is turned all the time stays as it is after a while", () => {
  const member = new Member();
  member.meet("m");
  const turns = Array.from({ length: 200 }, (_, at) =>
    member.tell(said("m", switchTo(at % 2 === 0, at + 1))),
  );
  const notes = ofKind(turns.flat(), "note").filter(({ note }) => note.name === "work-stealing");
  expect(notes.length).toBeLessThan(12);
});

test("a clock that was two days ahead and is right again is no older node", () => {
  const member = new Member();
  const days = 2 * 86_400_000;
  member.meet("m", { incarnation: member.nowMs + days });
  expect(member.machine.liveHosts).toEqual(["m", "s"]);
  member.tell({ kind: "unlinked", peer: "m" });
  // It starts again by the right clock, hears what is believed of it, and says it anew.
  const told = ofKind(member.meet("m", { incarnation: member.nowMs }), "send");
  const believed = told.flatMap(({ to, message }) =>
    to === "m" && message.kind === "members" ? message.members : [],
  );
  expect(believed.some(({ peer, incarnation }) => peer === "m" && incarnation > days)).toBe(true);
  member.tell(said("m", membersOf(recordOf("m", { incarnation: member.nowMs + days + 1 }))));
  expect(member.machine.liveHosts).toEqual(["m", "s"]);
});
