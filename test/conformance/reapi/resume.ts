// Uploads that broke off: what QueryWriteStatus may say, and how each client goes on.

import type { QueryWriteStatusResponse } from "../../../src/wire/gen/google/bytestream/bytestream.ts";
import { byteStream } from "./calls.ts";
import type { Case } from "./case.ts";
import { type Blob, blobOf, put, readBytes, readName, unique, writeName } from "./content.ts";
import {
  check,
  isServiceError,
  refused,
  same,
  sameBytes,
  unlessUnimplemented,
} from "./expectations.ts";
import type { Target } from "./target.ts";

function query(target: Target, resourceName: string): Promise<QueryWriteStatusResponse> {
  const asked = target.calls.unary(byteStream.queryWriteStatus, { resourceName });
  return unlessUnimplemented(asked, "QueryWriteStatus");
}

const pauseMs = 50;
const patienceMs = 5_000;

/** Sends the first `bytes` of a blob and breaks the call off; what the server then has of it. */
async function breakOff(target: Target, blob: Blob, name: string, bytes: number): Promise<number> {
  const calls = target.connect();
  const write = calls.openWrite();
  write.answer.catch(() => undefined);
  await write.send({ resourceName: name, data: blob.bytes.subarray(0, bytes) });
  // A server may commit only whole uploads; one that says what it has is waited for under load.
  const endMs = performance.now() + patienceMs;
  while ((await committedOf(target, name)) === 0 && performance.now() < endMs) {
    await new Promise((wake) => setTimeout(wake, pauseMs));
  }
  calls.close();
  return committedOf(target, name);
}

/** Whether a server may refuse to say is another case. */
async function committedOf(target: Target, name: string): Promise<number> {
  const known = await query(target, name).catch((error: unknown) => {
    if (isServiceError(error)) return { committedSize: 0 };
    throw error;
  });
  return known.committedSize;
}

/** Tries until the server has noticed that the first call is over. */
async function eventually<T>(attempt: () => Promise<T>): Promise<T> {
  const endMs = performance.now() + patienceMs;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (performance.now() > endMs) throw error;
      await new Promise((wake) => setTimeout(wake, pauseMs));
    }
  }
}

/** Cases of broken uploads. */
export const resumeCases: readonly Case[] = [
  {
    name: "QueryWriteStatus of a stored blob is complete with the whole size",
    client: "Bazel",
    rule: "Bazel: complete ends a retried upload",
    run: async (target) => {
      const blob = await blobOf(unique(3000));
      await put(target, blob.bytes);
      const known = await query(target, writeName(target, blob));
      same(known, { committedSize: 3000, complete: true }, "the status");
    },
  },
  {
    name: "QueryWriteStatus of an upload that never was is 0 and not complete",
    client: "Bazel",
    rule: "Bazel: NOT_FOUND turns a resumable upload into a failed one",
    run: async (target) => {
      const known = await query(target, writeName(target, await blobOf(unique(3000))));
      same(known, { committedSize: 0, complete: false }, "the status");
    },
  },
  {
    name: "QueryWriteStatus never tells the whole size of what is not complete",
    client: "Bazel",
    rule: "Bazel resumes at committed_size; at the end it would send nothing",
    run: async (target) => {
      const blob = await blobOf(unique(100_000));
      const name = writeName(target, blob);
      const committed = await breakOff(target, blob, name, 100_000);
      const known = await query(target, name);
      check(
        known.complete || known.committedSize < 100_000,
        `an upload without finish_write has committed ${committed} of 100000, not complete`,
      );
    },
  },
  {
    name: "an upload that broke off goes on at the committed size",
    client: "Bazel",
    rule: "ByteStream: QueryWriteStatus, write_offset",
    run: async (target) => {
      const blob = await blobOf(unique(300_000));
      const resourceName = writeName(target, blob);
      const before = await breakOff(target, blob, resourceName, 120_000);
      check(before <= 120_000, `${before} bytes are committed of 120000 that were sent`);
      const committed = await eventually(async () => {
        const { committedSize: writeOffset } = await query(target, resourceName);
        const data = blob.bytes.subarray(writeOffset);
        return target.calls.write({ resourceName, writeOffset, data, finishWrite: true });
      });
      same(committed, 300_000, "committed_size");
      sameBytes(await readBytes(target, readName(target, blob)), blob.bytes, "the blob");
    },
  },
  {
    name: "an upload that broke off can begin again at 0",
    client: "Bazel",
    rule: "Bazel starts anew where QueryWriteStatus is UNIMPLEMENTED",
    run: async (target) => {
      const blob = await blobOf(unique(300_000));
      const resourceName = writeName(target, blob);
      const calls = target.connect();
      const first = calls.openWrite();
      first.answer.catch(() => undefined);
      await first.send({ resourceName, data: blob.bytes.subarray(0, 120_000) });
      calls.close();
      const data = blob.bytes;
      const committed = await target.calls.write({ resourceName, data, finishWrite: true });
      same(committed, 300_000, "committed_size");
      sameBytes(await readBytes(target, readName(target, blob)), blob.bytes, "the blob");
    },
  },
  {
    name: "an upload does not go on where nothing was committed",
    client: "every client",
    rule: "ByteStream: a write_offset beyond the committed size is an error",
    run: async (target) => {
      const blob = await blobOf(unique(1000));
      const resourceName = writeName(target, blob);
      const data = blob.bytes.subarray(400);
      const write = target.calls.write({ resourceName, writeOffset: 400, data, finishWrite: true });
      const codes = ["INVALID_ARGUMENT", "OUT_OF_RANGE", "NOT_FOUND"] as const;
      await refused(write, codes, "a new upload at write_offset 400");
    },
  },
  {
    name: "QueryWriteStatus of a name that is none is refused",
    client: "hostile client",
    rule: "ByteStream: QueryWriteStatus",
    run: async (target) => {
      const codes = ["INVALID_ARGUMENT", "NOT_FOUND"] as const;
      const asked = target.calls.unary(byteStream.queryWriteStatus, { resourceName: "a/b/c" });
      await refused(unlessUnimplemented(asked, "QueryWriteStatus"), codes, "the name a/b/c");
    },
  },
  {
    name: "a compressed upload of a stored blob is complete too",
    client: "Bazel",
    rule: "Bazel asks for the status of compressed uploads",
    needs: ["zstd streams"],
    run: async (target) => {
      const blob = await blobOf(unique(3000));
      await put(target, blob.bytes);
      const name = writeName(target, blob).replace("/blobs/", "/compressed-blobs/zstd/");
      check((await query(target, name)).complete, "it is not complete");
    },
  },
];
