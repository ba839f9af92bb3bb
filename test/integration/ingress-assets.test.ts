// Remote Asset against a real HTTP server: what is allowed, right, whole and small enough comes in.

import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client, credentials, status } from "@grpc/grpc-js";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { openStore, type Store } from "../../src/cas/open-store.ts";
import { type Ingress, startIngress } from "../../src/ingress/server.ts";
import {
  FetchBlobRequest,
  FetchDefinition,
  FetchDirectoryRequest,
  PushBlobRequest,
  PushDefinition,
  PushDirectoryRequest,
} from "../../src/wire/gen/build/bazel/remote/asset/v1/remote_asset.ts";
import { Directory } from "../../src/wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import { Status } from "../../src/wire/gen/builder/node/v1/node.ts";
import { grpcDefinition } from "../../src/wire/grpc-definition.ts";
import { callsOf, wire } from "../support/grpc-calls.ts";

const fetches = grpcDefinition(FetchDefinition);
const pushes = grpcDefinition(PushDefinition);
const content = Buffer.alloc(20_000, "asset ");
const sri = (bytes: Uint8Array, fn = "sha256") =>
  `${fn}-${createHash(fn).update(bytes).digest("base64")}`;

let folder: string;
let web: Server;
let origin: string;
let store: Store;
let ingress: Ingress;
let client: Client;
let calls: ReturnType<typeof callsOf>;
let asked: { readonly url: string; readonly headers: Record<string, unknown> }[] = [];
let now = 1_700_000_000_000;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "assets-"));
  web = createServer((request, response) => {
    const { url = "", headers } = request;
    asked.push({ url, headers });
    const port = (web.address() as { port: number }).port;
    if (url === "/ok/file") response.end(content);
    else if (url === "/ok/moved") response.writeHead(302, { location: "/ok/file" }).end();
    else if (url === "/ok/away") {
      response.writeHead(302, { location: `http://localhost:${port}/secret` }).end();
    } else if (url === "/ok/loop") response.writeHead(302, { location: "/ok/loop" }).end();
    else if (url === "/ok/huge") response.end(Buffer.alloc(3_000_000));
    else if (url === "/ok/cut") {
      response.writeHead(200, { "content-length": "50000" }).write("short");
      setTimeout(() => response.destroy(), 20);
    } else if (url === "/ok/slow") response.writeHead(200).write("never ends");
    else if (url === "/secret" || url === "/okay") response.end("secret");
    else response.writeHead(404).end();
  });
  await new Promise<void>((listening) => web.listen(0, "127.0.0.1", listening));
  origin = `http://127.0.0.1:${(web.address() as { port: number }).port}`;
  store = openStore({ now: () => now }, { folder: join(folder, "store"), bytesMax: 1e9 });
  ingress = await startIngress(
    {
      store: store.blobs,
      assets: store.index,
      actionCache: store.actions,
      scheduler: { submit: () => undefined, abandon: () => undefined },
      status: () => Status.fromPartial({}),
      log: () => undefined,
      now: () => now,
    },
    {
      addresses: [{ host: "127.0.0.1", port: 0, serves: "all" }],
      node: "n",
      downloads: {
        allowed: [`${origin}/ok/`],
        folder: join(folder, "store/tmp"),
        bytesMax: 1_000_000,
      },
    },
  );
  client = new Client(`127.0.0.1:${ingress.ports[0]}`, credentials.createInsecure());
  calls = callsOf(client);
});
beforeEach(() => {
  asked = [];
});
afterAll(async () => {
  client.close();
  ingress.close();
  web.closeAllConnections();
  web.close();
  await store.close();
  rmSync(folder, { recursive: true });
});

function fetchBlob(change: Parameters<typeof FetchBlobRequest.fromPartial>[0]) {
  return calls.call(fetches.fetchBlob, FetchBlobRequest.fromPartial(change));
}

describe("a download", () => {
  test("brings what its checksum says, and is remembered", async () => {
    const qualifiers = [
      { name: "checksum.sri", value: `${sri(Buffer.from("other"))} ${sri(content)}` },
      { name: "http_header:X-Token", value: "t" },
    ];
    const request = { uris: [`${origin}/ok/none`, `${origin}/ok/file`], qualifiers };
    const found = await fetchBlob(request);
    expect(found.status?.code).toBe(0);
    expect(found.uri).toBe(`${origin}/ok/file`);
    const digest = { fn: "sha256" as const, ...wire(found.blobDigest!) };
    expect(content.equals(await store.blobs.get(digest, 1e6))).toBe(true);
    expect(asked.at(-1)?.headers).toMatchObject({ "x-token": "t", "accept-encoding": "identity" });
    expect((await fetchBlob(request)).blobDigest).toEqual(found.blobDigest);
    expect(asked).toHaveLength(2);
    const newer = { ...request, oldestContentAccepted: { seconds: now / 1000 + 60, nanos: 0 } };
    await fetchBlob(newer);
    expect(asked).toHaveLength(4);
    store.blobs.remove(digest);
    expect((await fetchBlob(request)).blobDigest).toEqual(found.blobDigest);
    expect(asked).toHaveLength(6);
  });

  test.each([
    ["/ok/none", "NOT_FOUND", /is not there \(404\)/],
    ["/secret", "PERMISSION_DENIED", /--fetch-allow/],
    ["/okay", "PERMISSION_DENIED", /--fetch-allow/],
    ["/ok/../secret", "PERMISSION_DENIED", /--fetch-allow/],
    ["/ok/away", "PERMISSION_DENIED", /may not download http:\/\/localhost/],
    ["/ok/loop", "UNAVAILABLE", /redirects over 10 times/],
    ["/ok/huge", "RESOURCE_EXHAUSTED", /over 1000000 bytes/],
    ["/ok/cut", "UNAVAILABLE", /cannot be downloaded/],
  ] as const)("of %s is %s", async (path, code, why) => {
    const found = await fetchBlob({ uris: [origin + path] });
    expect(found.status?.code).toBe(status[code]);
    expect(found.status?.message).toMatch(why);
    // Old Bazels look at nothing else: they must not find the empty blob here.
    expect(found.blobDigest).toEqual({ hash: "0".repeat(64), sizeBytes: 1 });
    expect(readdirSync(join(folder, "store/tmp"))).toEqual([]);
    expect(asked.map(({ url }) => url)).not.toContain("/secret");
  });

  test("that takes longer than it may ends", async () => {
    const found = await fetchBlob({
      uris: [`${origin}/ok/slow`],
      timeout: { seconds: 0, nanos: 2e8 },
    });
    expect(found.status?.code).toBe(status.DEADLINE_EXCEEDED);
  });

  test("with the wrong bytes is refused, by the strongest function that is named", async () => {
    const value = `${sri(content)} ${sri(Buffer.from("other"), "sha512")}`;
    const qualifiers = [{ name: "checksum.sri", value }];
    const found = await fetchBlob({ uris: [`${origin}/ok/moved`], qualifiers });
    expect(found.status?.code).toBe(status.INVALID_ARGUMENT);
    expect(found.status?.message).toMatch(/has the checksum/);
  });

  test("that many want at once happens once", async () => {
    const qualifiers = [{ name: "bazel.canonical_id", value: "at once" }];
    const request = { uris: [`${origin}/ok/file`], qualifiers };
    await Promise.all(Array.from({ length: 8 }, () => fetchBlob(request)));
    expect(asked).toHaveLength(1);
  });
});

describe("a push", () => {
  const uris = ["https://example.invalid/pushed"];

  test("names a blob for as long as it is there and not expired", async () => {
    const blob = await store.blobs.put(Buffer.from("pushed"), "sha256");
    const push = (change: object) =>
      calls.call(pushes.pushBlob, PushBlobRequest.fromPartial({ uris, ...change }));
    const lost = { hash: "9".repeat(64), sizeBytes: 3 };
    const refused = { code: status.FAILED_PRECONDITION };
    await expect(push({ blobDigest: lost })).rejects.toMatchObject(refused);
    await expect(push({ blobDigest: wire(blob), referencesBlobs: [lost] })).rejects.toMatchObject(
      refused,
    );
    const expireAt = { seconds: now / 1000 + 100, nanos: 0 };
    await push({ blobDigest: wire(blob), expireAt });
    expect((await fetchBlob({ uris })).blobDigest).toEqual(wire(blob));
    expect((await fetchBlob({ uris, instanceName: "other" })).status?.code).not.toBe(0);
    now += 200_000;
    expect((await fetchBlob({ uris })).status?.code).toBe(status.PERMISSION_DENIED);
  });

  test("of a folder counts only with all that is below it", async () => {
    const file = await store.blobs.put(Buffer.from("in a folder"), "sha256");
    const put = (change: Parameters<typeof Directory.fromPartial>[0]) =>
      store.blobs.put(Directory.encode(Directory.fromPartial(change)).finish(), "sha256");
    const inner = await put({ files: [{ name: "f", digest: wire(file) }] });
    const root = await put({ directories: [{ name: "d", digest: wire(inner) }] });
    const rootDirectoryDigest = wire(root);
    await calls.call(
      pushes.pushDirectory,
      PushDirectoryRequest.fromPartial({ uris, rootDirectoryDigest }),
    );
    const fetchIt = () =>
      calls.call(fetches.fetchDirectory, FetchDirectoryRequest.fromPartial({ uris }));
    expect((await fetchIt()).rootDirectoryDigest).toEqual(rootDirectoryDigest);
    store.blobs.remove(file);
    expect((await fetchIt()).status?.code).toBe(status.NOT_FOUND);
  });
});
