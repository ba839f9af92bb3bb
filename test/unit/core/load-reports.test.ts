// What a node that serves tells of the work that waits at it.

import { expect, test } from "vitest";
import type { PeerId } from "../../../src/core/action.ts";
import type { Effect, Input } from "../../../src/core/machine.ts";
import type { Message } from "../../../src/core/message.ts";
import { NodeCore } from "../../../src/core/node.ts";
import { createRng } from "../../../src/core/rng.ts";
import { slotDefaults } from "../../../src/core/slots.ts";
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

/** A worker of one slot with its own host `h` and others, and what each was last told of it. */
class Worker {
  readonly core = new NodeCore(
    { self: "w", name: "w", slots: 1, properties: {}, isolation: "none", home: "h" },
    createRng(1),
  );
  readonly toldByPeer = new Map<PeerId, { readonly isFree: boolean; readonly atMs: number }>();
  nowMs = 0;
  /** As its own host knows, which hears every change: whether it is free, and since when. */
  isFree = true;
  sinceMs = 0;

  constructor(others: readonly PeerId[]) {
    this.tell({ kind: "wake" });
    for (const peer of ["h", ...others]) this.tell({ kind: "linked", peer });
  }

  /** Handles one input; what was said of the load, as `1 free>h`, in order. */
  tell(input: Input): string[] {
    const sent = ofKind(this.core.handle(input, this.nowMs), "send");
    return sent.flatMap(({ to, message }) => {
      if (message.kind !== "load" || to === "w") return [];
      const isFree = message.free > 0;
      this.toldByPeer.set(to, { isFree, atMs: this.nowMs });
      if (to === "h" && isFree !== this.isFree) [this.isFree, this.sinceMs] = [isFree, this.nowMs];
      return [`${message.free} free>${to}`];
    });
  }

  hear(from: PeerId, message: Message): string[] {
    return this.tell({ kind: "message", from, message });
  }

  offer(ingress: PeerId, seq: number): string[] {
    const [token, request] = [{ ingress, seq, hop: 0 }, actionRequest(`${seq}`)];
    return this.hear(ingress, { kind: "offer", token, request, estimateMs: undefined });
  }

  gone(ingress: PeerId, seq: number): string[] {
    return this.hear(ingress, { kind: "gone", token: { ingress, seq, hop: 0 } });
  }

  pending(from: PeerId, pending: number): string[] {
    return this.hear(from, loadOf(from, { slots: 0, free: 0, serves: true, pending }));
  }

  /** Lets time pass, and wakes it when it wants. */
  pass(ms: number): string[] {
    const untilMs = this.nowMs + ms;
    const said: string[] = [];
    while (this.core.wakeAtMs <= untilMs) {
      this.nowMs = Math.max(this.nowMs, this.core.wakeAtMs);
      said.push(...this.tell({ kind: "wake" }));
    }
    this.nowMs = untilMs;
    return said;
  }
}

test("its own host hears at once, others with work once it stays so, the rest after 2 s", () => {
  const worker = new Worker(["far", "busy"]);
  expect(worker.pending("busy", 3)).toEqual([]);
  worker.nowMs = 10;
  expect(worker.offer("h", 1)).toEqual(["0 free>h"]);
  worker.nowMs = 20;
  expect(worker.gone("h", 1)).toEqual(["1 free>h"]);
  expect(worker.pass(180)).toEqual([]);
  worker.nowMs = 300;
  expect(worker.offer("h", 2)).toEqual(["0 free>h"]);
  expect(worker.pass(49)).toEqual([]);
  expect(worker.pass(1)).toEqual(["0 free>busy"]);
  expect(worker.pass(1_949)).toEqual([]);
  expect(worker.pass(1)).toEqual(["0 free>far"]);
});

test("a host that gets work to give is told at once what it does not know yet", () => {
  const worker = new Worker(["a", "b"]);
  worker.nowMs = 100;
  expect(worker.offer("h", 1)).toEqual(["0 free>h"]);
  expect(worker.pending("a", 1)).toEqual(["0 free>a"]);
  expect(worker.pending("a", 2)).toEqual([]);
  expect(worker.offer("b", 1)).toEqual(["0 free>a", "0 free>b", "0 free>h"]);
});

test("a host with nothing to give any more hears as seldom as the others again", () => {
  const worker = new Worker(["a", "b"]);
  worker.pending("a", 1);
  expect(worker.pass(5_000).filter((said) => said.endsWith("a"))).toHaveLength(1);
  worker.pending("a", 0);
  worker.pass(12_000);
  worker.offer("h", 1);
  expect(worker.pass(1_999)).toEqual([]);
  expect(worker.pass(1).sort()).toEqual(["0 free>a", "0 free>b"]);
});

test("a worker that takes nothing more says so to everybody at once", () => {
  const worker = new Worker(["a"]);
  worker.nowMs = 100;
  expect(worker.tell({ kind: "noticed", lastsMs: 60_000 })).toEqual(["1 free>a", "1 free>h"]);
});

test("whatever happens, nobody is told late and nobody is left in silence", () => {
  const { asideMs, asideLoadMs, farMs } = slotDefaults;
  const others = ["a", "b", "c"];
  for (let seed = 0; seed < 60; seed += 1) {
    const rng = createRng(seed);
    const worker = new Worker(others);
    const holders = new Map<number, PeerId>();
    const pendingByPeer = new Map<PeerId, number>();
    for (let step = 0; step < 100; step += 1) {
      const peer = others[rng.below(others.length)] ?? "a";
      const from = rng.below(3) === 0 ? "h" : peer;
      const held = [...holders.keys()];
      const kind = rng.below(4);
      if (kind === 0) {
        pendingByPeer.set(peer, rng.below(2));
        worker.pending(peer, pendingByPeer.get(peer) ?? 0);
      } else if (kind === 1) {
        holders.set(step, from);
        worker.offer(from, step);
      } else if (held[0] !== undefined) {
        const seq = held[rng.below(held.length)] ?? held[0];
        worker.gone(holders.get(seq) ?? "h", seq);
        holders.delete(seq);
      }
      worker.pass(rng.below([10, 100, 3_000][rng.below(3)] ?? 10));
      for (const other of others) {
        const told = worker.toldByPeer.get(other);
        const isConcerned = (pendingByPeer.get(other) ?? 0) > 0;
        const lastsMs = isConcerned ? farMs : asideMs;
        const at = `seed ${seed}, step ${step}, ${other}`;
        if (worker.nowMs - worker.sinceMs > lastsMs) expect(told?.isFree, at).toBe(worker.isFree);
        expect(worker.nowMs - (told?.atMs ?? 0), at).toBeLessThanOrEqual(asideLoadMs);
      }
    }
  }
});
