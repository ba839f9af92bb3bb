import { expect, test } from "vitest";
import { fromWireReport, toWireReport } from "../../../src/wire/execution-report.ts";
import { Struct } from "../../../src/wire/gen/google/protobuf/struct.ts";

const report = {
  isolation: "namespaces+cgroup",
  userCpuMs: 12,
  systemCpuMs: 3,
  memoryPeakBytes: 2 ** 40,
  limit: "",
};
const struct = (fields: Record<string, unknown>) => ({
  typeUrl: "type.googleapis.com/google.protobuf.Struct",
  value: Struct.encode(Struct.wrap(fields)).finish(),
});

test("a report is found among what others left", () => {
  const others = [{ typeUrl: "type.googleapis.com/other.Usage", value: new Uint8Array([255]) }];
  expect(fromWireReport([...others, struct({ isolation: 1 }), toWireReport(report)])).toEqual(
    report,
  );
  const io = {
    ...{ readBytes: 1, writtenBytes: 2, diskReadBytes: 3, diskWrittenBytes: 4 },
    ...{ waits: 5, preemptions: 6 },
  };
  expect(fromWireReport([toWireReport({ ...report, io })])).toEqual({ ...report, io });
  expect(fromWireReport(others)).toBeUndefined();
  const kept = { ...report, persistentWorker: true as const };
  expect(fromWireReport([toWireReport(kept)])).toEqual(kept);
});

test("what is no number counts nothing", () => {
  const odd = struct({ isolation: "none", limit: "memory", user_cpu_ms: "many" });
  const read = { isolation: "none", userCpuMs: 0, systemCpuMs: 0, memoryPeakBytes: 0 };
  expect(fromWireReport([odd])).toEqual({ ...read, limit: "memory" });
});
