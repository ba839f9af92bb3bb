// A worker node, put together: a member of the mesh with slots, a sandbox and the host's store.

import { arch } from "node:os";
import { join } from "node:path";
import { openStore } from "../cas/open-store.ts";
import { createPeerFetch } from "../cas/peer-fetch.ts";
import { makePrivate } from "../cas/private-folder.ts";
import { findMetadata, type SpotWatch, watchSpotNotices } from "../cloud/spot-notice.ts";
import type { PeerId } from "../core/action.ts";
import { MeshError } from "../core/error.ts";
import { toolchainProperty } from "../core/house-toolchain.ts";
import type { MemberRecord } from "../core/message.ts";
import { networkGiven, networkProperty } from "../core/network-policy.ts";
import { lanBlobOptions, startBlobExchange } from "../mesh/blob-exchange.ts";
import { createRevocations } from "../mesh/revocations.ts";
import { chooseSandbox } from "../sandbox/choose-sandbox.ts";
import { meterSandbox } from "../sandbox/metrics.ts";
import type { Level, Log, LogFormat } from "../telemetry/logger.ts";
import type { LimitCeilings, LimitOptions } from "../worker/action-limits.ts";
import { createExecutor } from "../worker/executor.ts";
import { createLaidRoots } from "../worker/laid-roots.ts";
import {
  createPersistentWorkers,
  type PersistentDeps,
  type PersistentWorkers,
} from "../worker/persistent-workers.ts";
import { createRemoteExecutor, type RemoteExecutor } from "../worker/remote-executor.ts";
import { createScratchPool, sweepScratch } from "../worker/scratch.ts";
import { cutOff, hearRevocations } from "./hear-revocations.ts";
import { type HostToolchain, watchTools } from "./host-toolchain.ts";
import { defaultLimits } from "./limits.ts";
import { createMachineReader } from "./machine-state.ts";
import { beNice, type MannersWatch, type WorkerManners, watchMachine } from "./manners.ts";
import { type Member, startMember } from "./member.ts";
import { type WorkerFigures, watchProcess } from "./process-figures.ts";
import { createRunner, type Runner } from "./runner.ts";

/** What a worker process is told over its IPC channel; bytes are base64. */
export interface WorkerConfig {
  readonly kind: "config";
  readonly name: string;
  readonly key: string;
  readonly certificate: string;
  /** The certificate of the host that vouches for it. */
  readonly sponsor: string;
  readonly meshId: string;
  /** The node that serves on this host. */
  readonly home: PeerId;
  /** The nodes to link with: that one and the others of the mesh, as far as they are known. */
  readonly known: readonly MemberRecord[];
  readonly slots: number;
  readonly store: string;
  readonly storeBytesMax: number;
  readonly sandbox: "auto" | "none";
  /** The tools of this host, as its serving node saw them. */
  readonly toolchain: HostToolchain;
  readonly manners: WorkerManners;
  readonly actionLimits: LimitCeilings;
  /** Processes to keep for actions that ask for one; 0: none. */
  readonly persistentWorkers: number;
  readonly logLevel: Level;
  readonly logFormat: LogFormat;
  /** Whether its serving node wants its figures over the channel. */
  readonly tellsFigures: boolean;
}

/** A running worker. */
export interface WorkerNode {
  /** Fills all slots, whatever is against it: its host wants to leave. */
  hurry(): void;
  /** Takes nothing new while it is paused; what runs goes on. */
  pause(isPaused: boolean): void;
  /** Takes nothing new; resolves when what runs has ended. */
  drain(): Promise<void>;
  /** Kills what runs, leaves the mesh, closes the store. */
  stop(): Promise<void>;
}

/** OSFamily and ISA in lower case; they are compared without case. */
const machineProperties = {
  OSFamily: [process.platform],
  ISA: arch() === "x64" ? ["x86-64", "x86_64", "amd64"] : ["aarch64", "arm64", "arm-a64"],
};

/** Platform properties every worker of this machine satisfies, name → accepted values. */
export function propertiesOf(
  toolchain: Pick<HostToolchain, "names">,
  ceilings: LimitCeilings,
): Readonly<Record<string, readonly string[]>> {
  const network = ceilings.network === false ? {} : { [networkProperty]: [networkGiven] };
  return { ...machineProperties, ...network, [toolchainProperty]: toolchain.names };
}

/** Starts a worker and keeps it linked to its peers. */
export async function startWorkerNode(
  deps: {
    readonly log: Log;
    /** For what one worker says for all of its host. */
    readonly hostLog: Log;
    readonly now: () => number;
    /** Tells the serving node of this host. */
    readonly tell: (figures: { readonly kind: "figures" } & WorkerFigures) => void;
    /** The environment, for where a cloud announces that it takes this machine back. */
    readonly env: NodeJS.ProcessEnv;
    /** Asks the program to drain, stop and end: another worker takes the place of this one. */
    readonly leave: () => void;
  },
  config: WorkerConfig,
): Promise<WorkerNode> {
  beNice(config.manners.nice, deps.log);
  const store = openStore(deps, { folder: config.store, bytesMax: config.storeBytesMax });
  const scratch = join(config.store, "scratch");
  makePrivate(scratch);
  await sweepScratch(scratch);
  const chosen = await chooseSandbox({ want: config.sandbox, stateFolder: config.store });
  const { sandbox, look } = meterSandbox(chosen);
  const pool = createScratchPool(scratch);
  const laidRoots = createLaidRoots(scratch, deps);
  const tools = watchTools(config.toolchain, () => {
    deps.log("warn", "The tools of this system changed: this worker makes room for a new one.");
    deps.leave();
  });
  const persistentWorkers = keptProcesses({ store: store.blobs, sandbox, scratch: pool }, config);
  const executeHere = createExecutor(
    {
      ...{ store: store.blobs, actionCache: store.actions, sandbox, scratch: pool, laidRoots },
      persistentWorkers,
      now: deps.now,
      toolsChanged: tools.changed,
    },
    { worker: config.name, limits: limitsOf(config), messageBytesMax: 4 << 20 },
  );
  const late: { execute?: RemoteExecutor } = {};
  const runner = createRunner((request, call) => {
    if (late.execute === undefined) throw new MeshError("INTERNAL", "Not put together yet.");
    return late.execute(request, call);
  });
  const member = await startWorkerMember(
    { ...deps, perform: runner.perform },
    config,
    sandbox.isolation,
  );
  const exchange = await startBlobExchange(
    { mesh: member.mesh, store: store.blobs, actions: store.actions, ...deps },
    { ...lanBlobOptions, blobBytesMax: config.storeBytesMax, serves: false },
  );
  const hosts = () => member.core.liveHosts;
  const fetching = { peers: exchange, store: store.blobs, self: config.home, hosts };
  const fetcher = createPeerFetch(fetching);
  late.execute = createRemoteExecutor(executeHere, {
    ...{ peerBlobs: exchange, fetcher, home: config.home, hosts },
    ...{ store: store.blobs, actions: store.actions, log: deps.log, now: deps.now },
  });
  runner.onExecuted = (input) => member.pump.push(input);
  runner.onOutput = (output) => member.sendOutput(output);
  member.begin();
  // Of those who may hold it back, the one that allows less counts.
  let [allowed, isPaused] = [config.slots, false];
  const allow = () => member.pump.push({ kind: "allow", slots: isPaused ? 0 : allowed });
  const watch = watchOwner(deps, config, member.core, (slots) => {
    allowed = slots;
    allow();
  });
  const notices = watchNotices(deps, (lastsMs) => member.pump.push({ kind: "noticed", lastsMs }));
  const figures = config.tellsFigures
    ? watchProcess((of) => {
        const counts = { wanted: fetcher.counts(), exchange: exchange.counts(), runs: look() };
        deps.tell({ kind: "figures", ...of, ...counts });
      })
    : undefined;
  return {
    hurry: () => {
      watch.stop();
      [allowed, isPaused] = [config.slots, false];
      allow();
    },
    pause: (next) => {
      isPaused = next;
      allow();
    },
    drain: async () => {
      member.pump.push({ kind: "drain" });
      while (!member.core.drained) await new Promise((wake) => setTimeout(wake, 10));
    },
    stop: async () => {
      watch.stop();
      tools.stop();
      notices?.stop();
      figures?.stop();
      await runner.killAll();
      await persistentWorkers?.close();
      await pool.close();
      await laidRoots.close();
      exchange.close();
      await member.stop();
      await store.close();
    },
  };
}

/** A process that nobody needs for so long gives its memory back. */
const persistentIdleMs = 300_000;

/** Those that wait hold as much memory together as an action gets that does not say. */
function keptProcesses(deps: PersistentDeps, config: WorkerConfig): PersistentWorkers | undefined {
  const { persistentWorkers: processesMax } = config;
  if (processesMax === 0) return undefined;
  const idleBytesMax = limitsOf(config).defaults.memoryBytes;
  const options = { processesMax, idleMs: persistentIdleMs, idleBytesMax };
  return createPersistentWorkers(deps, options);
}

/** Whoever works on a machine that EC2 takes back gives away in time what it could not end. */
function watchNotices(
  deps: {
    readonly hostLog: Log;
    readonly now: () => number;
    readonly env: NodeJS.ProcessEnv;
  },
  onNotice: (lastsMs: number) => void,
): SpotWatch | undefined {
  const { env, hostLog, now } = deps;
  const endpoint = findMetadata(env);
  if (endpoint === undefined) return undefined;
  return watchSpotNotices({
    ...{ endpoint, now },
    onNotice: ({ action, lastsMs }) => {
      const seconds = Math.round(lastsMs / 1000);
      const what = `EC2 takes this machine back in ${seconds} s (${action}).`;
      hostLog("warn", `${what} Its workers take nothing new; what takes longer runs elsewhere.`);
      onNotice(lastsMs);
    },
  });
}

/** Gives way to the machine's owner, as `config` has it. */
function watchOwner(
  { hostLog, now }: { readonly hostLog: Log; readonly now: () => number },
  config: WorkerConfig,
  core: Member["core"],
  onAllow: (slots: number) => void,
): MannersWatch {
  return watchMachine(
    {
      ...{ log: hostLog, now },
      reader: createMachineReader({ root: "/", platform: process.platform }),
      running: () => core.running,
      onAllow,
    },
    config.manners,
  );
}

/** A worker is in the mesh by its host's word; it learns from the others who is out. */
async function startWorkerMember(
  deps: { readonly log: Log; readonly now: () => number; readonly perform: Runner["perform"] },
  config: WorkerConfig,
  isolation: string,
): Promise<Member> {
  const bytes = (text: string) => Buffer.from(text, "base64");
  const meshId = bytes(config.meshId);
  const revocations = await createRevocations({ meshId, stored: [], save: () => undefined });
  const [key, certificate] = [bytes(config.key), bytes(config.certificate)];
  const { name, slots, home, known } = config;
  const member = await startMember(
    {
      ...deps,
      ...hearRevocations(deps.log, revocations, (peer) => cutOff(member, peer)),
    },
    {
      credential: { key, certificate, sponsor: bytes(config.sponsor), meshId },
      listen: [],
      core: {
        ...{
          name,
          slots,
          home,
          isolation,
          properties: propertiesOf(config.toolchain, config.actionLimits),
        },
        membership: { serves: false, known },
      },
    },
  );
  return member;
}

/** Actions that ask for no memory get their slot's share of what all may use. */
function limitsOf({ slots, manners, actionLimits }: WorkerConfig): LimitOptions {
  const { defaults } = defaultLimits(slots);
  const { memoryBytesMax = Number.POSITIVE_INFINITY } = manners;
  const share = Math.floor(memoryBytesMax / Math.max(1, manners.slots));
  const memoryBytes = Math.min(defaults.memoryBytes, share);
  return { defaults: { ...defaults, memoryBytes }, ceilings: actionLimits };
}
