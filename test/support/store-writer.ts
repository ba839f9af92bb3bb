// A process that does everything to a store until it is killed: `store-writer.ts FOLDER SEED`.
// Small blobs, files, adopted files, links, results that name them, and evictions.

import { createHash } from "node:crypto";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openStore } from "../../src/cas/open-store.ts";
import { ActionResult } from "../../src/wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import { toWireDigest } from "../../src/wire/reapi.ts";

/** SHA-256 in hex. */
export function hashOf(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** Small enough that writers evict each other's blobs all the time. */
export const writersBytesMax = 3_000_000;

const [, , folder, seed] = process.argv;
if (folder !== undefined && process.send !== undefined && seed !== undefined) {
  // Starting takes longer than all that follows, so it is done ahead.
  await new Promise((told) => process.once("message", told));
  const options = { folder, bytesMax: writersBytesMax, protectMs: 0 };
  // Each writer lives in a minute of its own, so that what others used may go.
  const store = openStore({ now: () => Date.now() + Number(seed) * 60_000 }, options);
  const scratch = join(folder, "scratch", seed);
  mkdirSync(scratch, { recursive: true });
  for (let i = 0; ; i += 1) {
    try {
      const small = await store.blobs.put(Buffer.from(`${seed} ${i}`), "sha256");
      const bytes = Buffer.alloc(5000 + ((i * 7919) % 30_000), `${seed} ${i} `);
      const large = await store.blobs.put(bytes, "sha256");
      writeFileSync(join(scratch, "made"), Buffer.alloc(9000, `made ${seed} ${i} `));
      const adopted = await store.blobs.adopt(join(scratch, "made"), "sha256");
      for (const [at, digest] of [small, large].entries()) {
        const path = join(scratch, `link-${at}`);
        rmSync(path, { force: true });
        await store.blobs.materialize(digest, path, { executable: i % 2 === 0 });
      }
      const outputFiles = [small, large, adopted].map((digest, at) => ({
        path: `${at}`,
        digest: toWireDigest(digest),
      }));
      const result = ActionResult.encode(ActionResult.fromPartial({ outputFiles })).finish();
      await store.actions.put({ instance: seed, action: small }, result);
    } catch (error) {
      // The others' blobs are in use and the store is full: the right answer, and life goes on.
      if (!/in use|not in the store/.test(String(error))) throw error;
    }
    if (i % 4 === 0) process.send(i);
  }
}
