// Asks a node for its figures.

import { Client, credentials } from "@grpc/grpc-js";
import { MeshError } from "../core/error.ts";
import { NodeStatusDefinition, type Status } from "../wire/gen/builder/node/v1/node.ts";
import { grpcDefinition } from "../wire/grpc-definition.ts";

const { getStatus } = grpcDefinition(NodeStatusDefinition);

/** The figures of the node at `address` (HOST:PORT). UNAVAILABLE where none answers in time. */
export function fetchWireStatus(address: string, timeoutMs: number): Promise<Status> {
  const client = new Client(address, credentials.createInsecure());
  const deadline = Date.now() + timeoutMs;
  return new Promise<Status>((resolve, reject) => {
    client.makeUnaryRequest(
      getStatus.path,
      getStatus.requestSerialize,
      getStatus.responseDeserialize,
      {},
      { deadline },
      (error, status) => {
        if (error === null && status !== undefined) resolve(status);
        else reject(unreachable(address, error));
      },
    );
  }).finally(() => client.close());
}

function unreachable(address: string, cause: unknown): MeshError {
  return new MeshError(
    "UNAVAILABLE",
    `No builder node answers at ${address}. Start one with: builder serve --remote`,
    { cause },
  );
}
