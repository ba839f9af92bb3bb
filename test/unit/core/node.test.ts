import { expect, test } from "vitest";
import type { Input } from "../../../src/core/machine.ts";
import { NodeCore } from "../../../src/core/node.ts";
import { createRng } from "../../../src/core/rng.ts";
import { actionRequest, ofKind, resultOf } from "../../support/core-values.ts";

function solo(slots = 2, pool?: { workersMin: number; workersMax: number }): NodeCore {
  return new NodeCore(
    {
      self: "solo",
      name: "solo",
      slots,
      properties: { OSFamily: ["linux"] },
      isolation: "none",
      ...(pool ? { pool } : {}),
    },
    createRng(1),
  );
}

function submit(name: string): Input {
  return { kind: "submit", operation: name, request: actionRequest(name) };
}

test("a node asks to be woken at once and then only for its own reports", () => {
  const node = solo();
  expect(node.wakeAtMs).toBe(0);
  expect(ofKind(node.handle({ kind: "wake" }, 1_000), "send")).toEqual([]);
  expect(node.workers).toMatchObject([{ peer: "solo", slots: 2, free: 2 }]);
  expect(node.wakeAtMs).toBe(6_000);
});

test("one process is ingress and worker without a mesh", () => {
  const node = solo();
  const effects = node.handle(submit("a"), 0);
  expect(ofKind(effects, "send")).toEqual([]);
  const [execute] = ofKind(effects, "execute");
  expect(execute?.request.action).toEqual(actionRequest("a").action);
  expect([node.pending, node.executing, node.running]).toEqual([0, 1, 1]);
  const outcome = resultOf("a");
  const done = node.handle({ kind: "executed", token: execute!.token, outcome }, 50);
  expect(ofKind(done, "publish").map(({ stage }) => stage)).toEqual([
    { kind: "completed", outcome, worker: "solo" },
  ]);
  expect([node.pending, node.executing, node.completed]).toEqual([0, 0, 1]);
});

test("a busy node runs the next action when a slot is free", () => {
  const node = solo(1);
  const first = ofKind(node.handle(submit("a"), 0), "execute");
  expect(ofKind(node.handle(submit("b"), 1), "execute")).toEqual([]);
  const { token } = first[0]!;
  const after = node.handle({ kind: "executed", token, outcome: resultOf("a") }, 2);
  expect(ofKind(after, "execute").map(({ request }) => request.action)).toEqual([
    actionRequest("b").action,
  ]);
});

test("a node without slots sends its load when it is linked and then stays silent", () => {
  const node = solo(0);
  node.handle({ kind: "wake" }, 0);
  const sends = ofKind(node.handle({ kind: "linked", peer: "p" }, 0), "send");
  expect(sends).toMatchObject([{ to: "p", message: { kind: "load", slots: 0 } }]);
  expect(node.wakeAtMs).toBe(Number.POSITIVE_INFINITY);
});

test("a draining node finishes what it accepted, refuses more and only then retires workers", () => {
  const node = solo(1, { workersMin: 1, workersMax: 1 });
  node.handle({ kind: "wake" }, 0);
  const { token } = ofKind(node.handle(submit("a"), 0), "execute")[0]!;
  node.handle(submit("b"), 0);
  expect(ofKind(node.handle({ kind: "drain" }, 1), "retire")).toEqual([]);
  expect(ofKind(node.handle(submit("c"), 2), "publish")).toMatchObject([
    { operations: ["c"], stage: { kind: "failed", failure: { code: "UNAVAILABLE" } } },
  ]);
  const next = node.handle({ kind: "executed", token, outcome: resultOf("a") }, 3);
  const last = ofKind(next, "execute")[0]!.token;
  expect([node.draining, node.drained]).toEqual([true, false]);
  const end = node.handle({ kind: "executed", token: last, outcome: resultOf("b") }, 4);
  expect(ofKind(end, "retire")).toEqual([{ kind: "retire", slot: 1 }]);
  expect(node.drained).toBe(false);
  node.handle({ kind: "terminated", slot: 1, why: "exit 0" }, 5);
  expect([node.drained, node.processes]).toEqual([true, 0]);
});

test("a coordinator whose machines all went may start others; one that lost hosts may not", () => {
  const scaling = (other: string) => {
    const membership = { serves: true, election: { leaseLostMs: 1, claimJitterMs: 1 } };
    const profile = { self: "h", name: "h", slots: 0, properties: {}, isolation: "none" };
    const provided = { tag: "mesh", begun: [] };
    const core = new NodeCore({ ...profile, serves: true, membership, provided }, createRng(1));
    const record = {
      peer: "o",
      name: other,
      addresses: [],
      incarnation: 1,
      version: 1,
      left: false,
    };
    const hello = {
      kind: "members",
      members: [record],
      workStealing: false,
      workStealingVersion: 0,
    };
    const wake = (untilMs: number) => {
      for (let n = 0; n < 1_000 && core.wakeAtMs <= untilMs; n += 1) {
        core.handle({ kind: "wake" }, Math.max(1, core.wakeAtMs));
      }
    };
    wake(2_000);
    expect(core.mayScale).toBe(true);
    core.handle({ kind: "linked", peer: "o" }, 2_000);
    core.handle({ kind: "message", from: "o", message: { ...hello, kind: "members" } }, 2_000);
    wake(4_000);
    core.handle({ kind: "unlinked", peer: "o" }, 4_000);
    wake(20_000);
    return core.mayScale;
  };
  expect(scaling("laptop")).toBe(false);
  expect(scaling("mesh-1-abc")).toBe(true);
});
