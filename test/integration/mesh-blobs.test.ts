// Stores on disk of several hosts over real links: two copies of what is written, reads from
// anywhere, and a source that dies, lies or is full in the middle.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createMeshActionCache } from "../../src/cas/mesh-action-cache.ts";
import { createMeshBlobStore, type MeshBlobStore } from "../../src/cas/mesh-blob-store.ts";
import { openStore, type Store } from "../../src/cas/open-store.ts";
import { createPeerFetch, type PeerFetch } from "../../src/cas/peer-fetch.ts";
import { ownersOf } from "../../src/core/blob-owners.ts";
import type { Digest } from "../../src/core/digest.ts";
import {
  type BlobExchange,
  lanBlobOptions,
  startBlobExchange,
} from "../../src/mesh/blob-exchange.ts";
import type { MeshHost } from "../../src/mesh/mesh-host.ts";
import { encodeBytes } from "../../src/wire/encode.ts";
import { ActionResult } from "../../src/wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import { toWireDigest } from "../../src/wire/reapi.ts";
import { eventually } from "../support/eventually.ts";
import { createMeshHosts, type MeshHosts } from "../support/linked-hosts.ts";

interface Node {
  readonly host: MeshHost;
  readonly disk: Store;
  readonly exchange: BlobExchange;
  readonly mesh: MeshBlobStore;
  readonly fetcher: PeerFetch;
}

let folder: string;
let hosts: MeshHosts;
const nodes: Node[] = [];
/** Every live host, as membership would tell. */
const live = () => nodes.map(({ host }) => host.peerId);

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "mesh-blobs-"));
  hosts = createMeshHosts();
});
afterEach(async () => {
  for (const { exchange } of nodes) exchange.close();
  await hosts.stop();
  for (const { disk } of nodes.splice(0)) await disk.close();
  rmSync(folder, { recursive: true });
});

async function node(given: { bytesMax?: number } = {}): Promise<Node> {
  const host = await hosts.start();
  const disk = openStore(
    { now: Date.now },
    { folder: join(folder, host.peerId), bytesMax: given.bytesMax ?? 1e9 },
  );
  const exchange = await startBlobExchange(
    { mesh: host, store: disk.blobs, actions: disk.actions, log: () => undefined, now: Date.now },
    { ...lanBlobOptions, blobBytesMax: 1e9, serves: true },
  );
  const deps = { peers: exchange, store: disk.blobs, self: host.peerId, hosts: live };
  const mesh = createMeshBlobStore(deps);
  const made = { host, disk, exchange, mesh, fetcher: createPeerFetch(deps) };
  for (const { host: other } of nodes) await hosts.link(host, other);
  nodes.push(made);
  return made;
}

/** Bytes that are different for each seed, and compress to a fraction. */
function bytesOf(seed: number, length: number): Buffer {
  const buffer = Buffer.alloc(length);
  for (let at = 0; at + 8 <= length; at += 8) buffer.writeUInt32LE((seed * 7919 + at) >>> 0, at);
  return buffer;
}

async function fill(of: Node, count: number, length: number): Promise<Digest[]> {
  const made: Digest[] = [];
  for (let at = 0; at < count; at += 1) {
    made.push(await of.disk.blobs.put(bytesOf(at + 1, length), "sha256"));
  }
  return made;
}

async function holders(digest: Digest): Promise<number> {
  let count = 0;
  for (const { disk } of nodes) {
    if ((await disk.blobs.missing([digest])).length === 0) count += 1;
  }
  return count;
}

test("what a client writes is on two hosts, and any host reads it", async () => {
  const [a, b, c] = [await node(), await node(), await node()];
  const sizes = [10, 3000, 100_000, 5_000_000];
  const written = await Promise.all(
    sizes.map((size, at) => a.mesh.put(bytesOf(at, size), "sha256")),
  );
  for (const digest of written) expect(await holders(digest)).toBe(2);
  for (const of of [b, c]) {
    expect(await of.mesh.missing(written)).toEqual([]);
    for (const digest of written) {
      const [here, there] = [await of.mesh.get(digest, 1e7), await a.disk.blobs.get(digest, 1e7)];
      expect(Buffer.compare(here, there)).toBe(0);
    }
  }
  expect(a.mesh.counts()).toMatchObject({ copied: written.length, single: 0 });
});

test("a host that dies takes nothing with it that was acknowledged", async () => {
  const [a, b, c] = [await node(), await node(), await node()];
  const written = await Promise.all(
    Array.from({ length: 50 }, (_, at) => a.mesh.put(bytesOf(at, 500), "sha256")),
  );
  nodes.splice(nodes.indexOf(a), 1);
  await a.host.stop();
  try {
    expect(await b.mesh.missing(written)).toEqual([]);
    for (const digest of written) expect((await c.mesh.get(digest, 1000)).length).toBe(500);
  } finally {
    a.exchange.close();
    await a.disk.close();
  }
});

test("a source that dies half-way is followed by the next, which sends only the rest", async () => {
  const [a, b, c] = [await node(), await node(), await node()];
  const there = await fill(b, 40, 1_000_000);
  await fill(c, 40, 1_000_000);
  const fetched = a.fetcher.fetch(there, { from: b.host.peerId });
  await eventually("some of it came", async () => {
    const missing = await a.disk.blobs.missing(there);
    return missing.length < there.length;
  });
  await b.host.stop();
  expect((await fetched).missing).toEqual([]);
  expect(await a.disk.blobs.missing(there)).toEqual([]);
  expect(c.exchange.counts().lies).toBe(0);
});

test("a blob that is damaged where it lies is had from elsewhere", async () => {
  const [a, b, c] = [await node(), await node(), await node()];
  const [digest] = await fill(b, 1, 600_000);
  await fill(c, 1, 600_000);
  const behind = await b.disk.blobs.put(bytesOf(9, 700_000), "sha256");
  // The same length, other bytes: only hashing tells.
  const { openSync, writeSync, closeSync, chmodSync } = await import("node:fs");
  const { hash, sizeBytes } = digest!;
  const path = join(
    folder,
    b.host.peerId,
    "blobs/sha256",
    hash.slice(0, 2),
    `${hash}-${sizeBytes}`,
  );
  chmodSync(path, 0o644);
  const file = openSync(path, "r+");
  writeSync(file, Buffer.from("damaged"), 0, 7, 100_000);
  closeSync(file);
  const { missing, failures } = await a.fetcher.fetch([digest!, behind], { from: b.host.peerId });
  // Its host notices by itself, so that nobody takes it for a liar.
  expect([missing, failures]).toEqual([[], []]);
  expect(a.exchange.usable(b.host.peerId)).toBe(true);
  expect(await b.disk.blobs.missing([digest!, behind])).toEqual([digest]);
  expect(b.exchange.counts().lies + a.exchange.counts().lies).toBe(0);
});

test("a full host takes no second copy; the write stands with one", async () => {
  const [a] = [await node(), await node({ bytesMax: 100_000 })];
  const digest = await a.mesh.put(bytesOf(1, 500_000), "sha256");
  expect(await holders(digest)).toBe(1);
  expect(a.mesh.counts()).toMatchObject({ copied: 0, single: 1 });
  await a.mesh.put(bytesOf(2, 5000), "sha256");
  expect(a.mesh.counts()).toMatchObject({ copied: 1, single: 1 });
});

test("a result is found from every host, with its blobs", async () => {
  const all = [await node(), await node(), await node(), await node()];
  const [a] = all;
  const output = await a!.mesh.put(bytesOf(5, 10_000), "sha256");
  const digest = toWireDigest(output);
  const message = ActionResult.fromPartial({ outputFiles: [{ path: "o", digest }] });
  const action = await a!.mesh.put(Buffer.from("an action"), "sha256");
  const key = { instance: "main", action };
  const cacheOf = ({ disk, mesh, exchange, host }: Node) =>
    createMeshActionCache({
      ...{ local: disk.actions, store: mesh, peers: exchange, self: host.peerId, hosts: live },
    });
  await cacheOf(a!).put(key, encodeBytes(ActionResult, message));
  const owners = ownersOf(
    action,
    live().map((name) => ({ name, weight: 1 })),
  );
  for (const { host, disk } of all) {
    if (owners.includes(host.peerId)) expect(await disk.actions.get(key)).toBeDefined();
  }
  for (const one of all) {
    const found = await cacheOf(one).get(key);
    expect(found?.result.outputFiles[0]?.path).toBe("o");
  }
  // The quickest of a few: no answer is waited for that nobody gives.
  const tookMs: number[] = [];
  for (const instance of ["other", "another", "a third", "a fourth"]) {
    const startMs = performance.now();
    expect(await cacheOf(all[1]!).get({ instance, action })).toBeUndefined();
    tookMs.push(performance.now() - startMs);
  }
  expect(Math.min(...tookMs)).toBeLessThan(500);
});
