// Asks a node for its figures.

import { Client } from "@grpc/grpc-js";
import { NodeStatusDefinition, type Status } from "../wire/gen/builder/node/v1/node.ts";
import { grpcDefinition } from "../wire/grpc-definition.ts";
import { authorized, channelCredentials, channelOptions, type Endpoint } from "./endpoint.ts";
import { fromServiceError } from "./reapi-client.ts";

const { getStatus } = grpcDefinition(NodeStatusDefinition);

/** The figures of a node. UNAVAILABLE where none answers in time. */
export function fetchWireStatus(endpoint: Endpoint, timeoutMs: number): Promise<Status> {
  const client = new Client(
    endpoint.address,
    channelCredentials(endpoint),
    channelOptions(endpoint),
  );
  const deadline = Date.now() + timeoutMs;
  return new Promise<Status>((resolve, reject) => {
    client.makeUnaryRequest(
      getStatus.path,
      getStatus.requestSerialize,
      getStatus.responseDeserialize,
      {},
      authorized(endpoint),
      { deadline },
      (error, status) => {
        if (error === null && status !== undefined) resolve(status);
        else reject(fromServiceError(error, endpoint));
      },
    );
  }).finally(() => client.close());
}
