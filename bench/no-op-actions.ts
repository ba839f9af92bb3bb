// Many different actions that do nothing, through Execute: what scheduling and isolation cost.

import { Client, credentials } from "@grpc/grpc-js";
import { digestOf } from "../src/cas/hash.ts";
import {
  Action,
  Command,
  ContentAddressableStorageDefinition,
  Directory,
  ExecuteRequest,
  ExecutionDefinition,
} from "../src/wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import { grpcDefinition } from "../src/wire/grpc-definition.ts";
import { toWireDigest } from "../src/wire/reapi.ts";

const cas = grpcDefinition(ContentAddressableStorageDefinition);
const execution = grpcDefinition(ExecutionDefinition);
/** Actions in flight at once: enough to keep a few slots busy, as a build does. */
const inFlight = 32;

/** Actions per second for `count` actions that were never seen before. */
export async function executeNoOps(address: string, count: number): Promise<number> {
  const client = new Client(address, credentials.createInsecure());
  try {
    const actions = await uploadActions(client, count);
    const startMs = performance.now();
    const rest = actions.values();
    const lane = async () => {
      for (const actionDigest of rest) await execute(client, actionDigest);
    };
    await Promise.all(Array.from({ length: inFlight }, lane));
    return (1000 * count) / (performance.now() - startMs);
  } finally {
    client.close();
  }
}

async function uploadActions(client: Client, count: number) {
  const blobs: Uint8Array[] = [];
  const command = Command.encode(Command.fromPartial({ arguments: ["/bin/true"] })).finish();
  const root = Directory.encode(Directory.fromPartial({})).finish();
  const commandDigest = toWireDigest(await digestOf(command, "sha256"));
  const inputRootDigest = toWireDigest(await digestOf(root, "sha256"));
  blobs.push(command, root);
  const salt = `${performance.timeOrigin} ${performance.now()}`;
  for (let i = 0; i < count; i += 1) {
    const action = { commandDigest, inputRootDigest, salt: Buffer.from(`${salt} ${i}`) };
    blobs.push(Action.encode(Action.fromPartial(action)).finish());
  }
  const requests = await Promise.all(
    blobs.map(async (data) => ({
      digest: toWireDigest(await digestOf(data, "sha256")),
      data,
      compressor: 0 as const,
    })),
  );
  const { path, requestSerialize, responseDeserialize } = cas.batchUpdateBlobs;
  const request = { instanceName: "", requests, digestFunction: 1 as const };
  await new Promise<void>((resolve, reject) => {
    client.makeUnaryRequest(path, requestSerialize, responseDeserialize, request, (error) =>
      error ? reject(error) : resolve(),
    );
  });
  return requests.slice(2).map(({ digest }) => digest);
}

async function execute(client: Client, actionDigest: ReturnType<typeof toWireDigest>) {
  const { path, requestSerialize, responseDeserialize } = execution.execute;
  const request = ExecuteRequest.fromPartial({ actionDigest });
  const call = client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, request);
  for await (const operation of call) {
    if (operation.done) return;
  }
}
