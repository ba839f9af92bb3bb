// What a serving node tells of itself beside its log: totals, figures for Prometheus, traces.
// What its owner does not want is not even loaded.

import type { Note } from "../core/note.ts";
import type { OnCall } from "../ingress/activity.ts";
import type { LookUp } from "../ingress/toolchain-scope.ts";
import type { ActionCounters } from "../telemetry/action-counters.ts";
import { readLogMessage } from "../telemetry/log-ring.ts";
import type { Log } from "../telemetry/logger.ts";
import type { ServeConfig } from "./config.ts";
import type { FigureSources, NodeMeter } from "./node-meter.ts";
import { version } from "./version.ts";
import { createWatched, type Watched } from "./watched.ts";

/** The ears of a serving node. All of it is cheap where nothing is wanted. */
export interface NodeTelemetry {
  /** What the node remembers of its actions. */
  readonly watched: Watched;
  /** The node's log, its lines counted and the last of them kept. */
  readonly log: Log;
  /** Where Prometheus is answered; undefined: nowhere. */
  readonly metrics: string | undefined;
  onNote(note: Note): void;
  onLookUp(look: LookUp): void;
  readonly onCall: OnCall | undefined;
  /** What the worker process of a slot says over its channel. */
  onWorkerMessage(slot: number, message: unknown): void;
  /** Totals since the start. */
  actions(): ActionCounters;
  /** The node is put together. */
  begin(sources: Omit<FigureSources, "spans">): void;
  /** Sends what traces wait, for a moment at most. */
  close(): Promise<void>;
}

/** Opens what the owner wants. UNAVAILABLE, INVALID_ARGUMENT: it cannot listen there. */
export async function openTelemetry(
  deps: { readonly log: Log; readonly now: () => number },
  {
    metrics,
    traces,
    name,
    logLevel,
  }: Pick<ServeConfig, "metrics" | "traces" | "name" | "logLevel">,
): Promise<NodeTelemetry> {
  const meter = metrics === undefined ? undefined : await openMeter(deps, metrics);
  const watched = createWatched(deps, logLevel);
  const tracer = traces === undefined ? undefined : await openTracer(deps, traces, name);

  function onNote(note: Note): void {
    watched.onNote(note);
    meter?.onNote(note);
    tracer?.spans.onNote(note, deps.now());
  }

  return {
    watched,
    log: meter === undefined ? watched.log : counted(watched.log, meter),
    metrics: meter?.address,
    onNote,
    onLookUp: (look) => {
      watched.onLookUp(look);
      meter?.onLookup(look.hit);
    },
    onCall: meter?.onCall,
    onWorkerMessage: (slot, message) => {
      const line = readLogMessage(message);
      if (line === undefined) meter?.onWorkerMessage(slot, message);
      else watched.ring.add(line.level, `worker-${slot}: ${line.text}`);
    },
    actions: watched.counters.read,
    begin: (sources) => meter?.begin({ ...sources, spans: tracer?.counts }),
    close: async () => {
      meter?.close();
      await tracer?.close();
    },
  };
}

async function openMeter(
  deps: { readonly now: () => number },
  address: NonNullable<ServeConfig["metrics"]>,
): Promise<NodeMeter> {
  const { startNodeMeter } = await import("./node-meter.ts");
  return startNodeMeter(deps, address);
}

async function openTracer(
  deps: { readonly log: Log; readonly now: () => number },
  url: string,
  name: string,
) {
  const [{ createActionSpans }, { spanExportDefaults, startSpanExport }] = await Promise.all([
    import("../telemetry/action-spans.ts"),
    import("../telemetry/span-export.ts"),
  ]);
  const resource = {
    ...{ "service.name": "builder", "service.version": version, "host.name": name },
  };
  const sender = startSpanExport(deps, { ...spanExportDefaults, url, resource });
  const spans = createActionSpans(sender.take);
  return {
    spans,
    close: sender.close,
    counts: () => ({ ...sender.counts(), untold: spans.untold }),
  };
}

function counted(log: Log, meter: NodeMeter): Log {
  return (level, message, note) => {
    meter.onLogLine(level);
    log(level, message, note);
  };
}
