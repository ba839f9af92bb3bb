// Existence and batches: exact answers, good blobs kept, wrong ones refused, the empty one there.

import { type DigestFunction, digestFunctions } from "../../../src/core/digest.ts";
import {
  BatchReadBlobsRequest,
  type BatchReadBlobsResponse_Response,
  type Digest,
} from "../../../src/wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import { toWireFunction } from "../../../src/wire/reapi.ts";
import { cas } from "./calls.ts";
import type { Case } from "./case.ts";
import {
  absent,
  batchUpdate,
  blobOf,
  has,
  missingOf,
  put,
  putAll,
  readBytes,
  readName,
  unique,
  writeStream,
} from "./content.ts";
import { check, nameOfCode, refused, Skipped, same, sameBytes } from "./expectations.ts";
import type { Target } from "./target.ts";

async function batchRead(
  target: Target,
  digests: readonly Digest[],
  fn: DigestFunction = "sha256",
): Promise<BatchReadBlobsResponse_Response[]> {
  const request = BatchReadBlobsRequest.fromPartial({
    instanceName: target.instance,
    digests: [...digests],
    digestFunction: toWireFunction(fn),
  });
  return (await target.calls.unary(cas.batchReadBlobs, request)).responses;
}

const batchMax = (target: Target) => {
  const bytes = target.capabilities.cacheCapabilities?.maxBatchTotalSizeBytes ?? 0;
  if (bytes > 0) return bytes;
  throw new Skipped("no batch limit is advertised");
};

const hashes = (digests: readonly Digest[]) => digests.map(({ hash }) => hash).sort();

/** FindMissingBlobs. */
const existenceCases: readonly Case[] = [
  {
    name: "a blob is missing until it is uploaded, and then it is not",
    client: "every client",
    rule: "REAPI: FindMissingBlobs",
    run: async (target) => {
      const blob = await blobOf(unique());
      check(!(await has(target, blob.digest)), "a blob that nobody uploaded is said to be there");
      await putAll(target, [blob]);
      check(await has(target, blob.digest), "an uploaded blob is said to be missing");
    },
  },
  {
    name: "of a mixed list exactly the missing blobs are named",
    client: "Bazel",
    rule: "building without the bytes trusts FindMissingBlobs both ways",
    run: async (target) => {
      const there = await Promise.all(Array.from({ length: 20 }, () => blobOf(unique())));
      await putAll(target, there);
      const gone = await Promise.all(Array.from({ length: 20 }, () => absent()));
      const mixed = there.flatMap(({ digest }, at) => [digest, gone[at] ?? digest]);
      same(hashes(await missingOf(target, mixed)), hashes(gone), "the missing ones");
    },
  },
  {
    name: "the same missing digest may be asked for twice",
    client: "every client",
    rule: "REAPI: FindMissingBlobs",
    run: async (target) => {
      const gone = await absent();
      const found = new Set(hashes(await missingOf(target, [gone, gone])));
      same([...found], [gone.hash], "the missing ones");
    },
  },
  {
    name: "an empty question has an empty answer",
    client: "every client",
    rule: "REAPI: FindMissingBlobs",
    run: async (target) => same(await missingOf(target, []), [], "the missing ones"),
  },
  {
    name: "thousands of digests can be asked for at once",
    client: "Bazel",
    rule: "Bazel asks for whole input trees",
    run: async (target) => {
      const gone = Array.from({ length: 10_000 }, (_, at) => {
        return { hash: unique(32).toString("hex"), sizeBytes: at + 1 };
      });
      same((await missingOf(target, gone)).length, gone.length, "the number of missing ones");
    },
  },
  {
    name: "a size that does not belong to the hash names another blob",
    client: "every client",
    rule: "REAPI: Digest holds hash and size",
    run: async (target) => {
      const { hash, sizeBytes } = await put(target, unique());
      const other = { hash, sizeBytes: sizeBytes + 1 };
      const [found] = await batchRead(target, [other]);
      check(
        (found?.status?.code ?? 0) !== 0 && found?.data.length === 0,
        "the blob was read all the same",
      );
    },
  },
];

/** BatchUpdateBlobs and BatchReadBlobs. */
const batchCases: readonly Case[] = [
  {
    name: "a batch keeps its good blobs and refuses the bad one by name",
    client: "every client",
    rule: "REAPI: BatchUpdateBlobs has a status for each blob",
    run: async (target) => {
      const [good, bad] = [await blobOf(unique()), await blobOf(unique())];
      const codes = await batchUpdate(target, [good, { ...bad, bytes: unique() }]);
      same(codes.map(nameOfCode), ["OK", "INVALID_ARGUMENT"], "the statuses");
      check(await has(target, good.digest), "the good blob was not kept");
    },
  },
  {
    name: "a blob under a wrong hash is refused and not stored",
    client: "Pants",
    rule: "Pants reads no status of a batch: what was refused must be missing",
    run: async (target) => {
      const bad = await blobOf(unique());
      const codes = await batchUpdate(target, [{ ...bad, bytes: unique() }]);
      check(codes[0] !== 0, "it was accepted");
      check(!(await has(target, bad.digest)), "it is said to be there");
    },
  },
  {
    name: "the right hash with a wrong size is refused",
    client: "every client",
    rule: "REAPI: a size that is not the data's is INVALID_ARGUMENT",
    run: async (target) => {
      const { digest, ...blob } = await blobOf(unique());
      const longer = { ...blob, digest: { ...digest, sizeBytes: digest.sizeBytes + 1 } };
      same(
        (await batchUpdate(target, [longer])).map(nameOfCode),
        ["INVALID_ARGUMENT"],
        "the status",
      );
    },
  },
  {
    name: "a batch is read with each blob that is there and NOT_FOUND for the others",
    client: "every client",
    rule: "REAPI: BatchReadBlobs has a status for each digest",
    run: async (target) => {
      const blob = await blobOf(unique(1000));
      await putAll(target, [blob]);
      const gone = await absent();
      const found = await batchRead(target, [gone, blob.digest]);
      const byHash = new Map(found.map((one) => [one.digest?.hash, one]));
      same(nameOfCode(byHash.get(gone.hash)?.status?.code ?? 0), "NOT_FOUND", "the lost one");
      const data = byHash.get(blob.digest.hash)?.data ?? new Uint8Array();
      sameBytes(data, blob.bytes, "the blob");
    },
  },
  {
    name: "a single blob of nearly 2 MiB is read as a batch",
    client: "siso",
    rule: "siso reads blobs under 2 MiB by BatchReadBlobs with one digest",
    run: async (target) => {
      const blob = await blobOf(unique((2 << 20) - 1));
      await put(target, blob.bytes);
      const [found] = await batchRead(target, [blob.digest]);
      sameBytes(found?.data ?? new Uint8Array(), blob.bytes, "the blob");
    },
  },
  {
    name: "a batch of exactly the advertised size is taken, and answered below 4 MiB",
    client: "Bazel",
    rule: "REAPI: max_batch_total_size_bytes; gRPC clients receive 4 MiB",
    run: async (target) => {
      const total = batchMax(target);
      const part = Math.floor(total / 4);
      const sizes = [part, part, part, total - 3 * part];
      const blobs = await Promise.all(sizes.map((size) => blobOf(unique(size))));
      await putAll(target, blobs);
      const found = await batchRead(
        target,
        blobs.map(({ digest }) => digest),
      );
      const bytes = found.reduce((sum, { data }) => sum + data.length, 0);
      same(bytes, total, "the number of bytes read");
    },
  },
  {
    name: "a batch of many tiny blobs is taken",
    client: "Bazel",
    rule: "REAPI: only the bytes of a batch are limited",
    run: async (target) => {
      const blobs = await Promise.all(Array.from({ length: 2000 }, () => blobOf(unique(20))));
      await putAll(target, blobs);
      const found = await batchRead(
        target,
        blobs.map(({ digest }) => digest),
      );
      same(found.filter(({ data }) => data.length === 20).length, 2000, "the blobs read");
    },
  },
  {
    name: "a read of more than the advertised size is refused",
    client: "every client",
    rule: "REAPI: BatchReadBlobs over the limit is INVALID_ARGUMENT",
    run: async (target) => {
      const half = Math.ceil(batchMax(target) / 2) + 1;
      const digests = [await put(target, unique(half)), await put(target, unique(half))];
      const codes = ["INVALID_ARGUMENT", "RESOURCE_EXHAUSTED"] as const;
      await refused(batchRead(target, digests), codes, "a batch over the limit");
    },
  },
];

/** The empty blob, which is there without being uploaded. */
const emptyCases: readonly Case[] = [
  {
    name: "the empty blob is never missing",
    client: "every client",
    rule: "REAPI: servers MUST answer for the empty blob without an upload",
    run: async (target) => {
      check(await has(target, (await blobOf("")).digest), "the empty blob is said to be missing");
    },
  },
  {
    name: "the empty blob can be read as a batch",
    client: "every client",
    rule: "REAPI: the empty blob is always readable",
    run: async (target) => {
      const [found] = await batchRead(target, [(await blobOf("")).digest]);
      same(nameOfCode(found?.status?.code ?? 0), "OK", "the status");
      same(found?.data.length, 0, "the number of bytes");
    },
  },
  {
    name: "the empty blob can be written as a batch",
    client: "every client",
    rule: "REAPI: the empty blob may be uploaded like any other",
    run: async (target) => {
      same(await batchUpdate(target, [await blobOf("")]), [0], "the status");
    },
  },
  {
    name: "a hash that is not the empty one does not name an empty blob",
    client: "every client",
    rule: "REAPI: size 0 alone does not make a blob the empty one",
    run: async (target) => {
      const digest = { hash: unique(32).toString("hex"), sizeBytes: 0 };
      const found = await missingOf(target, [digest]).catch(() => [digest]);
      same(found.length, 1, "the number of missing blobs");
    },
  },
];

/** One case for every digest function that this suite can compute. */
const functionCases: readonly Case[] = digestFunctions.map((fn) => ({
  name: `blobs under ${fn.toUpperCase()} are written, found and read`,
  client: "every client" as const,
  rule: "REAPI: every advertised digest function is served",
  run: async (target) => {
    needsFunction(target, fn);
    const blob = await blobOf(unique(3000), fn);
    check(!(await has(target, blob.digest, fn)), "a new blob is said to be there");
    await putAll(target, [blob]);
    check(await has(target, blob.digest, fn), "the blob is said to be missing");
    const [found] = await batchRead(target, [blob.digest], fn);
    sameBytes(found?.data ?? new Uint8Array(), blob.bytes, "the blob");
    const streamed = await blobOf(unique(3000), fn);
    same(await writeStream(target, streamed), 3000, "committed_size");
    sameBytes(await readBytes(target, readName(target, streamed)), streamed.bytes, "the stream");
    const wrong = { ...(await blobOf(unique(), fn)), bytes: unique() };
    check((await batchUpdate(target, [wrong]))[0] !== 0, "a wrong blob was accepted");
    check(await has(target, (await blobOf("", fn)).digest, fn), "the empty blob is missing");
  },
}));

function needsFunction(target: Target, fn: DigestFunction): void {
  const served = target.capabilities.cacheCapabilities?.digestFunctions ?? [];
  if (!served.includes(toWireFunction(fn))) throw new Skipped(`${fn.toUpperCase()} is not served`);
}

/** How digest functions are told apart. */
const aliasCases: readonly Case[] = [
  {
    name: "SHA256 is inferred where no digest function is named",
    client: "Please",
    rule: "REAPI: old clients do not set digest_function",
    run: async (target) => {
      const digest = await put(target, unique());
      const answer = await target.calls.unary(cas.findMissingBlobs, {
        instanceName: target.instance,
        blobDigests: [digest, await absent()],
        digestFunction: 0 as const,
      });
      same(answer.missingBlobDigests.length, 1, "the number of missing blobs");
    },
  },
  {
    name: "digest functions of one hash length are not taken for each other",
    client: "Buck2",
    rule: "REAPI: SHA256, SHA256TREE and BLAKE3 have 64 digits each",
    run: async (target) => {
      needsFunction(target, "blake3");
      const digest = await put(target, unique());
      check(!(await has(target, digest, "blake3")), "a SHA256 blob is found under BLAKE3");
    },
  },
];

/** Cases of blobs in batches. */
export const blobCases: readonly Case[] = [
  ...existenceCases,
  ...batchCases,
  ...emptyCases,
  ...functionCases,
  ...aliasCases,
];
