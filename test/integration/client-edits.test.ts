// Random edits with the machine's own compiler: what `test/unit/build/random-edits.test.ts` holds
// of a model must hold of gcc and the shell. `EDIT_SEQUENCES_REAL` and `EDIT_SEED` as there.

import fc from "fast-check";
import { expect, test } from "vitest";
import { createDirectExecutor } from "../support/direct-executor.ts";
import { editLists } from "../support/model-edits.ts";
import { followEdits } from "../support/model-run.ts";

const sequences = Number(process.env["EDIT_SEQUENCES_REAL"] ?? 30);
/** The same sequences each time; another seed tries others. */
const seed = Number(process.env["EDIT_SEED"] ?? 20_261_124);

test("any edits, a real build after each", { timeout: 300_000 + sequences * 20_000 }, async () => {
  let edits = 0;
  const property = fc.asyncProperty(editLists(6), async (list) => {
    edits += list.length;
    await followEdits(list, { createExecutor: createDirectExecutor, modelled: false });
  });
  await fc.assert(property, { numRuns: sequences, seed });
  expect(edits).toBeGreaterThan(sequences);
});
