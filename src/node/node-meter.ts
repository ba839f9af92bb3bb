// Counts what happens at a serving node and answers Prometheus. Loaded where figures are wanted.

import { statfsSync } from "node:fs";
import type { MeshBlobStore } from "../cas/mesh-blob-store.ts";
import { casMetrics } from "../cas/metrics.ts";
import type { Store } from "../cas/open-store.ts";
import type { Note } from "../core/note.ts";
import type { OnCall } from "../ingress/activity.ts";
import { ingressMetrics, meterCalls } from "../ingress/metrics.ts";
import type { BlobExchange } from "../mesh/blob-exchange.ts";
import { meshMetrics } from "../mesh/metrics.ts";
import { sandboxMetrics } from "../sandbox/metrics.ts";
import type { ActionSpans } from "../telemetry/action-spans.ts";
import { coreMetrics, meterNote } from "../telemetry/core-metrics.ts";
import type { Level } from "../telemetry/logger.ts";
import type { Meter } from "../telemetry/metric.ts";
import { createMeter } from "../telemetry/prometheus.ts";
import type { SpanCounts } from "../telemetry/span-export.ts";
import type { HostPort, ServeConfig } from "./config.ts";
import { allMetrics, nodeMetrics } from "./metrics.ts";
import { startMetricsServer } from "./metrics-server.ts";
import { readWorkerFigures, type WorkerFigures, watchProcess } from "./process-figures.ts";
import type { Status } from "./status.ts";

/** Where figures come from that nobody tells. */
export interface FigureSources {
  readonly status: () => Status;
  /** The host's own store, and where it is and how large it may be. */
  readonly store: Pick<Store, "totalBytes">;
  readonly config: Pick<ServeConfig, "store" | "storeBytesMax">;
  readonly blobs: Pick<MeshBlobStore, "counts">;
  readonly exchange: Pick<BlobExchange, "counts">;
  /** gRPC calls under way. */
  readonly calls: () => number;
  /** What became of spans; undefined where there are none. */
  readonly spans: (() => SpanCounts & Pick<ActionSpans, "untold">) | undefined;
}

/** The figures of a serving node. */
export interface NodeMeter {
  onNote(note: Note): void;
  onLookup(hit: boolean): void;
  readonly onCall: OnCall;
  onLogLine(level: Level): void;
  /** A message of the worker of a slot; any other than figures is ignored. */
  onWorkerMessage(slot: number, message: unknown): void;
  /** Where Prometheus is answered, as bound. */
  readonly address: string;
  /** From now on answers say what these say, too. */
  begin(sources: FigureSources): void;
  close(): void;
}

/** Starts the meter of a node; it answers at once. Errors as `startMetricsServer`. */
export async function startNodeMeter(
  deps: { readonly now: () => number },
  address: HostPort,
): Promise<NodeMeter> {
  const meter = createMeter(allMetrics);
  const server = await startMetricsServer({ meter, ...deps }, address);
  const workers = createWorkerTotals(meter);
  const watch = watchProcess(({ lagMs, residentBytes, cpuSeconds }) => {
    const process = "node";
    meter.set(nodeMetrics.lag, { process }, lagMs / 1000);
    meter.set(nodeMetrics.resident, { process }, residentBytes);
    meter.set(nodeMetrics.cpu, { process }, cpuSeconds);
  });
  return {
    onNote: (note) => meterNote(meter, note),
    onLookup: (hit) => meter.add(casMetrics.lookups, { result: hit ? "hit" : "miss" }),
    onCall: meterCalls(meter),
    onLogLine: (level) => meter.add(nodeMetrics.logLines, { level }),
    onWorkerMessage: (slot, message) => {
      const figures = readWorkerFigures(message);
      if (figures !== undefined) workers.take(slot, figures);
    },
    address: server.address,
    begin: (sources) => {
      meter.beforeAnswer(() => readView(meter, sources.status(), deps.now()));
      meter.beforeAnswer(() => readBlobs(meter, sources));
    },
    close: () => {
      watch.stop();
      server.close();
    },
  };
}

/** Adds up what workers tell; one that was started anew begins at 0 again. */
function createWorkerTotals(meter: Meter) {
  const latestBySlot = new Map<number, WorkerFigures>();
  return {
    take: (slot: number, figures: WorkerFigures): void => {
      const process = `worker-${slot}`;
      const before = latestBySlot.get(slot);
      const isNew = before === undefined || figures.cpuSeconds < before.cpuSeconds;
      latestBySlot.set(slot, figures);
      const grown = (read: (of: WorkerFigures) => number) =>
        Math.max(0, read(figures) - (isNew ? 0 : read(before)));
      const by = "workers";
      meter.set(nodeMetrics.lag, { process }, figures.lagMs / 1000);
      meter.set(nodeMetrics.resident, { process }, figures.residentBytes);
      meter.add(
        nodeMetrics.cpu,
        { process },
        grown(({ cpuSeconds }) => cpuSeconds),
      );
      for (const source of ["here", "peer", "nowhere"] as const) {
        meter.add(
          casMetrics.wanted,
          { by, source },
          grown(({ wanted }) => wanted[source]),
        );
      }
      for (const { metric, labels, field } of exchangeFigures) {
        meter.add(
          metric,
          { by, ...labels },
          grown(({ exchange }) => exchange[field]),
        );
      }
      const { isolation, limits, memoryPeakBytes } = figures.runs;
      meter.add(
        sandboxMetrics.runs,
        { isolation },
        grown(({ runs }) => runs.runs),
      );
      meter.add(
        sandboxMetrics.faults,
        {},
        grown(({ runs }) => runs.faults),
      );
      meter.add(
        sandboxMetrics.cpu,
        { mode: "user" },
        grown(({ runs }) => runs.userCpuSeconds),
      );
      meter.add(
        sandboxMetrics.cpu,
        { mode: "system" },
        grown(({ runs }) => runs.systemCpuSeconds),
      );
      meter.set(sandboxMetrics.memoryPeak, { process }, memoryPeakBytes);
      for (const limit of Object.keys(limits)) {
        meter.add(
          sandboxMetrics.limits,
          { limit },
          grown(({ runs }) => runs.limits[limit] ?? 0),
        );
      }
    },
  };
}

const [fetched, sent] = [{ direction: "fetched" }, { direction: "sent" }];

/** What an exchange counts, and as what it is told. */
const exchangeFigures = [
  { metric: meshMetrics.blobs, labels: fetched, field: "blobsFetched" },
  { metric: meshMetrics.blobs, labels: sent, field: "blobsPut" },
  { metric: meshMetrics.bytes, labels: fetched, field: "bytesFetched" },
  { metric: meshMetrics.bytes, labels: sent, field: "bytesPut" },
  { metric: meshMetrics.lies, labels: {}, field: "lies" },
  { metric: meshMetrics.timeouts, labels: {}, field: "timeouts" },
] as const;

function readView(meter: Meter, status: Status, nowMs: number): void {
  const sum = (of: readonly number[]) => of.reduce((total, one) => total + one, 0);
  const { workers, members } = status;
  const free = sum(workers.map((worker) => worker.free));
  const draining = workers.filter((worker) => worker.draining).length;
  meter.set(nodeMetrics.version, { version: status.version }, 1);
  meter.set(nodeMetrics.startTime, {}, Math.round((nowMs - status.uptimeMs) / 1000));
  meter.set(nodeMetrics.draining, {}, status.draining ? 1 : 0);
  meter.set(coreMetrics.actions, { state: "pending" }, status.pending);
  meter.set(coreMetrics.actions, { state: "executing" }, status.executing);
  meter.set(coreMetrics.invocations, {}, status.invocations.length);
  meter.set(coreMetrics.workers, { state: "draining" }, draining);
  meter.set(coreMetrics.workers, { state: "ready" }, workers.length - draining);
  meter.set(coreMetrics.slots, { state: "free" }, free);
  meter.set(coreMetrics.slots, { state: "busy" }, sum(workers.map(({ slots }) => slots)) - free);
  for (const metric of [coreMetrics.workerSlots, coreMetrics.workerQueue]) meter.clear(metric);
  for (const { name: worker, slots, free: idle, queued } of workers) {
    meter.set(coreMetrics.workerSlots, { worker }, slots - idle);
    meter.set(coreMetrics.workerQueue, { worker }, queued);
  }
  for (const state of coreMetrics.members.labels.state) {
    meter.set(coreMetrics.members, { state }, members.filter((one) => one.state === state).length);
  }
  const others = members.filter(({ peer, linked }) => linked && peer !== status.peer);
  meter.set(coreMetrics.linked, {}, others.length);
  meter.set(coreMetrics.coordinates, {}, status.leader === status.peer ? 1 : 0);
  meter.set(coreMetrics.term, {}, status.term);
  meter.set(coreMetrics.stealing, {}, status.workStealing ? 1 : 0);
}

function readBlobs(meter: Meter, sources: FigureSources): void {
  const { bavail, bsize } = statfsSync(sources.config.store);
  meter.set(casMetrics.storeBytes, {}, sources.store.totalBytes());
  meter.set(casMetrics.storeBytesMax, {}, sources.config.storeBytesMax);
  meter.set(casMetrics.diskFree, {}, bavail * bsize);
  meter.set(ingressMetrics.callsActive, {}, sources.calls());
  const spans = sources.spans?.();
  if (spans !== undefined) {
    meter.set(nodeMetrics.spans, { result: "exported" }, spans.exported);
    meter.set(nodeMetrics.spans, { result: "dropped" }, spans.dropped);
    meter.set(nodeMetrics.untraced, {}, spans.untold);
  }
  const by = "node";
  const { copied, single, here, peer, nowhere } = sources.blobs.counts();
  meter.set(casMetrics.replicas, { result: "copied" }, copied);
  meter.set(casMetrics.replicas, { result: "single" }, single);
  meter.set(casMetrics.wanted, { by, source: "here" }, here);
  meter.set(casMetrics.wanted, { by, source: "peer" }, peer);
  meter.set(casMetrics.wanted, { by, source: "nowhere" }, nowhere);
  const exchange = sources.exchange.counts();
  for (const { metric, labels, field } of exchangeFigures) {
    meter.set(metric, { by, ...labels }, exchange[field]);
  }
}
