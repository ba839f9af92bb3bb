import fc from "fast-check";
import { expect, test } from "vitest";
import { Estimates } from "../../../src/core/estimates.ts";
import { Heap } from "../../../src/core/heap.ts";
import { choosePeers } from "../../../src/core/placement.ts";
import { pickByRendezvous } from "../../../src/core/rendezvous.ts";
import { createRng } from "../../../src/core/rng.ts";
import { digestOf } from "../../support/core-values.ts";

interface Item {
  rank: number;
  readonly id: number;
}

test("a heap gives its items in order after any adds, removals and changes of rank", () => {
  const step = fc.record({ act: fc.constantFrom("add", "remove", "change"), rank: fc.nat(20) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const before = (a: Item, b: Item) => (a.rank === b.rank ? a.id < b.id : a.rank < b.rank);
      const heap = new Heap<Item>(before);
      const model: Item[] = [];
      for (const [id, { act, rank }] of steps.entries()) {
        const item = model[rank % Math.max(1, model.length)];
        if (act === "add" || item === undefined) {
          const added = { rank, id };
          model.push(added);
          heap.add(added);
        } else if (act === "remove") {
          model.splice(model.indexOf(item), 1);
          expect(heap.remove(item)).toBe(true);
          expect(heap.remove(item)).toBe(false);
        } else {
          item.rank = rank;
          heap.update(item);
        }
      }
      expect(heap.size).toBe(model.length);
      const sorted = [...model].sort((a, b) => (before(a, b) ? -1 : 1));
      expect(model.map(() => heap.take())).toEqual(sorted);
      expect([heap.take(), heap.peek()]).toEqual([undefined, undefined]);
    }),
  );
});

test("rendezvous moves only the share of the name that left", () => {
  const names = ["a", "b", "c", "d"].map((name) => ({ name, weight: 1 }));
  const without = names.filter(({ name }) => name !== "c");
  for (let key = 0; key < 500; key += 1) {
    const before = pickByRendezvous(`${key}`, names);
    const after = pickByRendezvous(`${key}`, without);
    if (before !== "c") expect(after).toBe(before);
  }
  expect(pickByRendezvous("key", [])).toBeUndefined();
});

test("rendezvous does not depend on the order of the names", () => {
  const names = ["a", "b", "c", "d"].map((name, i) => ({ name, weight: i + 1 }));
  for (let key = 0; key < 200; key += 1) {
    const picked = pickByRendezvous(`${key}`, names);
    expect(pickByRendezvous(`${key}`, [...names].reverse())).toBe(picked);
  }
});

test("rendezvous gives each name its share by weight", () => {
  const names = [1, 2, 4].map((weight) => ({ name: `w${weight}`, weight }));
  const wins = new Map<string, number>();
  for (let key = 0; key < 7_000; key += 1) {
    const picked = pickByRendezvous(`key ${key}`, names) ?? "";
    wins.set(picked, (wins.get(picked) ?? 0) + 1);
  }
  expect(Math.abs(wins.get("w1")! - 1_000)).toBeLessThan(150);
  expect(Math.abs(wins.get("w2")! - 2_000)).toBeLessThan(200);
  expect(Math.abs(wins.get("w4")! - 4_000)).toBeLessThan(250);
});

const request = { kind: "compile", inputRoot: digestOf("root") };

function workers(outstanding: number) {
  return ["a", "b", "c", "d", "e", "f"].map((peer) => ({ peer, slots: 2, outstanding }));
}

test("similar actions prefer one worker, and two others are drawn", () => {
  const chosen = Array.from({ length: 50 }, (_, seed) =>
    choosePeers(request, workers(0), createRng(seed)),
  );
  expect(new Set(chosen.map(([preferred]) => preferred)).size).toBe(1);
  expect(new Set(chosen.flatMap((peers) => peers.slice(1))).size).toBe(5);
  for (const peers of chosen) expect(new Set(peers).size).toBe(3);
});

test("a worker that is behind is not preferred", () => {
  const chosen = Array.from({ length: 50 }, (_, seed) =>
    choosePeers(request, workers(2), createRng(seed)),
  );
  expect(new Set(chosen.map(([first]) => first)).size).toBeGreaterThan(3);
});

test("fewer candidates than reservations are all chosen, and none gives none", () => {
  const two = workers(0).slice(0, 2);
  expect([...choosePeers(request, two, createRng(1))].sort()).toEqual(["a", "b"]);
  expect(choosePeers(request, [], createRng(1))).toEqual([]);
});

test("an estimate is the mean of the first runs and then follows slowly", () => {
  const estimates = new Estimates();
  expect(estimates.estimateMs("cc")).toBeUndefined();
  estimates.record("cc", 100);
  expect(estimates.estimateMs("cc")).toBe(100);
  for (const runMs of [200, 300, 400]) estimates.record("cc", runMs);
  expect(estimates.estimateMs("cc")).toBe(250);
  estimates.record("cc", 1_050);
  expect(estimates.estimateMs("cc")).toBe(450);
});

test("estimates forget the kind that was not used for longest", () => {
  const estimates = new Estimates({ kindsMax: 2 });
  estimates.record("a", 1);
  estimates.record("b", 2);
  estimates.estimateMs("a");
  estimates.record("c", 3);
  expect(["a", "b", "c"].map((kind) => estimates.estimateMs(kind))).toEqual([1, undefined, 3]);
  expect(estimates.size).toBe(2);
});
