// ByteStream.Write, in every client's way, and in ways that are wrong.

import type { Case } from "./case.ts";
import {
  type Blob,
  blobOf,
  has,
  prefixOf,
  put,
  readBytes,
  readName,
  tailOf,
  unique,
  writeName,
  writeStream,
} from "./content.ts";
import { check, isServiceError, present, refused, same, sameBytes } from "./expectations.ts";
import type { Target } from "./target.ts";

async function stored(target: Target, sizeBytes: number): Promise<Blob> {
  const blob = await blobOf(unique(sizeBytes));
  await put(target, blob.bytes);
  return blob;
}

async function checkStored(target: Target, blob: Blob): Promise<void> {
  sameBytes(await readBytes(target, readName(target, blob)), blob.bytes, "the blob");
}

/** ByteStream.Write, as each client does it. */
const goodWriteCases: readonly Case[] = [
  {
    name: "an upload is answered with exactly its size",
    client: "Pants",
    rule: "Pants, Bazel and buildbox compare committed_size with the size",
    run: async (target) => {
      for (const sizeBytes of [1, 70_000, 2_500_000]) {
        const blob = await blobOf(unique(sizeBytes));
        same(await writeStream(target, blob), sizeBytes, "committed_size");
        await checkStored(target, blob);
      }
    },
  },
  {
    name: "only the first message of an upload need name it",
    client: "Bazel",
    rule: "ByteStream: WriteRequest.resource_name",
    run: async (target) => {
      const blob = await blobOf(unique(3000));
      const committed = await target.calls.write(
        { resourceName: writeName(target, blob), data: blob.bytes.subarray(0, 1000) },
        { writeOffset: 1000, data: blob.bytes.subarray(1000), finishWrite: true },
      );
      same(committed, 3000, "committed_size");
      await checkStored(target, blob);
    },
  },
  {
    name: "every message may name the upload, and the end may be an empty message",
    client: "siso",
    rule: "siso repeats resource_name and sends finish_write alone",
    run: async (target) => {
      const blob = await blobOf(unique(3000));
      const resourceName = writeName(target, blob);
      const committed = await target.calls.write(
        { resourceName, data: blob.bytes.subarray(0, 1000) },
        { resourceName, writeOffset: 1000, data: blob.bytes.subarray(1000) },
        { resourceName, writeOffset: 3000, finishWrite: true },
      );
      same(committed, 3000, "committed_size");
      await checkStored(target, blob);
    },
  },
  {
    name: "an empty blob is written as one empty message",
    client: "Pants",
    rule: "Pants writes zero bytes as one message with finish_write",
    run: async (target) => same(await writeStream(target, await blobOf("")), 0, "committed_size"),
  },
  {
    name: "one upload id serves many blobs",
    client: "BuildStream/recc",
    rule: "buildbox uses one upload UUID per process",
    run: async (target) => {
      const blobs = await Promise.all([blobOf(unique(2000)), blobOf(unique(2000))]);
      const id = crypto.randomUUID();
      const writes = blobs.map((blob) => {
        const resourceName = `${prefixOf(target.instance)}uploads/${id}/blobs/${tailOf(blob)}`;
        return target.calls.write({ resourceName, data: blob.bytes, finishWrite: true });
      });
      same(await Promise.all(writes), [2000, 2000], "committed_size");
      for (const blob of blobs) await checkStored(target, blob);
    },
  },
  {
    name: "the upload of a blob that is there ends early and well",
    client: "Bazel",
    rule: "REAPI: the call ends with the whole size as committed_size",
    run: async (target) => {
      const blob = await stored(target, 2_000_000);
      same(await writeStream(target, blob), 2_000_000, "committed_size");
      const write = target.calls.openWrite();
      const data = blob.bytes.subarray(0, 1000);
      await write.send({ resourceName: writeName(target, blob), data });
      write.end();
      const committed = await write.answer.catch((error: unknown) => {
        if (isServiceError(error) && error.code === 6) return blob.bytes.length;
        throw error;
      });
      same(committed, 2_000_000, "committed_size of an upload that broke off");
    },
  },
  {
    name: "a blob that comes by another way ends the uploads of it well",
    client: "Bazel",
    rule: "REAPI: a blob that appears during its upload is a success",
    run: async (target) => {
      const blob = await blobOf(unique(200_000));
      const slow = target.calls.openWrite();
      const half = 100_000;
      const resourceName = writeName(target, blob);
      await slow.send({ resourceName, data: blob.bytes.subarray(0, half) });
      await writeStream(target, blob);
      const data = blob.bytes.subarray(half);
      await slow.send({ resourceName, writeOffset: half, data, finishWrite: true });
      slow.end();
      same(await slow.answer, 200_000, "committed_size of the slow upload");
    },
  },
  {
    name: "many uploads of one blob at once all succeed",
    client: "every client",
    rule: "REAPI: uploads of the same blob do not disturb each other",
    run: async (target) => {
      const blob = await blobOf(unique(500_000));
      const sizes = await Promise.all(Array.from({ length: 8 }, () => writeStream(target, blob)));
      same([...new Set(sizes)], [500_000], "the committed sizes");
      await checkStored(target, blob);
    },
  },
  {
    name: "a blob of 24 MiB goes up and comes down",
    client: "every client",
    rule: "REAPI: blobs over the batch limit go by ByteStream",
    alone: true,
    deadlineMs: 60_000,
    run: async (target) => {
      const blob = await blobOf(unique(24 << 20));
      same(await writeStream(target, blob), 24 << 20, "committed_size");
      await checkStored(target, blob);
    },
  },
];

/** Wrong writes. */
const badWriteCases: readonly Case[] = [
  {
    name: "an upload of other bytes than its name says is refused and not stored",
    client: "every client",
    rule: "REAPI: digests are verified, INVALID_ARGUMENT",
    run: async (target) => {
      const blob = { ...(await blobOf(unique(1000))), bytes: unique(1000) };
      await refused(writeStream(target, blob), "INVALID_ARGUMENT", "a wrong blob");
      check(!(await has(target, blob.digest)), "the wrong blob is said to be there");
    },
  },
  {
    name: "an upload of fewer or more bytes than its size is refused",
    client: "every client",
    rule: "REAPI: a size that is not the data's is INVALID_ARGUMENT",
    run: async (target) => {
      const blob = await blobOf(unique(1000));
      const short = { ...blob, bytes: blob.bytes.subarray(0, 999) };
      await refused(writeStream(target, short), "INVALID_ARGUMENT", "999 bytes of 1000");
      const long = { ...blob, bytes: Buffer.concat([blob.bytes, unique(1)]) };
      await refused(writeStream(target, long), "INVALID_ARGUMENT", "1001 bytes of 1000");
      check(!(await has(target, blob.digest)), "the wrong blob is said to be there");
    },
  },
  {
    name: "an upload with a gap or a wrong offset is refused",
    client: "every client",
    rule: "ByteStream: WriteRequest.write_offset",
    run: async (target) => {
      const blob = await blobOf(unique(1000));
      const first = () => ({
        resourceName: writeName(target, blob),
        data: blob.bytes.subarray(0, 500),
      });
      const data = blob.bytes.subarray(500);
      const codes = ["INVALID_ARGUMENT", "OUT_OF_RANGE"] as const;
      for (const writeOffset of [501, 499, 0, -1]) {
        const write = target.calls.write(first(), { writeOffset, data, finishWrite: true });
        await refused(write, codes, `write_offset ${writeOffset} after 500 bytes`);
      }
      const late = target.calls.write({ ...first(), writeOffset: 500, finishWrite: true });
      await refused(late, codes, "a first message at write_offset 500");
    },
  },
  {
    name: "an upload without an end is refused and not stored",
    client: "every client",
    rule: "ByteStream: finish_write says that the blob is whole",
    run: async (target) => {
      const blob = await blobOf(unique(1000));
      const write = target.calls.openWrite();
      await write.send({
        resourceName: writeName(target, blob),
        data: blob.bytes.subarray(0, 900),
      });
      write.end();
      const committed = await write.answer.catch(() => undefined);
      check(committed !== 1000, "it was answered as whole");
      check(!(await has(target, blob.digest)), "the part is said to be there");
    },
  },
  {
    name: "an upload that changes its name is refused",
    client: "every client",
    rule: "ByteStream: resource_name must not change within a call",
    run: async (target) => {
      const [a, b] = [await blobOf(unique(1000)), await blobOf(unique(1000))];
      const write = target.calls.write(
        { resourceName: writeName(target, a), data: a.bytes.subarray(0, 500) },
        {
          resourceName: writeName(target, b),
          writeOffset: 500,
          data: a.bytes.subarray(500),
          finishWrite: true,
        },
      );
      const error = await refused(write, ["INVALID_ARGUMENT", "ABORTED"], "the upload");
      present(error.details, "the reason");
    },
  },
  {
    name: "an upload without any message is refused",
    client: "hostile client",
    rule: "ByteStream: the first message names the upload",
    run: async (target) => {
      await refused(target.calls.write(), ["INVALID_ARGUMENT", "CANCELLED"], "an empty upload");
    },
  },
];

/** Cases of ByteStream.Write. */
export const writeCases: readonly Case[] = [...goodWriteCases, ...badWriteCases];
