// Blobs and trees for cases: made, uploaded, looked for and read back.

import { randomBytes } from "node:crypto";
import { digestOf } from "../../../src/cas/hash.ts";
import type { DigestFunction } from "../../../src/core/digest.ts";
import {
  type Compressor_Value,
  type Digest,
  Directory,
} from "../../../src/wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import { fromWireDigest, toWireDigest, toWireFunction } from "../../../src/wire/reapi.ts";
import { byteStream, cas } from "./calls.ts";
import { check, nameOfCode, present } from "./expectations.ts";
import type { Target } from "./target.ts";

/** Bytes with their name. */
export interface Blob {
  readonly bytes: Buffer;
  readonly digest: Digest;
  readonly fn: DigestFunction;
}

/** Bytes that no server has seen. */
export function unique(sizeBytes = 64): Buffer {
  return randomBytes(sizeBytes);
}

/** Text of `sizeBytes` bytes that no server has seen and that compresses well. */
export function uniqueText(sizeBytes: number): Buffer {
  return Buffer.concat([unique(16), Buffer.alloc(sizeBytes, "compress me ")]).subarray(
    0,
    sizeBytes,
  );
}

/** Names bytes. */
export async function blobOf(
  bytes: Uint8Array | string,
  fn: DigestFunction = "sha256",
): Promise<Blob> {
  const buffer = Buffer.from(bytes);
  return { bytes: buffer, digest: toWireDigest(await digestOf(buffer, fn)), fn };
}

/** A digest of a blob that nobody has. */
export async function absent(fn: DigestFunction = "sha256"): Promise<Digest> {
  return (await blobOf(unique(), fn)).digest;
}

/** `[instance/]` as resource names begin. */
export function prefixOf(instance: string): string {
  return instance === "" ? "" : `${instance}/`;
}

/** `[fn/]hash/size`, with the function where it cannot be inferred. */
export function tailOf({ digest, fn }: Pick<Blob, "digest" | "fn">): string {
  const named = ["blake3", "sha256tree", "gitsha1"].includes(fn) ? `${fn}/` : "";
  return `${named}${digest.hash}/${digest.sizeBytes}`;
}

/** The name under which a blob is read. */
export function readName(target: Target, blob: Pick<Blob, "digest" | "fn">): string {
  return `${prefixOf(target.instance)}blobs/${tailOf(blob)}`;
}

/** A new name under which a blob is written. */
export function writeName(target: Target, blob: Pick<Blob, "digest" | "fn">): string {
  return `${prefixOf(target.instance)}uploads/${crypto.randomUUID()}/blobs/${tailOf(blob)}`;
}

const batchedBytesMax = 1 << 20;
const messageBytes = 1 << 20;

/** Uploads bytes, small ones as a batch, and says what they are called. */
export async function put(
  target: Target,
  bytes: Uint8Array | string,
  fn: DigestFunction = "sha256",
): Promise<Digest> {
  const blob = await blobOf(bytes, fn);
  if (blob.bytes.length > batchedBytesMax) await writeStream(target, blob);
  else await putAll(target, [blob]);
  return blob.digest;
}

/** Uploads small blobs of one digest function as one batch. */
export async function putAll(target: Target, blobs: readonly Blob[]): Promise<void> {
  const codes = await batchUpdate(target, blobs);
  const bad = codes.findIndex((code) => code !== 0);
  check(bad < 0, `BatchUpdateBlobs answered ${nameOfCode(codes[bad] ?? 0)} for a good blob`);
  check(codes.length === blobs.length, `BatchUpdateBlobs answered for ${codes.length} blobs`);
}

/** Uploads a batch; the status code of each. */
export async function batchUpdate(
  target: Target,
  blobs: readonly Blob[],
  compressor: Compressor_Value = 0,
): Promise<number[]> {
  const { responses } = await target.calls.unary(cas.batchUpdateBlobs, {
    instanceName: target.instance,
    digestFunction: toWireFunction(blobs[0]?.fn ?? "sha256"),
    requests: blobs.map(({ digest, bytes }) => ({ digest, data: bytes, compressor })),
  });
  return responses.map(({ status }) => status?.code ?? 0);
}

/** Uploads by ByteStream in messages of 1 MiB. */
export async function writeStream(target: Target, blob: Blob): Promise<number> {
  const write = target.calls.openWrite();
  const resourceName = writeName(target, blob);
  const { length } = blob.bytes;
  for (let offset = 0; offset === 0 || offset < length; offset += messageBytes) {
    const data = blob.bytes.subarray(offset, offset + messageBytes);
    const finishWrite = offset + messageBytes >= length;
    await write.send({ resourceName, writeOffset: offset, data, finishWrite });
  }
  write.end();
  return write.answer;
}

/** Which of these blobs the server says it lacks. */
export async function missingOf(
  target: Target,
  digests: readonly Digest[],
  fn: DigestFunction = "sha256",
): Promise<Digest[]> {
  const answer = await target.calls.unary(cas.findMissingBlobs, {
    instanceName: target.instance,
    blobDigests: [...digests],
    digestFunction: toWireFunction(fn),
  });
  return answer.missingBlobDigests;
}

/** Whether the server says that it has a blob. */
export async function has(target: Target, digest: Digest, fn?: DigestFunction): Promise<boolean> {
  return (await missingOf(target, [digest], fn)).length === 0;
}

/** Reads a resource by ByteStream. */
export async function readBytes(
  target: Target,
  resourceName: string,
  readOffset = 0,
  readLimit = 0,
): Promise<Buffer> {
  const request = { resourceName, readOffset, readLimit };
  const parts = await target.calls.collect(byteStream.read, request);
  return Buffer.concat(parts.map(({ data }) => data));
}

/** Reads a blob of any size by ByteStream; the empty one need not be asked for. */
export async function fetchBlob(
  target: Target,
  digest: Digest | undefined,
  fn: DigestFunction = "sha256",
  what = "the digest",
): Promise<Buffer> {
  const named = present(digest, what);
  fromWireDigest(named, fn, what);
  if (named.sizeBytes === 0) return Buffer.alloc(0);
  return readBytes(target, readName(target, { digest: named, fn }));
}

/** A file of an input tree: text, or bytes with the executable bit. */
export type File = string | { readonly bytes: Uint8Array; readonly executable: boolean };

/** A folder of an input tree, by name. */
export interface Folder {
  readonly files?: Readonly<Record<string, File>>;
  readonly folders?: Readonly<Record<string, Folder>>;
  readonly links?: Readonly<Record<string, string>>;
}

/** Uploads a tree and gives the digest of its root. */
export async function putTree(
  target: Target,
  folder: Folder,
  fn: DigestFunction = "sha256",
): Promise<Digest> {
  const files = [];
  for (const [name, file] of sorted(folder.files)) {
    const text = typeof file === "string";
    const digest = await put(target, text ? file : file.bytes, fn);
    files.push({ name, digest, isExecutable: !text && file.executable });
  }
  const directories = [];
  for (const [name, inner] of sorted(folder.folders)) {
    directories.push({ name, digest: await putTree(target, inner, fn) });
  }
  const symlinks = sorted(folder.links).map(([name, linkTarget]) => ({ name, target: linkTarget }));
  return putDirectory(target, { files, directories, symlinks }, fn);
}

/** Uploads one Directory message as it is, right or wrong. */
export function putDirectory(
  target: Target,
  directory: Parameters<typeof Directory.fromPartial>[0],
  fn: DigestFunction = "sha256",
): Promise<Digest> {
  return put(target, Directory.encode(Directory.fromPartial(directory)).finish(), fn);
}

function sorted<T>(byName: Readonly<Record<string, T>> | undefined): [string, T][] {
  return Object.entries(byName ?? {}).sort(([a], [b]) =>
    Buffer.compare(Buffer.from(a), Buffer.from(b)),
  );
}
