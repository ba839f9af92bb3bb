import fc from "fast-check";
import { expect, test } from "vitest";
import { Queue, type Queueable } from "../../../src/core/queue.ts";

function item(key: string, changes: Partial<Queueable> = {}): Queueable {
  return { key, lane: "", priority: 0, user: "u", invocation: "i", estimateMs: 100, ...changes };
}

function queueOf(...items: Queueable[]): Queue<Queueable> {
  const queue = new Queue({ itemsMax: 1_000 });
  for (const each of items) expect(queue.add(each)).toBe(true);
  return queue;
}

function drain(queue: Queue<Queueable>): string {
  const keys: string[] = [];
  for (let next = queue.take(); next !== undefined; next = queue.take()) keys.push(next.key);
  return keys.join(" ");
}

test("a lower priority number goes first, negative ones too", () => {
  const items = [item("a", { priority: 5 }), item("b"), item("c", { priority: -2_147_483_648 })];
  expect(drain(queueOf(...items))).toBe("c b a");
});

test("longer expected runs go first and arrival breaks ties", () => {
  const items = [
    item("a"),
    item("b", { estimateMs: 300 }),
    item("c"),
    item("d", { estimateMs: 1 }),
  ];
  expect(drain(queueOf(...items))).toBe("b a c d");
});

test("a kind that never ran counts as half a second", () => {
  const items = [400, undefined, 600].map((estimateMs, i) => item(`${i}`, { estimateMs }));
  expect(drain(queueOf(...items))).toBe("2 1 0");
});

test("a small invocation is not held up by a huge one", () => {
  const queue = queueOf(...Array.from({ length: 100 }, (_, i) => item(`big${i}`)));
  for (let i = 0; i < 50; i += 1) queue.take();
  queue.add(item("small1", { invocation: "j" }));
  queue.add(item("small2", { invocation: "j" }));
  const next = Array.from({ length: 4 }, () => queue.take()?.invocation);
  expect(next.sort()).toEqual(["i", "i", "j", "j"]);
});

test("an invocation that was away cannot claim the time it missed", () => {
  const queue = queueOf(...Array.from({ length: 40 }, (_, i) => item(`i${i}`)));
  for (let i = 0; i < 20; i += 1) queue.take();
  for (let i = 0; i < 20; i += 1) queue.add(item(`j${i}`, { invocation: "j" }));
  const next = Array.from({ length: 10 }, () => queue.take()?.invocation);
  expect(next.filter((invocation) => invocation === "j")).toHaveLength(5);
});

test("fairness counts expected time, not actions", () => {
  const queue = new Queue({ itemsMax: 1_000 });
  for (let i = 0; i < 30; i += 1) {
    queue.add(item(`l${i}`, { invocation: "long", estimateMs: 900 }));
    queue.add(item(`s${i}`, { invocation: "short", estimateMs: 100 }));
  }
  const next = Array.from({ length: 20 }, () => queue.take()?.invocation);
  expect(next.filter((invocation) => invocation === "short")).toHaveLength(18);
});

test("only items of accepted lanes are taken", () => {
  const queue = queueOf(item("a", { lane: "gpu", priority: -1 }), item("b", { lane: "cpu" }));
  expect(queue.take((lane) => lane === "cpu")?.key).toBe("b");
  expect(queue.take((lane) => lane === "cpu")).toBeUndefined();
  expect([queue.hasLane("gpu"), queue.hasLane("cpu")]).toEqual([true, false]);
});

test("a full queue and a known key turn items away", () => {
  const queue = new Queue({ itemsMax: 2 });
  expect(["a", "a", "b", "c"].map((key) => queue.add(item(key)))).toEqual([
    true,
    false,
    true,
    false,
  ]);
  expect(queue.remove("a")?.key).toBe("a");
  expect(queue.remove("a")).toBeUndefined();
  expect(queue.add(item("c"))).toBe(true);
});

const anyItem = fc.record({
  lane: fc.constantFrom("x", "y"),
  priority: fc.integer({ min: -1, max: 1 }),
  user: fc.constantFrom("u", "v"),
  invocation: fc.constantFrom("i", "j", "k"),
  estimateMs: fc.option(fc.nat(1_000), { nil: undefined }),
});
const anyStep = fc.oneof(
  fc.record({ act: fc.constant("add" as const), item: anyItem }),
  fc.record({ act: fc.constant("take" as const), lane: fc.constantFrom("x", "y", undefined) }),
  fc.record({ act: fc.constant("remove" as const), key: fc.nat(60) }),
);

test("after any steps every item comes out once and none before one of a lower number", () => {
  fc.assert(
    fc.property(fc.array(anyStep, { maxLength: 120 }), (steps) => {
      const queue = new Queue<Queueable>({ itemsMax: 50 });
      const model = new Map<string, Queueable>();
      for (const [number, step] of steps.entries()) {
        if (step.act === "add") {
          const added = { key: `${number}`, ...step.item };
          expect(queue.add(added)).toBe(model.size < 50);
          if (model.size < 50) model.set(added.key, added);
        } else if (step.act === "remove") {
          expect(queue.remove(`${step.key}`)).toEqual(model.get(`${step.key}`));
          model.delete(`${step.key}`);
        } else {
          const accepts = (lane: string) => step.lane === undefined || lane === step.lane;
          const open = [...model.values()].filter(({ lane }) => accepts(lane));
          const taken = queue.take(accepts);
          expect(taken === undefined).toBe(open.length === 0);
          if (taken === undefined) continue;
          expect(taken.priority).toBe(Math.min(...open.map(({ priority }) => priority)));
          expect(model.delete(taken.key)).toBe(true);
        }
        expect(queue.size).toBe(model.size);
        expect([...queue.items()].map(({ key }) => key).sort()).toEqual([...model.keys()].sort());
      }
    }),
  );
});

test("in a crowd of invocations each gets its turn before any gets a second", () => {
  const queue = new Queue({ itemsMax: 10_000 });
  for (let i = 0; i < 10_000; i += 1) queue.add(item(`${i}`, { invocation: `i${i % 1_000}` }));
  const firstRound = new Set(Array.from({ length: 1_000 }, () => queue.take()?.invocation));
  expect(firstRound.size).toBe(1_000);
  expect(drain(queue).split(" ")).toHaveLength(9_000);
});

test("many invocations of one user get no more than the one of another", () => {
  const queue = new Queue({ itemsMax: 10_000 });
  for (let i = 0; i < 1_000; i += 1) {
    queue.add(item(`u${i}`, { user: "u", invocation: `i${i % 10}` }));
    queue.add(item(`v${i}`, { user: "v", invocation: "i0" }));
  }
  const next = Array.from({ length: 40 }, () => queue.take());
  expect(next.filter((taken) => taken?.user === "v")).toHaveLength(20);
  const ofUser = next.filter((taken) => taken?.user === "u").map((taken) => taken?.invocation);
  expect(ofUser.sort()).toEqual(Array.from({ length: 20 }, (_, i) => `i${i >> 1}`));
});

test("names with slashes are not mixed up", () => {
  const queue = queueOf(
    item("1", { user: "a/b", invocation: "c" }),
    item("2", { user: "a", invocation: "b/c" }),
    item("3", { user: "a/b", invocation: "c" }),
  );
  expect([queue.take(), queue.take()].map((taken) => taken?.user).sort()).toEqual(["a", "a/b"]);
});

test("users that left are forgotten, however many come", () => {
  const queue = new Queue({ itemsMax: 10 });
  for (let i = 0; i < 5_000; i += 1) {
    queue.add(item(`${i}`, { user: `u${i}`, invocation: `i${i}` }));
    expect(queue.take()?.user).toBe(`u${i}`);
  }
  expect(queue.usersKnown).toBeLessThanOrEqual(1_001);
});
