// A serving node, put together: store, mesh, core, ingress and a pool of worker processes.

import { join } from "node:path";
import { setFlagsFromString } from "node:v8";
import { assetRecordBounds, openAssetRecords } from "../cas/asset-records.ts";
import { openStore, type Store } from "../cas/open-store.ts";
import { makePrivate } from "../cas/private-folder.ts";
import type { WorkerProcesses } from "../cloud/worker-processes.ts";
import { type AssetBounds, defaultAssetBounds } from "../ingress/bounds.ts";
import type { Scheduler } from "../ingress/execution.ts";
import type { Remaker } from "../ingress/lost-blobs.ts";
import type { AssetOptions } from "../ingress/remote-asset.ts";
import { type Ingress, type IngressOptions, startIngress } from "../ingress/server.ts";
import type { Log } from "../telemetry/logger.ts";
import { formatHostPort, knowsCallers, type ServeConfig } from "./config.ts";
import type { DashboardDeps, DashboardServer } from "./dashboard-server.ts";
import type { EnteredMesh } from "./enter-mesh.ts";
import { type HostTools, openHostTools } from "./host-toolchain.ts";
import { createHostWorkers } from "./host-workers.ts";
import type { Member, OtherEffect } from "./member.ts";
import { type MeshBlobs, startMeshBlobs } from "./mesh-blobs.ts";
import { startMeshInsight } from "./mesh-insight.ts";
import { entryOf, removeNodeFile, writeNodeFile } from "./node-file.ts";
import { createOwnInsight, type OwnInsightDeps } from "./own-insight.ts";
import { keepOwnerToken } from "./owner-token.ts";
import { createScaling, type Scaling, type ScalingDeps } from "./scaling.ts";
import { describeScaling, isPaused } from "./scaling-status.ts";
import { type ServingMember, startServingMember } from "./serving-mesh.ts";
import type { Status } from "./status.ts";
import { type NodeTelemetry, openTelemetry } from "./telemetry.ts";
import { version } from "./version.ts";
import { propertiesOf } from "./worker-node.ts";

/** A running serving node. */
export interface ServingNode {
  /** The bound addresses; ports that the system chose are filled in. */
  readonly coordinator: string;
  readonly reapi: string | undefined;
  /** Where Prometheus is answered. */
  readonly metrics: string | undefined;
  /** URL of the dashboard. */
  readonly dashboard: string | undefined;
  status(): Status;
  /** Resolves when `workersMin` workers are linked. Rejects never; workers may take their time. */
  ready(): Promise<void>;
  /** True where no other host is linked and nothing runs or waits here. */
  isAloneAndIdle(): boolean;
  /** The line for other machines; undefined where they cannot reach or join this node. */
  invitation(): string | undefined;
  /** Resolves once its owner took this node out of the mesh; it is to be drained then. */
  readonly left: Promise<void>;
  /** Takes nothing new, finishes what is accepted, then stops. */
  drain(): Promise<void>;
  /** Stops at once: kills workers and what they run, closes the ports. */
  stop(): Promise<void>;
}

/**
 * Left alone, V8 collects the whole heap for every 64 MiB of buffers that come and go; with this it
 * weighs them with everything else. Of a stream's CPU time that was half.
 */
const buffersCountAsHeap = "--external-memory-accounted-in-global-limit";

/** What belongs to a serving node and is on disk. */
export interface ServeDeps extends ScalingDeps {
  /** What a worker process runs. */
  readonly workerProgram: string;
  /** Folder of the dashboard's built page. */
  readonly pageFolder: string;
}

/** Starts a serving node. */
export async function serve(deps: ServeDeps, config: ServeConfig): Promise<ServingNode> {
  setFlagsFromString(buffersCountAsHeap);
  const { now } = deps;
  const telemetry = await openTelemetry(deps, config);
  const { log, watched } = telemetry;
  const [startedAtMs, store, tools] = [now(), openHostStore(deps, config), openHostTools(deps)];
  const departed = Promise.withResolvers<void>();
  const late: Late = { telemetry, depart: departed.resolve, draining: false };

  async function prepareCore({ folder, credential, self }: EnteredMesh) {
    const mesh = { folder, id: credential.meshId, name: self.name, peer: self.peerId };
    late.scaling = await createScaling({ ...deps, log }, config, mesh);
    return { ...coreOptions(config, tools), ...late.scaling.core };
  }

  const onOutput: Ingress["showOutput"] = (from, output) => late.ingress?.showOutput(from, output);
  const ears = { log, now, onOutput, perform: (effect: OtherEffect) => perform(late, effect) };
  const serving = await startServingMember(ears, config, prepareCore);
  const { member } = serving;
  const bounds = { blobBytesMax: config.storeBytesMax };
  const shared = await startMeshBlobs({ log, now, member, store }, bounds);
  const cancel = (operation: string) => late.ingress?.cancel(operation) ?? false;
  const { own, insight } = await startInsight({ now, watched, cancel }, serving, shared);
  const status = (): Status =>
    describe(serving, config, late.ingress?.ports ?? [], {
      ...{ draining: late.draining, uptimeMs: now() - startedAtMs, actions: telemetry.actions() },
      ...own.brief(),
      scaling: late.scaling && describeScaling(late.scaling, member.core, now()),
    });
  const wireStatus = () => toWireStatus(status());
  const ingress = await startIngress(
    {
      ...{ store: shared.blobs, actionCache: shared.actions },
      onLookUp: telemetry.onLookUp,
      scheduler: schedulerOf(member),
      remaker: remakerOf(member),
      status: wireStatus,
      toolchain: () => toolchainOf(config, tools, member),
      ...(late.scaling && { mesh: { ...serving.control, ...late.scaling.control } }),
      ...{ insight, onCached: watched.recorder.onCached, onCall: telemetry.onCall, log, now },
    },
    ingressOptions(config, serving, { assets: store.assets, log }),
  ).catch(async (error: unknown) => {
    await telemetry.close();
    await serving.stop();
    await store.close();
    throw error;
  });
  late.ingress = ingress;
  telemetry.begin({ ...shared, status, store, config, calls: ingress.calls });
  const started = createHostWorkers({ ...deps, log }, { serving, config, tools, telemetry });
  late.workers = started;
  const announced = announce(serving, config, ingress.ports[0] ?? 0, now);
  late.scaling?.begin(serving);
  member.begin();
  const shown = { ...deps, ...ingress, ...shared, insight, log, status: wireStatus, store, stop };
  late.dashboard = await openDashboard(config, { ...shown, ...late.scaling?.control });

  async function stop(): Promise<void> {
    late.dashboard?.close();
    announced.forget();
    started.killAll();
    await started.ended();
    ingress.close();
    own.close();
    await late.scaling?.close();
    shared.exchange.close();
    await serving.stop();
    await telemetry.close();
    await store.close();
  }

  return {
    coordinator: announced.address,
    reapi: config.reapi && formatHostPort({ ...config.reapi, port: ingress.ports[1] ?? 0 }),
    metrics: telemetry.metrics,
    dashboard: late.dashboard?.url,
    status,
    isAloneAndIdle: () => isAloneAndIdle(member),
    invitation: () => inviteOthers(serving),
    left: Promise.race([serving.left, departed.promise]),
    ready: () => untilWorkers(member, config.workersMin),
    drain: async () => {
      late.draining = true;
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

/** What hears of effects; much of it is there only once others are. */
interface Late {
  readonly telemetry: NodeTelemetry;
  /** Its owner took the node out of the mesh. */
  readonly depart: () => void;
  draining: boolean;
  ingress?: Ingress;
  scaling?: Scaling;
  workers?: WorkerProcesses;
  dashboard?: DashboardServer | undefined;
}

/** Has done what the core wants; what is not there yet has nothing to do. */
function perform(late: Late, effect: OtherEffect): void {
  switch (effect.kind) {
    case "note":
      late.telemetry.onNote(effect.note);
      late.scaling?.onNote(effect.note);
      return;
    case "publish":
      late.ingress?.onStage(effect.operations, effect.stage);
      return;
    case "examine":
    case "prepare":
    case "settled":
      late.ingress?.onRemaking(effect);
      return;
    case "launch":
      late.workers?.launch(effect.slot);
      return;
    case "retire":
      late.workers?.retire(effect.slot, late.draining);
      return;
    case "pause":
    case "resume":
      late.workers?.pause(effect.slot, effect.kind === "pause");
      return;
    case "depart":
      late.depart();
      return;
    case "provide":
    case "dismiss":
    case "list":
      late.scaling?.perform(effect);
  }
}

interface ToShow {
  readonly store: Pick<Store, "totalBytes">;
  readonly stop: () => Promise<void>;
}

/** What shows a node to browsers; not even loaded where its owner does not want it. */
async function openDashboard(
  { dashboard, tls, storeBytesMax }: ServeConfig,
  deps: Omit<DashboardDeps, "cache"> & Pick<MeshBlobs, "blobs"> & ToShow,
): Promise<DashboardServer | undefined> {
  if (dashboard === undefined) return undefined;
  const { startDashboard } = await import("./dashboard-server.ts");
  const storeBytes = () => deps.store.totalBytes();
  const cache = () => ({ storeBytes: storeBytes(), storeBytesMax, ...deps.blobs.counts() });
  return startDashboard({ ...deps, cache }, dashboard, tls).catch(async (error: unknown) => {
    await deps.stop();
    throw error;
  });
}

async function untilWorkers({ core }: Member, count: number): Promise<void> {
  while (core.workers.length < count) await new Promise((wake) => setTimeout(wake, 10));
}

function isAloneAndIdle({ core }: Member): boolean {
  const isAlone = !core.members.some(({ linked }) => linked);
  const isBusy = core.workers.some(({ busy }) => busy > 0);
  return isAlone && !isBusy && core.pending + core.executing === 0;
}

/** Lets this machine's builds find the node, and other machines hear of it. */
function announce(serving: ServingMember, config: ServeConfig, port: number, now: () => number) {
  const bound = { ...config.coordinator, port };
  const isTls = config.tls !== undefined;
  const address = formatHostPort(bound);
  const entry = entryOf(address, isTls, now());
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
function coreOptions(config: ServeConfig, tools: HostTools) {
  const { workersMin, workersMax } = config;
  const pool = { workersMin, workersMax };
  tools.current();
  const poolProperties = hasWorkers(config)
    ? () => propertiesOf(tools.last(), config.actionLimits)
    : undefined;
  const rest = { name: "coordinator", slots: 0, properties: {}, isolation: "none" };
  return { ...rest, pool, ...(poolProperties && { poolProperties }) };
}

/** True for a host that has worker processes, or will have them once there is work. */
function hasWorkers({ workersMin, workersMax, autoscale, cloud }: ServeConfig): boolean {
  return workersMin > 0 || (autoscale === "on" && cloud === undefined && workersMax > 0);
}

/** A host with workers has their tools; one without stands for most of those it is linked to. */
function toolchainOf(config: ServeConfig, tools: HostTools, { core }: Member): string {
  return hasWorkers(config) ? tools.recent().whole : core.houseToolchain;
}

/** The core, as the ingress sees it. */
function schedulerOf({ pump }: Member): Scheduler {
  return {
    submit: (operation, request) => pump.push({ kind: "submit", operation, request }),
    abandon: (operation) => pump.push({ kind: "abandon", operation }),
  };
}

/** The same, where it is about lost blobs. */
function remakerOf({ pump, core }: Member): Remaker {
  return { tell: pump.push, knowsMaker: (by, blobs) => core.knowsMaker(by, blobs) };
}

/** The host's store, beside it the folder in which workers run actions, and what URIs stand for. */
function openHostStore(
  deps: { readonly now: () => number },
  config: ServeConfig,
): Store & { readonly assets: AssetOptions } {
  const store = openStore(deps, { folder: config.store, bytesMax: config.storeBytesMax });
  makePrivate(join(config.store, "scratch"));
  const folder = join(config.store, "assets");
  makePrivate(folder);
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

function ingressOptions(
  config: ServeConfig,
  { member, state }: ServingMember,
  { assets, log }: { readonly assets: AssetOptions; readonly log: Log },
): IngressOptions {
  const { tls } = config;
  const ownerFile = knowsCallers(config) ? undefined : keepOwnerToken(state.folder, log);
  const callers = { ...config.callers, ownerFile };
  const coordinator = { ...config.coordinator, serves: "all" as const };
  const reapi = config.reapi === undefined ? [] : [{ ...config.reapi, serves: "reapi" as const }];
  const addresses = [coordinator, ...reapi];
  return { addresses, node: member.mesh.peerId, tls, callers, assets };
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
  rest: Pick<Status, "draining" | "uptimeMs" | "actions" | "waits" | "troubles" | "scaling">,
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
    workers: core.workers.map(({ home, properties: _, ...worker }) => {
      const { name } = worker;
      return { ...worker, draining: worker.draining || isPaused(core, { name, home }) };
    }),
    pending: core.pending,
    executing: core.executing,
    invocations: core.invocations,
    workersMin: core.scaling.settings.bounds.min,
    workersMax: core.scaling.settings.bounds.max,
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
