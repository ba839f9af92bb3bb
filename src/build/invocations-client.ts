// Asks a node for the builds that build tools told it of.

import {
  type InvocationReport,
  type InvocationSummary,
  NodeStatusDefinition,
} from "../wire/gen/builder/node/v1/node.ts";
import { grpcDefinition } from "../wire/grpc-definition.ts";
import type { Endpoint } from "./endpoint.ts";
import { callNode } from "./status-client.ts";

export type { InvocationReport, InvocationSummary };

const { getInvocation, listInvocations } = grpcDefinition(NodeStatusDefinition);
const timeoutMs = 5000;

/** All that the node remembers, the newest first. UNAVAILABLE where none answers within 5 s. */
export async function fetchInvocations(endpoint: Endpoint): Promise<readonly InvocationSummary[]> {
  const { invocations } = await callNode(endpoint, listInvocations, {}, timeoutMs);
  return invocations;
}

/** One, by the begin of its id. NOT_FOUND. */
export function fetchInvocation(endpoint: Endpoint, id: string): Promise<InvocationReport> {
  return callNode(endpoint, getInvocation, { id }, timeoutMs);
}
