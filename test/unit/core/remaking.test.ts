import fc from "fast-check";
import { expect, test } from "vitest";
import { remakingDefaults } from "../../../src/core/remaking-options.ts";
import { digestOf } from "../../support/core-values.ts";
import { RemakingWorld, type WorldAction } from "../../support/remaking-world.ts";

/** A world in which every action ran once, for somebody who was told. */
function built(actions: readonly WorldAction[]): RemakingWorld {
  const world = new RemakingWorld(actions);
  for (const at of actions.keys()) {
    world.submit(`first ${at}`, at);
    world.settle();
  }
  expect(world.runs).toEqual(actions.map(() => 1));
  return world;
}

/** Each takes what the one before made. */
const chain = (length: number): WorldAction[] =>
  Array.from({ length }, (_, at) => ({ takes: at === 0 ? [] : [at - 1] }));

function end(world: RemakingWorld, operation: string): string {
  const stages = world.ends.get(operation) ?? [];
  expect(stages).toHaveLength(1);
  const [stage] = stages;
  if (stage?.kind === "failed") return `${stage.failure.code} ${stage.failure.message}`;
  const isResult = stage?.kind === "completed" && stage.outcome.kind === "result";
  return isResult ? `exit ${stage.outcome.exitCode}` : "";
}

test("what an action lacks is made again, and its client hears of nothing but the end", () => {
  const world = built(chain(2));
  world.lose(world.output(0));
  world.submit("b", 1);
  world.settle();
  expect(end(world, "b")).toBe("exit 0");
  expect(world.runs).toEqual([2, 2]);
  const names = world.notes.map(({ name }) => name).filter((name) => name.startsWith("remake"));
  expect(names).toEqual(["remake-begun", "remake-done"]);
});

test("a whole chain of lost blobs is made again, each action once", () => {
  const world = built(chain(20));
  for (let at = 0; at < 19; at += 1) world.lose(world.output(at));
  world.submit("last", 19);
  world.settle();
  expect(end(world, "last")).toBe("exit 0");
  expect(world.runs).toEqual(Array.from({ length: 20 }, () => 2));
});

test("a chain beyond the bound is told as lost, and nothing is left behind", () => {
  const world = built(chain(remakingDefaults.depthMax + 2));
  for (let at = 0; at <= remakingDefaults.depthMax; at += 1) world.lose(world.output(at));
  world.submit("last", remakingDefaults.depthMax + 1);
  world.settle();
  expect(end(world, "last")).toMatch(/^FAILED_PRECONDITION .*Over 100 actions in a row/);
  expect(world.node.pending + world.node.executing).toBe(0);
});

test("many who lack the same wait for one run", () => {
  const world = built([{ takes: [] }, ...Array.from({ length: 30 }, () => ({ takes: [0] }))]);
  world.lose(world.output(0));
  for (let at = 1; at <= 30; at += 1) world.submit(`o${at}`, at);
  world.settle();
  for (let at = 1; at <= 30; at += 1) expect(end(world, `o${at}`)).toBe("exit 0");
  expect(world.runs[0]).toBe(2);
});

test("a client that executes the lost one's maker meanwhile joins its run", () => {
  const world = built(chain(2));
  world.lose(world.output(0));
  world.submit("b", 1);
  while (world.node.executing === 0) world.step(0);
  while (!world.notes.some(({ name }) => name === "remake-begun")) world.step(0);
  world.submit("a", 0);
  world.settle();
  expect([end(world, "a"), end(world, "b")]).toEqual(["exit 0", "exit 0"]);
  expect(world.runs).toEqual([2, 2]);
});

test("one that makes something else the second time is named, with the blobs that are lost", () => {
  const world = built([{ takes: [], isRandom: true }, { takes: [0] }]);
  world.lose(world.output(0));
  world.submit("b", 1);
  world.settle();
  const said = end(world, "b");
  expect(said).toMatch(/^FAILED_PRECONDITION .*not deterministic/);
  expect(said).toContain(digestOf("action 0").hash);
  const [stage] = world.ends.get("b") ?? [];
  expect(stage?.kind === "failed" && stage.missing).toEqual([world.output(0)]);
});

test("where a source is lost too, its blob is told as the worker told it", () => {
  const world = built([
    { takes: [], sources: ["s"] },
    { takes: [0], sources: ["t"] },
  ]);
  world.lose(digestOf("t"));
  world.submit("own source", 1);
  world.settle();
  expect(end(world, "own source")).toBe("exit undefined");
  world.send("t");
  world.lose(digestOf("s"));
  world.lose(world.output(0));
  world.submit("source of its maker", 1);
  world.settle();
  expect(end(world, "source of its maker")).toContain(`${digestOf("s").hash}, which is lost too`);
  expect(world.runs).toEqual([1, 1]);
});

test("what nobody was told is told as the worker told it", () => {
  const world = built(chain(2));
  world.lose(world.output(0));
  world.submit("b", 1, { user: "bob" });
  world.settle();
  expect(end(world, "b")).toBe("exit undefined");
  expect(world.runs).toEqual([1, 1]);
});

test("a blob that is there again in time makes nothing run twice", () => {
  const world = built([{ takes: [] }, { takes: [], sources: ["s"] }]);
  world.lose(digestOf("s"));
  world.submit("b", 1);
  world.step(0);
  world.send("s");
  world.settle();
  expect(end(world, "b")).toBe("exit 0");
  expect(world.runs).toEqual([1, 2]);
});

test("readers wait for what is lost, and only for what was made", () => {
  const world = built([{ takes: [] }, { takes: [], isRandom: true }]);
  world.lose(world.output(0));
  world.lose(world.output(1));
  world.want("all", [world.output(0), world.output(1), digestOf("unknown")]);
  world.want("none", [digestOf("unknown")]);
  world.want("other", [world.output(1)]);
  expect(world.settled).toEqual(new Map([["none", false]]));
  world.settle();
  expect(world.settled.get("all")).toBe(true);
  expect(world.settled.get("other")).toBe(false);
  expect([world.has(world.output(0)), world.has(world.output(1))]).toEqual([true, false]);
  expect(world.runs).toEqual([2, 2]);
});

test("who gives up leaves no run behind that nobody waits for", () => {
  const world = built(chain(3));
  world.lose(world.output(0));
  world.lose(world.output(1));
  world.submit("c", 2);
  while (!world.notes.some(({ name }) => name === "remake-begun")) world.step(0);
  world.abandon("c");
  expect(world.node.pending).toBe(0);
  world.settle();
  expect(world.ends.get("c")).toEqual([]);
  expect(world.runs[1]).toBe(1);
});

test("a store that never answers holds nobody for ever", () => {
  const world = built(chain(2));
  world.lose(world.output(0));
  world.submit("b", 1);
  // What ran is told; every answer of the store is lost.
  world.step(0);
  for (let round = 0; round < 5; round += 1) world.forget(0);
  expect(world.ends.get("b")).toEqual([]);
  world.pass(remakingDefaults.lookMs);
  expect(end(world, "b")).toBe("exit undefined");
});

test("whatever is lost, whenever: every operation ends once, and with a result where it can", () => {
  const graph = fc
    .array(fc.array(fc.nat(100), { maxLength: 4 }), { minLength: 2, maxLength: 12 })
    .map((lists) =>
      lists.map((list, at) => ({
        takes: [...new Set(list.map((luck) => luck % Math.max(1, at)))].filter((to) => to < at),
      })),
    );
  const lost = fc.array(fc.nat(100), { maxLength: 20 });
  let remade = 0;
  fc.assert(
    fc.property(graph, lost, fc.array(fc.nat(100), { maxLength: 60 }), (actions, gone, lucks) => {
      const world = built(actions);
      for (const at of gone) world.lose(world.output(at % actions.length));
      const before = [...world.runs];
      for (const at of actions.keys()) world.submit(`o${at}`, at);
      for (const luck of lucks) world.step(luck);
      world.settle();
      for (const at of actions.keys()) expect(end(world, `o${at}`)).toBe("exit 0");
      // Once as its client wanted, and once at most because its output was lost.
      for (const [at, runs] of world.runs.entries()) {
        expect(runs - (before[at] ?? 0)).toBeLessThanOrEqual(2);
      }
      expect(world.node.pending + world.node.executing).toBe(0);
      remade += world.notes.filter(({ name }) => name === "remake-done").length;
    }),
    { numRuns: 80, seed: 20_261_127 },
  );
  expect(remade).toBeGreaterThan(30);
}, 120_000);

test("while blobs go on being lost and clients give up, every operation ends at most once", () => {
  const step = fc.record({
    act: fc.constantFrom("submit", "step", "step", "step", "lose", "abandon", "want", "pass"),
    luck: fc.nat(1000),
  });
  fc.assert(
    fc.property(fc.array(step, { minLength: 20, maxLength: 150 }), (steps) => {
      const actions = chain(6).map((action, at) => ({ ...action, isRandom: at === 3 }));
      const world = built(actions);
      const given = new Set<string>();
      for (const [number, { act, luck }] of steps.entries()) {
        const at = luck % actions.length;
        if (act === "submit") world.submit(`o${number}`, at);
        if (act === "step") world.step(luck);
        if (act === "lose") world.lose(world.output(at));
        if (act === "want") world.want(`w${number}`, [world.output(at)]);
        if (act === "pass") world.pass(luck * 200);
        const open = [...world.ends].filter(([, ends]) => ends.length === 0);
        const [name] = open[luck % Math.max(1, open.length)] ?? [];
        if (act !== "abandon" || name === undefined || given.has(name)) continue;
        given.add(name);
        world.abandon(name);
      }
      world.settle();
      const wrong = [...world.ends].filter(([name, ends]) => {
        return ends.length !== (given.has(name) ? 0 : 1);
      });
      expect(wrong).toEqual([]);
      const wants = steps.filter(({ act }) => act === "want").length;
      expect(world.settled.size).toBe(wants);
      expect(world.node.pending + world.node.executing).toBe(0);
    }),
    { numRuns: 80, seed: 20_261_127 },
  );
}, 120_000);
