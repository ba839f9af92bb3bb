// Uploads that break off and go on, zstd, chunks, pages, log streams, operations: on real sockets.

import * as zlib from "node:zlib";
import { Client, credentials, status } from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { CompletenessCheckingActionCache } from "../../src/cas/completeness.ts";
import { digestOf } from "../../src/cas/hash.ts";
import { MemoryActionCache, MemoryBlobStore } from "../../src/cas/memory-blob-store.ts";
import type { Stage } from "../../src/core/machine.ts";
import { createRng } from "../../src/core/rng.ts";
import { type Ingress, startIngress } from "../../src/ingress/server.ts";
import * as reapi from "../../src/wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import { LogStreamServiceDefinition } from "../../src/wire/gen/build/bazel/remote/logstream/v1/remote_logstream.ts";
import { Status } from "../../src/wire/gen/builder/node/v1/node.ts";
import { ByteStreamDefinition } from "../../src/wire/gen/google/bytestream/bytestream.ts";
import { OperationsDefinition } from "../../src/wire/gen/google/longrunning/operations.ts";
import { grpcDefinition } from "../../src/wire/grpc-definition.ts";
import { eventually } from "../support/eventually.ts";
import { all, callsOf, wire } from "../support/grpc-calls.ts";

const cas = grpcDefinition(reapi.ContentAddressableStorageDefinition);
const execution = grpcDefinition(reapi.ExecutionDefinition);
const bytes = grpcDefinition(ByteStreamDefinition);
const operations = grpcDefinition(OperationsDefinition);
const logs = grpcDefinition(LogStreamServiceDefinition);

let ingress: Ingress;
let client: Client;
let calls: ReturnType<typeof callsOf>;
const store = new MemoryBlobStore();
const stages: { readonly operation: string; readonly tell: (stage: Stage) => void }[] = [];
const abandoned: string[] = [];
const token = { ingress: "n", seq: 4, hop: 1 };

beforeAll(async () => {
  const base = new MemoryActionCache({ now: Date.now });
  ingress = await startIngress(
    {
      store,
      actionCache: new CompletenessCheckingActionCache({ base, store }),
      scheduler: {
        submit: (operation) => {
          stages.push({ operation, tell: (stage) => ingress.onStage([operation], stage) });
        },
        abandon: (operation) => abandoned.push(operation),
      },
      status: () => Status.fromPartial({}),
      log: () => undefined,
      now: Date.now,
    },
    { addresses: [{ host: "127.0.0.1", port: 0, serves: "all" }], node: "n" },
  );
  client = new Client(`127.0.0.1:${ingress.ports[0]}`, credentials.createInsecure());
  calls = callsOf(client);
});
afterAll(() => {
  client.close();
  ingress.close();
});

function noise(seed: number, length: number): Buffer {
  const rng = createRng(seed);
  return Buffer.from(Uint8Array.from({ length }, () => rng.below(256)));
}

/** Sends a part of a blob and breaks the call off once the server has it. */
async function cutOff(resourceName: string, data: Uint8Array): Promise<void> {
  const { path, requestSerialize, responseDeserialize } = bytes.write;
  const upload = client.makeClientStreamRequest(
    path,
    requestSerialize,
    responseDeserialize,
    () => 0,
  );
  upload.on("error", () => undefined);
  upload.write({ resourceName, writeOffset: 0, finishWrite: false, data });
  const arrived = async () =>
    (await calls.call(bytes.queryWriteStatus, { resourceName })).committedSize === data.length;
  await eventually("the part has arrived", arrived);
  upload.cancel();
}

async function read(resourceName: string, readOffset = 0, readLimit = 0): Promise<Buffer> {
  const parts = await all(calls.stream(bytes.read, { resourceName, readOffset, readLimit }));
  return Buffer.concat(parts.map(({ data }) => data));
}

describe("an upload", () => {
  test("that was cut off goes on where QueryWriteStatus says, and nowhere else", async () => {
    const data = noise(1, 300_000);
    const digest = await digestOf(data, "sha256");
    const resourceName = `uploads/a/blobs/${digest.hash}/${digest.sizeBytes}`;
    await cutOff(resourceName, data.subarray(0, 100_000));
    const resume = async () => {
      const rest = data.subarray(100_000);
      return calls.write({ resourceName, writeOffset: 100_000, data: rest, finishWrite: true });
    };
    await expect(
      calls.write({ resourceName, writeOffset: 99_999, data, finishWrite: true }),
    ).rejects.toMatchObject({ code: status.INVALID_ARGUMENT });
    // The server notices a broken call when its reset arrives, which may be after the next call.
    await eventually("it is free to go on", async () =>
      resume().then(
        () => true,
        () => false,
      ),
    );
    expect((await read(`blobs/${digest.hash}/${digest.sizeBytes}`)).equals(data)).toBe(true);
  });

  test("ends early and successfully when the blob comes by another way", async () => {
    const data = noise(2, 50_000);
    const digest = await digestOf(data, "sha256");
    const name = (id: string) => `uploads/${id}/blobs/${digest.hash}/${digest.sizeBytes}`;
    const { path, requestSerialize, responseDeserialize } = bytes.write;
    const slow = new Promise<number>((resolve, reject) => {
      const upload = client.makeClientStreamRequest(
        path,
        requestSerialize,
        responseDeserialize,
        (error, answer) => (error ? reject(error) : resolve(answer!.committedSize)),
      );
      const part = data.subarray(0, 10);
      upload.write({ resourceName: name("slow"), writeOffset: 0, finishWrite: false, data: part });
    });
    const begun = async () => {
      const query = { resourceName: name("slow") };
      return (await calls.call(bytes.queryWriteStatus, query)).committedSize === 10;
    };
    await eventually("the slow one has begun", begun);
    await calls.write({ resourceName: name("fast"), data, finishWrite: true });
    expect(await slow).toBe(data.length);
  });

  test("as zstd is stored plain, and a bomb is refused", async () => {
    const data = Buffer.alloc(400_000, "squeeze me ");
    const digest = await digestOf(data, "sha256");
    const blob = `compressed-blobs/zstd/${digest.hash}/${digest.sizeBytes}`;
    const packed = zlib.zstdCompressSync(data);
    expect(
      await calls.write(
        { resourceName: `uploads/z/${blob}`, data: packed.subarray(0, 20) },
        { writeOffset: 20, data: packed.subarray(20), finishWrite: true },
      ),
    ).toBe(-1);
    expect((await read(`blobs/${digest.hash}/${digest.sizeBytes}`)).equals(data)).toBe(true);
    expect(zlib.zstdDecompressSync(await read(blob)).equals(data)).toBe(true);
    expect(zlib.zstdDecompressSync(await read(blob, 399_990))).toHaveLength(10);
    await expect(read(blob, 0, 5)).rejects.toMatchObject({ code: status.INVALID_ARGUMENT });

    const bomb = zlib.zstdCompressSync(Buffer.alloc(64 << 20));
    const small = await digestOf(Buffer.from("small"), "sha256");
    const name = `uploads/z/compressed-blobs/zstd/${small.hash}/5`;
    await expect(
      calls.write({ resourceName: name, data: bomb, finishWrite: true }),
    ).rejects.toMatchObject({ code: status.INVALID_ARGUMENT });
  });
});

test("batches go and come as zstd where that pays", async () => {
  const data = Buffer.alloc(9000, "batch ");
  const digest = wire(await digestOf(data, "sha256"));
  const zstd = reapi.Compressor_Value.ZSTD;
  const update = (frame: Uint8Array) =>
    calls.call(cas.batchUpdateBlobs, {
      instanceName: "",
      digestFunction: 0,
      requests: [{ digest, data: frame, compressor: zstd }],
    });
  const bad = await update(Buffer.from("no frame"));
  expect(bad.responses[0]?.status?.code).toBe(status.INVALID_ARGUMENT);
  const good = await update(zlib.zstdCompressSync(data));
  expect(good.responses[0]?.status?.code).toBe(0);
  const answer = await calls.call(cas.batchReadBlobs, {
    instanceName: "",
    digests: [digest],
    acceptableCompressors: [zstd],
    digestFunction: 0,
  });
  expect(answer.responses[0]?.compressor).toBe(zstd);
  expect(zlib.zstdDecompressSync(answer.responses[0]!.data).equals(data)).toBe(true);
});

test("a tree comes in pages, each folder once, and goes on where a page ended", async () => {
  const put = (change: Parameters<typeof reapi.Directory.fromPartial>[0]) =>
    store.put(reapi.Directory.encode(reapi.Directory.fromPartial(change)).finish(), "sha256");
  const directories = [];
  for (let at = 10; at < 30; at += 1) {
    const leaf = await put({ symlinks: [{ name: "to", target: `${at}` }] });
    directories.push({ name: `d${at}`, digest: wire(leaf) });
  }
  directories.push({ name: "again", digest: directories[0]!.digest });
  const rootDigest = wire(await put({ directories }));
  const pages = async (pageToken: string) => {
    const request = reapi.GetTreeRequest.fromPartial({ rootDigest, pageSize: 8, pageToken });
    return all(calls.stream(cas.getTree, request));
  };
  const whole = await pages("");
  expect(whole.map((page) => page.directories.length)).toEqual([8, 8, 5]);
  const rest = await pages(whole[0]!.nextPageToken);
  expect(rest).toEqual(whole.slice(1));
  await expect(pages("99")).rejects.toMatchObject({ code: status.INVALID_ARGUMENT });
  await expect(pages("../x")).rejects.toMatchObject({ code: status.INVALID_ARGUMENT });
});

test("a blob is split into chunks and spliced from them, verified", async () => {
  const data = noise(5, 5 << 20);
  const blobDigest = wire(await store.put(data, "sha256"));
  const split = await calls.call(cas.splitBlob, reapi.SplitBlobRequest.fromPartial({ blobDigest }));
  expect(split.chunkDigests.length).toBeGreaterThan(2);
  store.delete({ fn: "sha256", ...blobDigest });
  const chunkDigests = split.chunkDigests;
  const splice = (change: Parameters<typeof reapi.SpliceBlobRequest.fromPartial>[0]) =>
    calls.call(
      cas.spliceBlob,
      reapi.SpliceBlobRequest.fromPartial({ blobDigest, chunkDigests, ...change }),
    );
  const swapped = [chunkDigests[1]!, chunkDigests[0]!, ...chunkDigests.slice(2)];
  await expect(splice({ chunkDigests: swapped })).rejects.toMatchObject({
    code: status.INVALID_ARGUMENT,
  });
  const lost = [{ ...chunkDigests[0]!, hash: "0".repeat(64) }, ...chunkDigests.slice(1)];
  await expect(splice({ chunkDigests: lost })).rejects.toMatchObject({ code: status.NOT_FOUND });
  expect(await splice({})).toEqual({ blobDigest });
  expect(await store.missing([{ fn: "sha256", ...blobDigest }])).toEqual([]);
});

test("a log stream is read while it is written, by those who know its names", async () => {
  const { name, writeResourceName } = await calls.call(logs.createLogStream, { parent: "p/1" });
  expect(name).toMatch(/^p\/1\/logstreams\//);
  const reading = read(name);
  await expect(calls.write({ resourceName: name, data: Buffer.from("x") })).rejects.toBeDefined();
  await calls.write({ resourceName: writeResourceName, data: Buffer.from("first, ") });
  const query = { resourceName: writeResourceName };
  expect(await calls.call(bytes.queryWriteStatus, query)).toEqual({
    committedSize: 7,
    complete: false,
  });
  const last = { resourceName: writeResourceName, writeOffset: 7, finishWrite: true };
  await calls.write({ ...last, data: Buffer.from("last") });
  expect((await reading).toString()).toBe("first, last");
  expect((await read(name, 7)).toString()).toBe("last");
});

describe("an operation", () => {
  async function start() {
    const put = (message: Uint8Array) => store.put(message, "sha256");
    const command = reapi.Command.fromPartial({ arguments: ["true"] });
    const action = reapi.Action.fromPartial({
      commandDigest: wire(await put(reapi.Command.encode(command).finish())),
      inputRootDigest: wire(await put(new Uint8Array())),
      salt: noise(stages.length, 8),
    });
    const actionDigest = wire(await put(reapi.Action.encode(action).finish()));
    const before = stages.length;
    const ended = all(
      calls.stream(
        execution.execute,
        reapi.ExecuteRequest.fromPartial({ actionDigest, instanceName: "i" }),
      ),
    );
    const started = await eventually("it is submitted", () => stages[before]);
    return { ...started, ended };
  }

  test("is found, listed, waited for and forgotten", async () => {
    const { operation: name, tell, ended } = await start();
    expect(await calls.call(operations.getOperation, { name })).toMatchObject({
      name,
      done: false,
    });
    const listed = await calls.call(operations.listOperations, {
      name: "i/operations",
      filter: "",
      pageSize: 0,
      pageToken: "",
      returnPartialSuccess: false,
    });
    expect(listed.operations.map((found) => found.name)).toContain(name);
    const short = { name, timeout: { seconds: 0, nanos: 1e6 } };
    expect(await calls.call(operations.waitOperation, short)).toMatchObject({ done: false });
    tell({ kind: "failed", failure: { code: "UNAVAILABLE", message: "no worker" } });
    await ended;
    expect(await calls.call(operations.waitOperation, short)).toMatchObject({ done: true });
    await calls.call(operations.deleteOperation, { name });
    await expect(calls.call(operations.getOperation, { name })).rejects.toMatchObject({
      code: status.NOT_FOUND,
    });
  });

  test("is cancelled: its waiters hear so, and the core need not go on", async () => {
    const { operation: name, ended } = await start();
    await calls.call(operations.cancelOperation, { name });
    const last = (await ended).at(-1)!;
    expect(last).toMatchObject({ done: true, result: { $case: "response" } });
    const response = reapi.ExecuteResponse.decode(
      (last.result as { value: { value: Uint8Array } }).value.value,
    );
    expect(response.status?.code).toBe(status.CANCELLED);
    expect(abandoned).toContain(name);
  });

  test("shows the output of what runs, under the names in its metadata", async () => {
    const { operation: name, tell, ended } = await start();
    tell({ kind: "executing", worker: "w", peer: "p", token });
    const { metadata } = await calls.call(operations.getOperation, { name });
    const { stdoutStreamName, partialExecutionMetadata } = reapi.ExecuteOperationMetadata.decode(
      metadata!.value,
    );
    expect(partialExecutionMetadata?.worker).toBe("w");
    const reading = read(stdoutStreamName);
    const show = (offset: number, text: string) =>
      ingress.showOutput("p", {
        kind: "output",
        token,
        stream: "stdout",
        offset,
        bytes: Buffer.from(text),
      });
    await eventually("the reader waits", async () => {
      show(0, "one ");
      return true;
    });
    show(4, "two");
    tell({ kind: "failed", failure: { code: "UNAVAILABLE", message: "" } });
    expect((await reading).toString()).toBe("one two");
    await ended;
  });
});
