import { beforeEach, describe, expect, test } from "vitest";
import { CompletenessCheckingActionCache } from "../../../src/cas/completeness.ts";
import { MemoryActionCache, MemoryBlobStore } from "../../../src/cas/memory-blob-store.ts";
import { createMeshActionCache } from "../../../src/cas/mesh-action-cache.ts";
import {
  createMeshBlobStore,
  type MeshBlobStore,
  meshBlobDefaults,
} from "../../../src/cas/mesh-blob-store.ts";
import { ownersOf } from "../../../src/core/blob-owners.ts";
import type { Digest } from "../../../src/core/digest.ts";
import { encodeBytes } from "../../../src/wire/encode.ts";
import { ActionResult } from "../../../src/wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import { toWireDigest } from "../../../src/wire/reapi.ts";
import { describeBlobStore } from "../../conformance/blob-store.ts";
import { createMemoryPeers, type MemoryPeers } from "../../support/memory-peers.ts";

const names = ["a", "b", "c"];
let own: MemoryBlobStore;
let peers: MemoryPeers;
let hosts: string[];
let store: MeshBlobStore;

beforeEach(() => {
  own = new MemoryBlobStore();
  peers = createMemoryPeers(own, names);
  hosts = ["self", ...names];
  store = mesh();
});

function mesh(options = meshBlobDefaults): MeshBlobStore {
  return createMeshBlobStore({ peers, store: own, self: "self", hosts: () => hosts }, options);
}

async function blob(text: string, ...at: string[]): Promise<Digest> {
  const digest = await new MemoryBlobStore().put(Buffer.from(text), "sha256");
  for (const name of at) await peers.at(name).store.put(Buffer.from(text), "sha256");
  return digest;
}

function ownersBesidesSelf(digest: Digest): string[] {
  const all = hosts.map((name) => ({ name, weight: 1 }));
  return ownersOf(digest, all).filter((name) => name !== "self");
}

describeBlobStore("mesh store", async () => {
  const base = new MemoryBlobStore();
  const other = createMemoryPeers(base, ["other"]);
  const deps = { peers: other, store: base, self: "self", hosts: () => ["self", "other"] };
  return {
    store: createMeshBlobStore(deps),
    lose: (digest) => {
      base.delete(digest);
      other.at("other").store.delete(digest);
    },
    close: async () => undefined,
  };
});

describe("alone", () => {
  test("a mesh store asks nobody", async () => {
    hosts = ["self"];
    const digest = await store.put(Buffer.from("x"), "sha256");
    await store.missing([digest, await blob("nowhere")]);
    await store.get(digest, 10);
    await expect(store.get(await blob("nowhere"), 10)).rejects.toMatchObject({
      code: "NOT_FOUND",
    });
    expect(peers.asked).toEqual([]);
    expect(store.counts()).toMatchObject({ copied: 0, single: 0 });
  });
});

describe("missing", () => {
  test("is what no host has; each owner gets one batch, the others the rest", async () => {
    const digests = await Promise.all(
      Array.from({ length: 60 }, (_, at) =>
        blob(`blob ${at}`, ...(at % 2 ? [names[at % 3]!] : [])),
      ),
    );
    const nowhere = digests.filter((_, at) => at % 2 === 0);
    expect(await store.missing(digests)).toEqual(nowhere);
    expect(peers.asked.length).toBeLessThanOrEqual(2 * names.length);
    // Nothing was moved for a question.
    expect(await own.missing(digests)).toHaveLength(60);
  });

  test("does not ask for what is here", async () => {
    expect(await store.missing([await own.put(Buffer.from("x"), "sha256")])).toEqual([]);
    expect(peers.asked).toEqual([]);
  });

  test.each(["dead", "slow", "lying"] as const)("a %s host has nothing", async (mood) => {
    const digest = await blob("x", "a", "c");
    for (const name of ["a", "c"]) peers.at(name).mood = mood;
    expect(await store.missing([digest])).toEqual([digest]);
    await blob("x", "b");
    expect(await store.missing([digest])).toEqual([]);
  });
});

describe("reading", () => {
  test("fetches from whoever has it, and keeps it", async () => {
    const digest = await blob("far away", "b");
    expect(Buffer.from(await store.get(digest, 100)).toString()).toBe("far away");
    peers.at("b").mood = "dead";
    const pieces: Uint8Array[] = [];
    for await (const piece of store.read(digest, { offset: 4, limit: 0 })) pieces.push(piece);
    expect(Buffer.concat(pieces).toString()).toBe("away");
  });

  test("what may be at a host that is silent is UNAVAILABLE, not lost", async () => {
    const digest = await blob("x", "a");
    peers.at("a").mood = "dead";
    await expect(store.get(digest, 100)).rejects.toMatchObject({ code: "UNAVAILABLE" });
    peers.at("a").mood = "well";
    peers.at("a").store.delete(digest);
    await expect(store.get(digest, 100)).rejects.toMatchObject({ code: "NOT_FOUND" });
  });
});

describe("writing", () => {
  test("is done when an owner has it too", async () => {
    const digest = await store.put(Buffer.from("kept twice"), "sha256");
    const [owner] = ownersBesidesSelf(digest);
    expect(await peers.at(owner!).store.missing([digest])).toEqual([]);
    expect(store.counts()).toMatchObject({ copied: 1, single: 0 });
  });

  test("many at once travel in few batches", async () => {
    const made = Array.from({ length: 500 }, (_, at) =>
      store.put(Buffer.from(`blob ${at}`), "sha256"),
    );
    await Promise.all(made);
    expect(store.counts()).toMatchObject({ copied: 500, single: 0 });
    // One batch for each host, or a few, and without a question: they are as good as new.
    expect(peers.asked.length).toBeLessThanOrEqual(4 * names.length);
    expect(peers.asked.every((asked) => asked.startsWith("put "))).toBe(true);
  });

  test("a large blob is offered first, and not sent to a host that has it", async () => {
    const text = "x".repeat((64 << 10) + 1);
    await blob(text, ...names);
    await store.put(Buffer.from(text), "sha256");
    expect(peers.asked).toEqual([expect.stringMatching(/^ask 1 /)]);
    expect(store.counts()).toMatchObject({ copied: 1, single: 0 });
  });

  test.each(["dead", "full", "slow", "lying"] as const)(
    "a %s owner does not stop it: one copy, counted",
    async (mood) => {
      for (const name of names) peers.at(name).mood = mood;
      const digest = await store.put(Buffer.from("x"), "sha256");
      expect(await own.missing([digest])).toEqual([]);
      expect(store.counts()).toMatchObject({ copied: 0, single: 1 });
    },
  );

  test("without replication asks nobody", async () => {
    store = mesh({ ...meshBlobDefaults, replicate: "none" });
    await store.put(Buffer.from("x"), "sha256");
    expect(peers.asked).toEqual([]);
  });
});

describe("results", () => {
  let actions: MemoryActionCache;
  beforeEach(() => {
    actions = new MemoryActionCache({ now: () => 0 });
  });

  const cache = () =>
    createMeshActionCache({
      ...{ local: actions, store, peers, self: "self", hosts: () => hosts },
    });

  async function result(...at: string[]): Promise<Uint8Array> {
    const digest = toWireDigest(await blob("an output", ...at));
    const message = ActionResult.fromPartial({ outputFiles: [{ path: "o", digest }], exitCode: 0 });
    return encodeBytes(ActionResult, message);
  }

  async function key() {
    const found = await blob("an action");
    return { key: { instance: "", action: found }, owners: ownersBesidesSelf(found) };
  }

  test("come from the action's owner, once their blobs are known to be somewhere", async () => {
    const { key: named, owners } = await key();
    const bytes = await result("b");
    await peers.at(owners[0]!).actions.put(named, bytes);
    const found = await cache().get(named);
    expect(found?.bytes).toEqual(bytes);
    // From here on it is known here.
    expect((await actions.get(named))?.bytes).toEqual(bytes);
  });

  test("that name what nobody has are a miss", async () => {
    const { key: named, owners } = await key();
    await peers.at(owners[0]!).actions.put(named, await result());
    expect(await cache().get(named)).toBeUndefined();
    expect(await actions.get(named)).toBeUndefined();
  });

  test("that are no messages are a miss", async () => {
    const { key: named, owners } = await key();
    await peers.at(owners[0]!).actions.put(named, Buffer.alloc(50, 0xff));
    expect(await cache().get(named)).toBeUndefined();
  });

  test("a miss asks the owners, once each, and nobody else", async () => {
    const { key: named, owners } = await key();
    expect(await cache().get(named)).toBeUndefined();
    expect([...peers.asked].sort()).toEqual(owners.map((owner) => `get ${owner}`).sort());
  });

  test("a slow owner is not waited for where the other has it", async () => {
    const { key: named, owners } = await key();
    for (const owner of owners) peers.at(owner).mood = "slow";
    expect(await cache().get(named)).toBeUndefined();
    const well = owners.at(-1)!;
    peers.at(well).mood = "well";
    await peers.at(well).actions.put(named, await result("a", "b", "c"));
    expect(await cache().get(named)).toBeDefined();
  });

  test("are told to the owners, whatever becomes of them", async () => {
    const { key: named, owners } = await key();
    const bytes = await result("a");
    await cache().put(named, bytes);
    for (const owner of owners) {
      expect((await peers.at(owner).actions.get(named))?.bytes).toEqual(bytes);
    }
    for (const name of names) peers.at(name).mood = "dead";
    await cache().put(named, bytes);
    expect((await actions.get(named))?.bytes).toEqual(bytes);
  });

  test("alone, nobody is asked", async () => {
    hosts = ["self"];
    const { key: named } = await key();
    await own.put(Buffer.from("an output"), "sha256");
    await cache().put(named, await result());
    expect(await cache().get(named)).toBeDefined();
    const plain = new CompletenessCheckingActionCache({ base: actions, store: own });
    expect(await cache().get(named)).toEqual(await plain.get(named));
    expect(peers.asked).toEqual([]);
  });
});
