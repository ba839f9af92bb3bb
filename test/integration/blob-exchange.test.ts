// Blobs over real links: that they arrive, and that a peer that lies, stalls or has no room harms
// nobody but itself.

import type { Stream } from "@libp2p/interface";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { BlobStore } from "../../src/cas/blob-store.ts";
import { digestOf } from "../../src/cas/hash.ts";
import { MemoryActionCache, MemoryBlobStore } from "../../src/cas/memory-blob-store.ts";
import type { Digest } from "../../src/core/digest.ts";
import {
  type BlobExchange,
  type BlobExchangeOptions,
  lanBlobOptions,
  startBlobExchange,
} from "../../src/mesh/blob-exchange.ts";
import { blobProtocol } from "../../src/mesh/blob-stream.ts";
import type { MeshHost } from "../../src/mesh/mesh-host.ts";
import {
  decodeBlobFrame,
  encodeFramedPartsHead,
  encodePlainFrame,
  type PlainFrame,
} from "../../src/wire/blob-codec.ts";
import { encodeFrame, FrameDecoder } from "../../src/wire/frame.ts";
import { eventually } from "../support/eventually.ts";
import { createMeshHosts, type MeshHosts } from "../support/linked-hosts.ts";

let mesh: MeshHosts;
const exchanges: BlobExchange[] = [];
beforeEach(() => {
  mesh = createMeshHosts();
});
afterEach(async () => {
  for (const exchange of exchanges.splice(0)) exchange.close();
  await mesh.stop();
});

const quick = { stallMs: 100, giveUpMs: 400 };

interface End {
  readonly exchange: BlobExchange;
  readonly store: MemoryBlobStore;
  readonly actions: MemoryActionCache;
  readonly log: string[];
}

async function exchange(
  host: MeshHost,
  given: { store?: MemoryBlobStore } & Partial<BlobExchangeOptions> = {},
): Promise<End> {
  const { store = new MemoryBlobStore(), ...options } = given;
  const actions = new MemoryActionCache({ now: Date.now });
  const log: string[] = [];
  const started = await startBlobExchange(
    { mesh: host, store, actions, log: (_, text) => log.push(text), now: Date.now },
    { ...lanBlobOptions, blobBytesMax: 64 << 20, ...options, serves: true },
  );
  exchanges.push(started);
  return { exchange: started, store, actions, log };
}

async function twoEnds(): Promise<{ a: End; b: End; hostA: MeshHost; hostB: MeshHost }> {
  const [hostA, hostB] = await mesh.pair();
  return { hostA, hostB, a: await exchange(hostA), b: await exchange(hostB) };
}

/** Bytes that zstd cannot shrink, the same in every run. */
function noise(bytes: number, seed = 1): Buffer {
  const buffer = Buffer.alloc(bytes);
  let state = seed;
  for (let at = 0; at < bytes; at += 1) {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    buffer[at] = state >>> 16;
  }
  return buffer;
}

async function fill(store: BlobStore, sizes: readonly number[]): Promise<Digest[]> {
  const made: Digest[] = [];
  for (const [at, size] of sizes.entries()) {
    const bytes = at % 2 === 0 ? noise(size, at + 1) : Buffer.alloc(size, `blob ${at} `);
    made.push(await store.put(bytes, at % 3 === 0 ? "blake3" : "sha256"));
  }
  return made;
}

const sizes = [1, 0, 200, 5000, 70_000, 262_144, 262_145, 3_000_000, 40, 9_000_000, 64 * 1024];

test("blobs of every size come over whole, those that are not there are named", async () => {
  const { a, b, hostB } = await twoEnds();
  const there = await fill(b.store, sizes);
  const lost = await digestOf(Buffer.from("nowhere"), "sha256");
  const wanted = [lost, ...there];
  expect(await a.exchange.ask(hostB.peerId, wanted)).toEqual([lost]);
  expect(await a.exchange.fetch(hostB.peerId, wanted)).toEqual([lost]);
  expect(await a.store.missing(there)).toEqual([]);
  for (const digest of there) {
    const [ours, theirs] = [await a.store.get(digest, 1e8), await b.store.get(digest, 1e8)];
    expect(Buffer.compare(ours, theirs)).toBe(0);
  }
});

test("blobs are put, and results with them, the other way too", async () => {
  const { a, b, hostA, hostB } = await twoEnds();
  const here = await fill(a.store, sizes);
  await a.exchange.put(hostB.peerId, here);
  expect(await b.store.missing(here)).toEqual([]);
  const key = { instance: "i", action: here[0]! };
  expect(await a.exchange.getResult(hostB.peerId, key)).toBeUndefined();
  // An ActionResult with exit code 7.
  const result = Buffer.from([0x20, 7]);
  await a.exchange.putResult(hostB.peerId, key, result);
  const found = await b.exchange.getResult(hostA.peerId, key);
  expect(found).toBeUndefined();
  expect(Buffer.from((await a.exchange.getResult(hostB.peerId, key))!.bytes)).toEqual(result);
});

test("many requests share the stream", async () => {
  const { a, b, hostB } = await twoEnds();
  const there = await fill(
    b.store,
    Array.from({ length: 300 }, (_, at) => 100 + at * 50),
  );
  const asked = there.map((digest) => a.exchange.fetch(hostB.peerId, [digest]));
  expect((await Promise.all(asked)).flat()).toEqual([]);
  expect(await a.store.missing(there)).toEqual([]);
});

test("who is not linked gets no stream", async () => {
  const [a, b] = [await mesh.start(), await mesh.start()];
  const end = await exchange(a);
  await exchange(b);
  await expect(end.exchange.ask(b.peerId, [])).resolves.toEqual([]);
  const digest = await end.store.put(Buffer.from("x"), "sha256");
  const asked = end.exchange.ask(b.peerId, [digest]);
  await expect(asked).rejects.toMatchObject({ code: "UNAVAILABLE" });
});

test("an idle stream that ended is opened anew", async () => {
  const { a, b, hostA, hostB } = await twoEnds();
  const [first, second] = await fill(b.store, [100, 200]);
  expect(await a.exchange.fetch(hostB.peerId, [first!])).toEqual([]);
  hostA.disconnect(hostB.peerId, "for the test");
  await eventually("fetched over the next link", () => {
    hostA.dial(hostB.peerId, hostB.addresses());
    return a.exchange.fetch(hostB.peerId, [second!]).then(
      (missing) => missing.length === 0,
      () => false,
    );
  });
});

/** A peer that says what a test wants it to say, whatever it is asked. */
async function liar(host: MeshHost, say: (of: LiarStream, id: number) => void): Promise<void> {
  await host.serveProtocol(blobProtocol, (_, stream) => {
    const decoder = new FrameDecoder({ frameBytesMax: 1 << 20 });
    stream.addEventListener("message", (event) => {
      for (const bytes of decoder.push(event.data.subarray())) {
        const frame = decodeBlobFrame(bytes);
        if (frame?.kind === "want") say(speak(stream), frame.id);
      }
    });
  });
}

interface LiarStream {
  parts(id: number, blob: number, bytes: Uint8Array): void;
  frame(frame: PlainFrame): void;
  raw(bytes: Uint8Array): void;
}

function speak(stream: Stream): LiarStream {
  return {
    parts: (id, blob, bytes) => {
      const one = { id, blobs: [blob], lengths: [bytes.length], expandedBytes: 0 };
      stream.send(Buffer.concat([encodeFramedPartsHead(one, bytes.length), bytes]));
    },
    frame: (frame) => stream.send(encodeFrame(encodePlainFrame(frame))),
    raw: (bytes) => stream.send(bytes),
  };
}

const lies: Record<string, (of: LiarStream, id: number) => void> = {
  "wrong bytes": (of, id) => {
    of.parts(id, 0, Buffer.from("9876543210"));
    of.frame({ kind: "end", id, missing: [] });
  },
  "half a blob": (of, id) => {
    of.parts(id, 0, Buffer.from("01234"));
    of.frame({ kind: "end", id, missing: [] });
  },
  "more than there is": (of, id) => of.parts(id, 0, Buffer.from("0123456789 and more")),
  "what was not asked": (of, id) => of.parts(id, 7, Buffer.from("0123456789")),
  "the same twice": (of, id) => {
    of.parts(id, 0, Buffer.from("0123456789"));
    of.parts(id, 0, Buffer.from("0123456789"));
  },
  "nothing at all": (of, id) => of.frame({ kind: "end", id, missing: [] }),
  "an answer to another question": (of, id) => of.frame({ kind: "end", id: id + 5, missing: [] }),
  "an answer of another kind": (of, id) => of.frame({ kind: "missing", id, missing: [] }),
  garbage: (of) => of.raw(Buffer.alloc(1000, 0xff)),
};

test.each(Object.entries(lies))("a peer that sends %s is found out by name", async (_, lie) => {
  const [hostA, hostB] = await mesh.pair();
  const a = await exchange(hostA);
  await liar(hostB, lie);
  const digest = await digestOf(Buffer.from("0123456789"), "sha256");
  const asked = a.exchange.fetch(hostB.peerId, [digest]);
  await expect(asked).rejects.toMatchObject({
    code: "DATA_LOSS",
    message: expect.stringContaining(hostB.peerId),
  });
  if (!["the same twice"].includes(_)) expect(await a.store.missing([digest])).toEqual([digest]);
  expect(a.exchange.usable(hostB.peerId)).toBe(false);
  expect(a.exchange.counts().lies).toBe(1);
  expect(a.log.join("\n")).toContain(hostB.peerId);
  const again = a.exchange.fetch(hostB.peerId, [digest]);
  await expect(again).rejects.toMatchObject({ code: "UNAVAILABLE" });
});

test("a peer that says nothing is reported, then given up", async () => {
  const [hostA, hostB] = await mesh.pair();
  const a = await exchange(hostA, quick);
  await liar(hostB, () => undefined);
  let stalls = 0;
  const digest = await digestOf(Buffer.from("0123456789"), "sha256");
  const onStall = () => {
    stalls += 1;
  };
  const asked = a.exchange.fetch(hostB.peerId, [digest], { onStall });
  await expect(asked).rejects.toMatchObject({ code: "DEADLINE_EXCEEDED" });
  expect(stalls).toBe(1);
  expect(a.exchange.usable(hostB.peerId)).toBe(false);
  expect(a.exchange.counts()).toMatchObject({ timeouts: 1, lies: 0 });
});

test("a peer that does not even open a stream is given up as soon", async () => {
  const frozen = {
    serveProtocol: async () => undefined,
    openStream: () => new Promise<Stream>(() => undefined),
    pulseOf: () => undefined,
  };
  const store = new MemoryBlobStore();
  const actions = new MemoryActionCache({ now: Date.now });
  const started = await startBlobExchange(
    { mesh: frozen, store, actions, log: () => undefined, now: Date.now },
    { ...lanBlobOptions, ...quick, blobBytesMax: 1000, serves: false },
  );
  const digest = await digestOf(Buffer.from("0123456789"), "sha256");
  let stalls = 0;
  const onStall = () => {
    stalls += 1;
  };
  const asked = started.fetch("frozen", [digest], { onStall });
  await expect(asked).rejects.toMatchObject({ code: "DEADLINE_EXCEEDED" });
  expect(stalls).toBe(1);
  expect(started.usable("frozen")).toBe(false);
});

test("an answer that nobody waits for any more is no lie", async () => {
  const { a, b, hostB } = await twoEnds();
  const [large, small] = await fill(b.store, [20_000_000, 300]);
  const abort = new AbortController();
  const asked = a.exchange.fetch(hostB.peerId, [large!], { signal: abort.signal });
  await eventually("it started", () => a.exchange.counts() !== undefined);
  abort.abort();
  await expect(asked).rejects.toMatchObject({ code: "CANCELLED" });
  expect(await a.exchange.fetch(hostB.peerId, [small!])).toEqual([]);
  expect(a.exchange.counts().lies).toBe(0);
});

test("a put that is given up leaves nothing, and the stream goes on", async () => {
  const { a, b, hostB } = await twoEnds();
  const [large, small] = await fill(a.store, [20_000_000, 300]);
  const abort = new AbortController();
  const put = a.exchange.put(hostB.peerId, [large!], { signal: abort.signal });
  setImmediate(() => abort.abort());
  await expect(put).rejects.toMatchObject({ code: "CANCELLED" });
  await a.exchange.put(hostB.peerId, [small!]);
  expect(await b.store.missing([large!, small!])).toEqual([large]);
});

test("a full disk is told by the one that has it, and is nobody's lie", async () => {
  const [hostA, hostB] = await mesh.pair();
  const a = await exchange(hostA);
  const b = await exchange(hostB, { store: new MemoryBlobStore({ bytesMax: 1000 }) });
  const here = await fill(a.store, [500, 5000]);
  const put = a.exchange.put(hostB.peerId, here);
  await expect(put).rejects.toMatchObject({ code: "RESOURCE_EXHAUSTED" });
  expect(await b.store.missing(here)).toEqual([here[1]]);
  const fetched = b.exchange.fetch(hostA.peerId, here);
  await expect(fetched).rejects.toMatchObject({ code: "RESOURCE_EXHAUSTED" });
  expect([a.exchange.usable(hostB.peerId), b.exchange.usable(hostA.peerId)]).toEqual([true, true]);
});

test("a full disk here ends a fetch before all of it has come", async () => {
  const [hostA, hostB] = await mesh.pair();
  const a = await exchange(hostA, { store: new MemoryBlobStore({ bytesMax: 1000 }) });
  const b = await exchange(hostB);
  const [large, small] = await fill(b.store, [60_000_000, 200]);
  const fetched = a.exchange.fetch(hostB.peerId, [large!]);
  await expect(fetched).rejects.toMatchObject({ code: "RESOURCE_EXHAUSTED" });
  // The stream is of use at once, and nobody is to blame.
  expect(await a.exchange.fetch(hostB.peerId, [small!])).toEqual([]);
  expect([a.exchange.counts().lies, a.exchange.usable(hostB.peerId)]).toEqual([0, true]);
});

test("an oversize blob is refused before a byte of it is kept", async () => {
  const [hostA, hostB] = await mesh.pair();
  const a = await exchange(hostA);
  const b = await exchange(hostB, { blobBytesMax: 1000 });
  const [large] = await fill(a.store, [5000]);
  await expect(a.exchange.put(hostB.peerId, [large!])).rejects.toMatchObject({
    code: "UNAVAILABLE",
  });
  expect(b.exchange.counts().lies).toBeGreaterThan(0);
  expect(await b.store.missing([large!])).toEqual([large]);
});

test("a slow disk holds the sender back instead of filling memory", async () => {
  const [hostA, hostB] = await mesh.pair();
  const b = await exchange(hostB);
  const gate = Promise.withResolvers<void>();
  const inner = new MemoryBlobStore();
  const store = Object.assign(Object.create(inner), {
    missing: (digests: readonly Digest[]) => inner.missing(digests),
    write: async (digest: Digest, chunks: AsyncIterable<Uint8Array>) => {
      await gate.promise;
      await inner.write(digest, chunks);
    },
  }) as MemoryBlobStore;
  // So long that the other end, which is not meant, speaks within it on a busy machine, too.
  const giveUpMs = 3000;
  const a = await exchange(hostA, { ...quick, giveUpMs, store, unstoredBytesMax: 1 << 20 });
  const there = await fill(b.store, [30_000_000]);
  const fetched = a.exchange.fetch(hostB.peerId, there);
  // Longer than a peer is waited for: it is this end that is slow.
  await new Promise((resolve) => setTimeout(resolve, 1.5 * giveUpMs));
  gate.resolve();
  expect(await fetched).toEqual([]);
  expect(await inner.missing(there)).toEqual([]);
});
