// What every action result says of the sandbox it ran in, as auxiliary metadata: a Struct, which
// every client can show (proto/builder/node/v1/node.proto).

import { encodeBytes } from "./encode.ts";
import type { Any } from "./gen/google/protobuf/any.ts";
import { Struct } from "./gen/google/protobuf/struct.ts";

/** Where an action ran and what it used. */
export interface ExecutionReport {
  /** `namespaces+cgroup`, `namespaces+rlimits` or `none`. */
  readonly isolation: string;
  readonly userCpuMs: number;
  readonly systemCpuMs: number;
  readonly memoryPeakBytes: number;
  /** Undefined where the worker's system does not count it. */
  readonly io?: ExecutionIo;
  /** The limit that ended it; empty where none did. */
  readonly limit: string;
  /** True where a process that had been kept running did it; else absent. */
  readonly persistentWorker?: true;
}

/** Reading, writing and waiting of an action's processes. */
export interface ExecutionIo {
  /** Bytes through read and write calls: of files, pipes and sockets alike. */
  readonly readBytes: number;
  readonly writtenBytes: number;
  /** Bytes from and to disk. */
  readonly diskReadBytes: number;
  readonly diskWrittenBytes: number;
  /** Context switches because a process waited, and because another one had its turn. */
  readonly waits: number;
  readonly preemptions: number;
}

const typeUrl = "type.googleapis.com/google.protobuf.Struct";

/** The report as an entry of `ExecutedActionMetadata.auxiliary_metadata`. */
export function toWireReport(report: ExecutionReport): Any {
  const fields = {
    isolation: report.isolation,
    user_cpu_ms: report.userCpuMs,
    system_cpu_ms: report.systemCpuMs,
    memory_peak_bytes: report.memoryPeakBytes,
    limit: report.limit,
    ...(report.io === undefined ? {} : ioFields(report.io)),
    ...(report.persistentWorker && { persistent_worker: true }),
  };
  return { typeUrl, value: encodeBytes(Struct, Struct.wrap(fields)) };
}

/** The report among the entries; undefined where other workers than ours left theirs, or none. */
export function fromWireReport(entries: readonly Any[]): ExecutionReport | undefined {
  for (const entry of entries) {
    if (entry.typeUrl !== typeUrl) continue;
    const fields = readFields(entry.value);
    const { isolation, limit } = fields;
    if (typeof isolation !== "string" || typeof limit !== "string") continue;
    const number = (name: string) => (typeof fields[name] === "number" ? fields[name] : 0);
    return {
      isolation,
      userCpuMs: number("user_cpu_ms"),
      systemCpuMs: number("system_cpu_ms"),
      memoryPeakBytes: number("memory_peak_bytes"),
      ...(typeof fields["read_bytes"] === "number" ? { io: readIo(number) } : {}),
      limit,
      ...(fields["persistent_worker"] === true ? { persistentWorker: true } : {}),
    };
  }
  return undefined;
}

function ioFields(io: ExecutionIo): Readonly<Record<string, number>> {
  return {
    read_bytes: io.readBytes,
    written_bytes: io.writtenBytes,
    disk_read_bytes: io.diskReadBytes,
    disk_written_bytes: io.diskWrittenBytes,
    waits: io.waits,
    preemptions: io.preemptions,
  };
}

function readIo(number: (name: string) => number): ExecutionIo {
  return {
    readBytes: number("read_bytes"),
    writtenBytes: number("written_bytes"),
    diskReadBytes: number("disk_read_bytes"),
    diskWrittenBytes: number("disk_written_bytes"),
    waits: number("waits"),
    preemptions: number("preemptions"),
  };
}

/** No field at all where the bytes are no Struct: usage is shown, and nothing hangs on it. */
function readFields(bytes: Uint8Array): Readonly<Record<string, unknown>> {
  try {
    return Struct.unwrap(Struct.decode(bytes));
  } catch {
    return {};
  }
}
