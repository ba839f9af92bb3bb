// A process that stores until its disk is full, and goes on: `store-filler.ts FOLDER SEED`. Prints
// as JSON how often it was refused, and with which codes. Small and large blobs, action results and
// associations of remote assets; what is refused is no reason to stop.

import { join } from "node:path";
import { openAssetRecords } from "../../src/cas/asset-records.ts";
import { openStore } from "../../src/cas/open-store.ts";
import { failureOf } from "../../src/core/error.ts";
import { createRng } from "../../src/core/rng.ts";
import { ActionResult } from "../../src/wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import { associationOf, keyOf } from "./asset-writer.ts";

/** What the program prints. */
export interface Filled {
  readonly refused: number;
  readonly codes: readonly string[];
}

const [, , folder = "", seed = "0"] = process.argv;
const rng = createRng(Number(seed));
const store = openStore({ now: Date.now }, { folder, bytesMax: 1e9 });
const assets = openAssetRecords(
  { now: Date.now },
  { folder: join(folder, "assets"), recordsMax: 1e5, bytesMax: 1e9 },
);
const codes = new Set<string>();
let refused = 0;

/** Large ones fill the disk by files, small ones by the index. */
const bytesMax = Number(seed) % 2 === 0 ? 400_000 : 6000;

for (let i = 0; i < 3000; i += 1) {
  try {
    const bytes = Buffer.alloc(rng.below(2) === 0 ? 3000 : rng.below(bytesMax), `${i} `);
    const digest = await store.blobs.put(bytes, "sha256");
    const result = ActionResult.fromPartial({ stdoutRaw: bytes });
    const encoded = ActionResult.encode(result).finish();
    if (i % 3 === 0) await store.actions.put({ instance: "", action: digest }, encoded);
    if (i % 50 === 0) await assets.put([keyOf(i)], associationOf(i));
  } catch (error) {
    refused += 1;
    codes.add(failureOf(error).code);
  }
}
await store.close();
await assets.close();
const filled: Filled = { refused, codes: [...codes] };
process.stdout.write(JSON.stringify(filled));
