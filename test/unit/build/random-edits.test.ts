// After any edits, a build gives byte for byte what a clean build gives and runs exactly what it
// must. `EDIT_SEQUENCES=20000` tries more, `EDIT_SEED` replays a seed that a failure printed.

import fc from "fast-check";
import { expect, test } from "vitest";
import { editLists } from "../../support/model-edits.ts";
import { createModelExecutor } from "../../support/model-executor.ts";
import { followEdits } from "../../support/model-run.ts";

const sequences = Number(process.env["EDIT_SEQUENCES"] ?? 1000);
/** The same sequences each time; another seed tries others. */
const seed = Number(process.env["EDIT_SEED"] ?? 20_261_124);

test("any edits, a build after each", { timeout: 300_000 + sequences * 600 }, async () => {
  let edits = 0;
  const property = fc.asyncProperty(editLists(14), async (list) => {
    edits += list.length;
    await followEdits(list, { createExecutor: createModelExecutor, modelled: true });
  });
  await fc.assert(property, { numRuns: sequences, seed });
  expect(edits).toBeGreaterThan(sequences);
});
