// google.devtools.build.v1: takes the events of build tools (Bazel's --bes_backend).

import type { ServerDuplexStream } from "@grpc/grpc-js";
import { MeshError } from "../core/error.ts";
import type { Log } from "../telemetry/logger.ts";
import { StreamId_BuildComponent } from "../wire/gen/google/devtools/build/v1/build_events.ts";
import {
  type OrderedBuildEvent,
  PublishBuildEventDefinition,
  type PublishBuildToolEventStreamRequest,
  type PublishBuildToolEventStreamResponse,
  type PublishLifecycleEventRequest,
} from "../wire/gen/google/devtools/build/v1/publish_build_event.ts";
import { callerOrHost } from "./action-request.ts";
import type { BuildEvents } from "./build-events.ts";
import { toServiceError, unary } from "./handlers.ts";
import { type Service, service } from "./services.ts";

type EventStream = ServerDuplexStream<
  PublishBuildToolEventStreamRequest,
  PublishBuildToolEventStreamResponse
>;

/** The service. */
export function buildEventService(events: BuildEvents, log: Log): Service {
  return service(PublishBuildEventDefinition, {
    // A build's stages in the eyes of whoever started the tool; the tool's own stream says more.
    publishLifecycleEvent: unary(log, async ({ buildEvent }: PublishLifecycleEventRequest) => {
      if (buildEvent?.streamId === undefined) throw noStream();
      return {};
    }),
    publishBuildToolEventStream: (call: EventStream) => {
      takeAll(events, call).then(
        () => call.end(),
        (error: unknown) => {
          log("debug", `${call.getPath()} failed: ${String(error)}`);
          call.emit("error", toServiceError(error));
        },
      );
    },
  });
}

/** Answers each event in its turn; a client that does not read its answers is not read either. */
async function takeAll(events: BuildEvents, call: EventStream): Promise<void> {
  const user = callerOrHost(call.metadata, call.getPeer());
  const invocations = new Set<string>();
  try {
    for await (const { orderedBuildEvent } of messagesOf(call)) {
      const ordered = orderedBuildEvent;
      const invocation = take(events, ordered, user);
      invocations.add(invocation);
      const answer = { streamId: ordered?.streamId, sequenceNumber: ordered?.sequenceNumber ?? 0 };
      if (!call.write(answer)) await drained(call);
    }
  } finally {
    for (const invocation of invocations) events.ended(invocation);
  }
}

/** Hands an event over; the id of its invocation. */
function take(events: BuildEvents, ordered: OrderedBuildEvent | undefined, user: string): string {
  const { streamId, sequenceNumber: sequence = 0, event } = ordered ?? {};
  if (streamId === undefined || streamId.invocationId === "") throw noStream();
  const { invocationId: invocation, buildId: build, component } = streamId;
  const isTool = component === StreamId_BuildComponent.TOOL;
  if (event !== undefined && isTool) events.take({ build, invocation, user, sequence }, event);
  return invocation;
}

/** Its usual iterator would let nothing be written after the last message was read. */
function messagesOf(call: EventStream): AsyncIterable<PublishBuildToolEventStreamRequest> {
  return call.iterator({ destroyOnReturn: false });
}

function drained(call: EventStream): Promise<void> {
  return new Promise((resolve) => {
    call.once("drain", resolve);
    call.once("close", resolve);
    call.once("cancelled", resolve);
  });
}

function noStream(): MeshError {
  return new MeshError("INVALID_ARGUMENT", "The event's stream_id has no invocation_id.");
}
