// Every gRPC service that a REAPI client may call, by definition and handlers.

import type { BlobStore } from "../cas/blob-store.ts";
import type { Log } from "../telemetry/logger.ts";
import { byteStreamDefinition } from "../wire/byte-stream.ts";
import {
  ActionCacheDefinition,
  CapabilitiesDefinition,
  ContentAddressableStorageDefinition,
  ExecutionDefinition,
  type GetCapabilitiesRequest,
} from "../wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import {
  type CreateLogStreamRequest,
  LogStreamServiceDefinition,
} from "../wire/gen/build/bazel/remote/logstream/v1/remote_logstream.ts";
import { ByteStreamDefinition } from "../wire/gen/google/bytestream/bytestream.ts";
import { OperationsDefinition } from "../wire/gen/google/longrunning/operations.ts";
import { grpcDefinition } from "../wire/grpc-definition.ts";
import { roleOf } from "./access.ts";
import { actionResultHandlers } from "./action-results.ts";
import type { IngressBounds } from "./bounds.ts";
import { byteStreamHandlers } from "./byte-stream.ts";
import { serverCapabilities } from "./capabilities.ts";
import { contentStoreHandlers } from "./content-store.ts";
import { executionHandlers, type Scheduler } from "./execution.ts";
import { type Handlers, unary } from "./handlers.ts";
import { checkInstance } from "./instance-name.ts";
import type { LogStreams } from "./log-streams.ts";
import type { LostBlobs } from "./lost-blobs.ts";
import type { Operations } from "./operations.ts";
import { operationsHandlers } from "./operations-service.ts";
import type { LookUpDeps } from "./toolchain-scope.ts";
import type { Uploads } from "./uploads.ts";

/** What the services share. */
export interface ServiceDeps extends LookUpDeps {
  readonly store: BlobStore;
  readonly scheduler: Scheduler;
  readonly operations: Operations;
  readonly uploads: Uploads;
  readonly logStreams: LogStreams;
  readonly lost: LostBlobs;
  readonly draining: () => boolean;
  /** Name of the node in operation names. */
  readonly node: string;
  /** This node's toolchain; empty where it has none. */
  readonly toolchain: () => string;
  readonly bounds: IngressBounds;
  readonly log: Log;
}

/** A service as gRPC servers take it. */
export type Service = readonly [
  definition: ReturnType<typeof grpcDefinition>,
  handlers: Handlers,
  fullName: string,
];

/** A generated service with its handlers. */
export function service(
  generated: Parameters<typeof grpcDefinition>[0],
  handlers: Handlers,
): Service {
  return [grpcDefinition(generated), handlers, generated.fullName];
}

/** The services, in the order in which people read about them. */
export function reapiServices(deps: ServiceDeps): Service[] {
  const { bounds, log, logStreams } = deps;
  return [
    service(CapabilitiesDefinition, {
      getCapabilities: unary(log, async ({ instanceName }: GetCapabilitiesRequest, call) => {
        checkInstance(instanceName);
        return serverCapabilities(bounds, roleOf(call.metadata));
      }),
    }),
    service(ContentAddressableStorageDefinition, contentStoreHandlers(deps, bounds)),
    [byteStreamDefinition, byteStreamHandlers(deps), ByteStreamDefinition.fullName],
    service(ActionCacheDefinition, actionResultHandlers(deps, bounds)),
    service(ExecutionDefinition, executionHandlers(deps)),
    service(OperationsDefinition, operationsHandlers(deps)),
    service(LogStreamServiceDefinition, {
      createLogStream: unary(log, async ({ parent }: CreateLogStreamRequest) => {
        const { name, writeName: writeResourceName } = logStreams.create(parent);
        return { name, writeResourceName };
      }),
    }),
  ];
}
