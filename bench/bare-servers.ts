// The yardsticks, in a process of their own: ByteStream and calls that wait, by grpc-js without any
// work behind it, and the same bytes over a bare HTTP/2 stream. Prints its two ports, ends with its
// input.

import { createServer, type ServerHttp2Stream } from "node:http2";
import { Server, ServerCredentials } from "@grpc/grpc-js";
import {
  type ExecuteRequest,
  ExecutionDefinition,
} from "../src/wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import {
  ByteStreamDefinition,
  type ReadRequest,
  type ReadResponse,
  type WriteRequest,
} from "../src/wire/gen/google/bytestream/bytestream.ts";
import { Operation } from "../src/wire/gen/google/longrunning/operations.ts";
import { grpcDefinition } from "../src/wire/grpc-definition.ts";

const messageBytes = 1 << 20;
const message = Buffer.alloc(messageBytes, "bare");

const server = new Server({ "grpc.max_receive_message_length": 16 << 20 });
server.addService(grpcDefinition(ByteStreamDefinition), {
  read: async (call: import("@grpc/grpc-js").ServerWritableStream<ReadRequest, ReadResponse>) => {
    const size = Number(call.request.resourceName.split("/").at(-1));
    for (let at = 0; at < size; at += messageBytes) {
      const data = message.subarray(0, Math.min(messageBytes, size - at));
      if (!call.write({ data })) await new Promise((drained) => call.once("drain", drained));
    }
    call.end();
  },
  write: async (
    call: AsyncIterable<WriteRequest>,
    respond: (error: null, answer: { readonly committedSize: number }) => void,
  ) => {
    let committedSize = 0;
    for await (const { data } of call) committedSize += data.length;
    respond(null, { committedSize });
  },
});

// Calls that wait for an action as an ingress's do, but for nothing.
server.addService(grpcDefinition(ExecutionDefinition), {
  execute: (call: import("@grpc/grpc-js").ServerWritableStream<ExecuteRequest, Operation>) => {
    call.write(Operation.fromPartial({ name: "operations/none" }));
  },
  waitExecution: () => undefined,
});

const bare = createServer();
bare.on("stream", async (stream: ServerHttp2Stream, headers) => {
  const size = Number(String(headers[":path"]).slice(1));
  stream.respond({ ":status": 200 });
  if (headers[":method"] === "POST") {
    for await (const _ of stream);
    stream.end("done");
    return;
  }
  for (let at = 0; at < size; at += messageBytes) {
    const part = message.subarray(0, Math.min(messageBytes, size - at));
    if (!stream.write(part)) await new Promise((drained) => stream.once("drain", drained));
  }
  stream.end();
});

server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (_, grpcPort) => {
  bare.listen(0, "127.0.0.1", () => {
    const address = bare.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    process.stdout.write(`${grpcPort} ${port}\n`);
  });
});
process.stdin.on("end", () => process.exit(0)).resume();
