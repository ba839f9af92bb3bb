// Whatever happens to messages, workers and time: each operation ends exactly once.

import fc from "fast-check";
import { expect, test } from "vitest";
import { anySteps, MeshBag } from "../../support/mesh-bag.ts";

const seed = 20_261_124;

test("whatever the network and the workers do, every operation ends exactly once", () => {
  const homeByWorker = { w1: "", w2: "", w3: "" };
  fc.assert(
    fc.property(anySteps(), (steps) => {
      new MeshBag({ hosts: ["n"], homeByWorker, workStealing: false }).play(steps);
    }),
    { numRuns: 300, seed },
  );
}, 60_000);

test("the same holds where workers steal from three hosts", () => {
  const homeByWorker = { w1: "n1", w2: "n2", w3: "n3" };
  let steals = 0;
  fc.assert(
    fc.property(anySteps(), (steps) => {
      const bag = new MeshBag({ hosts: ["n1", "n2", "n3"], homeByWorker, workStealing: true });
      bag.play(steps);
      steals += bag.sent.get("steal") ?? 0;
    }),
    { numRuns: 200, seed },
  );
  expect(steals).toBeGreaterThan(1_000);
}, 60_000);
