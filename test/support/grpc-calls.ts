// Plain gRPC calls against an address, for tests of the ingress.

import { type CallOptions, type Client, Metadata } from "@grpc/grpc-js";
import { ByteStreamDefinition } from "../../src/wire/gen/google/bytestream/bytestream.ts";
import { grpcDefinition, type MethodDefinition } from "../../src/wire/grpc-definition.ts";

const bytes = grpcDefinition(ByteStreamDefinition);

/** Calls over one client. */
export function callsOf(client: Client) {
  function call<Q, S>(
    method: MethodDefinition<Q, S>,
    request: Q,
    metadata = new Metadata(),
    options: CallOptions = {},
  ): Promise<S> {
    return new Promise((resolve, reject) => {
      const { path, requestSerialize, responseDeserialize } = method;
      client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        metadata,
        options,
        (error, answer) => (error ? reject(error) : resolve(answer!)),
      );
    });
  }

  function stream<Q, S>(method: MethodDefinition<Q, S>, request: Q, metadata = new Metadata()) {
    const { path, requestSerialize, responseDeserialize } = method;
    return client.makeServerStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      request,
      metadata,
    );
  }

  function write(
    ...messages: {
      resourceName?: string;
      writeOffset?: number;
      finishWrite?: boolean;
      data?: Uint8Array;
    }[]
  ) {
    return new Promise<number>((resolve, reject) => {
      const { path, requestSerialize, responseDeserialize } = bytes.write;
      const upload = client.makeClientStreamRequest(
        path,
        requestSerialize,
        responseDeserialize,
        (error, answer) => (error ? reject(error) : resolve(answer!.committedSize)),
      );
      upload.on("error", () => undefined);
      for (const message of messages) {
        upload.write({
          resourceName: "",
          writeOffset: 0,
          finishWrite: false,
          data: new Uint8Array(),
          ...message,
        });
      }
      upload.end();
    });
  }

  return { call, stream, write };
}

export async function all<T>(messages: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const message of messages) list.push(message);
  return list;
}

export const wire = (digest: { hash: string; sizeBytes: number }) => ({
  hash: digest.hash,
  sizeBytes: digest.sizeBytes,
});
