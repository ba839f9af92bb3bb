// The gRPC servers of a node: REAPI on every address, the node's own figures on the coordinator's.

import { Server, ServerCredentials } from "@grpc/grpc-js";
import type { ActionCache } from "../cas/action-cache.ts";
import type { BlobStore } from "../cas/blob-store.ts";
import { MeshError } from "../core/error.ts";
import type { Log } from "../telemetry/logger.ts";
import {
  ActionCacheDefinition,
  CapabilitiesDefinition,
  ContentAddressableStorageDefinition,
  ExecutionDefinition,
} from "../wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import { NodeStatusDefinition, type Status } from "../wire/gen/builder/node/v1/node.ts";
import { ByteStreamDefinition } from "../wire/gen/google/bytestream/bytestream.ts";
import { grpcDefinition } from "../wire/grpc-definition.ts";
import { actionResultHandlers } from "./action-results.ts";
import { createActivity } from "./activity.ts";
import { byteStreamHandlers } from "./byte-stream.ts";
import { serverCapabilities } from "./capabilities.ts";
import { contentStoreHandlers } from "./content-store.ts";
import { executionHandlers, type Scheduler } from "./execution.ts";
import { type Handlers, unary } from "./handlers.ts";
import { createOperations } from "./operations.ts";

/** What an ingress works with. */
export interface IngressDeps {
  readonly store: BlobStore;
  /** A completeness-checking one. */
  readonly actionCache: ActionCache;
  readonly scheduler: Scheduler;
  readonly status: () => Status;
  readonly log: Log;
  readonly now: () => number;
}

/** One address to listen on; port 0 lets the system choose. */
export interface IngressAddress {
  readonly host: string;
  readonly port: number;
  /** `all` adds the node's figures to REAPI. */
  readonly serves: "all" | "reapi";
}

/** Where and as whom. */
export interface IngressOptions {
  readonly addresses: readonly IngressAddress[];
  /** Name of the node in operation names. */
  readonly node: string;
}

/** A running ingress. */
export interface Ingress {
  /** The bound ports, in the order of the options. */
  readonly ports: readonly number[];
  /**
   * From here on Execute answers UNAVAILABLE. Resolves when every operation has ended and clients
   * have been quiet for three seconds (slow ones included), so that they have what they came for.
   */
  drain(): Promise<void>;
  /** Ends every stream and closes the ports. */
  close(): void;
}

/** All that one batch may hold: gRPC's default message limit of 4 MiB, less headroom. */
const batchBytesMax = (4 << 20) - (64 << 10);
const bounds = {
  timeoutMsMax: 24 * 3_600_000,
  messageBytesMax: 4 << 20,
  treeFoldersMax: 1_000_000,
  keepAliveMs: 15_000,
  retainMs: 600_000,
  retainedMax: 10_000,
  receivedBytesMax: (4 << 20) + (1 << 20),
  streamsMax: 1000,
  quietMs: 3000,
  drainMsMax: 30_000,
};

/** Binds every address or none. UNAVAILABLE names a port that is in use. */
export async function startIngress(deps: IngressDeps, options: IngressOptions): Promise<Ingress> {
  const operations = createOperations(deps, bounds);
  const activity = createActivity();
  let draining = false;
  const reapi = reapiServices(deps, {
    ...deps,
    operations,
    draining: () => draining,
    node: options.node,
  });
  const servers: Server[] = [];
  const close = () => {
    for (const server of servers) server.forceShutdown();
  };
  const ports: number[] = [];
  try {
    for (const address of options.addresses) {
      const server = new Server({
        "grpc.max_receive_message_length": bounds.receivedBytesMax,
        "grpc.max_concurrent_streams": bounds.streamsMax,
        interceptors: [activity.interceptor],
      });
      for (const [definition, handlers] of reapi) server.addService(definition, handlers);
      if (address.serves === "all") {
        const getStatus = unary(deps.log, async () => deps.status());
        server.addService(grpcDefinition(NodeStatusDefinition), { getStatus });
      }
      servers.push(server);
      ports.push(await bind(server, address));
    }
  } catch (error) {
    close();
    throw error;
  }
  return {
    ports,
    drain: async () => {
      draining = true;
      while (operations.unfinished() > 0) await new Promise((wake) => setTimeout(wake, 20));
      // Clients still fetch what their last actions made.
      await activity.quiet(bounds.quietMs, bounds.drainMsMax);
    },
    close,
  };
}

function reapiServices(
  deps: IngressDeps,
  execution: Parameters<typeof executionHandlers>[0],
): [ReturnType<typeof grpcDefinition>, Handlers][] {
  const capabilities = serverCapabilities({ batchBytesMax });
  return [
    [
      grpcDefinition(CapabilitiesDefinition),
      { getCapabilities: unary(deps.log, async () => capabilities) },
    ],
    [
      grpcDefinition(ContentAddressableStorageDefinition),
      contentStoreHandlers(deps, { ...bounds, batchBytesMax }),
    ],
    [grpcDefinition(ByteStreamDefinition), byteStreamHandlers(deps)],
    [grpcDefinition(ActionCacheDefinition), actionResultHandlers(deps)],
    [grpcDefinition(ExecutionDefinition), executionHandlers(execution, bounds)],
  ];
}

function bind(server: Server, { host, port }: IngressAddress): Promise<number> {
  const address = `${host.includes(":") ? `[${host}]` : host}:${port}`;
  return new Promise((resolve, reject) => {
    server.bindAsync(address, ServerCredentials.createInsecure(), (error, bound) => {
      if (error === null) resolve(bound);
      else if (/EADDRINUSE/.test(error.message)) reject(inUse(address, error));
      else
        reject(new MeshError("INVALID_ARGUMENT", `Cannot listen on ${address}: ${error.message}.`));
    });
  });
}

function inUse(address: string, cause: Error): MeshError {
  return new MeshError(
    "UNAVAILABLE",
    `Port ${address.slice(address.lastIndexOf(":") + 1)} is in use (${address}). ` +
      "Stop the program that has it or choose another port.",
    { cause },
  );
}
