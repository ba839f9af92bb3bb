// Where a node connects to for Remote Asset, and where never; what it tells whom.

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import type { RequestListener } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import { status } from "@grpc/grpc-js";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { toTimestamp } from "../../src/wire/reapi.ts";
import { type AssetIngress, qualifiers, startAssetIngress } from "../support/asset-ingress.ts";
import { createTestAuthority } from "../support/certificates.ts";
import { type OriginServer, startOrigin } from "../support/origin-server.ts";

let base: string;
let origin: OriginServer;
let other: OriginServer;
let node: AssetIngress;
const nodes: AssetIngress[] = [];

async function start({ allow }: { allow: readonly string[] }): Promise<AssetIngress> {
  const folder = join(base, `${nodes.length}`);
  const started = await startAssetIngress({ folder, allow });
  nodes.push(started);
  return started;
}

beforeAll(async () => {
  base = mkdtempSync(join(tmpdir(), "asset-origins-"));
  origin = await startOrigin();
  other = await startOrigin();
  node = await start({ allow: [`${origin.url}/`] });
});
beforeEach(() => {
  origin.requests.splice(0);
  other.requests.splice(0);
});
afterAll(async () => {
  origin.close();
  other.close();
  for (const one of nodes) await one.close();
  rmSync(base, { recursive: true });
});

const at = (path: string) => `${origin.url}${path}`;
const asked = () => origin.requests.map(({ url }) => url);

describe("redirects", () => {
  const redirect =
    (to: string, code = 302): RequestListener =>
    (_, response) =>
      response.writeHead(code, { location: to }).end("elsewhere");

  test.each([301, 302, 303, 307, 308])("are followed (%i)", async (code) => {
    origin.answer("/from", redirect("to?q=1", code));
    origin.answer("/to", "there");
    const oldestContentAccepted = toTimestamp(Date.now() + 1000);
    const found = await node.fetchBlob({ uris: [at("/from")], oldestContentAccepted });
    expect(found.blobDigest?.sizeBytes).toBe("there".length);
    expect(found.uri).toBe(at("/from"));
    expect(asked()).toEqual(["/from", "/to?q=1"]);
  });

  test("in a circle end", async () => {
    origin.answer("/circle", redirect("/circle"));
    const found = await node.fetchBlob({ uris: [at("/circle")] });
    expect(found.status).toMatchObject({ code: status.ABORTED });
    expect(found.status?.message).toMatch(/over 10 times/);
    expect(asked()).toHaveLength(11);
  });

  test("to a host that is not allowed are refused before anybody connects", async () => {
    other.answer("/secret", "secret");
    for (const to of [`${other.url}/secret`, "file:///etc/passwd", "http://[::1]:1/", "https://"]) {
      origin.answer("/out", redirect(to));
      const found = await node.fetchBlob({ uris: [at("/out")] });
      expect(found.status?.code, to).toBe(
        to === "https://" ? status.ABORTED : status.PERMISSION_DENIED,
      );
    }
    expect(other.requests).toEqual([]);
  });

  test("to another allowed origin carry no credentials", async () => {
    const one = await start({ allow: [origin.url, other.url] });
    origin.answer("/moved", redirect(`${other.url}/here`));
    other.answer("/here", "moved");
    const of = qualifiers({
      "http_header:Authorization": "Bearer secret",
      "http_header_url:0:X-Token": "secret",
      "http_header:Accept": "text/plain",
    });
    expect((await one.fetchBlob({ uris: [at("/moved")], qualifiers: of })).status?.code).toBe(0);
    expect(origin.requests[0]?.headers).toMatchObject({
      authorization: "Bearer secret",
      "x-token": "secret",
      accept: "text/plain",
    });
    expect(JSON.stringify(other.requests[0]?.headers)).not.toMatch(/secret/);
    expect(other.requests[0]?.headers.accept).toBe("text/plain");
  });
});

describe("what is not allowed", () => {
  test("is refused with the flag that allows it, before anybody connects", async () => {
    const none = await start({ allow: [] });
    const found = await none.fetchBlob({ uris: [at("/x")] });
    expect(found.status).toMatchObject({ code: status.PERMISSION_DENIED });
    expect(found.status?.message).toContain(`--fetch-allow ${origin.url}/`);
    expect(origin.requests).toEqual([]);
  });

  test("a star opens no way into the node's own network, by address or by name", async () => {
    const all = await start({ allow: ["*"] });
    const { port } = new URL(origin.url);
    for (const host of ["127.0.0.1", "localhost", "0x7f.1", "[::1]", "[::ffff:127.0.0.1]"]) {
      const found = await all.fetchBlob({ uris: [`http://${host}:${port}/x`] });
      expect(found.status?.code, host).toBe(status.PERMISSION_DENIED);
      expect(found.status?.message).toMatch(/no public address/);
    }
    expect(origin.requests).toEqual([]);
  });

  test("a prefix that names a host opens it, wherever it is", async () => {
    const { port } = new URL(origin.url);
    const named = await start({ allow: [`http://localhost:${port}/open`] });
    origin.answer("/open/x", "x");
    const fetch = (path: string) => named.fetchBlob({ uris: [`http://localhost:${port}${path}`] });
    expect((await fetch("/open/x")).status?.code).toBe(0);
    expect((await fetch("/closed/x")).status?.code).toBe(status.PERMISSION_DENIED);
  });

  test("a node does not start with a prefix that is none", async () => {
    const started = startAssetIngress({ folder: join(base, "bad"), allow: ["github.com"] });
    await expect(started).rejects.toThrow(/--fetch-allow github.com is no URL prefix/);
  });
});

test("credentials are part of the name: what they opened is not served without them", async () => {
  origin.answer("/private", ({ headers }, response) => {
    if (headers.authorization === "Bearer right") response.end("private");
    else response.writeHead(401).end();
  });
  const fetch = async (token?: string) => {
    const of = token === undefined ? {} : { "http_header:Authorization": `Bearer ${token}` };
    return (await node.fetchBlob({ uris: [at("/private")], qualifiers: qualifiers(of) })).status
      ?.code;
  };
  expect(await fetch("right")).toBe(0);
  expect(await fetch()).toBe(status.PERMISSION_DENIED);
  expect(await fetch("wrong")).toBe(status.PERMISSION_DENIED);
  expect(await fetch("right")).toBe(0);
  expect(asked()).toHaveLength(3);
});

test("fetches hold to certificates", async () => {
  const authority = await createTestAuthority(base, "origin-ca");
  const { cert, key } = await authority.issue("localhost");
  const tls = { cert: readFileSync(cert), key: readFileSync(key) };
  const safe = await startOrigin(tls);
  safe.answer("/x", "over TLS");
  const down = `${origin.url}/x`;
  safe.answer("/down", (_, response) => response.writeHead(302, { location: down }).end());
  const one = await start({ allow: [safe.url, origin.url] });
  const before = await one.fetchBlob({ uris: [`${safe.url}/x`] });
  expect(before.status).toMatchObject({ code: status.ABORTED });
  expect(before.status?.message).toMatch(/certificate/);
  expect(safe.requests).toEqual([]);
  const defaults = getCACertificates("default");
  setDefaultCACertificates([...defaults, readFileSync(authority.path, "utf8")]);
  try {
    expect((await one.fetchBlob({ uris: [`${safe.url}/x`] })).status?.code).toBe(0);
    const worse = await one.fetchBlob({ uris: [`${safe.url}/down`] });
    expect(worse.status).toMatchObject({ code: status.PERMISSION_DENIED });
    expect(worse.status?.message).toMatch(/less safe/);
  } finally {
    setDefaultCACertificates(defaults);
    safe.close();
  }
});
