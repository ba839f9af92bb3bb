// Asks a node for its figures, or anything else that is one question and one answer.

import { Client } from "@grpc/grpc-js";
import { NodeStatusDefinition, type Status } from "../wire/gen/builder/node/v1/node.ts";
import { grpcDefinition, type MethodDefinition } from "../wire/grpc-definition.ts";
import { authorized, channelCredentials, channelOptions, type Endpoint } from "./endpoint.ts";
import { fromServiceError } from "./reapi-client.ts";

const { getStatus } = grpcDefinition(NodeStatusDefinition);

/** The figures of a node. UNAVAILABLE where none answers in time. */
export function fetchWireStatus(endpoint: Endpoint, timeoutMs: number): Promise<Status> {
  return callNode(endpoint, getStatus, {}, timeoutMs);
}

/** One call over a connection of its own. UNAVAILABLE where no node answers in time. */
export function callNode<Request, Answer>(
  endpoint: Endpoint,
  method: MethodDefinition<Request, Answer>,
  request: Request,
  timeoutMs: number,
): Promise<Answer> {
  const client = new Client(
    endpoint.address,
    channelCredentials(endpoint),
    channelOptions(endpoint),
  );
  const deadline = Date.now() + timeoutMs;
  return new Promise<Answer>((resolve, reject) => {
    client.makeUnaryRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      request,
      authorized(endpoint),
      { deadline },
      (error, answer) => {
        if (error === null && answer !== undefined) resolve(answer);
        else reject(fromServiceError(error, endpoint));
      },
    );
  }).finally(() => client.close());
}
