// What an action writes is seen while it runs: worker process, mesh link, ingress, client.

import { Client, credentials } from "@grpc/grpc-js";
import { afterAll, beforeAll, expect, test } from "vitest";
import { digestOf } from "../../src/cas/hash.ts";
import * as reapi from "../../src/wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import { ByteStreamDefinition } from "../../src/wire/gen/google/bytestream/bytestream.ts";
import { grpcDefinition } from "../../src/wire/grpc-definition.ts";
import { callsOf, wire } from "../support/grpc-calls.ts";
import { createPlace, type Place, type SpawnedNode, startNode } from "../support/programs.ts";

const cas = grpcDefinition(reapi.ContentAddressableStorageDefinition);
const execution = grpcDefinition(reapi.ExecutionDefinition);
const bytes = grpcDefinition(ByteStreamDefinition);

let place: Place;
let node: SpawnedNode;
let client: Client;
let calls: ReturnType<typeof callsOf>;

beforeAll(async () => {
  place = createPlace();
  node = await startNode(place, ["--workers-min", "1"]);
  client = new Client(node.address, credentials.createInsecure());
  calls = callsOf(client);
});
afterAll(async () => {
  client.close();
  await node.stop();
  place.remove();
});

async function upload(message: Uint8Array) {
  const digest = wire(await digestOf(message, "sha256"));
  const requests = [{ digest, data: message, compressor: 0 as const }];
  await calls.call(cas.batchUpdateBlobs, { instanceName: "", requests, digestFunction: 0 });
  return digest;
}

test("a reader sees the beginning while the action still runs, and the end", async () => {
  const script = "echo first; echo careful >&2; sleep 2; echo last";
  const command = reapi.Command.fromPartial({ arguments: ["/bin/sh", "-c", script] });
  const action = reapi.Action.fromPartial({
    commandDigest: await upload(reapi.Command.encode(command).finish()),
    inputRootDigest: await upload(new Uint8Array()),
  });
  const actionDigest = await upload(reapi.Action.encode(action).finish());
  const request = reapi.ExecuteRequest.fromPartial({ actionDigest });
  let done = false;
  let seenWhileRunning = "";
  const readings: Promise<string>[] = [];

  async function follow(resourceName: string): Promise<string> {
    let text = "";
    const query = { resourceName, readOffset: 0, readLimit: 0 };
    for await (const part of calls.stream(bytes.read, query)) {
      text += Buffer.from(part.data).toString();
      if (!done) seenWhileRunning += text;
    }
    return text;
  }

  for await (const operation of calls.stream(execution.execute, request)) {
    const metadata = reapi.ExecuteOperationMetadata.decode(operation.metadata!.value);
    done = operation.done;
    if (metadata.stdoutStreamName === "" || readings.length > 0) continue;
    readings.push(follow(metadata.stdoutStreamName), follow(metadata.stderrStreamName));
  }
  expect(seenWhileRunning).toContain("first\n");
  expect(await Promise.all(readings)).toEqual(["first\nlast\n", "careful\n"]);
});
