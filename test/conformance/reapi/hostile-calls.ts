// Calls that no honest client makes: refused one by one, and the next client is served.

import * as zlib from "node:zlib";
import {
  ActionCacheDefinition,
  CapabilitiesDefinition,
  Compressor_Value,
  ContentAddressableStorageDefinition,
  type Digest,
  type DigestFunction_Value,
  ExecutionDefinition,
} from "../../../src/wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import { ByteStreamDefinition } from "../../../src/wire/gen/google/bytestream/bytestream.ts";
import { capabilities, cas } from "./calls.ts";
import type { Case } from "./case.ts";
import {
  type Blob,
  batchUpdate,
  blobOf,
  has,
  missingOf,
  prefixOf,
  unique,
  writeName,
} from "./content.ts";
import { check, isServiceError, nameOfCode, refused } from "./expectations.ts";
import { checkStillServes } from "./still-serves.ts";
import type { Target } from "./target.ts";

function find(target: Target, blobDigests: Digest[], digestFunction: number = 1): Promise<unknown> {
  return target.calls.unary(cas.findMissingBlobs, {
    instanceName: target.instance,
    blobDigests,
    // Outside the enumeration on purpose.
    digestFunction: digestFunction as DigestFunction_Value,
  });
}

const hash = (bytes = 32) => unique(bytes).toString("hex");

/** Digests. */
const digestCases: readonly Case[] = [
  {
    name: "a digest function that nobody knows is refused",
    client: "hostile client",
    rule: "REAPI: DigestFunction.Value",
    run: async (target) => {
      const digests = [{ hash: hash(), sizeBytes: 1 }];
      for (const fn of [99, -1, 2 ** 31 - 1]) {
        await refused(find(target, digests, fn), "INVALID_ARGUMENT", `digest function ${fn}`);
      }
    },
  },
  {
    name: "hashes of mixed lengths in one call are refused",
    client: "hostile client",
    rule: "REAPI: one digest function for all digests of a request",
    run: async (target) => {
      const mixed = [hash(), hash(20), hash(48)].map((one) => ({ hash: one, sizeBytes: 1 }));
      for (const fn of [0, 1]) {
        await refused(find(target, mixed, fn), "INVALID_ARGUMENT", "SHA256 beside SHA1");
      }
    },
  },
  {
    name: "hashes that are none are refused",
    client: "hostile client",
    rule: "REAPI: Digest.hash is lower-case hex of the function's length",
    run: async (target) => {
      const bad = ["", "x".repeat(64), hash().toUpperCase(), hash(31), `${hash()}00`];
      bad.push("../".repeat(21), "\0".repeat(64), "é".repeat(64), "a".repeat(100_000));
      for (const one of bad) {
        const shown = JSON.stringify(one.slice(0, 20));
        await refused(find(target, [{ hash: one, sizeBytes: 1 }]), "INVALID_ARGUMENT", shown);
      }
    },
  },
  {
    name: "negative sizes are refused",
    client: "hostile client",
    rule: "REAPI: Digest.size_bytes",
    run: async (target) => {
      for (const sizeBytes of [-1, -(2 ** 52)]) {
        const digest = { hash: hash(), sizeBytes };
        await refused(find(target, [digest]), "INVALID_ARGUMENT", `size ${sizeBytes}`);
        const name = `${prefixOf(target.instance)}uploads/u/blobs/${digest.hash}/${sizeBytes}`;
        const write = target.calls.write({ resourceName: name, finishWrite: true });
        await refused(write, ["INVALID_ARGUMENT", "NOT_FOUND"], `an upload of ${sizeBytes} bytes`);
      }
    },
  },
  {
    name: "huge sizes cost nothing until the bytes come",
    client: "hostile client",
    rule: "REAPI: Digest.size_bytes; a declared size allocates nothing",
    run: async (target) => {
      const digest = { hash: hash(), sizeBytes: Number.MAX_SAFE_INTEGER };
      await find(target, [digest]).catch((error: unknown) => {
        return refused(Promise.reject(error), "INVALID_ARGUMENT", "a huge size");
      });
      const blob: Blob = { digest, fn: "sha256", bytes: unique(10) };
      const resourceName = writeName(target, blob);
      const write = target.calls.write({ resourceName, data: blob.bytes, finishWrite: true });
      const codes = ["INVALID_ARGUMENT", "RESOURCE_EXHAUSTED", "OUT_OF_RANGE"] as const;
      await refused(write, codes, "10 bytes of 8 PiB");
      check((await batchUpdate(target, [blob]))[0] !== 0, "a batch took 10 bytes of 8 PiB");
      await checkStillServes(target);
    },
  },
];

/** Every method that takes one request. */
const methods = [
  CapabilitiesDefinition,
  ContentAddressableStorageDefinition,
  ActionCacheDefinition,
  ExecutionDefinition,
  ByteStreamDefinition,
].flatMap(({ fullName, methods: byName }) =>
  Object.values<{ name: string; requestStream: boolean; responseStream: boolean }>(byName)
    .filter(({ requestStream }) => !requestStream)
    .map(({ name, responseStream }) => ({ path: `/${fullName}/${name}`, responseStream })),
);

/** Messages. */
const messageCases: readonly Case[] = [
  {
    name: "bytes that are no message are refused by every method",
    client: "hostile client",
    rule: "gRPC: a request that cannot be read ends the call, not the connection",
    run: async (target) => {
      const requestSerialize = () => Buffer.from([0x0f, 0xff, 0xff]);
      for (const method of methods) {
        const raw = { ...method, requestSerialize, responseDeserialize: (bytes: Buffer) => bytes };
        const answer = method.responseStream
          ? target.calls.collect(raw, {})
          : target.calls.unary(raw, {});
        const error = await answer.then(
          () => undefined,
          (failure: unknown) => failure,
        );
        check(isServiceError(error), `${method.path} accepted noise`);
      }
      await target.calls.unary(capabilities.getCapabilities, { instanceName: target.instance });
    },
  },
  {
    name: "a message over every limit is refused and the next call is served",
    client: "hostile client",
    rule: "gRPC: RESOURCE_EXHAUSTED for a message that is too large",
    run: async (target) => {
      const blob = await blobOf(unique(70 << 20));
      const codes = ["RESOURCE_EXHAUSTED", "INVALID_ARGUMENT", "CANCELLED", "INTERNAL"] as const;
      await refused(batchUpdate(target, [blob]), [...codes, "UNAVAILABLE"], "a batch of 70 MiB");
      await checkStillServes(target);
    },
    alone: true,
    deadlineMs: 40_000,
  },
  {
    name: "a batch over the advertised size is refused",
    client: "hostile client",
    rule: "REAPI: BatchUpdateBlobs over max_batch_total_size_bytes is INVALID_ARGUMENT",
    run: async (target) => {
      const max = target.capabilities.cacheCapabilities?.maxBatchTotalSizeBytes ?? 4 << 20;
      const blobs = await Promise.all([blobOf(unique(max >> 1)), blobOf(unique((max >> 1) + 2))]);
      const codes = ["INVALID_ARGUMENT", "RESOURCE_EXHAUSTED"] as const;
      await refused(batchUpdate(target, blobs), codes, `a batch of over ${max} bytes`);
    },
  },
  {
    name: "a method that does not exist is UNIMPLEMENTED",
    client: "hostile client",
    rule: "gRPC: unknown methods",
    run: async (target) => {
      const path = "/build.bazel.remote.execution.v2.Execution/NoSuchMethod";
      const call = target.calls.unary(
        { ...cas.findMissingBlobs, path },
        {
          instanceName: "",
          blobDigests: [],
          digestFunction: 0,
        },
      );
      await refused(call, "UNIMPLEMENTED", "a method that does not exist");
    },
  },
];

/** Instance names. */
const instanceCases: readonly Case[] = [
  {
    name: "instance names with reserved words are refused",
    client: "hostile client",
    rule: "REAPI: blobs, uploads, actions, … may not be segments of an instance name",
    run: async (target) => {
      const words = ["blobs", "uploads", "actions", "actionResults", "operations"];
      words.push("capabilities", "compressed-blobs");
      for (const word of words) {
        const instance = `${prefixOf(target.instance)}${word}/x`;
        const codes = ["INVALID_ARGUMENT", "NOT_FOUND", "PERMISSION_DENIED"] as const;
        await refused(missingOf({ ...target, instance }, []), codes, `the instance ${word}/x`);
      }
    },
  },
  {
    name: "instance names that are no names harm nobody",
    client: "hostile client",
    rule: "REAPI: instance_name",
    run: async (target) => {
      for (const instance of ["\0", "a\0b", "../..", "x".repeat(100_000), "/", "//", "\u202e"]) {
        await missingOf({ ...target, instance }, []).catch((error: unknown) => {
          if (!isServiceError(error)) throw error;
          const name = nameOfCode(error.code);
          check(!["INTERNAL", "UNKNOWN"].includes(name), `an instance name caused ${name}`);
        });
      }
      await checkStillServes(target);
    },
  },
];

const bombBytes = 256 << 20;

/** zstd frames that hold far more than they should. */
const bombCases: readonly Case[] = [
  {
    name: "a zstd stream that expands far over its digest's size is refused",
    client: "hostile client",
    rule: "REAPI: the size of a compressed upload is the blob's",
    needs: ["zstd streams"],
    run: async (target) => {
      const blob = await blobOf(unique(100));
      const data = zlib.zstdCompressSync(Buffer.alloc(bombBytes));
      const resourceName = writeName(target, blob).replace("/blobs/", "/compressed-blobs/zstd/");
      const write = target.calls.write({ resourceName, data, finishWrite: true });
      await refused(write, ["INVALID_ARGUMENT", "RESOURCE_EXHAUSTED"], "256 MiB for 100 bytes");
      check(!(await has(target, blob.digest)), "the blob is said to be there");
      await checkStillServes(target);
    },
  },
  {
    name: "a zstd frame in a batch that expands far over its digest's size is refused",
    client: "hostile client",
    rule: "REAPI: the size of a compressed blob is the blob's",
    needs: ["zstd batches"],
    run: async (target) => {
      const blob = await blobOf(unique(100));
      const bomb = { ...blob, bytes: zlib.zstdCompressSync(Buffer.alloc(bombBytes)) };
      const codes = await batchUpdate(target, [bomb, bomb], Compressor_Value.ZSTD);
      check(!codes.includes(0), "256 MiB were accepted for 100 bytes");
      await checkStillServes(target);
    },
  },
  {
    name: "a zstd frame that asks for gigabytes of window is refused, or costs nothing",
    client: "hostile client",
    rule: "RFC 8878: decoders bound the window they allocate",
    needs: ["zstd streams"],
    run: async (target) => {
      const blob = await blobOf(unique(5));
      // Magic, no flags, a window of 2 GiB, one last raw block of 5 bytes.
      const header = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa8, 0x29, 0x00, 0x00]);
      const data = Buffer.concat([header, blob.bytes]);
      const name = () => writeName(target, blob).replace("/blobs/", "/compressed-blobs/zstd/");
      const writes = Array.from({ length: 20 }, () =>
        target.calls.write({ resourceName: name(), data, finishWrite: true }).catch(() => -1),
      );
      await Promise.all(writes);
      await checkStillServes(target);
    },
  },
];

/** Cases of single wrong calls. */
export const hostileCallCases: readonly Case[] = [
  ...digestCases,
  ...messageCases,
  ...instanceCases,
  ...bombCases,
];
