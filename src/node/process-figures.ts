// How a process of a node is, looked at every few seconds: its event loop, memory and processor
// time. Workers tell their serving node over the channel between them, so that one scrape of a host
// shows all of it.

import type { SourceCounts } from "../cas/peer-fetch.ts";
import type { BlobExchangeCounts } from "../mesh/blob-exchange.ts";
import type { SandboxCounts } from "../sandbox/metrics.ts";

/** One look. */
export interface ProcessFigures {
  /** The longest that anything waited for the event loop since the look before, in ms. */
  readonly lagMs: number;
  readonly residentBytes: number;
  /** Processor time since the start, in s. */
  readonly cpuSeconds: number;
}

/** What a worker tells its serving node; totals are since the worker's start. */
export interface WorkerFigures extends ProcessFigures {
  readonly wanted: SourceCounts;
  readonly exchange: BlobExchangeCounts;
  readonly runs: SandboxCounts;
}

const lookEveryMs = 5_000;
const lagEveryMs = 250;

/** Looks until it is stopped; keeps no process alive. */
export function watchProcess(onLook: (figures: ProcessFigures) => void): { stop(): void } {
  let [lagMs, dueMs] = [0, performance.now() + lagEveryMs];
  const ticks = setInterval(() => {
    lagMs = Math.max(lagMs, performance.now() - dueMs);
    dueMs = performance.now() + lagEveryMs;
  }, lagEveryMs).unref();
  const looks = setInterval(() => {
    const { user, system } = process.cpuUsage();
    const residentBytes = process.memoryUsage.rss();
    onLook({ lagMs: Math.round(lagMs), residentBytes, cpuSeconds: (user + system) / 1e6 });
    lagMs = 0;
  }, lookEveryMs).unref();
  return {
    stop: () => {
      clearInterval(ticks);
      clearInterval(looks);
    },
  };
}

/** What a message of a worker tells; undefined for any other message. */
export function readWorkerFigures(message: unknown): WorkerFigures | undefined {
  const { kind, lagMs, residentBytes, cpuSeconds, wanted, exchange, runs } = fieldsOf(message);
  if (kind !== "figures") return undefined;
  const sources = fieldsOf(wanted);
  const counts = fieldsOf(exchange);
  return {
    lagMs: total(lagMs),
    residentBytes: total(residentBytes),
    cpuSeconds: total(cpuSeconds),
    wanted: {
      here: total(sources["here"]),
      peer: total(sources["peer"]),
      nowhere: total(sources["nowhere"]),
    },
    exchange: {
      blobsFetched: total(counts["blobsFetched"]),
      bytesFetched: total(counts["bytesFetched"]),
      blobsPut: total(counts["blobsPut"]),
      bytesPut: total(counts["bytesPut"]),
      lies: total(counts["lies"]),
      timeouts: total(counts["timeouts"]),
    },
    runs: readRuns(fieldsOf(runs)),
  };
}

function readRuns(runs: Readonly<Record<string, unknown>>): SandboxCounts {
  const { isolation, limits } = runs;
  return {
    isolation: typeof isolation === "string" ? isolation : "",
    runs: total(runs["runs"]),
    faults: total(runs["faults"]),
    userCpuSeconds: total(runs["userCpuSeconds"]),
    systemCpuSeconds: total(runs["systemCpuSeconds"]),
    memoryPeakBytes: total(runs["memoryPeakBytes"]),
    limits: Object.fromEntries(
      Object.entries(fieldsOf(limits)).map(([limit, count]) => [limit, total(count)]),
    ),
  };
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? { ...value } : {};
}

/** What is no number counts nothing. */
function total(value: unknown): number {
  return typeof value === "number" && Number.isFinite(value) && value > 0 ? value : 0;
}
