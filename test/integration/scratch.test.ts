// Scratch folders go, whatever was done to their permissions. An ordinary user must give itself
// back what an action took away (ordinary-user.test.ts runs this as one).

import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { removeScratch } from "../../src/worker/scratch.ts";

const base = mkdtempSync(join(tmpdir(), "builder-scratch-"));
afterAll(() => rmSync(base, { recursive: true }));

test("folders that nobody may enter go with all others, every time", async () => {
  for (let round = 0; round < 50; round += 1) {
    const root = join(base, String(round));
    for (let folder = 0; folder < 10; folder += 1) {
      mkdirSync(join(root, `d${folder}`), { recursive: true });
      for (let file = 0; file < 10; file += 1) {
        writeFileSync(join(root, `d${folder}/f${file}`), "x", { mode: 0o444 });
      }
    }
    chmodSync(join(root, "d2"), 0);
    chmodSync(join(root, "d7"), 0);
    await removeScratch(root);
    expect(existsSync(root), `round ${round}`).toBe(false);
  }
  await removeScratch(join(base, "was never there"));
});
