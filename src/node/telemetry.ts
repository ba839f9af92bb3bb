// What a serving node tells of itself beside its log: totals, figures for Prometheus. What its
// owner does not want is not even loaded.

import type { Note } from "../core/note.ts";
import type { OnCall } from "../ingress/activity.ts";
import { type ActionCounters, createActionCounters } from "../telemetry/action-counters.ts";
import type { Log } from "../telemetry/logger.ts";
import type { ServeConfig } from "./config.ts";
import type { FigureSources, NodeMeter } from "./node-meter.ts";

/** The ears of a serving node. All of it is cheap where nothing is wanted. */
export interface NodeTelemetry {
  /** The node's log, its lines counted. */
  readonly log: Log;
  /** Where Prometheus is answered; undefined: nowhere. */
  readonly metrics: string | undefined;
  onNote(note: Note): void;
  onLookup(hit: boolean): void;
  readonly onCall: OnCall | undefined;
  /** What the worker process of a slot says over its channel. */
  onWorkerMessage(slot: number, message: unknown): void;
  /** Totals since the start. */
  actions(): ActionCounters;
  /** The node is put together. */
  begin(sources: FigureSources): void;
  close(): void;
}

/** Opens what the owner wants. UNAVAILABLE, INVALID_ARGUMENT: it cannot listen there. */
export async function openTelemetry(
  deps: { readonly log: Log; readonly now: () => number },
  { metrics }: Pick<ServeConfig, "metrics">,
): Promise<NodeTelemetry> {
  const meter = metrics === undefined ? undefined : await openMeter(deps, metrics);
  const counters = createActionCounters();

  function onNote(note: Note): void {
    counters.onNote(note);
    meter?.onNote(note);
  }

  return {
    log: meter === undefined ? deps.log : counted(deps.log, meter),
    metrics: meter?.address,
    onNote,
    onLookup: (hit) => {
      counters.onCacheLookup(hit);
      meter?.onLookup(hit);
    },
    onCall: meter?.onCall,
    onWorkerMessage: (slot, message) => meter?.onWorkerMessage(slot, message),
    actions: counters.read,
    begin: (sources) => meter?.begin(sources),
    close: () => meter?.close(),
  };
}

async function openMeter(
  deps: { readonly now: () => number },
  address: NonNullable<ServeConfig["metrics"]>,
): Promise<NodeMeter> {
  const { startNodeMeter } = await import("./node-meter.ts");
  return startNodeMeter(deps, address);
}

function counted(log: Log, meter: NodeMeter): Log {
  return (level, message, note) => {
    meter.onLogLine(level);
    log(level, message, note);
  };
}
