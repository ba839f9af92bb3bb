// The gRPC servers of a node: REAPI on every address, the node's own figures on the coordinator's.

import { Server, type ServerCredentials } from "@grpc/grpc-js";
import type { BlobStore, HashLookup, Holds, LocalFiles } from "../cas/blob-store.ts";
import type { CompleteActionCache } from "../cas/completeness.ts";
import type { ActionRequest, PeerId } from "../core/action.ts";
import { MeshError } from "../core/error.ts";
import type { Stage } from "../core/machine.ts";
import type { RemakingEffect } from "../core/remaking-options.ts";
import type { Log } from "../telemetry/logger.ts";
import {
  type GetInvocationRequest,
  NodeStatusDefinition,
  type Status,
} from "../wire/gen/builder/node/v1/node.ts";
import type { OutputMessage } from "../wire/mesh-codec.ts";
import { type Access, callInterceptor } from "./access.ts";
import { createActivity, type OnCall } from "./activity.ts";
import { defaultBounds } from "./bounds.ts";
import { buildEventService } from "./build-event-service.ts";
import { type BuildEvents, createBuildEvents } from "./build-events.ts";
import { type CallerOptions, createAccess } from "./callers.ts";
import type { Scheduler } from "./execution.ts";
import { unary } from "./handlers.ts";
import { holdInputs } from "./input-holds.ts";
import { type Insight, insightService } from "./insight.ts";
import { addIntrospection, type Health } from "./introspection.ts";
import { createLogStreams, type LogStreams } from "./log-streams.ts";
import { createLostBlobs, type Remaker } from "./lost-blobs.ts";
import { type MeshControl, meshControlService, type ScalingControl } from "./mesh-control.ts";
import { outputStreamName } from "./operation-messages.ts";
import { createOperations } from "./operations.ts";
import { cancelOperation } from "./operations-service.ts";
import { type AssetOptions, createAssetServices } from "./remote-asset.ts";
import { reapiServices, type Service, service } from "./services.ts";
import type { LookUpDeps } from "./toolchain-scope.ts";
import { listenSecurity, type TlsFiles } from "./transport-security.ts";
import { createUploads } from "./uploads.ts";

/** What an ingress works with. */
export interface IngressDeps {
  readonly store: BlobStore & Holds & HashLookup & Pick<LocalFiles, "adopt">;
  readonly actionCache: CompleteActionCache;
  /** Told of each result that a client asks for. */
  readonly onLookUp?: LookUpDeps["onLookUp"];
  readonly scheduler: Scheduler;
  /** Has lost blobs made again; undefined: they are lost for good. */
  readonly remaker?: Remaker;
  readonly status: () => Status;
  /** The toolchain of actions that name none; where left out, they run anywhere. */
  readonly toolchain?: () => string;
  /** Undefined: the mesh cannot be controlled over gRPC. */
  readonly mesh?: MeshControl & ScalingControl;
  /** Hears of every call that ended. */
  readonly onCall?: OnCall | undefined;
  /** Undefined: nothing is told of actions and machines. */
  readonly insight?: Insight;
  /** Told of calls that were answered from the cache. */
  readonly onCached?: (operation: string, request: ActionRequest) => void;
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
  /** Undefined: plain text. */
  readonly tls?: TlsFiles | undefined;
  /** Undefined: everybody may do everything. */
  readonly callers?: CallerOptions;
  /** Undefined: the Remote Asset API is not served. */
  readonly assets?: AssetOptions;
}

/** A running ingress. */
export interface Ingress {
  /** The bound ports, in the order of the options. */
  readonly ports: readonly number[];
  /** Builds whose tools told their events. */
  readonly invocations: BuildEvents;
  /** Knows callers. */
  readonly access: Access;
  /** Calls under way. */
  calls(): number;
  /** Tells operations how far their action is. */
  onStage(operations: readonly string[], stage: Stage): void;
  /** Does what the core wants with lost blobs. */
  onRemaking(effect: RemakingEffect): void;
  /** Gives up an operation; false where it is unknown or has ended. */
  cancel(operation: string): boolean;
  /** Hands live output on to whoever reads it; ignored unless `from` runs the attempt for us. */
  showOutput(from: PeerId, output: OutputMessage): void;
  /**
   * From here on Execute answers UNAVAILABLE. Resolves when every operation has ended and clients
   * have been quiet for three seconds (slow ones included), so that they have what they came for.
   */
  drain(): Promise<void>;
  /** Ends every stream and closes the ports. */
  close(): void;
}

/** For a node that only its own machine can reach. */
const everybody: CallerOptions = { tokenFile: undefined, anonymous: "admin" };

/** Binds every address or none. UNAVAILABLE names a port that is in use. */
export async function startIngress(deps: IngressDeps, options: IngressOptions): Promise<Ingress> {
  const bounds = defaultBounds;
  const assets = options.assets && createAssetServices(deps, options.assets);
  const access = createAccess(deps, options.callers ?? everybody);
  const security = listenSecurity(deps, options.tls);
  const logStreams = createLogStreams(bounds);
  const operations = createOperations({ ...deps, onStage: announcing(logStreams) }, bounds);
  const lost = createLostBlobs(deps, bounds);
  const uploads = createUploads(deps, bounds);
  const activity = createActivity(deps.onCall);
  const inputs = holdInputs({ ...deps, operations }, bounds);
  const events = createBuildEvents();
  let draining = false;
  const services = reapiServices({
    ...deps,
    toolchain: deps.toolchain ?? (() => ""),
    onLookUp: deps.onLookUp ?? (() => undefined),
    ...{ operations, uploads, logStreams, lost },
    draining: () => draining,
    node: options.node,
    bounds,
  }).concat(assets?.services ?? [], [buildEventService(events, deps.log)]);
  const own = [
    statusService(deps, events),
    ...(deps.mesh === undefined ? [] : [meshControlService(deps.mesh, deps.log)]),
    ...(deps.insight === undefined ? [] : [insightService(deps.insight, deps.log, access)]),
  ];
  const servers: Server[] = [];
  const healths: Health[] = [];
  const close = () => {
    security.close();
    uploads.close();
    inputs.close();
    assets?.close();
    for (const server of servers) server.forceShutdown();
  };
  const ports: number[] = [];
  try {
    for (const address of options.addresses) {
      const server = new Server({
        "grpc.max_receive_message_length": bounds.receivedBytesMax,
        "grpc.max_concurrent_streams": bounds.streamsMax,
        "grpc.keepalive_time_ms": bounds.pingMs,
        "grpc.keepalive_timeout_ms": bounds.pingTimeoutMs,
        interceptors: [callInterceptor(access, activity, deps.log)],
      });
      const served = address.serves === "all" ? [...services, ...own] : services;
      for (const [definition, handlers] of served) server.addService(definition, handlers);
      const names = served.map(([, , name]) => name);
      healths.push(addIntrospection(server, names));
      servers.push(server);
      ports.push(await bind(server, security.credentials, address));
    }
  } catch (error) {
    close();
    throw error;
  }
  return {
    ...{ ports, invocations: events, access, onRemaking: lost.perform },
    calls: () => activity.active,
    onStage: (names, stage) => {
      for (const name of names) operations.update(name, stage);
    },
    cancel: (name) => cancelOperation({ ...deps, operations }, name),
    showOutput: (from, { token, stream, offset, bytes }) =>
      logStreams.append(outputStreamName(token, stream), from, offset, bytes),
    drain: async () => {
      draining = true;
      for (const health of healths) health.stopServing();
      while (operations.unfinished() > 0) await new Promise((wake) => setTimeout(wake, 20));
      // Clients still fetch what their last actions made.
      await activity.quiet(bounds.quietMs, bounds.drainMsMax);
    },
    close,
  };
}

/** The node's figures, and the builds that it was told of. */
function statusService({ log, status }: IngressDeps, events: BuildEvents): Service {
  return service(NodeStatusDefinition, {
    getStatus: unary(log, async () => status()),
    listInvocations: unary(log, async () => ({ invocations: events.list() })),
    getInvocation: unary(log, async ({ id }: GetInvocationRequest) => events.get(id)),
  });
}

/** Lets the output of what runs be read for as long as it runs. */
function announcing(logStreams: LogStreams): (stage: Stage, before: Stage) => void {
  return (stage, before) => {
    for (const which of ["stdout", "stderr"] as const) {
      if (before.kind === "executing") logStreams.retract(outputStreamName(before.token, which));
      if (stage.kind === "executing") {
        logStreams.announce(outputStreamName(stage.token, which), stage.peer);
      }
    }
  };
}

function bind(
  server: Server,
  credentials: ServerCredentials,
  { host, port }: IngressAddress,
): Promise<number> {
  const address = `${host.includes(":") ? `[${host}]` : host}:${port}`;
  return new Promise((resolve, reject) => {
    server.bindAsync(address, credentials, (error, bound) => {
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
