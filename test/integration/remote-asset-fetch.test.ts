// Remote Asset over gRPC with an origin that behaves and misbehaves.

import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import type { RequestListener } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { type ServiceError, status } from "@grpc/grpc-js";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { digestOf } from "../../src/cas/hash.ts";
import { openStore } from "../../src/cas/open-store.ts";
import { DigestFunction_Value } from "../../src/wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import { toDuration, toTimestamp } from "../../src/wire/reapi.ts";
import {
  type AssetIngress,
  type AssetIngressChoice,
  qualifiers,
  startAssetIngress,
} from "../support/asset-ingress.ts";
import { eventually } from "../support/eventually.ts";
import { wire } from "../support/grpc-calls.ts";
import { type OriginServer, startOrigin } from "../support/origin-server.ts";

let base: string;
let origin: OriginServer;
let node: AssetIngress;
const nodes: AssetIngress[] = [];
let folders = 0;

async function start(choice: Partial<AssetIngressChoice> = {}): Promise<AssetIngress> {
  folders += 1;
  const folder = join(base, `${folders}`);
  const started = await startAssetIngress({ folder, allow: [`${origin.url}/`], ...choice });
  nodes.push(started);
  return started;
}

beforeAll(async () => {
  base = mkdtempSync(join(tmpdir(), "asset-fetch-"));
  origin = await startOrigin();
  node = await start();
});
afterEach(async () => {
  await eventually("nothing half fetched is left", () =>
    nodes.every((one) => readdirSync(one.spoolFolder).length === 0),
  );
  origin.requests.splice(0);
});
afterAll(async () => {
  origin.close();
  for (const one of nodes) await one.close();
  rmSync(base, { recursive: true });
});

const at = (path: string) => `${origin.url}${path}`;
const sri = (text: string | Buffer, algorithm = "sha256") =>
  `${algorithm}-${createHash(algorithm).update(text).digest("base64")}`;
const summed = (text: string | Buffer, algorithm?: string) =>
  qualifiers({ "checksum.sri": sri(text, algorithm) });
const asked = () => origin.requests.map(({ url }) => url);

async function bytesOf(one: AssetIngress, answer: Awaited<ReturnType<AssetIngress["fetchBlob"]>>) {
  expect(answer.status).toMatchObject({ code: 0, message: "" });
  const { hash = "", sizeBytes = -1 } = answer.blobDigest ?? {};
  return Buffer.from(await one.memory.get({ fn: "sha256", hash, sizeBytes }, 1e9));
}

describe("content of an allowed origin", () => {
  test("is fetched once, and known from then on", async () => {
    const content = Buffer.alloc(3_000_000, "content ");
    origin.answer("/big", content);
    const found = await node.fetchBlob({ uris: [at("/big")] });
    expect(found.uri).toBe(at("/big"));
    expect((await bytesOf(node, found)).equals(content)).toBe(true);
    expect((await node.fetchBlob({ uris: [at("/big")] })).blobDigest).toEqual(found.blobDigest);
    expect(asked()).toEqual(["/big"]);
    expect(origin.requests[0]?.headers["accept-encoding"]).toBe("identity");
  });

  test("is fetched again where it is lost or too old", async () => {
    origin.answer("/ages", "v1");
    const found = await node.fetchBlob({ uris: [at("/ages")] });
    node.memory.delete(await digestOf(Buffer.from("v1"), "sha256"));
    expect((await node.fetchBlob({ uris: [at("/ages")] })).blobDigest).toEqual(found.blobDigest);
    origin.answer("/ages", "v2");
    // Bazel asks for content of the next hour to say that nothing cached will do.
    const oldestContentAccepted = toTimestamp(Date.now() + 3_600_000);
    const newer = await node.fetchBlob({ uris: [at("/ages")], oldestContentAccepted });
    expect((await bytesOf(node, newer)).toString()).toBe("v2");
    expect((await node.fetchBlob({ uris: [at("/ages")] })).blobDigest).toEqual(newer.blobDigest);
    expect(asked()).toHaveLength(3);
  });

  test.each(["sha1", "sha256", "sha384", "sha512"])("is checked by %s", async (algorithm) => {
    origin.answer("/sum", algorithm);
    const right = { uris: [at("/sum")], qualifiers: summed(algorithm, algorithm) };
    expect((await node.fetchBlob(right)).status?.code).toBe(0);
    const wrong = await node.fetchBlob({ ...right, qualifiers: summed("another", algorithm) });
    expect(wrong).toMatchObject({ status: { code: status.ABORTED }, uri: at("/sum") });
    expect(wrong.status?.message).toMatch(/is not what was asked for/);
    const lie = await digestOf(Buffer.from("another"), "sha256");
    expect(await node.memory.missing([lie])).toEqual([lie]);
  });

  test("needs no network where a blob has the checksum, unless its name or age counts", async () => {
    const text = "uploaded otherwise";
    const digest = await node.memory.put(Buffer.from(text), "sha256");
    origin.answer("/known", text);
    const uris = ["https://nowhere.invalid/x", at("/known")];
    const known = await node.fetchBlob({ uris, qualifiers: summed(text) });
    expect(known).toMatchObject({ uri: uris[0], blobDigest: wire(digest) });
    const empty = await node.fetchBlob({ uris, qualifiers: summed("") });
    expect(empty.blobDigest?.sizeBytes).toBe(0);
    expect(asked()).toEqual([]);
    const named = [...summed(text), ...qualifiers({ "bazel.canonical_id": "v2" })];
    expect((await node.fetchBlob({ uris, qualifiers: named })).uri).toBe(uris[1]);
    expect((await node.fetchBlob({ uris, qualifiers: named })).uri).toBe(uris[1]);
    expect(asked()).toHaveLength(1);
    const oldestContentAccepted = toTimestamp(Date.now());
    await node.fetchBlob({ uris, qualifiers: summed(text), oldestContentAccepted });
    expect(asked()).toHaveLength(2);
  });

  test("is named by the digest function of the request", async () => {
    origin.answer("/fn", "named");
    for (const [fn, digestFunction] of [
      ["blake3", DigestFunction_Value.BLAKE3],
      ["gitsha1", DigestFunction_Value.GITSHA1],
    ] as const) {
      const request = { uris: [at("/fn")], qualifiers: summed("named"), digestFunction };
      const found = await node.fetchBlob(request);
      expect(found).toMatchObject({ digestFunction, status: { code: 0 } });
      expect(found.blobDigest).toEqual(wire(await digestOf(Buffer.from("named"), fn)));
    }
  });

  test("is stored as it was sent, compressed or empty", async () => {
    const packed = gzipSync("text");
    origin.answer("/packed", (_, response) => {
      response.setHeader("content-encoding", "gzip");
      response.end(packed);
    });
    origin.answer("/empty", "");
    expect(await bytesOf(node, await node.fetchBlob({ uris: [at("/packed")] }))).toEqual(packed);
    expect(await bytesOf(node, await node.fetchBlob({ uris: [at("/empty")] }))).toHaveLength(0);
  });

  test("comes over one connection for many who ask at once", async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    origin.answer("/shared", (_, response) => void promise.then(() => response.end("shared")));
    const all = Array.from({ length: 10 }, () => node.fetchBlob({ uris: [at("/shared")] }));
    await eventually("asked", () => origin.requests.length > 0);
    resolve();
    for (const found of await Promise.all(all)) expect(found.status?.code).toBe(0);
    expect(asked()).toEqual(["/shared"]);
  });

  test("is not shared with who wants it newer than a fetch under way", async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    origin.answer("/newer", (_, response) => void promise.then(() => response.end("newer")));
    const startedMs = Date.now();
    const first = node.fetchBlob({ uris: [at("/newer")] });
    await eventually("asked", () => origin.requests.length === 1);
    await eventually("a later time", () => Date.now() > startedMs + 1);
    const oldestContentAccepted = toTimestamp(Date.now());
    const second = node.fetchBlob({ uris: [at("/newer")], oldestContentAccepted });
    await eventually("asked again", () => origin.requests.length === 2);
    resolve();
    for (const found of [await first, await second]) expect(found.status?.code).toBe(0);
  });

  test("goes into the store of a host as a file, without a copy", async () => {
    const folder = join(base, "disk");
    const store = openStore({ now: Date.now }, { folder, bytesMax: 1e8 });
    const disk = await start({ store: store.blobs });
    const content = Buffer.alloc(500_000, "on disk ");
    origin.answer("/disk", content);
    origin.answer("/small", "a row");
    for (const [path, bytes] of [
      ["/disk", content],
      ["/small", Buffer.from("a row")],
    ] as const) {
      const found = await disk.fetchBlob({ uris: [at(path)] });
      const digest = await digestOf(bytes, "sha256");
      expect(found.blobDigest).toEqual(wire(digest));
      expect(Buffer.from(await store.blobs.get(digest, 1e6)).equals(bytes)).toBe(true);
      const known = await disk.fetchBlob({ uris: ["urn:any"], qualifiers: summed(bytes) });
      expect(known.blobDigest).toEqual(wire(digest));
      store.blobs.remove(digest);
      const lost = await disk.fetchBlob({ uris: ["urn:any"], qualifiers: summed(bytes) });
      expect(lost.status?.code).toBe(status.NOT_FOUND);
    }
    await store.close();
  });
});

describe("URIs", () => {
  test("are tried in order until one gives what was asked for", async () => {
    origin.answer("/liar", "a lie");
    origin.answer("/truth", "the truth");
    const uris = ["urn:x", "https://github.com/x", at("/none"), at("/liar"), at("/truth")];
    const found = await node.fetchBlob({ uris, qualifiers: summed("the truth") });
    expect(found).toMatchObject({ status: { code: 0 }, uri: at("/truth") });
    expect(asked()).toEqual(["/none", "/liar", "/truth"]);
  });

  test("that all fail give one answer with the reason of each", async () => {
    const uris = [at("/none"), "https://github.com/a/b?token=secret"];
    const found = await node.fetchBlob({ uris });
    expect(found).toMatchObject({ status: { code: status.NOT_FOUND }, uri: at("/none") });
    expect(found.status?.message).toMatch(/HTTP status 404/);
    expect(found.status?.message).toMatch(/--fetch-allow https:\/\/github.com\//);
    expect(found.status?.message).not.toMatch(/secret/);
  });

  test.each([
    [401, status.PERMISSION_DENIED],
    [403, status.PERMISSION_DENIED],
    [404, status.NOT_FOUND],
    [410, status.NOT_FOUND],
    [429, status.RESOURCE_EXHAUSTED],
    [206, status.ABORTED],
    [304, status.ABORTED],
    [500, status.ABORTED],
    [503, status.ABORTED],
  ])("that answer with HTTP %i end in gRPC code %i", async (http, code) => {
    origin.answer("/status", (_, response) => response.writeHead(http).end());
    const found = await node.fetchBlob({ uris: [at("/status")] });
    expect(found.status).toMatchObject({ code });
    // Not the empty blob, which is what old clients make of none.
    expect(found.blobDigest).toEqual({ hash: "0".repeat(64), sizeBytes: 1 });
  });
});

describe("an origin that fails", () => {
  const broken: [string, RequestListener, RegExp][] = [
    ["cuts its content off", (_, r) => cut(r, { "content-length": "1000" }), /broke off/],
    ["cuts chunks off", (_, r) => cut(r, {}), /broke off/],
    ["hangs up without a word", (request) => request.socket.destroy(), /broke off/],
    ["speaks no HTTP", (request) => request.socket.end("SSH-2.0\r\n"), /cannot be had/],
    ["falls silent in the middle", (_, r) => void r.write("begun"), /sent nothing for 0.3 s/],
    ["never answers", () => undefined, /sent nothing for 0.3 s/],
  ];
  function cut(response: Parameters<RequestListener>[1], headers: Record<string, string>) {
    response.writeHead(200, headers);
    response.write("begun", () => response.destroy());
  }

  test.each(broken)("because it %s gives nothing, and the next is asked", async (_, how, why) => {
    const one = await start({ bounds: { originIdleMs: 300 } });
    origin.answer("/broken", how);
    origin.answer("/mirror", "mirrored");
    const alone = await one.fetchBlob({ uris: [at("/broken")] });
    expect(alone.status).toMatchObject({ code: status.ABORTED });
    expect(alone.status?.message).toMatch(why);
    const found = await one.fetchBlob({ uris: [at("/broken"), at("/mirror")] });
    expect((await bytesOf(one, found)).toString()).toBe("mirrored");
  });

  test("because nobody listens gives nothing", async () => {
    // A port that the system gives to nobody by itself.
    const one = await start({ allow: ["http://127.0.0.1:1/"] });
    const found = await one.fetchBlob({ uris: ["http://127.0.0.1:1/x"] });
    expect(found.status).toMatchObject({ code: status.ABORTED });
    expect(found.status?.message).toMatch(/ECONNREFUSED/);
  });

  test("because it drips is ended by the request's timeout", async () => {
    origin.answer("/drip", (_, response) => {
      const drip = setInterval(() => response.write("."), 20);
      response.on("close", () => clearInterval(drip));
    });
    const timeout = toDuration(300);
    const found = await node.fetchBlob({ uris: [at("/drip"), at("/never")], timeout });
    expect(found).toMatchObject({ status: { code: status.DEADLINE_EXCEEDED }, uri: at("/drip") });
    expect(asked()).toEqual(["/drip"]);
  });

  test("because it sends too much is stopped, announced or not", async () => {
    const one = await start({ bounds: { fetchBytesMax: 100_000 } });
    const length = { "content-length": "100001" };
    origin.answer("/announced", (_, response) => response.writeHead(200, length).end());
    origin.answer("/flood", (_, response) => {
      const flood = () => {
        while (!response.destroyed && response.write(Buffer.alloc(65_536)));
      };
      response.on("drain", flood);
      flood();
    });
    origin.answer("/fits", Buffer.alloc(100_000));
    for (const path of ["/announced", "/flood"]) {
      const found = await one.fetchBlob({ uris: [at(path)] });
      expect(found.status).toMatchObject({ code: status.RESOURCE_EXHAUSTED });
      expect(found.status?.message).toMatch(/larger than the 100000 bytes/);
    }
    expect((await one.fetchBlob({ uris: [at("/fits")] })).status?.code).toBe(0);
  });
});

describe("fetches under way", () => {
  const code = (call: Promise<unknown>) =>
    call.then(
      () => 0,
      (error: ServiceError) => error.code,
    );

  test("are bounded in number and in bytes", async () => {
    const one = await start({ bounds: { fetchesMax: 1, spoolBytesMax: 50_000 } });
    const { promise, resolve } = Promise.withResolvers<void>();
    origin.answer("/slow", (_, response) => void promise.then(() => response.end("slow")));
    origin.answer("/large", Buffer.alloc(60_000));
    const slow = one.fetchBlob({ uris: [at("/slow")] });
    await eventually("asked", () => origin.requests.length > 0);
    expect(await code(one.fetchBlob({ uris: [at("/x")] }))).toBe(status.RESOURCE_EXHAUSTED);
    resolve();
    expect((await slow).status?.code).toBe(0);
    expect(await code(one.fetchBlob({ uris: [at("/large")] }))).toBe(status.RESOURCE_EXHAUSTED);
    origin.answer("/large", Buffer.alloc(50_000));
    expect(await code(one.fetchBlob({ uris: [at("/large")] }))).toBe(0);
  });

  test("go on when their client leaves, and end when the node does", async () => {
    const one = await start();
    const { promise, resolve } = Promise.withResolvers<void>();
    origin.answer("/left", (_, response) => void promise.then(() => response.end("left")));
    const closed: boolean[] = [];
    origin.answer("/held", (request) => void request.socket.on("close", () => closed.push(true)));
    const left = code(one.fetchBlob({ uris: [at("/left")] }, Date.now() + 100));
    await eventually("asked", () => origin.requests.length === 1);
    expect(await left).toBe(status.DEADLINE_EXCEEDED);
    resolve();
    const digest = await digestOf(Buffer.from("left"), "sha256");
    await eventually("stored", async () => (await one.memory.missing([digest])).length === 0);
    const held = code(one.fetchBlob({ uris: [at("/held")] }));
    await eventually("asked", () => origin.requests.length === 2);
    one.ingress.close();
    expect(await held).not.toBe(0);
    await eventually("ended", () => closed.length === 1);
  });
});
