// ByteStream: names, and reads from anywhere.

import { byteStream } from "./calls.ts";
import type { Case } from "./case.ts";
import {
  absent,
  type Blob,
  blobOf,
  prefixOf,
  put,
  readBytes,
  readName,
  unique,
  writeName,
  writeStream,
} from "./content.ts";
import { isServiceError, refused, Skipped, same, sameBytes } from "./expectations.ts";
import type { Target } from "./target.ts";

async function stored(target: Target, sizeBytes: number): Promise<Blob> {
  const blob = await blobOf(unique(sizeBytes));
  await put(target, blob.bytes);
  return blob;
}

async function checkStored(target: Target, blob: Blob): Promise<void> {
  sameBytes(await readBytes(target, readName(target, blob)), blob.bytes, "the blob");
}

/** ByteStream.Read. */
const readCases: readonly Case[] = [
  {
    name: "a blob is read whole",
    client: "every client",
    rule: "REAPI: ByteStream.Read of [instance/]blobs/hash/size",
    run: async (target) => {
      for (const sizeBytes of [1, 1000, 65_536, 1_100_000]) {
        await checkStored(target, await stored(target, sizeBytes));
      }
    },
  },
  {
    name: "a read begins at read_offset",
    client: "Bazel",
    rule: "ByteStream: Bazel goes on with broken downloads",
    run: async (target) => {
      const blob = await stored(target, 300_000);
      const rest = await readBytes(target, readName(target, blob), 123_457);
      sameBytes(rest, blob.bytes.subarray(123_457), "the rest of the blob");
    },
  },
  {
    name: "a read ends after read_limit bytes",
    client: "every client",
    rule: "ByteStream: ReadRequest.read_limit",
    run: async (target) => {
      const blob = await stored(target, 300_000);
      const part = await readBytes(target, readName(target, blob), 100, 70_001);
      sameBytes(part, blob.bytes.subarray(100, 70_101), "the part");
    },
  },
  {
    name: "a limit beyond the end reads to the end",
    client: "every client",
    rule: "ByteStream: ReadRequest.read_limit",
    run: async (target) => {
      const blob = await stored(target, 1000);
      const part = await readBytes(target, readName(target, blob), 900, 5000);
      sameBytes(part, blob.bytes.subarray(900), "the part");
    },
  },
  {
    name: "a read from the very end has no bytes",
    client: "Bazel",
    rule: "ByteStream: read_offset may be the size",
    run: async (target) => {
      const blob = await stored(target, 1000);
      same((await readBytes(target, readName(target, blob), 1000)).length, 0, "the bytes read");
    },
  },
  {
    name: "a read from beyond the end is OUT_OF_RANGE",
    client: "every client",
    rule: "ByteStream: ReadRequest.read_offset",
    run: async (target) => {
      const blob = await stored(target, 1000);
      const codes = ["OUT_OF_RANGE", "INVALID_ARGUMENT"] as const;
      await refused(readBytes(target, readName(target, blob), 1001), codes, "offset 1001 of 1000");
    },
  },
  {
    name: "negative offsets and limits are refused",
    client: "every client",
    rule: "ByteStream: ReadRequest.read_offset, read_limit",
    run: async (target) => {
      const name = readName(target, await stored(target, 1000));
      const codes = ["OUT_OF_RANGE", "INVALID_ARGUMENT"] as const;
      await refused(readBytes(target, name, -1), codes, "read_offset -1");
      await refused(readBytes(target, name, 0, -1), codes, "read_limit -1");
    },
  },
  {
    name: "a blob that is not there is NOT_FOUND",
    client: "every client",
    rule: "ByteStream: Read of an unknown blob",
    run: async (target) => {
      const gone = { digest: await absent(), fn: "sha256" as const };
      await refused(readBytes(target, readName(target, gone)), "NOT_FOUND", "a lost blob");
    },
  },
  {
    name: "the empty blob is read as no bytes",
    client: "every client",
    rule: "REAPI: the empty blob is always readable",
    run: async (target) => {
      const name = readName(target, await blobOf(""));
      same((await readBytes(target, name)).length, 0, "the bytes read");
    },
  },
  {
    name: "a large blob comes in messages that gRPC's defaults take",
    client: "Bazel",
    rule: "gRPC clients receive 4 MiB by default",
    run: async (target) => {
      const blob = await stored(target, 9 << 20);
      const request = { resourceName: readName(target, blob), readOffset: 0, readLimit: 0 };
      const parts = await target.calls.collect(byteStream.read, request);
      sameBytes(Buffer.concat(parts.map(({ data }) => data)), blob.bytes, "the blob");
    },
  },
];

/** Resource names. */
const nameCases: readonly Case[] = [
  {
    name: "what follows the size of an upload is ignored, however many segments",
    client: "Bazel",
    rule: "REAPI: uploads/uuid/blobs/hash/size/anything/…",
    run: async (target) => {
      const blob = await blobOf(unique());
      const resourceName = `${writeName(target, blob)}/some/file.txt`;
      await target.calls.write({ resourceName, data: blob.bytes, finishWrite: true });
      await checkStored(target, blob);
    },
  },
  {
    name: "an instance with slashes is part of the name",
    client: "siso",
    rule: "REAPI: names are scanned for the first keyword, not split by position",
    run: async (target) => {
      const instance = `${prefixOf(target.instance)}projects/p/instances/i`;
      const there = { ...target, instance };
      const blob = await blobOf(unique());
      await writeStream(there, blob).catch((error: unknown) => {
        const limited = isServiceError(error) && [5, 7, 9].includes(error.code);
        throw limited ? new Skipped(`instances are limited: ${error.details}`) : error;
      });
      await checkStored(there, blob);
    },
  },
  {
    name: "functions that share a length are named in lower case",
    client: "Buck2",
    rule: "REAPI: [fn/]hash/size is required for BLAKE3",
    run: async (target) => {
      if (!target.capabilities.cacheCapabilities?.digestFunctions.includes(9)) {
        throw new Skipped("BLAKE3 is not served");
      }
      const blob = await blobOf(unique(5000), "blake3");
      await writeStream(target, blob);
      await checkStored(target, blob);
      const shouted = readName(target, blob).replace("blake3", "BLAKE3");
      await refused(readBytes(target, shouted), ["INVALID_ARGUMENT", "NOT_FOUND"], shouted);
    },
  },
  {
    name: "names that are none are refused",
    client: "hostile client",
    rule: "REAPI: ByteStream resource names",
    run: async (target) => {
      const { digest } = await blobOf(unique());
      const { hash, sizeBytes } = digest;
      const codes = ["INVALID_ARGUMENT", "NOT_FOUND"] as const;
      const reads = ["", "/", "blobs", `blobs/${hash}`, `blobs/${hash}/x`, `blobs/${hash}/-1`];
      reads.push(`blobs/zz${hash.slice(2)}/1`, `blobs/${hash.toUpperCase()}/1`, "../../etc/passwd");
      reads.push(`blobs/${hash.slice(1)}/1`, `blobs/${hash}/99999999999999999999`);
      for (const name of reads) await refused(readBytes(target, name), codes, JSON.stringify(name));
      const writes = ["", "uploads", "uploads/u", `blobs/${hash}/${sizeBytes}`, "uploads/u/blobs"];
      for (const resourceName of writes) {
        const write = target.calls.write({ resourceName, finishWrite: true });
        await refused(write, codes, `a write of ${JSON.stringify(resourceName)}`);
      }
    },
  },
];

/** Cases of ByteStream.Read and of resource names. */
export const byteStreamCases: readonly Case[] = [...readCases, ...nameCases];
