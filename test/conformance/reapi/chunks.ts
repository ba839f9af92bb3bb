// SplitBlob and SpliceBlob: large blobs as the chunks that changed.

import { createChunker } from "../../../src/cas/fast-cdc.ts";
import {
  ChunkingFunction_Value,
  type Digest,
} from "../../../src/wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import { cas } from "./calls.ts";
import type { Case } from "./case.ts";
import {
  absent,
  type Blob,
  blobOf,
  fetchBlob,
  has,
  missingOf,
  put,
  readBytes,
  readName,
  unique,
} from "./content.ts";
import { check, isServiceError, refused, Skipped, same, sameBytes } from "./expectations.ts";
import type { Target } from "./target.ts";

const { FAST_CDC_2020, UNKNOWN } = ChunkingFunction_Value;

async function split(
  target: Target,
  blobDigest: Digest,
  chunkingFunction: ChunkingFunction_Value = UNKNOWN,
): Promise<Digest[]> {
  const request = {
    instanceName: target.instance,
    blobDigest,
    digestFunction: 1 as const,
    chunkingFunction,
  };
  return (await target.calls.unary(cas.splitBlob, request)).chunkDigests;
}

async function splice(
  target: Target,
  blobDigest: Digest,
  chunkDigests: Digest[],
): Promise<Digest | undefined> {
  const request = {
    instanceName: target.instance,
    blobDigest,
    chunkDigests,
    digestFunction: 1 as const,
    chunkingFunction: UNKNOWN,
  };
  return (await target.calls.unary(cas.spliceBlob, request)).blobDigest;
}

function averageBytes(target: Target): number {
  const params = target.capabilities.cacheCapabilities?.fastCdc2020Params;
  if (params !== undefined) return params.avgChunkSizeBytes;
  throw new Skipped("fast_cdc_2020_params is not set");
}

/** A blob large enough to be cut, and its chunks as the server cut it. */
async function cut(target: Target): Promise<{ blob: Blob; chunks: Digest[] }> {
  const blob = await blobOf(unique(8 << 20));
  await put(target, blob.bytes);
  return { blob, chunks: await split(target, blob.digest, FAST_CDC_2020) };
}

/** Two chunks of a blob that is not there. */
async function parts(target: Target): Promise<{ blob: Blob; chunks: Digest[] }> {
  const blob = await blobOf(unique(3000));
  const chunks = [blob.bytes.subarray(0, 1000), blob.bytes.subarray(1000)];
  return { blob, chunks: await Promise.all(chunks.map((chunk) => put(target, chunk))) };
}

const splitCases: readonly Case[] = [
  {
    name: "the chunks of a blob are stored and make the blob",
    client: "Bazel",
    rule: "REAPI: SplitBlob",
    needs: ["SplitBlob"],
    run: async (target) => {
      const { blob, chunks } = await cut(target);
      check(chunks.length > 1, `8 MiB were cut into ${chunks.length} chunk`);
      same(await missingOf(target, chunks), [], "the missing chunks");
      const bytes = [];
      for (const chunk of chunks) bytes.push(await fetchBlob(target, chunk));
      sameBytes(Buffer.concat(bytes), blob.bytes, "the chunks together");
    },
  },
  {
    name: "chunks are a quarter to four times the advertised average",
    client: "Bazel",
    rule: "REAPI: FastCDC 2020 bounds of fast_cdc_2020_params",
    needs: ["SplitBlob"],
    run: async (target) => {
      const average = averageBytes(target);
      const { chunks } = await cut(target);
      const sizes = chunks.slice(0, -1).map(({ sizeBytes }) => sizeBytes);
      const wrong = sizes.filter((size) => size < average / 4 || size > average * 4);
      same(wrong, [], "the sizes out of bounds");
    },
  },
  {
    name: "blobs are cut where FastCDC 2020 cuts them",
    client: "Buck2",
    rule: "REAPI: clients that cut by fast_cdc_2020_params share chunks with the server",
    needs: ["SplitBlob"],
    run: async (target) => {
      const average = averageBytes(target);
      const seed = target.capabilities.cacheCapabilities?.fastCdc2020Params?.seed ?? 0;
      const options = { averageBytes: average, minBytes: average / 4, maxBytes: average * 4, seed };
      const chunker = createChunker(options);
      const { blob, chunks } = await cut(target);
      const expected: number[] = [];
      for (let at = 0; at < blob.bytes.length; at += expected.at(-1) ?? 0) {
        expected.push(chunker.cut(blob.bytes.subarray(at)));
      }
      const sizes = chunks.map(({ sizeBytes }) => sizeBytes);
      same(sizes, expected, "the sizes of the chunks");
    },
  },
  {
    name: "a blob that changed in one place shares its other chunks",
    client: "Bazel",
    rule: "REAPI: content-defined chunking",
    needs: ["SplitBlob"],
    run: async (target) => {
      const { blob, chunks } = await cut(target);
      const changed = Buffer.from(blob.bytes);
      unique(100).copy(changed, 4 << 20);
      const digest = await put(target, changed);
      const known = new Set(chunks.map(({ hash }) => hash));
      const shared = (await split(target, digest)).filter(({ hash }) => known.has(hash)).length;
      check(shared >= chunks.length - 4, `${shared} of ${chunks.length} chunks are shared`);
    },
  },
  {
    name: "a small blob is one chunk",
    client: "every client",
    rule: "REAPI: blobs below the largest chunk need not be cut",
    needs: ["SplitBlob"],
    run: async (target) => {
      const digest = await put(target, unique(1000));
      const chunks = await split(target, digest);
      const bytes = chunks.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
      same(bytes, 1000, "the bytes of the chunks");
    },
  },
  {
    name: "a blob that is not there cannot be cut",
    client: "every client",
    rule: "REAPI: SplitBlob of an unknown blob is NOT_FOUND",
    needs: ["SplitBlob"],
    run: async (target) => {
      await refused(split(target, await absent()), "NOT_FOUND", "a lost blob");
    },
  },
  {
    name: "a chunking function that nobody knows is refused",
    client: "hostile client",
    rule: "REAPI: SplitBlobRequest.chunking_function",
    needs: ["SplitBlob"],
    run: async (target) => {
      const digest = await put(target, unique(1000));
      const unknown = 77 as unknown as ChunkingFunction_Value;
      await refused(split(target, digest, unknown), "INVALID_ARGUMENT", "chunking function 77");
    },
  },
];

const spliceCases: readonly Case[] = [
  {
    name: "chunks are made a blob",
    client: "Bazel",
    rule: "REAPI: SpliceBlob",
    needs: ["SpliceBlob"],
    run: async (target) => {
      const { blob, chunks } = await parts(target);
      const made = await splice(target, blob.digest, chunks);
      same(made, blob.digest, "blob_digest");
      sameBytes(await readBytes(target, readName(target, blob)), blob.bytes, "the blob");
    },
  },
  {
    name: "chunks in a wrong order are refused, whatever digest they claim",
    client: "every client",
    rule: "REAPI: the server MUST verify the digest of the whole",
    needs: ["SpliceBlob"],
    run: async (target) => {
      const { blob, chunks } = await parts(target);
      const made = splice(target, blob.digest, chunks.toReversed());
      await refused(made, "INVALID_ARGUMENT", "the wrong order");
      check(!(await has(target, blob.digest)), "the blob is said to be there");
    },
  },
  {
    name: "chunks of another size than the blob are refused",
    client: "every client",
    rule: "REAPI: the server MUST verify the digest of the whole",
    needs: ["SpliceBlob"],
    run: async (target) => {
      const { blob, chunks } = await parts(target);
      const made = splice(target, blob.digest, chunks.slice(0, 1));
      await refused(made, "INVALID_ARGUMENT", "one chunk of two");
      check(!(await has(target, blob.digest)), "the blob is said to be there");
    },
  },
  {
    name: "a chunk that is not there is NOT_FOUND",
    client: "Bazel",
    rule: "REAPI: SpliceBlob with an unknown chunk",
    needs: ["SpliceBlob"],
    run: async (target) => {
      const [first, second] = [unique(500), unique(500)];
      const blob = await blobOf(Buffer.concat([first, second]));
      const chunks = [await put(target, first), (await blobOf(second)).digest];
      await refused(splice(target, blob.digest, chunks), "NOT_FOUND", "a lost chunk");
    },
  },
  {
    name: "a blob that is there may be spliced again",
    client: "Bazel",
    rule: "REAPI: OK, or ALREADY_EXISTS where another chunking is kept",
    needs: ["SpliceBlob"],
    run: async (target) => {
      const { blob, chunks } = await parts(target);
      await put(target, blob.bytes);
      await splice(target, blob.digest, chunks).catch((error: unknown) => {
        if (!isServiceError(error) || error.code !== 6) throw error;
      });
    },
  },
];

/** Cases of chunking. */
export const chunkCases: readonly Case[] = [...splitCases, ...spliceCases];
