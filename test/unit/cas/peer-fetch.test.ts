import { beforeEach, describe, expect, test } from "vitest";
import { MemoryBlobStore } from "../../../src/cas/memory-blob-store.ts";
import { createPeerFetch, type PeerFetch } from "../../../src/cas/peer-fetch.ts";
import { ownersOf } from "../../../src/core/blob-owners.ts";
import type { Digest } from "../../../src/core/digest.ts";
import { createMemoryPeers, type MemoryPeers } from "../../support/memory-peers.ts";

const names = ["a", "b", "c", "d"];
let own: MemoryBlobStore;
let peers: MemoryPeers;
let fetcher: PeerFetch;

beforeEach(() => {
  own = new MemoryBlobStore();
  peers = createMemoryPeers(own, names);
  const hosts = () => ["self", ...names];
  fetcher = createPeerFetch({ peers, store: own, self: "self", hosts });
});

/** A blob on some hosts. */
async function blob(text: string, ...at: string[]): Promise<Digest> {
  const made = new MemoryBlobStore();
  const digest = await made.put(Buffer.from(text), "sha256");
  for (const name of at) await peers.at(name).store.put(Buffer.from(text), "sha256");
  return digest;
}

function ownersBesidesSelf(digest: Digest): string[] {
  const all = ["self", ...names].map((name) => ({ name, weight: 1 }));
  return ownersOf(digest, all).filter((name) => name !== "self");
}

test("whoever is named is asked first, in one request", async () => {
  const digests = [await blob("1", "c"), await blob("2", "c"), await blob("3", "c")];
  expect(await fetcher.fetch(digests, { from: "c" })).toEqual({ missing: [], failures: [] });
  expect(peers.asked).toEqual(["fetch 3 c"]);
  expect(await own.missing(digests)).toEqual([]);
});

test("what is here is not asked for", async () => {
  const digest = await own.put(Buffer.from("here"), "sha256");
  expect(await fetcher.fetch([digest], { from: "c" })).toEqual({ missing: [], failures: [] });
  expect(peers.asked).toEqual([]);
});

test("the owners are asked before the others, and everybody in the end", async () => {
  const digest = await blob("nowhere");
  const { missing, failures } = await fetcher.fetch([digest]);
  expect([missing, failures]).toEqual([[digest], []]);
  const order = peers.asked.map((line) => line.split(" ").at(-1));
  const owners = ownersBesidesSelf(digest);
  expect(order.slice(0, owners.length)).toEqual(owners);
  expect([...order].sort()).toEqual(names);
});

describe("a source that fails", () => {
  test.each(["dead", "lying"] as const)("(%s) is passed over and named", async (mood) => {
    const digests = [await blob("1", "a", "d"), await blob("2", "a", "c")];
    peers.at("a").mood = mood;
    const { missing, failures } = await fetcher.fetch(digests, { from: "a" });
    expect(missing).toEqual([]);
    expect(failures[0]?.message).toContain("Peer a");
  });

  test("does not make what nobody has look fetched", async () => {
    const digest = await blob("1", "a");
    peers.at("a").mood = "dead";
    const { missing, failures } = await fetcher.fetch([digest], { from: "a" });
    expect(missing).toEqual([digest]);
    expect(failures.length).toBeGreaterThan(0);
  });

  test("half-way costs only the rest", async () => {
    const digests = [await blob("1", "b"), await blob("2", "b")];
    await own.put(Buffer.from("1"), "sha256");
    peers.at("a").mood = "dead";
    await fetcher.fetch(digests, { from: "a" });
    expect(peers.asked[0]).toBe("fetch 1 a");
    expect(await own.missing(digests)).toEqual([]);
  });

  test("slow, is overtaken by the next", async () => {
    const digest = await blob("1", "a", "b", "c", "d");
    peers.at("a").mood = "slow";
    expect(await fetcher.fetch([digest], { from: "a" })).toEqual({ missing: [], failures: [] });
    expect(await own.missing([digest])).toEqual([]);
  });

  test("slow, still counts where nobody else has it", async () => {
    const digest = await blob("1", "a");
    peers.at("a").mood = "slow";
    const fetched = fetcher.fetch([digest], { from: "a" });
    setImmediate(() => peers.open());
    expect(await fetched).toEqual({ missing: [], failures: [] });
  });
});

test("the same blob wanted twenty times at once comes once", async () => {
  const digest = await blob("1", "a");
  const call = { from: "a" };
  await Promise.all(Array.from({ length: 20 }, () => fetcher.fetch([digest], call)));
  expect(peers.asked).toEqual(["fetch 1 a"]);
});

test("who is called off does not take others with him", async () => {
  const digest = await blob("1", "a");
  peers.at("a").mood = "slow";
  const abort = new AbortController();
  const first = fetcher.fetch([digest], { from: "a", signal: abort.signal });
  const second = fetcher.fetch([digest], { from: "a" });
  abort.abort();
  peers.at("a").mood = "well";
  expect((await first).missing).toEqual([digest]);
  expect((await second).missing).toEqual([]);
});

test("a full disk here is told as that", async () => {
  own = new MemoryBlobStore({ bytesMax: 2 });
  peers = createMemoryPeers(own, names);
  fetcher = createPeerFetch({ peers, store: own, self: "self", hosts: () => names });
  const digest = await blob("too much", "a");
  const fetched = fetcher.fetch([digest], { from: "a" });
  await expect(fetched).rejects.toMatchObject({ code: "RESOURCE_EXHAUSTED" });
});
