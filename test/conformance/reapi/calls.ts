// Plain gRPC calls over one connection. What is under way ends when the connection is closed, so
// that a case which gives up leaves nothing behind.

import {
  type ChannelCredentials,
  Client,
  type ClientReadableStream,
  credentials,
  Metadata,
} from "@grpc/grpc-js";
import * as reapi from "../../../src/wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import {
  ByteStreamDefinition,
  type WriteRequest,
} from "../../../src/wire/gen/google/bytestream/bytestream.ts";
import { OperationsDefinition } from "../../../src/wire/gen/google/longrunning/operations.ts";
import { grpcDefinition, type MethodDefinition } from "../../../src/wire/grpc-definition.ts";
import type { Endpoint } from "./target.ts";

/** The services, as definitions to call. */
export const capabilities = grpcDefinition(reapi.CapabilitiesDefinition);
export const cas = grpcDefinition(reapi.ContentAddressableStorageDefinition);
export const actionCache = grpcDefinition(reapi.ActionCacheDefinition);
export const execution = grpcDefinition(reapi.ExecutionDefinition);
export const byteStream = grpcDefinition(ByteStreamDefinition);
export const operations = grpcDefinition(OperationsDefinition);

/** REAPI's header with hints about who calls. */
export const requestMetadataKey = "build.bazel.remote.execution.v2.requestmetadata-bin";

/** How one call is made. */
export interface CallOptions {
  readonly timeoutMs?: number;
  /** Instead of the usual RequestMetadata header. */
  readonly requestMetadata?: Buffer;
}

/** A ByteStream write under way. */
export interface OpenWrite {
  /** Resolves when more may be sent; at once when the server has ended the call. */
  send(message: Partial<WriteRequest>): Promise<void>;
  /** Nothing more will be sent. */
  end(): void;
  cancel(): void;
  /** committed_size. */
  readonly answer: Promise<number>;
}

/** The client's side of a method. */
export type Method<Q, S> = Pick<
  MethodDefinition<Q, S>,
  "path" | "requestSerialize" | "responseDeserialize"
>;

/** Calls over one connection. */
export interface Calls {
  unary<Q, S>(method: Method<Q, S>, request: Q, options?: CallOptions): Promise<S>;
  /** All messages of a response stream. */
  collect<Q, S>(method: Method<Q, S>, request: Q, options?: CallOptions): Promise<S[]>;
  /** A response stream to be read by the case. */
  stream<Q, S>(method: Method<Q, S>, request: Q, options?: CallOptions): ClientReadableStream<S>;
  openWrite(): OpenWrite;
  /** A whole ByteStream write: these messages, then the end. */
  write(...messages: Partial<WriteRequest>[]): Promise<number>;
  close(): void;
}

/** Opens a connection that is shared with nobody. */
export function openCalls(endpoint: Endpoint): Calls {
  const client = new Client(endpoint.address, credentialsOf(endpoint), {
    "grpc.use_local_subchannel_pool": 1,
  });
  const underWay = new Set<{ cancel(): void }>();

  function track<C extends { cancel(): void; on(event: "status", then: () => void): unknown }>(
    call: C,
  ): C {
    underWay.add(call);
    call.on("status", () => underWay.delete(call));
    return call;
  }

  const calls: Calls = {
    unary: (method, request, options) =>
      new Promise((resolve, reject) => {
        track(
          client.makeUnaryRequest(
            method.path,
            method.requestSerialize,
            method.responseDeserialize,
            request,
            metadataOf(endpoint, options),
            deadlineOf(options),
            (error, answer) => (answer === undefined ? reject(error) : resolve(answer)),
          ),
        );
      }),
    stream: (method, request, options) => {
      const stream = client.makeServerStreamRequest(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        request,
        metadataOf(endpoint, options),
        deadlineOf(options),
      );
      stream.on("error", () => undefined);
      return track(stream);
    },
    collect: async (method, request, options) => {
      const messages = [];
      for await (const message of calls.stream(method, request, options)) messages.push(message);
      return messages;
    },
    openWrite: () => openWrite(client, endpoint, track),
    write: async (...messages) => {
      const write = calls.openWrite();
      for (const message of messages) await write.send(message);
      write.end();
      return write.answer;
    },
    close: () => {
      for (const call of [...underWay]) call.cancel();
      client.close();
    },
  };
  return calls;
}

function openWrite(
  client: Client,
  endpoint: Endpoint,
  track: <C extends { cancel(): void; on(event: "status", then: () => void): unknown }>(c: C) => C,
): OpenWrite {
  const { promise: answer, resolve, reject } = Promise.withResolvers<number>();
  const { path, requestSerialize, responseDeserialize } = byteStream.write;
  const call = track(
    client.makeClientStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      metadataOf(endpoint, undefined),
      (error, response) =>
        response === undefined ? reject(error) : resolve(response.committedSize),
    ),
  );
  let over = false;
  const end = () => {
    over = true;
  };
  const ended = answer.then(end, end);
  call.on("error", () => undefined);
  return {
    answer,
    send: async (message) => {
      if (over) return;
      const request = {
        resourceName: "",
        writeOffset: 0,
        finishWrite: false,
        data: new Uint8Array(),
      };
      const room = call.write({ ...request, ...message });
      if (!room) await Promise.race([new Promise((go) => call.once("drain", go)), ended]);
    },
    end: () => call.end(),
    cancel: () => call.cancel(),
  };
}

function credentialsOf({ tls }: Endpoint): ChannelCredentials {
  if (tls === "off") return credentials.createInsecure();
  return tls === "system" ? credentials.createSsl() : credentials.createSsl(tls.ca);
}

function metadataOf(endpoint: Endpoint, options: CallOptions | undefined): Metadata {
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(endpoint.headers)) metadata.set(name, value);
  metadata.set(requestMetadataKey, options?.requestMetadata ?? usualRequestMetadata);
  return metadata;
}

const usualRequestMetadata = Buffer.from(
  reapi.RequestMetadata.encode(
    reapi.RequestMetadata.fromPartial({
      toolDetails: { toolName: "conformance" },
      toolInvocationId: crypto.randomUUID(),
    }),
  ).finish(),
);

function deadlineOf(options: CallOptions | undefined) {
  return options?.timeoutMs === undefined ? {} : { deadline: Date.now() + options.timeoutMs };
}
