// A store of a million blobs: how long a node takes to start on it, what that costs in memory, and
// whether eviction keeps up with writing.

import { join } from "node:path";
import { openStore } from "../src/cas/open-store.ts";
import { memoryKib, residentMiB, startOwnNode } from "./own-node.ts";
import { reapiClient } from "./reapi-client.ts";
import type { Row } from "./table.ts";

const count = 1_000_000;
const atOnce = 10_000;
/** One blob in a hundred is a file, the others are rows of the index: as sizes in builds are. */
const sizeOf = (at: number) => (at % 100 === 0 ? 6000 : 500 + (at % 1000));
const hourMs = 3_600_000;

/** Fills a store in `folder` and measures. */
export async function* benchFullStore(folder: string, env: NodeJS.ProcessEnv): AsyncGenerator<Row> {
  const path = join(folder, "store");
  // Written an hour ago, so that they may be evicted now.
  const bytes = await fill(
    path,
    { now: () => Date.now() - hourMs },
    count,
    Number.MAX_SAFE_INTEGER,
  );
  yield await startRow(folder, env);
  const startMs = performance.now();
  const more = 100_000;
  await fill(path, { now: Date.now }, more, bytes.total);
  const perSecond = (1000 * more) / (performance.now() - startMs);
  yield {
    what: "blobs written to a full store of 1,000,000, as many evicted",
    figure: `${perSecond.toFixed(0)}/s`,
    beside: "wanted: 5000/s",
  };
}

async function fill(
  folder: string,
  deps: { readonly now: () => number },
  blobs: number,
  bytesMax: number,
): Promise<{ readonly total: number }> {
  const store = openStore(deps, { folder, bytesMax });
  const salt = `${process.pid} ${performance.now()}`;
  for (let from = 0; from < blobs; from += atOnce) {
    const batch = Array.from({ length: atOnce }, (_, at) =>
      store.blobs.put(Buffer.alloc(sizeOf(at), `${salt} ${from + at} `), "sha256"),
    );
    await Promise.all(batch);
  }
  const total = store.totalBytes();
  await store.close();
  return { total };
}

async function startRow(folder: string, env: NodeJS.ProcessEnv): Promise<Row> {
  const startMs = performance.now();
  const node = await startOwnNode(folder, env);
  const readyMs = performance.now() - startMs;
  const client = reapiClient(node.address);
  try {
    for (let asked = 0; asked < 10; asked += 1) await client.findMissing(10_000)();
    const own = residentMiB(node.pid);
    const mapped = memoryKib(node.pid, "RssFile") / 1024;
    return {
      what: "a node on a store of 1,000,000 blobs: start with two workers, memory",
      figure: `${(readyMs / 1000).toFixed(1)} s, ${own.toFixed(0)} MiB (+${mapped.toFixed(0)} mapped files)`,
      beside: "wanted: 2 s, 250 MiB",
    };
  } finally {
    client.close();
    await node.stop();
  }
}
