// Every decoder that a stranger's bytes reach: it gives a value or says INVALID_ARGUMENT, nothing
// else, and what it gives is no larger than it may be.

import fc from "fast-check";
import { expect, test } from "vitest";
import { parseActionKeyText } from "../../../src/cas/action-cache.ts";
import { decodeDirectory } from "../../../src/cas/directory-message.ts";
import { readTreeMessage } from "../../../src/cas/merkle.ts";
import { MeshError } from "../../../src/core/error.ts";
import { fromZstdStream } from "../../../src/ingress/compression.ts";
import { checkInstance } from "../../../src/ingress/instance-name.ts";
import { parseOperationName } from "../../../src/ingress/operations.ts";
import { fromWireReport } from "../../../src/wire/execution-report.ts";
import * as asset from "../../../src/wire/gen/build/bazel/remote/asset/v1/remote_asset.ts";
import * as reapi from "../../../src/wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import { LogStreamServiceDefinition } from "../../../src/wire/gen/build/bazel/remote/logstream/v1/remote_logstream.ts";
import { NodeStatusDefinition } from "../../../src/wire/gen/builder/node/v1/node.ts";
import { ByteStreamDefinition } from "../../../src/wire/gen/google/bytestream/bytestream.ts";
import { OperationsDefinition } from "../../../src/wire/gen/google/longrunning/operations.ts";
import { grpcDefinition, type MethodDefinition } from "../../../src/wire/grpc-definition.ts";
import { parseBlobResource } from "../../../src/wire/reapi.ts";
import { fromZstdFrame, zstdFrame } from "../../../src/wire/zstd-frame.ts";

const digest = { hash: "ab".repeat(32), sizeBytes: 123_456 };
const nodes = {
  files: [{ name: "a", digest, isExecutable: true }],
  directories: [{ name: "b", digest }],
  symlinks: [{ name: "c", target: "a" }],
};
/** Messages with something in every kind of field, to be damaged. */
const samples = [
  reapi.Directory.encode(reapi.Directory.fromPartial(nodes)).finish(),
  reapi.Tree.encode(reapi.Tree.fromPartial({ root: nodes, children: [nodes] })).finish(),
  reapi.BatchUpdateBlobsRequest.encode(
    reapi.BatchUpdateBlobsRequest.fromPartial({
      instanceName: "i",
      requests: [{ digest, data: new Uint8Array(40) }],
    }),
  ).finish(),
  reapi.ExecuteRequest.encode(
    reapi.ExecuteRequest.fromPartial({ actionDigest: digest, executionPolicy: { priority: -3 } }),
  ).finish(),
];

const damaged = fc
  .record({
    sample: fc.constantFrom(...samples),
    at: fc.nat(),
    bytes: fc.uint8Array({ minLength: 1, maxLength: 6 }),
    cut: fc.boolean(),
  })
  .map(({ sample, at, bytes, cut }) => {
    const copy = Uint8Array.from(sample);
    const place = at % copy.length;
    copy.set(bytes.subarray(0, copy.length - place), place);
    return cut ? copy.subarray(0, place) : copy;
  });
const hostile = fc.oneof(fc.uint8Array({ maxLength: 300 }), damaged);

/** True for the one error that outside data may cause. */
function isRefusal(error: unknown): boolean {
  return error instanceof MeshError && error.code === "INVALID_ARGUMENT";
}

function check(decode: () => unknown): void {
  try {
    decode();
  } catch (error) {
    expect(isRefusal(error), String(error)).toBe(true);
  }
}

async function checkLater(decode: () => Promise<unknown>): Promise<void> {
  await decode().catch((error) => expect(isRefusal(error), String(error)).toBe(true));
}

const services: readonly Parameters<typeof grpcDefinition>[0][] = [
  reapi.ExecutionDefinition,
  reapi.ActionCacheDefinition,
  reapi.ContentAddressableStorageDefinition,
  reapi.CapabilitiesDefinition,
  asset.FetchDefinition,
  asset.PushDefinition,
  LogStreamServiceDefinition,
  NodeStatusDefinition,
  ByteStreamDefinition,
  OperationsDefinition,
];
const methods = services.flatMap((service) =>
  Object.values<MethodDefinition<unknown, unknown>>(grpcDefinition(service)),
);

test("requests of every method", () => {
  expect(methods.length).toBeGreaterThanOrEqual(25);
  fc.assert(
    fc.property(fc.constantFrom(...methods), hostile, ({ requestDeserialize }, bytes) =>
      check(() => requestDeserialize(Buffer.from(bytes))),
    ),
    { numRuns: 5_000 },
  );
});

test("folders and trees", async () => {
  await fc.assert(
    fc.asyncProperty(hostile, async (bytes) => {
      check(() => decodeDirectory(bytes, "some/folder"));
      await checkLater(() => readTreeMessage(bytes, "sha256"));
    }),
    { numRuns: 3_000 },
  );
});

test("zstd frames and streams, whole or damaged", async () => {
  const plain = Buffer.from("a blob that compresses well ".repeat(200));
  const frame = await zstdFrame(plain);
  const spoilt = fc.record({ at: fc.nat(frame.length - 1), byte: fc.nat(255) }).map((change) => {
    const copy = Uint8Array.from(frame);
    copy[change.at] = change.byte;
    return copy;
  });
  const sizes = fc.constantFrom(0, 1, plain.length - 1, plain.length, plain.length + 1);
  await fc.assert(
    fc.asyncProperty(fc.oneof(spoilt, fc.uint8Array()), sizes, async (bytes, size) => {
      await checkLater(async () => {
        expect(await fromZstdFrame(bytes, size)).toHaveLength(size);
      });
      await checkLater(async () => {
        let length = 0;
        for await (const chunk of fromZstdStream(pieces(bytes))) {
          length += chunk.length;
          if (length > size) break;
        }
        // No more than one buffer ahead of what the reader wanted.
        expect(length).toBeLessThanOrEqual(size + (256 << 10));
      });
    }),
    { numRuns: 400 },
  );
});

async function* pieces(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  const half = bytes.length >> 1;
  yield bytes.subarray(0, half);
  yield bytes.subarray(half);
}

test("names of blobs, operations, instances and results", () => {
  const words = ["blobs", "uploads", "operations", "compressed-blobs", "zstd", "sha256", "blake3"];
  const word = fc.oneof(
    fc.constantFrom(...words, digest.hash, `sha256-${digest.hash}-7`, "123", "-1", "", "..", "\0"),
    fc.string({ unit: "binary", maxLength: 12 }),
  );
  const name = fc.array(word, { maxLength: 9 }).map((parts) => parts.join("/"));
  fc.assert(
    fc.property(name, (text) => {
      check(() => parseBlobResource(text));
      check(() => checkInstance(text));
      expect(parseOperationName(text)?.action.sizeBytes ?? 0).toBeGreaterThanOrEqual(0);
      expect(parseActionKeyText(text)?.action.sizeBytes ?? 0).toBeGreaterThanOrEqual(0);
    }),
    { numRuns: 5_000 },
  );
});

test("a report that is none is none, whatever a worker put in its place", () => {
  const typeUrl = "type.googleapis.com/google.protobuf.Struct";
  fc.assert(
    fc.property(hostile, (value) => {
      expect(fromWireReport([{ typeUrl, value }])?.isolation ?? "").toBeTypeOf("string");
    }),
    { numRuns: 2_000 },
  );
});
