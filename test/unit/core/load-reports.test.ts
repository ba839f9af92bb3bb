// What a node that serves tells of the work that waits at it.

import { expect, test } from "vitest";
import type { Effect, Input } from "../../../src/core/machine.ts";
import { NodeCore } from "../../../src/core/node.ts";
import { createRng } from "../../../src/core/rng.ts";
import { actionRequest, loadOf, ofKind } from "../../support/core-values.ts";

/** A serving node without slots, with one busy worker of its own and another node to tell. */
class Host {
  readonly core = new NodeCore(
    { self: "h", name: "h", slots: 0, properties: {}, isolation: "none", serves: true },
    createRng(1),
  );
  nowMs = 1_000;
  #actions = 0;

  constructor() {
    this.tell({ kind: "wake" });
    this.tell({ kind: "linked", peer: "w" });
    this.tell({ kind: "linked", peer: "other" });
    const message = loadOf("w", { home: "h", slots: 1, free: 0 });
    this.tell({ kind: "message", from: "w", message });
  }

  tell(input: Input): readonly Effect[] {
    return this.core.handle(input, this.nowMs);
  }

  submit(): readonly Effect[] {
    this.#actions += 1;
    const operation = `o${this.#actions}`;
    return this.tell({ kind: "submit", operation, request: actionRequest(operation) });
  }
}

function pending(effects: readonly Effect[]): number[] {
  return ofKind(effects, "send").flatMap(({ to, message }) =>
    message.kind === "load" && message.serves && to === "other" ? [message.pending] : [],
  );
}

test("the first waiting action is told at once, to every linked peer", () => {
  const host = new Host();
  const effects = host.submit();
  expect(pending(effects)).toEqual([1]);
  const told = ofKind(effects, "send").filter(({ message }) => message.kind === "load");
  expect(told.map(({ to }) => to)).toEqual(["other", "w"]);
});

test("more is told with every doubling and not oftener than every 50 ms", () => {
  const host = new Host();
  host.submit();
  expect(pending(host.submit())).toEqual([]);
  expect(host.core.wakeAtMs).toBe(1_050);
  for (let i = 0; i < 8; i += 1) expect(pending(host.submit())).toEqual([]);
  host.nowMs = 1_050;
  expect(pending(host.tell({ kind: "wake" }))).toEqual([10]);
  host.nowMs = 1_200;
  expect(pending(host.submit())).toEqual([]);
  for (let i = 0; i < 4; i += 1) host.submit();
  expect(pending(host.submit())).toEqual([16]);
});

test("the end of waiting is told too, and where nothing waits a report comes every minute all the same", () => {
  const host = new Host();
  host.submit();
  host.nowMs = 2_000;
  expect(pending(host.tell({ kind: "abandon", operation: "o1" }))).toEqual([0]);
  host.nowMs = 60_000;
  expect(pending(host.tell({ kind: "wake" }))).toEqual([]);
  host.nowMs = 63_000;
  expect(pending(host.tell({ kind: "wake" }))).toEqual([0]);
});

test("a node that serves without slots is no worker to others, and its report is taken", () => {
  const host = new Host();
  const message = loadOf("other", { slots: 0, free: 0, serves: true, pending: 7 });
  expect(host.tell({ kind: "message", from: "other", message })).toEqual([]);
  expect(host.core.workers.map(({ peer }) => peer)).toEqual(["w"]);
});

test("a node that serves and works names itself as its own home", () => {
  const both = new NodeCore(
    { self: "b", name: "b", slots: 2, properties: {}, isolation: "none", serves: true },
    createRng(1),
  );
  both.handle({ kind: "wake" }, 0);
  const [load] = ofKind(both.handle({ kind: "linked", peer: "other" }, 0), "send");
  expect(load?.message).toMatchObject({ home: "b", serves: true, slots: 2, pending: 0 });
});

test("other hosts hear of a worker when it stays busy or idle, its own host at once", () => {
  const worker = new NodeCore(
    { self: "w", name: "w", slots: 1, properties: {}, isolation: "none", home: "h" },
    createRng(1),
  );
  const heard = (input: Input, nowMs: number) =>
    ofKind(worker.handle(input, nowMs), "send").flatMap(({ to, message }) =>
      message.kind === "load" && to !== "w" ? [`${message.free} free>${to}`] : [],
    );
  const offer = (seq: number): Input => {
    const token = { ingress: "h", seq, hop: 0 };
    const request = actionRequest(`${seq}`);
    return {
      kind: "message",
      from: "h",
      message: { kind: "offer", token, request, estimateMs: undefined },
    };
  };
  const gone = (seq: number): Input => {
    const token = { ingress: "h", seq, hop: 0 };
    return { kind: "message", from: "h", message: { kind: "gone", token } };
  };
  worker.handle({ kind: "wake" }, 0);
  for (const peer of ["h", "far"]) worker.handle({ kind: "linked", peer }, 0);
  expect(heard(offer(1), 10)).toEqual(["0 free>h"]);
  expect(heard(gone(1), 20)).toEqual(["1 free>h"]);
  expect(heard({ kind: "wake" }, 200)).toEqual([]);
  expect(heard(offer(2), 300)).toEqual(["0 free>h"]);
  expect(worker.wakeAtMs).toBe(350);
  expect(heard({ kind: "wake" }, 350)).toEqual(["0 free>far"]);
});
