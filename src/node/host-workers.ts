// The worker processes of a serving node: how each is started and what it is told.

import { createWorkerProcesses, type WorkerProcesses } from "../cloud/worker-processes.ts";
import type { Log } from "../telemetry/logger.ts";
import type { ServeConfig } from "./config.ts";
import type { HostTools } from "./host-toolchain.ts";
import type { WorkerManners } from "./manners.ts";
import type { ServingMember } from "./serving-mesh.ts";
import type { NodeTelemetry } from "./telemetry.ts";
import type { WorkerConfig } from "./worker-node.ts";

/** How long a drained worker may take before it is killed. */
const retireMs = 10_000;

/** The processes of this host's workers; the core learns when one starts or ends. */
export function createHostWorkers(
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
    persistentWorkers: config.persistentWorkers,
    // A worker's life is told by the node that serves; it speaks up itself only in trouble.
    logLevel: config.logLevel === "info" ? "warn" : config.logLevel,
    logFormat: config.logFormat,
    tellsFigures: config.metrics !== undefined,
  };
}

/** Of the manners of this host, what concerns the worker of one slot of the pool. */
function mannersOf(config: ServeConfig, slot: number): WorkerManners {
  const mayGrow = config.autoscale === "on" && config.cloud === undefined;
  const count = Math.max(1, mayGrow ? config.workersMax : config.workersMin);
  return {
    ...config.manners,
    slots: config.slots * count,
    index: (slot - 1) % count,
    count,
    logLevel: slot === 1 ? config.logLevel : "warn",
  };
}
