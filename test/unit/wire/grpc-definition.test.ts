import { expect, test } from "vitest";
import {
  ActionCacheDefinition,
  Digest,
} from "../../../src/wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import { ByteStreamDefinition } from "../../../src/wire/gen/google/bytestream/bytestream.ts";
import { grpcDefinition } from "../../../src/wire/grpc-definition.ts";

test("methods have the published paths and directions", () => {
  const stream = grpcDefinition(ByteStreamDefinition);
  expect(stream.read).toMatchObject({
    path: "/google.bytestream.ByteStream/Read",
    requestStream: false,
    responseStream: true,
  });
  expect(stream.write).toMatchObject({ requestStream: true, responseStream: false });
  expect(grpcDefinition(ActionCacheDefinition).getActionResult.path).toBe(
    "/build.bazel.remote.execution.v2.ActionCache/GetActionResult",
  );
});

test("both sides of a method survive being serialised", () => {
  const { read } = grpcDefinition(ByteStreamDefinition);
  const request = { resourceName: "blobs/x", readOffset: 3, readLimit: 2 ** 40 };
  expect(read.requestDeserialize(read.requestSerialize(request))).toEqual(request);
  const response = { data: new Uint8Array([1, 2, 3]) };
  const bytes = read.responseSerialize(response);
  expect(bytes).toBeInstanceOf(Buffer);
  expect([...read.responseDeserialize(bytes).data]).toEqual([1, 2, 3]);
});

test("a malformed message is refused with the method and the side that sent it", () => {
  const { read } = grpcDefinition(ByteStreamDefinition);
  const cut = Buffer.from([0x0a, 0x7f]);
  expect(() => read.requestDeserialize(cut)).toThrow(
    expect.objectContaining({
      code: "INVALID_ARGUMENT",
      message: expect.stringMatching(/^The request of Read is malformed/),
    }),
  );
  expect(() => read.responseDeserialize(cut)).toThrow(/^The response of Read is malformed/);
});

test("a size beyond what numbers hold exactly is refused, not rounded", () => {
  // Digest.size_bytes = 2^63 - 1.
  const bytes = Uint8Array.from([0x10, ...Array(8).fill(0xff), 0x7f]);
  expect(() => Digest.decode(bytes)).toThrow(/larger than/);
});
