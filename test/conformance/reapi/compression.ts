// zstd in both framings: streams for ByteStream, one frame a blob for batches.

import * as zlib from "node:zlib";
import {
  BatchReadBlobsRequest,
  Compressor_Value,
} from "../../../src/wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import { cas } from "./calls.ts";
import type { Case } from "./case.ts";
import {
  type Blob,
  batchUpdate,
  blobOf,
  has,
  put,
  readBytes,
  readName,
  uniqueText,
  writeName,
} from "./content.ts";
import { check, isServiceError, nameOfCode, refused, same, sameBytes } from "./expectations.ts";
import type { Target } from "./target.ts";

const { ZSTD, IDENTITY, DEFLATE, BROTLI } = Compressor_Value;

const compressedRead = (target: Target, blob: Blob) =>
  readName(target, blob).replace(/(^|\/)blobs\//, "$1compressed-blobs/zstd/");
const compressedWrite = (target: Target, blob: Blob) =>
  writeName(target, blob).replace("/blobs/", "/compressed-blobs/zstd/");

const text = async (sizeBytes: number) => blobOf(uniqueText(sizeBytes));

async function checkStored(target: Target, blob: Blob): Promise<void> {
  sameBytes(await readBytes(target, readName(target, blob)), blob.bytes, "the blob");
}

function checkCommitted(committed: number, plain: number, sent: number): void {
  check(
    [-1, plain, sent].includes(committed),
    `committed_size is ${committed}; -1, ${plain} (the blob) or ${sent} (as sent) are right`,
  );
}

/** compressed-blobs over ByteStream. */
const streamCases: readonly Case[] = [
  {
    name: "a compressed read holds the blob",
    client: "Bazel",
    rule: "REAPI: compressed-blobs/zstd/hash/size",
    needs: ["zstd streams"],
    run: async (target) => {
      for (const sizeBytes of [1, 1000, 3_000_000]) {
        const blob = await text(sizeBytes);
        await put(target, blob.bytes);
        const packed = await readBytes(target, compressedRead(target, blob));
        sameBytes(zlib.zstdDecompressSync(packed), blob.bytes, "the blob");
      }
    },
  },
  {
    name: "the offset of a compressed read counts uncompressed bytes",
    client: "Bazel",
    rule: "REAPI: read_offset of compressed-blobs",
    needs: ["zstd streams"],
    run: async (target) => {
      const blob = await text(500_000);
      await put(target, blob.bytes);
      const packed = await readBytes(target, compressedRead(target, blob), 400_001);
      const rest = zlib.zstdDecompressSync(packed);
      sameBytes(rest, blob.bytes.subarray(400_001), "the rest of the blob");
    },
  },
  {
    name: "a compressed read with a limit is refused",
    client: "every client",
    rule: "REAPI: read_limit of compressed-blobs must be 0",
    needs: ["zstd streams"],
    run: async (target) => {
      const blob = await text(1000);
      await put(target, blob.bytes);
      const read = readBytes(target, compressedRead(target, blob), 0, 10);
      await refused(read, "INVALID_ARGUMENT", "read_limit 10");
    },
  },
  {
    name: "a compressed upload in one message is stored plain",
    client: "siso",
    rule: "REAPI: uploads/uuid/compressed-blobs/zstd/hash/size",
    needs: ["zstd streams"],
    run: async (target) => {
      const blob = await text(300_000);
      const data = zlib.zstdCompressSync(blob.bytes);
      const resourceName = compressedWrite(target, blob);
      const committed = await target.calls.write({ resourceName, data, finishWrite: true });
      checkCommitted(committed, blob.bytes.length, data.length);
      await checkStored(target, blob);
    },
  },
  {
    name: "the offsets of a compressed upload count compressed bytes",
    client: "Bazel",
    rule: "REAPI: write_offset of compressed-blobs after the first message",
    needs: ["zstd streams"],
    run: async (target) => {
      const blob = await text(2_000_000);
      const packed = zlib.zstdCompressSync(blob.bytes);
      const cut = Math.floor(packed.length / 3);
      const committed = await target.calls.write(
        { resourceName: compressedWrite(target, blob), data: packed.subarray(0, cut) },
        { writeOffset: cut, data: packed.subarray(cut, 2 * cut) },
        { writeOffset: 2 * cut, data: packed.subarray(2 * cut) },
        { writeOffset: packed.length, finishWrite: true },
      );
      checkCommitted(committed, blob.bytes.length, packed.length);
      await checkStored(target, blob);
    },
  },
  {
    name: "a zstd stream of several frames is one blob",
    client: "Bazel",
    rule: "RFC 8878: frames that follow each other decompress to one content",
    needs: ["zstd streams"],
    run: async (target) => {
      const blob = await text(200_000);
      const frames = [blob.bytes.subarray(0, 90_000), blob.bytes.subarray(90_000)];
      const data = Buffer.concat(frames.map((part) => zlib.zstdCompressSync(part)));
      const resourceName = compressedWrite(target, blob);
      await target.calls.write({ resourceName, data, finishWrite: true });
      await checkStored(target, blob);
    },
  },
  {
    name: "the compressed upload of a blob that is there ends well",
    client: "Bazel",
    rule: "REAPI: committed_size -1 or the whole size",
    needs: ["zstd streams"],
    run: async (target) => {
      const blob = await text(300_000);
      await put(target, blob.bytes);
      const data = zlib.zstdCompressSync(blob.bytes);
      const resourceName = compressedWrite(target, blob);
      const write = target.calls.write({ resourceName, data, finishWrite: true });
      const committed = await write.catch((error: unknown) => {
        if (isServiceError(error) && error.code === 6) return -1;
        throw error;
      });
      checkCommitted(committed, blob.bytes.length, data.length);
    },
  },
  {
    name: "compressed bytes of another blob, half a frame and no frame are refused",
    client: "every client",
    rule: "REAPI: digests are verified after decompression",
    needs: ["zstd streams"],
    run: async (target) => {
      const [blob, other] = [await text(10_000), await text(10_000)];
      const good = zlib.zstdCompressSync(blob.bytes);
      const wrong = {
        "another blob": zlib.zstdCompressSync(other.bytes),
        "half a frame": good.subarray(0, good.length >> 1),
        "no frame": blob.bytes,
        "a shorter blob": zlib.zstdCompressSync(blob.bytes.subarray(1)),
        "a longer blob": zlib.zstdCompressSync(Buffer.concat([blob.bytes, Buffer.from("x")])),
      };
      for (const [what, data] of Object.entries(wrong)) {
        const resourceName = compressedWrite(target, blob);
        const write = target.calls.write({ resourceName, data, finishWrite: true });
        await refused(write, "INVALID_ARGUMENT", what);
        check(!(await has(target, blob.digest)), `after ${what} the blob is said to be there`);
      }
    },
  },
  {
    name: "the empty blob can be read compressed",
    client: "every client",
    rule: "REAPI: the empty blob is always readable",
    needs: ["zstd streams"],
    run: async (target) => {
      const packed = await readBytes(target, compressedRead(target, await blobOf("")));
      const plain = packed.length === 0 ? packed : zlib.zstdDecompressSync(packed);
      same(plain.length, 0, "the number of bytes");
    },
  },
  {
    name: "compressors that are not advertised are refused by name",
    client: "every client",
    rule: "REAPI: CacheCapabilities.supported_compressors",
    run: async (target) => {
      const served = target.capabilities.cacheCapabilities?.supportedCompressors ?? [];
      const blob = await text(1000);
      await put(target, blob.bytes);
      const named = { zstd: ZSTD, deflate: DEFLATE, brotli: BROTLI };
      for (const [name, value] of Object.entries(named)) {
        if (served.includes(value)) continue;
        const resource = compressedRead(target, blob).replace("/zstd/", `/${name}/`);
        const codes = ["INVALID_ARGUMENT", "UNIMPLEMENTED", "NOT_FOUND"] as const;
        await refused(readBytes(target, resource), codes, `a read as ${name}`);
      }
    },
  },
];

/** Compressed batches. */
const batchCases: readonly Case[] = [
  {
    name: "a batch of zstd frames is stored plain",
    client: "remote-apis-sdks",
    rule: "REAPI: supported_batch_update_compressors",
    needs: ["zstd batches"],
    run: async (target) => {
      const blobs = [await text(1), await text(5_000), await text(400_000)];
      const packed = blobs.map((blob) => ({ ...blob, bytes: zlib.zstdCompressSync(blob.bytes) }));
      same(await batchUpdate(target, packed, ZSTD), [0, 0, 0], "the statuses");
      for (const blob of blobs) await checkStored(target, blob);
    },
  },
  {
    name: "of a compressed batch the wrong blobs are refused by name",
    client: "moon",
    rule: "REAPI: digests are verified after decompression",
    needs: ["zstd batches"],
    run: async (target) => {
      const [good, wrong, none] = [await text(900), await text(900), await text(900)];
      const frame = (bytes: Uint8Array) => zlib.zstdCompressSync(bytes);
      const codes = await batchUpdate(
        target,
        [{ ...good, bytes: frame(good.bytes) }, { ...wrong, bytes: frame(uniqueText(900)) }, none],
        ZSTD,
      );
      const expected = ["OK", "INVALID_ARGUMENT", "INVALID_ARGUMENT"];
      same(codes.map(nameOfCode), expected, "the statuses");
      check(await has(target, good.digest), "the good blob was not kept");
      check(!(await has(target, wrong.digest)), "the wrong blob is said to be there");
    },
  },
  {
    name: "a batch is read compressed only by clients that take zstd",
    client: "remote-apis-sdks",
    rule: "REAPI: BatchReadBlobsRequest.acceptable_compressors",
    run: async (target) => {
      const blob = await text(50_000);
      await put(target, blob.bytes);
      const wishes: Compressor_Value[][] = [[], [IDENTITY], [ZSTD], [IDENTITY, ZSTD]];
      for (const acceptable of wishes) {
        const request = BatchReadBlobsRequest.fromPartial({
          instanceName: target.instance,
          digests: [blob.digest],
          acceptableCompressors: acceptable,
          digestFunction: 1,
        });
        const [found] = (await target.calls.unary(cas.batchReadBlobs, request)).responses;
        const { compressor = IDENTITY, data = new Uint8Array() } = found ?? {};
        check(
          compressor === IDENTITY || acceptable.includes(compressor),
          `compressor ${compressor} came to a client that takes ${acceptable.join(", ")}`,
        );
        const plain = compressor === ZSTD ? zlib.zstdDecompressSync(data) : data;
        sameBytes(plain, blob.bytes, "the blob");
      }
    },
  },
  {
    name: "a compressor that is not advertised for batches is refused blob by blob",
    client: "every client",
    rule: "REAPI: supported_batch_update_compressors",
    run: async (target) => {
      const served = target.capabilities.cacheCapabilities?.supportedBatchUpdateCompressors ?? [];
      const blob = await text(900);
      for (const compressor of Object.values(Compressor_Value)) {
        if (compressor === IDENTITY) continue;
        if (served.includes(compressor)) continue;
        const update = batchUpdate(target, [blob], compressor);
        const [code] = await update.catch((error: unknown) => {
          if (isServiceError(error)) return [error.code];
          throw error;
        });
        check(code !== 0, `compressor ${compressor} was accepted`);
      }
      check(!(await has(target, blob.digest)), "the blob is said to be there");
    },
  },
];

/** Cases of compression. */
export const compressionCases: readonly Case[] = [...streamCases, ...batchCases];
