// gRPC calls as promises, with the errors of this project: details become `missing` digests, lost
// connections are tried again with growing pauses.

import { Client, Metadata, type ServiceError, status } from "@grpc/grpc-js";
import type { Digest } from "../core/digest.ts";
import { isRetryable, MeshError } from "../core/error.ts";
import { Status } from "../wire/gen/google/rpc/status.ts";
import type { MethodDefinition } from "../wire/grpc-definition.ts";
import { codeOf, missingDigests } from "../wire/status.ts";
import {
  authorized,
  channelCredentials,
  channelOptions,
  type Endpoint,
  unreachable,
} from "./endpoint.ts";

/** A connection to one node. */
export interface ReapiClient {
  /** One request, one response; UNAVAILABLE and the like are tried again. */
  call<Request, Response>(
    method: MethodDefinition<Request, Response>,
    request: Request,
    call: CallOptions,
  ): Promise<Response>;
  /** One request, many responses. Not tried again: the caller knows what it has seen. */
  stream<Request, Response>(
    method: MethodDefinition<Request, Response>,
    request: Request,
    call: CallOptions,
  ): AsyncIterable<Response>;
  /** Many requests, one response. */
  upload<Request, Response>(
    method: MethodDefinition<Request, Response>,
    requests: AsyncIterable<Request>,
    call: CallOptions,
  ): Promise<Response>;
  close(): void;
}

/** What every call can be given. */
export interface CallOptions {
  readonly signal?: AbortSignal;
  readonly metadata?: Metadata;
  /** Of a call with one answer, in ms: DEADLINE_EXCEEDED after it. */
  readonly timeoutMs?: number;
}

/** How a connection is kept. */
export interface ConnectOptions {
  /** Times that a call is tried, with pauses between. */
  readonly attemptsMax: number;
  /** Notice within seconds that the node has fallen silent while calls wait for it. */
  readonly pings: boolean;
}

/** For a node that nothing stands in for. */
const connectDefaults: ConnectOptions = { attemptsMax: 5, pings: false };

const messageBytesMax = 16 << 20;
const retry = { firstMs: 100, mostMs: 2_000 };
const pings = { everyMs: 3_000, answerMs: 4_000 };

/** Connects lazily. */
export function connect(
  endpoint: Endpoint,
  options: ConnectOptions = connectDefaults,
): ReapiClient {
  const client = new Client(endpoint.address, channelCredentials(endpoint), {
    ...channelOptions(endpoint),
    "grpc.max_receive_message_length": messageBytesMax,
    "grpc.initial_reconnect_backoff_ms": 100,
    "grpc.max_reconnect_backoff_ms": 2000,
    ...(options.pings
      ? { "grpc.keepalive_time_ms": pings.everyMs, "grpc.keepalive_timeout_ms": pings.answerMs }
      : {}),
  });

  function once<Request, Response>(
    method: MethodDefinition<Request, Response>,
    request: Request,
    { signal, metadata = new Metadata(), timeoutMs }: CallOptions,
  ): Promise<Response> {
    return new Promise((resolve, reject) => {
      const { path, requestSerialize, responseDeserialize } = method;
      const call = client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        authorized(endpoint, metadata),
        timeoutMs === undefined ? {} : { deadline: Date.now() + timeoutMs },
        (error, response) => {
          if (error === null && response !== undefined) resolve(response);
          else reject(endOf(error, endpoint, signal));
        },
      );
      signal?.addEventListener("abort", () => call.cancel());
    });
  }

  return {
    call: async (method, request, call) => {
      for (let attempt = 1; ; attempt += 1) {
        try {
          return await once(method, request, call);
        } catch (error) {
          const again = error instanceof MeshError && isRetryable(error.code);
          if (!again || attempt >= options.attemptsMax || call.signal?.aborted) throw error;
        }
        await pause(attempt);
      }
    },
    stream: async function* (method, request, { signal, metadata = new Metadata() }) {
      const { path, requestSerialize, responseDeserialize } = method;
      const call = client.makeServerStreamRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        authorized(endpoint, metadata),
      );
      const cancel = () => call.cancel();
      signal?.addEventListener("abort", cancel);
      try {
        yield* call;
      } catch (error) {
        throw endOf(error, endpoint, signal);
      } finally {
        signal?.removeEventListener("abort", cancel);
        call.cancel();
      }
    },
    upload: (method, requests, { metadata = new Metadata() }) =>
      new Promise((resolve, reject) => {
        const { path, requestSerialize, responseDeserialize } = method;
        let ended = false;
        const call = client.makeClientStreamRequest(
          path,
          requestSerialize,
          responseDeserialize,
          authorized(endpoint, metadata),
          (error, response) => {
            ended = true;
            if (error === null && response !== undefined) resolve(response);
            else reject(fromServiceError(error, endpoint));
          },
        );
        const pump = async () => {
          for await (const request of requests) {
            if (ended) return;
            if (!call.write(request)) {
              await new Promise<void>((wake) => {
                call.once("drain", wake);
                call.once("close", wake);
              });
            }
          }
          call.end();
        };
        pump().catch((error: unknown) => {
          call.cancel();
          reject(error);
        });
      }),
    close: () => client.close(),
  };
}

/** Waits before another attempt: 100 ms, doubled each time up to 2 s, with jitter. */
export function pause(attempt: number): Promise<void> {
  const ms = Math.min(retry.firstMs * 2 ** (attempt - 1), retry.mostMs) * (0.5 + Math.random());
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** A call that nobody here cancelled was cancelled by a node that stops: another one may do. */
function endOf(error: unknown, endpoint: Endpoint, signal: AbortSignal | undefined): MeshError {
  const failure = fromServiceError(error, endpoint);
  if (failure.code !== "CANCELLED" || signal?.aborted === true) return failure;
  return new MeshError("UNAVAILABLE", `${endpoint.address} ended the call.`, { cause: error });
}

/** Any failure of a call as this project's error. */
export function fromServiceError(error: unknown, endpoint: Endpoint): MeshError {
  if (!isServiceError(error)) {
    return new MeshError("INTERNAL", "The call ended without an answer.", { cause: error });
  }
  const noConnection =
    (error.code === status.UNAVAILABLE && /connect|resolution|dropped/i.test(error.details)) ||
    (error.code === status.DEADLINE_EXCEEDED && /Waiting for/i.test(error.details));
  if (noConnection) return unreachable(endpoint, error.details, error);
  const code = codeOf(error.code);
  const [details] = error.metadata?.get("grpc-status-details-bin") ?? [];
  const missing = details instanceof Buffer ? missingIn(details) : [];
  return new MeshError(code, error.details || error.message, { cause: error, missing });
}

/** Details are hints of a server: those that cannot be read name nothing. */
function missingIn(details: Buffer): Digest[] {
  try {
    return missingDigests(Status.decode(details));
  } catch {
    return [];
  }
}

function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && "code" in error && "details" in error;
}
