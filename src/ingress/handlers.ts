// From plain async functions to gRPC handlers: every exception becomes a status with details, no
// rejection is left unhandled, a vanished client stops what was done for it.

import {
  type handleServerStreamingCall,
  type handleUnaryCall,
  Metadata,
  type ServerWritableStream,
  type StatusObject,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import { MeshError } from "../core/error.ts";
import type { Log } from "../telemetry/logger.ts";
import { Status } from "../wire/gen/google/rpc/status.ts";
import { toStatus } from "../wire/status.ts";

/** What a handler knows of its call. */
export interface Call {
  /** The client's address, for fairness and logs. */
  readonly peer: string;
  readonly metadata: Metadata;
  /** Aborted when the client cancels or vanishes. */
  readonly signal: AbortSignal;
}

/** Any failure as gRPC wants it, details included (`grpc-status-details-bin`). */
export function toServiceError(error: unknown): Partial<StatusObject> {
  const status = toStatus(error);
  const metadata = new Metadata();
  if (status.details.length > 0) {
    metadata.set("grpc-status-details-bin", Buffer.from(Status.encode(status).finish()));
  }
  return { code: status.code, details: status.message, metadata };
}

/** A call with one request and one response. */
export function unary<Request, Response>(
  log: Log,
  handle: (request: Request, call: Call) => Promise<Response>,
): handleUnaryCall<Request, Response> {
  return (call, respond) => {
    const signal = signalOf(call);
    handle(call.request, { peer: call.getPeer(), metadata: call.metadata, signal }).then(
      (response) => respond(null, response),
      (error: unknown) => {
        log("debug", `${call.getPath()} failed: ${String(error)}`);
        respond(toServiceError(error));
      },
    );
  };
}

/** A call with one request and a stream of responses; the stream ends when `handle` resolves. */
export function serverStream<Request, Response>(
  log: Log,
  handle: (request: Request, call: Call, send: Send<Response>) => Promise<void>,
): handleServerStreamingCall<Request, Response> {
  return (call) => {
    const signal = signalOf(call);
    const send = (response: Response) => sendTo(call, response, signal);
    handle(call.request, { peer: call.getPeer(), metadata: call.metadata, signal }, send).then(
      () => call.end(),
      (error: unknown) => {
        log("debug", `${call.getPath()} failed: ${String(error)}`);
        call.emit("error", toServiceError(error));
      },
    );
  };
}

/** Sends one response and waits while the client is slow. */
export type Send<Response> = (response: Response) => Promise<void>;

async function sendTo<Response>(
  call: ServerWritableStream<unknown, Response>,
  response: Response,
  signal: AbortSignal,
): Promise<void> {
  if (signal.aborted || call.write(response)) return;
  await new Promise<void>((resolve) => {
    const wake = () => {
      call.off("drain", wake);
      signal.removeEventListener("abort", wake);
      resolve();
    };
    call.on("drain", wake);
    signal.addEventListener("abort", wake);
  });
}

/** Every call ends with this signal, so that making a reason for each would be felt. */
const gone = new MeshError("CANCELLED", "The client cancelled the call or is gone.");

/** Any server call's cancellation as a signal. */
export function signalOf(call: {
  on(event: "cancelled", listener: () => void): unknown;
  readonly cancelled: boolean;
}): AbortSignal {
  const controller = new AbortController();
  if (call.cancelled) controller.abort(gone);
  call.on("cancelled", () => controller.abort(gone));
  return controller.signal;
}

/** Handlers of a service by method. */
export type Handlers = UntypedServiceImplementation;
