// A process that writes to a store until it is killed: `store-writer.ts FOLDER SEED`.

import { createHash } from "node:crypto";
import { openStore } from "../../src/cas/open-store.ts";

/** SHA-256 in hex. */
export function hashOf(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

const [, , folder, seed] = process.argv;
if (folder !== undefined && process.send !== undefined && seed !== undefined) {
  const store = openStore({ now: Date.now }, { folder, bytesMax: 1e9 });
  for (let i = 0; ; i += 1) {
    const bytes = Buffer.alloc(1 + ((i * 7919) % 30_000), `${seed} ${i} `);
    await store.blobs.put(bytes, "sha256");
    if (i % 4 === 0) process.send(i);
  }
}
