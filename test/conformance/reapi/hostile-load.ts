// Clients that begin and never end: uploads left half, reads nobody takes, streams by the thousand.

import { byteStream, cas } from "./calls.ts";
import type { Case } from "./case.ts";
import { absent, blobOf, put, readBytes, readName, unique, writeName } from "./content.ts";
import { check, isServiceError, same } from "./expectations.ts";
import { checkStillServes } from "./still-serves.ts";

const deadlineMs = 120_000;

/** Cases of load. They run alone, last. */
export const hostileLoadCases: readonly Case[] = [
  {
    name: "half uploads by the hundred leave no trace and disturb nobody",
    client: "hostile client",
    rule: "every upload under way has a bound",
    alone: true,
    deadlineMs,
    run: async (target) => {
      const blob = await blobOf(unique(100_000));
      for (let round = 0; round < 3; round += 1) {
        const calls = target.connect();
        for (let upload = 0; upload < 200; upload += 1) {
          const write = calls.openWrite();
          write.answer.catch(() => undefined);
          const resourceName = writeName(target, blob);
          await write.send({ resourceName, data: blob.bytes.subarray(0, 50_000) });
        }
        calls.close();
      }
      await checkStillServes(target);
      await put(target, blob.bytes);
      same((await readBytes(target, readName(target, blob))).length, 100_000, "the blob's length");
    },
  },
  {
    name: "uploads that stay open do not keep others out",
    client: "hostile client",
    rule: "every upload under way has a bound",
    alone: true,
    deadlineMs,
    run: async (target) => {
      for (let connection = 0; connection < 3; connection += 1) {
        const calls = target.connect();
        for (let upload = 0; upload < 100; upload += 1) {
          const blob = await blobOf(unique(2000));
          const write = calls.openWrite();
          write.answer.catch(() => undefined);
          await write.send({ resourceName: writeName(target, blob), data: unique(1000) });
        }
      }
      await checkStillServes(target);
    },
  },
  {
    name: "clients that never read what they asked for disturb nobody",
    client: "hostile client",
    rule: "a slow reader is waited for without holding its bytes",
    alone: true,
    deadlineMs,
    run: async (target) => {
      const blob = await blobOf(unique(8 << 20));
      await put(target, blob.bytes);
      const calls = target.connect();
      const request = { resourceName: readName(target, blob), readOffset: 0, readLimit: 0 };
      for (let read = 0; read < 50; read += 1) calls.stream(byteStream.read, request).pause();
      await checkStillServes(target);
      const bytes = await readBytes({ ...target, calls: target.connect() }, request.resourceName);
      same(bytes.length, blob.bytes.length, "the length another client read");
    },
  },
  {
    name: "a client that opens 10,000 calls at once is answered or refused, and others are served",
    client: "hostile client",
    rule: "calls under way on a connection have a bound",
    alone: true,
    deadlineMs,
    run: async (target) => {
      const calls = target.connect();
      const blobDigests = [await absent()];
      const request = { instanceName: target.instance, blobDigests, digestFunction: 1 as const };
      const all = Array.from({ length: 10_000 }, () =>
        calls.unary(cas.findMissingBlobs, request).then(
          () => "answered",
          (error: unknown) => (isServiceError(error) ? "refused" : "broken"),
        ),
      );
      await checkStillServes(target);
      const ends = await Promise.all(all);
      check(!ends.includes("broken"), "a call ended in no status");
    },
  },
  {
    name: "a client that holds 10,000 streams open does not keep others out",
    client: "hostile client",
    rule: "calls under way on a connection have a bound",
    alone: true,
    deadlineMs,
    run: async (target) => {
      for (let connection = 0; connection < 4; connection += 1) {
        const calls = target.connect();
        for (let stream = 0; stream < 2500; stream += 1) {
          calls.openWrite().answer.catch(() => undefined);
        }
      }
      await new Promise((wake) => setTimeout(wake, 500));
      await checkStillServes(target);
    },
  },
  {
    name: "calls whose clients vanish at once disturb nobody",
    client: "hostile client",
    rule: "a cancelled call ends on the server too",
    alone: true,
    deadlineMs,
    run: async (target) => {
      const blob = await blobOf(unique(2 << 20));
      await put(target, blob.bytes);
      const request = { resourceName: readName(target, blob), readOffset: 0, readLimit: 0 };
      for (let round = 0; round < 20; round += 1) {
        const calls = target.connect();
        for (let read = 0; read < 20; read += 1) calls.stream(byteStream.read, request);
        await new Promise((wake) => setTimeout(wake, 10));
        calls.close();
      }
      await checkStillServes(target);
    },
  },
];
