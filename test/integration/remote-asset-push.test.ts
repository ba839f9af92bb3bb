// Remote Asset over gRPC without any origin: what was pushed, and only while it can be had.

import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ServiceError, status } from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { buildTree } from "../../src/cas/merkle.ts";
import type { Digest } from "../../src/core/digest.ts";
import { DigestFunction_Value } from "../../src/wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import { BadRequest } from "../../src/wire/gen/google/rpc/error_details.ts";
import { Status as RpcStatus } from "../../src/wire/gen/google/rpc/status.ts";
import { toTimestamp } from "../../src/wire/reapi.ts";
import { missingDigests } from "../../src/wire/status.ts";
import { type AssetIngress, qualifiers, startAssetIngress } from "../support/asset-ingress.ts";
import { wire } from "../support/grpc-calls.ts";

let folder: string;
let node: AssetIngress;
const clock = { nowMs: 1.7e12 };

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "asset-push-"));
  node = await startAssetIngress({ folder, now: () => clock.nowMs });
});
afterAll(async () => {
  await node.close();
  rmSync(folder, { recursive: true });
});

const put = (text: string) => node.memory.put(Buffer.from(text), "sha256");
const nowhere: Digest = { fn: "sha256", hash: "7".repeat(64), sizeBytes: 7 };

function detailsOf(error: ServiceError) {
  const [bytes] = error.metadata.get("grpc-status-details-bin");
  return RpcStatus.decode(Buffer.from(bytes ?? "")).details;
}

async function failure(of: Promise<unknown>): Promise<ServiceError> {
  return of.then(
    () => Promise.reject(new Error("it did not fail")),
    (error: ServiceError) => error,
  );
}

/** A folder with files in it, all of it in the store. */
async function putTree(files: Record<string, string>) {
  const entries = [];
  for (const [path, text] of Object.entries(files)) {
    entries.push({ kind: "file" as const, path, digest: await put(text), executable: false });
  }
  const tree = await buildTree(entries, "sha256");
  for (const { bytes } of tree.bytesByKey.values()) await node.memory.put(bytes, "sha256");
  return { root: tree.root, folders: [...tree.bytesByKey.values()].map(({ digest }) => digest) };
}

describe("a pushed blob", () => {
  test("is found by any of its URIs, with the same qualifiers in any order", async () => {
    const digest = await put("pushed");
    const both = qualifiers({ "vcs.branch": "main", other: "x" });
    await node.pushBlob({
      uris: ["urn:a", "https://h/b"],
      qualifiers: both,
      blobDigest: wire(digest),
    });
    for (const uri of ["urn:a", "https://h/b"]) {
      const found = await node.fetchBlob({
        uris: ["urn:none", uri],
        qualifiers: both.toReversed(),
      });
      expect(found).toMatchObject({ status: { code: 0 }, uri, blobDigest: wire(digest) });
      expect(found.digestFunction).toBe(DigestFunction_Value.SHA256);
    }
    const fewer = await node.fetchBlob({ uris: ["urn:a"], qualifiers: both.slice(1) });
    expect(fewer).toMatchObject({ status: { code: status.NOT_FOUND }, uri: "urn:a" });
    expect(fewer.blobDigest).not.toEqual(wire(digest));
  });

  test("belongs to its instance and its digest function", async () => {
    const digest = await node.memory.put(Buffer.from("b3"), "blake3");
    const asked = { uris: ["urn:b3"], digestFunction: DigestFunction_Value.BLAKE3 };
    await node.pushBlob({ ...asked, instanceName: "one", blobDigest: wire(digest) });
    const code = async (change: object) =>
      (await node.fetchBlob({ ...asked, instanceName: "one", ...change })).status?.code;
    expect(await code({})).toBe(0);
    expect(await code({ instanceName: "two" })).toBe(status.NOT_FOUND);
    expect(await code({ digestFunction: DigestFunction_Value.SHA256 })).toBe(status.NOT_FOUND);
  });

  test("is not served once it is lost, and again once it is back", async () => {
    const digest = await put("comes and goes");
    const uris = ["urn:lost"];
    await node.pushBlob({ uris, blobDigest: wire(digest) });
    node.memory.delete(digest);
    expect((await node.fetchBlob({ uris })).status?.code).toBe(status.NOT_FOUND);
    await put("comes and goes");
    expect((await node.fetchBlob({ uris })).blobDigest).toEqual(wire(digest));
  });

  test("is not served once what it refers to is lost, folders' files included", async () => {
    const digest = await put("refers");
    const blob = await put("referred to");
    const tree = await putTree({ "deep/er/file": "in a folder" });
    const uris = ["urn:refers"];
    const references = { referencesBlobs: [wire(blob)], referencesDirectories: [wire(tree.root)] };
    await node.pushBlob({ uris, blobDigest: wire(digest), ...references });
    for (const [lost, text] of [
      [blob, "referred to"],
      [await put("in a folder"), "in a folder"],
    ] as const) {
      expect((await node.fetchBlob({ uris })).status?.code).toBe(0);
      node.memory.delete(lost);
      expect((await node.fetchBlob({ uris })).status?.code).toBe(status.NOT_FOUND);
      await put(text);
    }
  });

  test("is refused where blobs are missing, each of them named", async () => {
    const digest = await put("there");
    const request = { uris: ["urn:x"], blobDigest: wire(digest), referencesBlobs: [wire(nowhere)] };
    const error = await failure(node.pushBlob(request));
    expect(error.code).toBe(status.FAILED_PRECONDITION);
    expect(missingDigests({ details: detailsOf(error) })).toEqual([nowhere]);
    const itself = await failure(node.pushBlob({ uris: ["urn:x"], blobDigest: wire(nowhere) }));
    expect(missingDigests({ details: detailsOf(itself) })).toEqual([nowhere]);
    expect((await node.fetchBlob({ uris: ["urn:x"] })).status?.code).toBe(status.NOT_FOUND);
  });

  test("must have the checksum it is pushed with, where that can be told", async () => {
    const digest = await put("has a checksum");
    const sri = (text: string) => `sha256-${createHash("sha256").update(text).digest("base64")}`;
    const of = (text: string) => ({
      uris: ["urn:sum"],
      qualifiers: qualifiers({ "checksum.sri": sri(text) }),
      blobDigest: wire(digest),
    });
    expect((await failure(node.pushBlob(of("another")))).code).toBe(status.INVALID_ARGUMENT);
    await node.pushBlob(of("has a checksum"));
  });

  test("is too old for who wants newer content, and is pushed anew to last longer", async () => {
    const digest = await put("ages");
    const uris = ["urn:ages"];
    const pushedMs = clock.nowMs;
    const expireAt = toTimestamp(pushedMs + 1000);
    await node.pushBlob({ uris, blobDigest: wire(digest), expireAt });
    const code = async (oldestMs: number) =>
      (await node.fetchBlob({ uris, oldestContentAccepted: toTimestamp(oldestMs) })).status?.code;
    expect(await code(pushedMs)).toBe(0);
    expect(await code(pushedMs + 1)).toBe(status.NOT_FOUND);
    clock.nowMs += 1000;
    expect(await code(0)).toBe(status.NOT_FOUND);
    await node.pushBlob({ uris, blobDigest: wire(digest), expireAt: toTimestamp(clock.nowMs + 1) });
    expect(await code(pushedMs + 1)).toBe(0);
  });
});

describe("a pushed folder", () => {
  test("is found as long as each of its folders and files can be had", async () => {
    const uris = ["https://h/source.git"];
    const of = qualifiers({ "vcs.commit": "abc", resource_type: "application/x-git" });
    const tree = await putTree({ "a/b/c.txt": "c", "d.txt": "d" });
    await node.pushDirectory({ uris, qualifiers: of, rootDirectoryDigest: wire(tree.root) });
    const found = await node.fetchDirectory({ uris, qualifiers: of });
    expect(found).toMatchObject({ status: { code: 0 }, rootDirectoryDigest: wire(tree.root) });
    const parts = [...tree.folders, await put("c"), await put("d")];
    expect(parts).toHaveLength(5);
    for (const part of parts) {
      const bytes = await node.memory.get(part, 1e6);
      node.memory.delete(part);
      const lost = await node.fetchDirectory({ uris, qualifiers: of });
      expect(lost).toMatchObject({ status: { code: status.NOT_FOUND }, uri: uris[0] });
      expect(lost.rootDirectoryDigest).toBeUndefined();
      await node.memory.put(bytes, "sha256");
    }
    expect((await node.fetchDirectory({ uris, qualifiers: of })).status?.code).toBe(0);
    expect((await node.fetchBlob({ uris: ["urn:none", "urn:n"] })).status?.code).toBe(5);
  });

  test("is refused where any part of it is missing or it is no folder", async () => {
    const tree = await putTree({ "x/y": "y" });
    const file = await put("y");
    node.memory.delete(file);
    const push = (digest: Digest) =>
      failure(node.pushDirectory({ uris: ["urn:f"], rootDirectoryDigest: wire(digest) }));
    const error = await push(tree.root);
    expect(error.code).toBe(status.FAILED_PRECONDITION);
    expect(missingDigests({ details: detailsOf(error) })).toEqual([file]);
    const text = await put("\nzzz");
    expect((await push(text)).code).toBe(status.INVALID_ARGUMENT);
  });

  test("is not made out of an archive: the answer says what to do", async () => {
    const found = await node.fetchDirectory({ uris: ["https://h/a.tar.gz"] });
    expect(found.status).toMatchObject({ code: status.NOT_FOUND });
    expect(found.status?.message).toMatch(/not unpacked here: push the folder/);
  });
});

test("malformed requests are refused with what is wrong", async () => {
  const long = "urn:".padEnd(10_000, "x");
  const twice = [...qualifiers({ a: "1" }), ...qualifiers({ a: "2" })];
  for (const [request, why] of [
    [{ uris: [] }, /0 uris/],
    [{ uris: Array.from({ length: 101 }, () => "urn:x") }, /101 uris/],
    [{ uris: [""] }, /uris\[0\]/],
    [{ uris: [long] }, /uris\[0\] has 10000/],
    [{ uris: ["urn:x"], qualifiers: twice }, /"a" is given twice/],
    [{ uris: ["urn:x"], instanceName: "a/blobs/b" }, /reserves/],
    [{ uris: ["urn:x"], timeout: { seconds: -1, nanos: 0 } }, /timeout/],
    [{ uris: ["urn:x"], digestFunction: 77 as DigestFunction_Value }, /not served/],
  ] as const) {
    const error = await failure(node.fetchBlob({ ...request, uris: [...request.uris] }));
    expect(error).toMatchObject({ code: status.INVALID_ARGUMENT });
    expect(error.details).toMatch(why);
  }
  const digests = Array.from({ length: 10_001 }, () => wire(nowhere));
  const many = { uris: ["urn:x"], blobDigest: wire(nowhere), referencesBlobs: digests };
  expect((await failure(node.pushBlob(many))).details).toMatch(/10001 references/);
  expect((await failure(node.pushBlob({ uris: ["urn:x"] }))).details).toMatch(/blob_digest/);
});

test("a download with qualifiers that it cannot honour is refused, each named in a BadRequest", async () => {
  const of = qualifiers({ "vcs.branch": "main", directory: "sub", "bazel.canonical_id": "id" });
  const error = await failure(node.fetchBlob({ uris: ["https://h/x"], qualifiers: of }));
  expect(error.code).toBe(status.INVALID_ARGUMENT);
  const [detail] = detailsOf(error);
  expect(detail?.typeUrl).toBe("type.googleapis.com/google.rpc.BadRequest");
  const { fieldViolations } = BadRequest.decode(detail?.value ?? new Uint8Array());
  expect(fieldViolations.map(({ field, description }) => [field, description])).toEqual([
    ["qualifiers.name", '"vcs.branch" not supported'],
    ["qualifiers.name", '"directory" not supported'],
  ]);
  const pushedOnly = await node.fetchBlob({ uris: ["urn:x"], qualifiers: of });
  expect(pushedOnly.status?.code).toBe(status.NOT_FOUND);
});
