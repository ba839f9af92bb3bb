import { Client, credentials, Metadata, type ServiceError, status } from "@grpc/grpc-js";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { CompletenessCheckingActionCache } from "../../src/cas/completeness.ts";
import { digestOf } from "../../src/cas/hash.ts";
import { MemoryActionCache, MemoryBlobStore } from "../../src/cas/memory-blob-store.ts";
import type { ActionRequest } from "../../src/core/action.ts";
import type { Stage } from "../../src/core/machine.ts";
import { type Ingress, startIngress } from "../../src/ingress/server.ts";
import * as reapi from "../../src/wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import { Status } from "../../src/wire/gen/builder/node/v1/node.ts";
import { ByteStreamDefinition } from "../../src/wire/gen/google/bytestream/bytestream.ts";
import type { Operation } from "../../src/wire/gen/google/longrunning/operations.ts";
import { PreconditionFailure } from "../../src/wire/gen/google/rpc/error_details.ts";
import { Status as RpcStatus } from "../../src/wire/gen/google/rpc/status.ts";
import { grpcDefinition } from "../../src/wire/grpc-definition.ts";
import { eventually } from "../support/eventually.ts";
import { all, callsOf, wire } from "../support/grpc-calls.ts";

const cas = grpcDefinition(reapi.ContentAddressableStorageDefinition);
const cache = grpcDefinition(reapi.ActionCacheDefinition);
const execution = grpcDefinition(reapi.ExecutionDefinition);
const capabilities = grpcDefinition(reapi.CapabilitiesDefinition);
const bytes = grpcDefinition(ByteStreamDefinition);

interface Submitted {
  readonly operation: string;
  readonly request: ActionRequest;
  readonly onStage: (stage: Stage) => void;
}

let ingress: Ingress;
let client: Client;
let call: ReturnType<typeof callsOf>["call"];
let stream: ReturnType<typeof callsOf>["stream"];
let write: ReturnType<typeof callsOf>["write"];
const store = new MemoryBlobStore();
const results = new MemoryActionCache({ now: Date.now });
const submitted: Submitted[] = [];
const abandoned: string[] = [];
const token = { ingress: "n", seq: 1, hop: 0 };

beforeAll(async () => {
  ingress = await startIngress(
    {
      store,
      actionCache: new CompletenessCheckingActionCache({ base: results, store }),
      scheduler: {
        submit: (operation, request) => {
          const onStage = (stage: Stage) => ingress.onStage([operation], stage);
          submitted.push({ operation, request, onStage });
        },
        abandon: (operation) => abandoned.push(operation),
      },
      status: () => Status.fromPartial({ version: "t" }),
      log: () => undefined,
      now: Date.now,
    },
    { addresses: [{ host: "127.0.0.1", port: 0, serves: "all" }], node: "n" },
  );
  client = new Client(`127.0.0.1:${ingress.ports[0]}`, credentials.createInsecure());
  ({ call, stream, write } = callsOf(client));
});
beforeEach(() => submitted.splice(0));
afterAll(() => {
  client.close();
  ingress.close();
});

async function storedAction(change: Parameters<typeof reapi.Action.fromPartial>[0] = {}) {
  const put = (message: Uint8Array) => store.put(message, "sha256");
  const command = await put(
    reapi.Command.encode(reapi.Command.fromPartial({ arguments: ["true"] })).finish(),
  );
  const root = await put(reapi.Directory.encode(reapi.Directory.fromPartial({})).finish());
  const action = reapi.Action.fromPartial({
    commandDigest: wire(command),
    inputRootDigest: wire(root),
    salt: Buffer.from(`${Math.random()}`),
    ...change,
  });
  return wire(await put(reapi.Action.encode(action).finish()));
}

const executeRequest = (actionDigest: reapi.Digest) =>
  reapi.ExecuteRequest.fromPartial({ actionDigest });

async function finish(of: Submitted, response: Partial<reapi.ExecuteResponse> = {}): Promise<void> {
  const result = reapi.ActionResult.fromPartial({
    exitCode: 0,
    executionMetadata: { worker: "w" },
  });
  const message = reapi.ExecuteResponse.fromPartial({ result, ...response });
  const digest = await store.put(reapi.ExecuteResponse.encode(message).finish(), "sha256");
  const outcome = { kind: "result" as const, response: digest, exitCode: 0, runMs: 1 };
  of.onStage({ kind: "completed", outcome, worker: "w" });
}

function responseOf(operation: Operation | undefined): reapi.ExecuteResponse {
  if (operation?.result?.$case !== "response") throw new Error("no response");
  return reapi.ExecuteResponse.decode(operation.result.value.value);
}

test("capabilities hold what each client checks", async () => {
  const found = await call(capabilities.getCapabilities, { instanceName: "any/thing" });
  expect(found.lowApiVersion).toMatchObject({ major: 2, minor: 0 });
  expect(found.executionCapabilities).toMatchObject({ execEnabled: true, digestFunction: 1 });
  expect(found.cacheCapabilities?.maxBatchTotalSizeBytes).toBeGreaterThan(3_000_000);
  expect(found.cacheCapabilities?.digestFunctions).toEqual([1, 9, 2, 5, 6, 8, 10]);
  expect(found.cacheCapabilities?.supportedCompressors).toEqual([reapi.Compressor_Value.ZSTD]);
});

describe("blobs", () => {
  test("batches keep the good ones and name the bad ones", async () => {
    const good = await digestOf(Buffer.from("good"), "sha256");
    const answer = await call(cas.batchUpdateBlobs, {
      instanceName: "",
      digestFunction: 0,
      requests: [
        { digest: wire(good), data: Buffer.from("good"), compressor: 0 },
        { digest: { hash: "0".repeat(64), sizeBytes: 3 }, data: Buffer.from("bad"), compressor: 0 },
        { digest: wire(good), data: Buffer.from("good"), compressor: 1 },
      ],
    });
    expect(answer.responses.map((r) => r.status?.code)).toEqual([
      0,
      status.INVALID_ARGUMENT,
      status.INVALID_ARGUMENT,
    ]);
    const read = await call(cas.batchReadBlobs, {
      instanceName: "",
      digests: [wire(good), { hash: "0".repeat(64), sizeBytes: 3 }],
      acceptableCompressors: [],
      digestFunction: 0,
    });
    expect(read.responses.map((r) => r.status?.code)).toEqual([0, status.NOT_FOUND]);
    expect(Buffer.from(read.responses[0]!.data).toString()).toBe("good");
  });

  test("streams in, in pieces, under BLAKE3 too, and out in slices", async () => {
    const data = Buffer.alloc(3_000_000, "stream ");
    const digest = await digestOf(data, "blake3");
    const resourceName = `i/n/uploads/u/blobs/blake3/${digest.hash}/${digest.sizeBytes}`;
    const half = 1_500_000;
    const committed = await write(
      { resourceName, data: data.subarray(0, half) },
      { writeOffset: half, data: data.subarray(half) },
      { writeOffset: data.length, finishWrite: true },
    );
    expect(committed).toBe(data.length);
    const name = `blobs/blake3/${digest.hash}/${digest.sizeBytes}`;
    const read = await all(
      stream(bytes.read, { resourceName: name, readOffset: 10, readLimit: 2_000_000 }),
    );
    expect(Buffer.concat(read.map((r) => r.data)).equals(data.subarray(10, 2_000_010))).toBe(true);
    const known = await call(bytes.queryWriteStatus, { resourceName });
    expect(known).toEqual({ committedSize: data.length, complete: true });
    // A blob that is there ends the upload early and successfully.
    expect(await write({ resourceName, data: data.subarray(0, 10) })).toBe(data.length);
  });

  test("wrong offsets, wrong bytes, no end and no name are refused", async () => {
    const digest = await digestOf(Buffer.from("never stored"), "sha256");
    const resourceName = `uploads/u/blobs/${digest.hash}/${digest.sizeBytes}`;
    const data = Buffer.from("never stored");
    const invalid = { code: status.INVALID_ARGUMENT };
    await expect(write({ resourceName, writeOffset: 5, data })).rejects.toMatchObject(invalid);
    const part = data.subarray(0, 5);
    await expect(
      write({ resourceName, data: part }, { writeOffset: 3, data: part }),
    ).rejects.toMatchObject(invalid);
    await expect(write({ resourceName, data: part })).rejects.toMatchObject(invalid);
    await expect(
      write({ resourceName, data: Buffer.from("other bytes!"), finishWrite: true }),
    ).rejects.toMatchObject(invalid);
    await expect(write({ resourceName: "../../etc", data })).rejects.toMatchObject(invalid);
    await expect(write()).rejects.toMatchObject(invalid);
    const unknown = await call(bytes.queryWriteStatus, { resourceName });
    // What the write without an end brought is kept, for a client that was cut off.
    expect(unknown).toEqual({ committedSize: part.length, complete: false });
    const other = await call(bytes.queryWriteStatus, {
      resourceName: resourceName.replace("/u/", "/v/"),
    });
    expect(other).toEqual({ committedSize: 0, complete: false });
  });

  test("a message over the limit is refused and the connection lives on", async () => {
    const data = Buffer.alloc(8 << 20);
    const request = {
      instanceName: "",
      digestFunction: 0 as const,
      requests: [{ digest: undefined, data, compressor: 0 as const }],
    };
    await expect(call(cas.batchUpdateBlobs, request)).rejects.toMatchObject({
      code: status.RESOURCE_EXHAUSTED,
    });
    expect(await call(capabilities.getCapabilities, { instanceName: "" })).toBeDefined();
  });

  test("bytes that are no message are refused and the connection lives on", async () => {
    const raw = {
      ...cas.findMissingBlobs,
      requestSerialize: () => Buffer.from([0x0f, 0xff, 0xff]),
    };
    const refused = call(raw, reapi.FindMissingBlobsRequest.fromPartial({}));
    await expect(refused).rejects.toHaveProperty("code");
    expect(await call(capabilities.getCapabilities, { instanceName: "" })).toBeDefined();
  });

  test("a client that vanishes in mid-upload leaves nothing", async () => {
    const digest = await digestOf(Buffer.alloc(1000), "sha256");
    const { path, requestSerialize, responseDeserialize } = bytes.write;
    const upload = client.makeClientStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      () => undefined,
    );
    upload.on("error", () => undefined);
    const resourceName = `uploads/u/blobs/${digest.hash}/1000`;
    upload.write({ resourceName, writeOffset: 0, finishWrite: false, data: new Uint8Array(500) });
    upload.cancel();
    const missing = await call(
      cas.findMissingBlobs,
      reapi.FindMissingBlobsRequest.fromPartial({ blobDigests: [wire(digest)] }),
    );
    expect(missing.missingBlobDigests).toHaveLength(1);
  });
});

describe("action results", () => {
  test("are stored only when complete, and served with what was wished inline", async () => {
    const stdout = await store.put(Buffer.from("hello"), "sha256");
    const actionDigest = { hash: "3".repeat(64), sizeBytes: 9 };
    const actionResult = reapi.ActionResult.fromPartial({
      stdoutDigest: wire(stdout),
      exitCode: 0,
    });
    const update = (result: reapi.ActionResult) =>
      call(
        cache.updateActionResult,
        reapi.UpdateActionResultRequest.fromPartial({ actionDigest, actionResult: result }),
      );
    const lost = reapi.ActionResult.fromPartial({
      stdoutDigest: { hash: "4".repeat(64), sizeBytes: 1 },
    });
    await expect(update(lost)).rejects.toMatchObject({ code: status.FAILED_PRECONDITION });
    await update(actionResult);
    const get = (inlineStdout: boolean) =>
      call(
        cache.getActionResult,
        reapi.GetActionResultRequest.fromPartial({ actionDigest, inlineStdout }),
      );
    expect(Buffer.from((await get(true)).stdoutRaw).toString()).toBe("hello");
    expect((await get(false)).stdoutRaw).toHaveLength(0);
    store.delete(stdout);
    await expect(get(false)).rejects.toMatchObject({ code: status.NOT_FOUND });
  });
});

describe("execution", () => {
  test("tells each stage and ends with the response", async () => {
    const digest = await storedAction({
      platform: {
        properties: [
          { name: "OSFamily", value: "Linux" },
          { name: "builder.max_cpu", value: "2" },
          { name: "builder.network", value: "on" },
        ],
      },
    });
    const metadata = new Metadata();
    const hints = reapi.RequestMetadata.fromPartial({
      toolInvocationId: "inv",
      targetId: "//a:b",
      actionMnemonic: "Cpp",
    });
    metadata.set(
      "build.bazel.remote.execution.v2.requestmetadata-bin",
      Buffer.from(reapi.RequestMetadata.encode(hints).finish()),
    );
    const operations = all(stream(execution.execute, executeRequest(digest), metadata));
    const [first] = await eventually("submitted", () => submitted.length === 1 && submitted);
    expect(first!.request).toMatchObject({
      invocation: "inv",
      kind: "//a:b Cpp",
      properties: { OSFamily: "linux", network: "on" },
      mayMerge: true,
    });
    expect(first!.request.properties).not.toHaveProperty("builder.max_cpu");
    first!.onStage({ kind: "executing", worker: "w", peer: "p", token });
    await finish(first!);
    const seen = await operations;
    const stages = seen.map(
      ({ metadata: any }) => reapi.ExecuteOperationMetadata.decode(any!.value).stage,
    );
    expect(stages.at(0)).toBe(2);
    expect(stages.at(-1)).toBe(4);
    expect(responseOf(seen.at(-1)).result?.executionMetadata?.worker).toBe("w");
  });

  test("names every missing blob, so that clients upload and try again", async () => {
    const digest = await storedAction({ commandDigest: { hash: "5".repeat(64), sizeBytes: 5 } });
    const failed: ServiceError = (await all(
      stream(execution.execute, executeRequest(digest)),
    ).catch((e: unknown) => e as never)) as never;
    expect(failed.code).toBe(status.FAILED_PRECONDITION);
    const [details] = failed.metadata.get("grpc-status-details-bin");
    const [any] = RpcStatus.decode(details as Buffer).details;
    expect(PreconditionFailure.decode(any!.value).violations).toEqual([
      { type: "MISSING", subject: `blobs/${"5".repeat(64)}/5`, description: "" },
    ]);
  });

  test("refuses what makes no sense", async () => {
    const garbage = await store.put(Buffer.from([0xff, 0xff]), "sha256");
    const cases: [reapi.Digest | undefined, number][] = [
      [undefined, status.INVALID_ARGUMENT],
      [{ hash: "xyz", sizeBytes: 1 }, status.INVALID_ARGUMENT],
      [{ hash: "6".repeat(64), sizeBytes: 1 }, status.FAILED_PRECONDITION],
      [wire(garbage), status.INVALID_ARGUMENT],
      [
        await storedAction({ timeout: { seconds: 999_999_999, nanos: 0 } }),
        status.INVALID_ARGUMENT,
      ],
    ];
    for (const [actionDigest, code] of cases) {
      const request = reapi.ExecuteRequest.fromPartial(actionDigest ? { actionDigest } : {});
      await expect(all(stream(execution.execute, request))).rejects.toMatchObject({ code });
    }
    expect(submitted).toEqual([]);
  });

  test("answers from the cache without running, unless told to skip it", async () => {
    const actionDigest = await storedAction();
    const bytesOf = reapi.ActionResult.encode(
      reapi.ActionResult.fromPartial({ exitCode: 0 }),
    ).finish();
    await results.put({ instance: "", action: { fn: "sha256", ...actionDigest } }, bytesOf);
    const [hit] = await all(stream(execution.execute, executeRequest(actionDigest)));
    expect(responseOf(hit).cachedResult).toBe(true);
    const skipping = stream(
      execution.execute,
      reapi.ExecuteRequest.fromPartial({ actionDigest, skipCacheLookup: true }),
    );
    const ended = all(skipping);
    await eventually("submitted", () => submitted.length === 1);
    await finish(submitted[0]!);
    expect(responseOf((await ended).at(-1)).cachedResult).toBe(false);
  });

  test("a failure of the mesh is the response's status, not the call's", async () => {
    const ended = all(stream(execution.execute, executeRequest(await storedAction())));
    await eventually("submitted", () => submitted.length === 1);
    submitted[0]!.onStage({
      kind: "failed",
      failure: { code: "UNAVAILABLE", message: "No workers available" },
    });
    const response = responseOf((await ended).at(-1));
    expect(response.status).toMatchObject({
      code: status.UNAVAILABLE,
      message: "No workers available",
    });
  });

  test("a client that comes back waits on, one that never was here is adopted, nonsense is NOT_FOUND", async () => {
    const digest = await storedAction();
    const first = stream(execution.execute, executeRequest(digest));
    const name = await new Promise<string>((seen) =>
      first.once("data", (operation: Operation) => seen(operation.name)),
    );
    first.on("error", () => undefined);
    first.cancel();
    const waiting = all(stream(execution.waitExecution, { name }));
    await finish(submitted[0]!);
    expect((await waiting).at(-1)?.done).toBe(true);
    const foreign = name.replace(/\/n\..*/, "/other-node.unknown");
    const adopted = all(stream(execution.waitExecution, { name: foreign }));
    await eventually("adopted", () => submitted.length === 2);
    await finish(submitted[1]!);
    expect((await adopted).at(-1)?.name).toBe(foreign);
    for (const nonsense of [
      "",
      "operations/x",
      foreign.replace(/sha256-./, (start) => (start.endsWith("0") ? "sha256-1" : "sha256-0")),
    ]) {
      const refused = all(stream(execution.waitExecution, { name: nonsense }));
      await expect(refused).rejects.toMatchObject({ code: status.NOT_FOUND });
    }
  });
});
