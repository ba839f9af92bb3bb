// A serving node, put together: store, mesh, core, ingress and a pool of worker processes.

import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { setFlagsFromString } from "node:v8";
import { assetRecordBounds, openAssetRecords } from "../cas/asset-records.ts";
import { openStore, type Store } from "../cas/open-store.ts";
import { createWorkerProcesses, type WorkerProcesses } from "../cloud/worker-processes.ts";
import { type AssetBounds, defaultAssetBounds } from "../ingress/bounds.ts";
import type { Scheduler } from "../ingress/execution.ts";
import type { AssetOptions } from "../ingress/remote-asset.ts";
import { type Ingress, type IngressOptions, startIngress } from "../ingress/server.ts";
import type { Log } from "../telemetry/logger.ts";
import { formatHostPort, type ServeConfig } from "./config.ts";
import { type HostTools, openHostTools } from "./host-toolchain.ts";
import type { WorkerManners } from "./manners.ts";
import type { Member, OtherEffect } from "./member.ts";
import { type MeshBlobs, startMeshBlobs } from "./mesh-blobs.ts";
import { startMeshInsight } from "./mesh-insight.ts";
import { localAddress, removeNodeFile, writeNodeFile } from "./node-file.ts";
import { createOwnInsight, type OwnInsightDeps } from "./own-insight.ts";
import { type ServingMember, startServingMember } from "./serving-mesh.ts";
import type { Status } from "./status.ts";
import { type NodeTelemetry, openTelemetry } from "./telemetry.ts";
import { version } from "./version.ts";
import { propertiesOf, type WorkerConfig } from "./worker-node.ts";

/** A running serving node. */
export interface ServingNode {
  /** The bound addresses; ports that the system chose are filled in. */
  readonly coordinator: string;
  readonly reapi: string | undefined;
  /** Where Prometheus is answered. */
  readonly metrics: string | undefined;
  status(): Status;
  /** Resolves when `workersMin` workers are linked. Rejects never; workers may take their time. */
  ready(): Promise<void>;
  /** The line for other machines; undefined where they cannot reach or join this node. */
  invitation(): string | undefined;
  /** Resolves once its owner took this node out of the mesh; it is to be drained then. */
  readonly left: Promise<void>;
  /** Takes nothing new, finishes what is accepted, then stops. */
  drain(): Promise<void>;
  /** Stops at once: kills workers and what they run, closes the ports. */
  stop(): Promise<void>;
}

/** How long a drained worker may take before it is killed. */
const retireMs = 10_000;

/**
 * Left alone, V8 collects the whole heap for every 64 MiB of buffers that come and go; with this it
 * weighs them with everything else. Of a stream's CPU time that was half.
 */
const buffersCountAsHeap = "--external-memory-accounted-in-global-limit";

/** Starts a serving node. `workerProgram` is what a worker process runs. */
export async function serve(
  deps: { readonly log: Log; readonly now: () => number; readonly workerProgram: string },
  config: ServeConfig,
): Promise<ServingNode> {
  const { now } = deps;
  setFlagsFromString(buffersCountAsHeap);
  const telemetry = await openTelemetry(deps, config);
  const { log, watched } = telemetry;
  const [startedAtMs, store, tools] = [now(), openHostStore(deps, config), openHostTools(deps)];
  let processes: WorkerProcesses | undefined;
  const late: { ingress?: Ingress } = {};

  function perform(effect: OtherEffect): void {
    if (effect.kind === "note") telemetry.onNote(effect.note);
    if (effect.kind === "publish") late.ingress?.onStage(effect.operations, effect.stage);
    if (effect.kind === "launch") processes?.launch(effect.slot);
    if (effect.kind === "retire") processes?.retire(effect.slot);
  }

  const onOutput: Ingress["showOutput"] = (from, output) => late.ingress?.showOutput(from, output);
  const core = coreOptions(config, tools);
  const serving = await startServingMember({ log, now, perform, onOutput }, config, core);
  const { member } = serving;
  const bounds = { blobBytesMax: config.storeBytesMax };
  const shared = await startMeshBlobs({ log, now, member, store }, bounds);
  const cancel = (operation: string) => late.ingress?.cancel(operation) ?? false;
  const { own, insight } = await startInsight({ now, watched, cancel }, serving, shared);
  let draining = false;
  const status = (): Status =>
    describe(serving, config, late.ingress?.ports ?? [], {
      draining,
      uptimeMs: now() - startedAtMs,
      actions: telemetry.actions(),
      ...own.brief(),
    });
  const ingress = await startIngress(
    {
      store: shared.blobs,
      actionCache: shared.actions,
      onLookUp: telemetry.onLookup,
      scheduler: schedulerOf(member),
      status: () => toWireStatus(status()),
      toolchain: () => toolchainOf(config, tools, member),
      mesh: serving.control,
      ...{ insight, onCached: watched.recorder.onCached, onCall: telemetry.onCall, log, now },
    },
    ingressOptions(config, member, store.assets),
  ).catch(async (error: unknown) => {
    await telemetry.close();
    await serving.stop();
    await store.close();
    throw error;
  });
  late.ingress = ingress;
  telemetry.begin({ ...shared, status, store, config, calls: ingress.calls });
  const started = createPool({ ...deps, log }, { serving, config, tools, telemetry });
  processes = started;
  const announced = announce(serving, config, ingress.ports[0] ?? 0);
  member.begin();

  async function stop(): Promise<void> {
    announced.forget();
    started.killAll();
    await started.ended();
    ingress.close();
    own.close();
    shared.exchange.close();
    await serving.stop();
    await telemetry.close();
    await store.close();
  }

  return {
    coordinator: announced.address,
    reapi: config.reapi && formatHostPort({ ...config.reapi, port: ingress.ports[1] ?? 0 }),
    metrics: telemetry.metrics,
    status,
    invitation: () => inviteOthers(serving),
    left: serving.left,
    ready: async () => {
      const enough = () => member.core.workers.length >= config.workersMin;
      while (!enough()) await new Promise((wake) => setTimeout(wake, 10));
    },
    drain: async () => {
      draining = true;
      // What was accepted is finished before the owner of this machine is rid of it.
      started.hurry();
      await ingress.drain();
      member.pump.push({ kind: "drain" });
      await started.ended();
      await stop();
    },
    stop: async () => {
      member.pump.stop();
      await stop();
    },
  };
}

/** Lets this machine's builds find the node, and other machines hear of it. */
function announce(serving: ServingMember, config: ServeConfig, port: number) {
  const bound = { ...config.coordinator, port };
  const isTls = config.tls !== undefined;
  const address = formatHostPort(bound);
  const entry = { address: localAddress(address, isTls), pid: process.pid };
  if (config.findable) writeNodeFile(config.store, entry);
  serving.announce(bound, isTls);
  return { address, forget: () => removeNodeFile(config.store, entry) };
}

/** What this node tells of itself, of its actions and of the other nodes. */
async function startInsight(
  deps: Pick<OwnInsightDeps, "now" | "watched" | "cancel">,
  { member, state }: ServingMember,
  { blobs }: MeshBlobs,
) {
  const { name } = state.self;
  const read: OwnInsightDeps["read"] = (digest, bytesMax) => blobs.get(digest, bytesMax);
  const own = createOwnInsight({ ...deps, name, member, read });
  const insight = await startMeshInsight({ name, member, own, log: deps.watched.log });
  return { own, insight };
}

/** A serving node runs nothing itself: its workers do. */
function coreOptions({ workersMin, workersMax }: ServeConfig, tools: HostTools) {
  const pool = { workersMin, workersMax };
  const poolProperties = propertiesOf(tools.current());
  const rest = { name: "coordinator", slots: 0, properties: {}, isolation: "none" };
  return { ...rest, pool, poolProperties };
}

/** A host with workers has their tools; one without stands for most of those it is linked to. */
function toolchainOf({ workersMin }: ServeConfig, tools: HostTools, { core }: Member): string {
  return workersMin > 0 ? tools.recent().whole : core.houseToolchain;
}

/** The core, as the ingress sees it. */
function schedulerOf({ pump }: Member): Scheduler {
  return {
    submit: (operation, request) => pump.push({ kind: "submit", operation, request }),
    abandon: (operation) => pump.push({ kind: "abandon", operation }),
  };
}

/** The host's store, beside it the folder in which workers run actions, and what URIs stand for. */
function openHostStore(
  deps: { readonly now: () => number },
  config: ServeConfig,
): Store & { readonly assets: AssetOptions } {
  const store = openStore(deps, { folder: config.store, bytesMax: config.storeBytesMax });
  mkdirSync(join(config.store, "scratch"), { recursive: true, mode: 0o700 });
  const folder = join(config.store, "assets");
  const records = openAssetRecords(deps, { folder, ...assetRecordBounds });
  return {
    ...store,
    assets: {
      records,
      allow: config.fetchAllow,
      spoolFolder: join(config.store, "tmp"),
      bounds: assetBounds(config.storeBytesMax),
    },
    close: async () => {
      await records.close();
      await store.close();
    },
  };
}

/** One download must not push everything else out of the store. */
function assetBounds(storeBytesMax: number): AssetBounds {
  const half = Math.floor(storeBytesMax / 2);
  const fetchBytesMax = Math.min(defaultAssetBounds.fetchBytesMax, half);
  return { ...defaultAssetBounds, fetchBytesMax };
}

/** The processes of this host's workers; the core learns when one starts or ends. */
function createPool(
  deps: { readonly log: Log; readonly now: () => number; readonly workerProgram: string },
  of: {
    readonly serving: ServingMember;
    readonly config: ServeConfig;
    readonly telemetry: NodeTelemetry;
    readonly tools: HostTools;
  },
): WorkerProcesses {
  const { serving, config, tools, telemetry } = of;
  const { member } = serving;
  return createWorkerProcesses(
    {
      log: deps.log,
      configure: (slot) => workerConfig(serving, config, tools, slot),
      events: {
        launched: (slot) => member.pump.push({ kind: "launched", slot }),
        terminated: (slot, why) => member.pump.push({ kind: "terminated", slot, why }),
        said: telemetry.onWorkerMessage,
      },
    },
    { program: deps.workerProgram, drainMs: retireMs },
  );
}

function ingressOptions(config: ServeConfig, member: Member, assets: AssetOptions): IngressOptions {
  const { tls, callers } = config;
  const coordinator = { ...config.coordinator, serves: "all" as const };
  const reapi = config.reapi === undefined ? [] : [{ ...config.reapi, serves: "reapi" as const }];
  const addresses = [coordinator, ...reapi];
  return { addresses, node: member.mesh.peerId, tls, callers, assets };
}

async function workerConfig(
  { state, member, known, isPublic }: ServingMember,
  config: ServeConfig,
  tools: HostTools,
  slot: number,
): Promise<WorkerConfig> {
  // Alone, a node's workers need no surname.
  const name = isPublic ? `${state.self.name}/worker-${slot}` : `worker-${slot}`;
  const { key, certificate, meshId } = await state.sponsorWorker(name);
  const text = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64");
  return {
    kind: "config",
    name,
    key: text(key),
    certificate: text(certificate),
    sponsor: text(state.credential.certificate),
    meshId: text(meshId),
    home: member.mesh.peerId,
    known: known(),
    slots: config.slots,
    store: config.store,
    storeBytesMax: config.storeBytesMax,
    sandbox: config.sandbox,
    toolchain: tools.current(),
    manners: mannersOf(config, slot),
    actionLimits: config.actionLimits,
    // A worker's life is told by the node that serves; it speaks up itself only in trouble.
    logLevel: config.logLevel === "info" ? "warn" : config.logLevel,
    logFormat: config.logFormat,
    tellsFigures: config.metrics !== undefined,
  };
}

/** Of the manners of this host, what concerns the worker of one slot of the pool. */
function mannersOf(config: ServeConfig, slot: number): WorkerManners {
  const count = Math.max(1, config.workersMin);
  return {
    ...config.manners,
    slots: config.slots * count,
    index: (slot - 1) % count,
    count,
    logLevel: slot === 1 ? config.logLevel : "warn",
  };
}

/** An invitation for a handful of machines, for a day. */
function inviteOthers({ state, control, isPublic }: ServingMember): string | undefined {
  if (!isPublic || state.authority === undefined) return undefined;
  return control.invite({ role: "host", uses: 10, expiresInMs: 86_400_000 }).link;
}

function describe(
  { member: { core }, known }: ServingMember,
  config: ServeConfig,
  ports: readonly number[],
  rest: Pick<Status, "draining" | "uptimeMs" | "actions" | "waits" | "troubles">,
): Status {
  const [coordinatorPort, reapiPort] = ports;
  const [self] = known();
  return {
    ...rest,
    version,
    peer: self?.peer ?? "",
    members: self ? [{ ...self, state: "alive", linked: true }, ...core.members] : core.members,
    leader: core.leader ?? "",
    term: core.term,
    workStealing: core.workStealing,
    workers: core.workers.map(({ home: _, properties: __, ...worker }) => worker),
    pending: core.pending,
    executing: core.executing,
    invocations: core.invocations,
    workersMin: config.workersMin,
    workersMax: config.workersMax,
    coordinator: formatHostPort({ ...config.coordinator, port: coordinatorPort ?? 0 }),
    reapi: config.reapi ? [formatHostPort({ ...config.reapi, port: reapiPort ?? 0 })] : [],
  };
}

function toWireStatus(status: Status) {
  return {
    ...status,
    workers: status.workers.map((worker) => ({ ...worker })),
    members: status.members.map((member) => ({ ...member, addresses: [...member.addresses] })),
    reapi: [...status.reapi],
    waits: status.waits.map((wait) => ({ ...wait })),
    troubles: [...status.troubles],
    invocations: [...status.invocations],
  };
}
