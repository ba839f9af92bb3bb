// Blobs over a link with 200 ms each way and one chunk in twenty lost, beside a good one.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { openStore, type Store } from "../../src/cas/open-store.ts";
import { createPeerFetch } from "../../src/cas/peer-fetch.ts";
import type { Digest } from "../../src/core/digest.ts";
import {
  type BlobExchange,
  lanBlobOptions,
  startBlobExchange,
} from "../../src/mesh/blob-exchange.ts";
import type { MeshHost } from "../../src/mesh/mesh-host.ts";
import { windowBytesMax } from "../../src/mesh/transport.ts";
import { eventually } from "../support/eventually.ts";
import { createMeshHosts, type MeshHosts } from "../support/linked-hosts.ts";
import { type SlowLink, startSlowLink } from "../support/slow-link.ts";

interface Node {
  readonly host: MeshHost;
  readonly disk: Store;
  readonly exchange: BlobExchange;
}

const network = { delayMs: 200, lossPerMille: 50, resendMs: 400 };

let folder: string;
let hosts: MeshHosts;
let slow: SlowLink | undefined;
const nodes: Node[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "mesh-slow-"));
  hosts = createMeshHosts();
});
afterEach(async () => {
  for (const { exchange } of nodes) exchange.close();
  await slow?.stop();
  await hosts.stop();
  for (const { disk } of nodes.splice(0)) await disk.close();
  rmSync(folder, { recursive: true });
});

async function node(): Promise<Node> {
  const host = await hosts.start();
  const disk = openStore({ now: Date.now }, { folder: join(folder, host.peerId), bytesMax: 1e9 });
  const exchange = await startBlobExchange(
    { mesh: host, store: disk.blobs, actions: disk.actions, log: () => undefined, now: Date.now },
    { ...lanBlobOptions, blobBytesMax: 1e9, serves: true },
  );
  const made = { host, disk, exchange };
  nodes.push(made);
  return made;
}

/** Blobs that do not compress, different for each seed. */
async function fill({ disk }: Node, count: number, seed: number): Promise<Digest[]> {
  return Promise.all(
    Array.from({ length: count }, (_, at) => {
      let state = seed * 1000 + at + 1;
      const bytes = Uint8Array.from({ length: 50_000 }, () => {
        state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
        return state >>> 16;
      });
      return disk.blobs.put(bytes, "sha256");
    }),
  );
}

test("a bad link is slow and nothing else: all arrives, and a good one beside it is not held up", async () => {
  const [asker, far, near] = [await node(), await node(), await node()];
  slow = await startSlowLink(far.host.addresses()[0] ?? "", network);
  await hosts.link(asker.host, far.host, slow.address);
  await hosts.link(asker.host, near.host);
  const [there, here] = [await fill(far, 40, 1), await fill(near, 40, 2)];
  const live = () => nodes.map(({ host }) => host.peerId);
  const { exchange: peers, disk, host } = asker;
  const fetcher = createPeerFetch({ peers, store: disk.blobs, self: host.peerId, hosts: live });
  const startedMs = performance.now();
  const tookMs = async (digests: readonly Digest[], from: Node) => {
    const { missing, failures } = await fetcher.fetch(digests, { from: from.host.peerId });
    expect({ missing, failures }).toEqual({ missing: [], failures: [] });
    return performance.now() - startedMs;
  };
  const [slowMs, fastMs] = await Promise.all([tookMs(there, far), tookMs(here, near)]);
  expect(await disk.blobs.missing([...there, ...here])).toEqual([]);
  expect(slow.lost()).toBeGreaterThan(0);
  expect(slowMs).toBeGreaterThan(2 * network.delayMs);
  expect(fastMs).toBeLessThan(slowMs);
  expect(asker.exchange.counts().lies).toBe(0);
  expect(asker.exchange.usable(far.host.peerId)).toBe(true);
});

test("what the slow host has, too, is taken from the other one", async () => {
  const [asker, far, near] = [await node(), await node(), await node()];
  slow = await startSlowLink(far.host.addresses()[0] ?? "", { ...network, delayMs: 1 });
  await hosts.link(asker.host, far.host, slow.address);
  await hosts.link(asker.host, near.host);
  const digests = await fill(far, 10, 1);
  await fill(near, 10, 1);
  const live = () => nodes.map(({ host }) => host.peerId);
  const { exchange: peers, disk, host } = asker;
  const fetcher = createPeerFetch({ peers, store: disk.blobs, self: host.peerId, hosts: live });
  slow.delay(4000);
  const startedMs = performance.now();
  const { missing } = await fetcher.fetch(digests, { from: far.host.peerId });
  expect(missing).toEqual([]);
  // One question there and back takes longer.
  expect(performance.now() - startedMs).toBeLessThan(8000);
  expect(asker.exchange.counts().lies).toBe(0);
});

test("a long line is filled: more and more may be on its way", async () => {
  const [asker, far] = [await node(), await node()];
  slow = await startSlowLink(far.host.addresses()[0] ?? "", {
    ...network,
    delayMs: 25,
    lossPerMille: 0,
  });
  await hosts.link(asker.host, far.host, slow.address);
  await eventually("the delay is known", () => asker.host.pulseOf(far.host.peerId)?.rttMs);
  const opened = vi.spyOn(asker.host, "openStream");
  const digests = await fill(far, 300, 1);
  expect(await asker.exchange.fetch(far.host.peerId, digests)).toEqual([]);
  const stream = await opened.mock.results[0]?.value;
  const windowBytes = Reflect.get(stream, "recvWindow");
  expect(windowBytes).toBeGreaterThan(256 << 10);
  expect(windowBytes).toBeLessThanOrEqual(windowBytesMax);
});
