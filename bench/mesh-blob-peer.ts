// The other host of bench/mesh-blobs.ts: makes blobs, then serves them.

import { randomFillSync } from "node:crypto";
import { openStore } from "../src/cas/open-store.ts";
import type { Digest } from "../src/core/digest.ts";
import { lanBlobOptions, startBlobExchange } from "../src/mesh/blob-exchange.ts";
import {
  type BlobPeerConfig,
  type BlobPeerReady,
  bareProtocol,
  benchSizes,
  startBenchHost,
  writeBare,
} from "./mesh-blobs.ts";

process.once("message", (config: BlobPeerConfig) => void run(config));
process.once("disconnect", () => process.exit());

async function run(config: BlobPeerConfig): Promise<void> {
  const store = openStore({ now: Date.now }, { folder: config.store, bytesMax: 2 ** 40 });
  const host = await startBenchHost(config, () => undefined);
  await host.serveProtocol(bareProtocol, (_, stream) => writeBare(stream));
  await startBlobExchange(
    { mesh: host, store: store.blobs, actions: store.actions, log: () => undefined, now: Date.now },
    { ...lanBlobOptions, blobBytesMax: 2 ** 40, serves: true },
  );
  const { largeBytes, largeCount, smallBytes, smallCount } = benchSizes;
  async function make(count: number, fill: (at: number) => Uint8Array): Promise<Digest[]> {
    const made: Digest[] = [];
    for (let at = 0; at < count; at += 1) made.push(await store.blobs.put(fill(at), "sha256"));
    return made;
  }
  const [large, soft, small]: Digest[][][] = [[], [], []];
  const noise = (bytes: number) => randomFillSync(Buffer.alloc(bytes));
  // Half of it is new every 100 bytes or so, like object files.
  const text = (at: number) => {
    const buffer = Buffer.alloc(largeBytes, `symbol_of_some_length_in_a_table ${at} `);
    for (let from = 0; from < largeBytes; from += 128) randomFillSync(buffer, from, 32);
    return buffer;
  };
  for (let round = 0; round < config.runs; round += 1) {
    large?.push(await make(largeCount, () => noise(largeBytes)));
    soft?.push(await make(largeCount, text));
    small?.push(await make(smallCount, () => noise(smallBytes)));
  }
  const ready: BlobPeerReady = {
    address: host.addresses()[0] ?? "",
    ...{ large: large ?? [], soft: soft ?? [], small: small ?? [] },
  };
  process.on("message", () => {
    const { user, system } = process.cpuUsage();
    process.send?.((user + system) / 1e6);
  });
  process.send?.(ready);
}
