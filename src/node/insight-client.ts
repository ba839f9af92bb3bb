// Asks a node how the machines are and what becomes of actions.

import type { Endpoint } from "../build/endpoint.ts";
import { callNode } from "../build/status-client.ts";
import { InsightDefinition, type ReadLogRequest } from "../wire/gen/builder/node/v1/insight.ts";
import { grpcDefinition } from "../wire/grpc-definition.ts";

const calls = grpcDefinition(InsightDefinition);

/** Longer than a node waits for the others, ms. */
const timeoutMs = 5000;

/** The figures of every host, the asked one first. */
export const fetchFigures = (endpoint: Endpoint) =>
  callNode(endpoint, calls.getFigures, {}, timeoutMs);

/** Actions by `unfinished`, `running`, `queued`, `ended`, `failed` or `slow`. */
export const fetchActions = (
  endpoint: Endpoint,
  request: { readonly filter: string; readonly limit: number; readonly skip: number },
) => callNode(endpoint, calls.listActions, { ...request }, timeoutMs);

/** What is to be said of an action. NOT_FOUND where no host knows it. */
export const fetchExplanation = (endpoint: Endpoint, action: string) =>
  callNode(endpoint, calls.explainAction, { action }, timeoutMs);

/** Where a build's time went. NOT_FOUND where no host remembers anything of it. */
export const fetchBuildProfile = (endpoint: Endpoint, invocation: string) =>
  callNode(endpoint, calls.profileBuild, { invocation }, timeoutMs);

/** Log lines after the one numbered `after`; the last `limit` where that is 0. Of one host or all. */
export const fetchLog = (endpoint: Endpoint, request: Readonly<ReadLogRequest>) =>
  callNode(endpoint, calls.readLog, { ...request }, timeoutMs);

/** Gives up an operation or an invocation. NOT_FOUND where nothing unfinished is called so. */
export const cancelAt = (endpoint: Endpoint, what: string) =>
  callNode(endpoint, calls.cancel, { what, user: "" }, timeoutMs);

/** What the calls answer. */
export type MeshFigures = Awaited<ReturnType<typeof fetchFigures>>;
export type ActionList = Awaited<ReturnType<typeof fetchActions>>;
export type Explanation = Awaited<ReturnType<typeof fetchExplanation>>;
export type BuildProfile = Awaited<ReturnType<typeof fetchBuildProfile>>;
export type LogLines = Awaited<ReturnType<typeof fetchLog>>;
