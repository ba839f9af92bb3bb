// A process that keeps associations until it is killed: `asset-writer.ts FOLDER`.

import { type AssetKey, type Association, openAssetRecords } from "../../src/cas/asset-records.ts";

/** The `n`th key. */
export function keyOf(n: number): AssetKey {
  return { instance: "", kind: "blob", fn: "sha256", uri: `urn:n:${n}`, qualifiers: [] };
}

/** The `n`th association. */
export function associationOf(n: number): Association {
  const digest = { fn: "sha256" as const, hash: n.toString(16).padStart(64, "0"), sizeBytes: n };
  return { digest, blobs: [], directories: [], storedAtMs: 1, expireAtMs: undefined };
}

const [, , folder] = process.argv;
if (folder !== undefined && process.send !== undefined) {
  const options = { folder, recordsMax: 1e6, bytesMax: 1e9 };
  const records = openAssetRecords({ now: Date.now }, options);
  for (let n = 0; ; n += 1) {
    await records.put([keyOf(n)], associationOf(n));
    process.send(n);
  }
}
