import { expect, test } from "vitest";
import type { SandboxLimits, SandboxResult } from "../../../src/sandbox/sandbox.ts";
import { describePassedLimit, formatSize } from "../../../src/worker/limit-text.ts";

const limits: SandboxLimits = {
  ...{ wallMs: 500, memoryBytes: 2 * 2 ** 30, cpus: 1, pids: 64, openFiles: 9 },
  ...{ fileBytes: 1 << 20, logBytes: 1536, outputBytes: 1 << 20, outputFiles: 7 },
  ...{ tmpBytes: 300, tmpFiles: 8 },
};

test("what ended an action is said with how much it was and the field to raise", () => {
  const sentences = (
    [
      ...(["timeout", "memory", "pids", "fileBytes", "logBytes", "outputBytes"] as const),
      ...(["outputFiles", "tmpBytes", "tmpFiles"] as const),
    ] satisfies SandboxResult["limit"][]
  ).map((limit) => {
    const usage = { wallMs: 1, userCpuMs: 1, systemCpuMs: 1, memoryPeakBytes: 2 * 2 ** 30 - 5 };
    return describePassedLimit({ exitCode: 137, limit, cancelled: false, usage }, limits);
  });
  expect(sentences).toEqual([
    "Action timeout: killed after 500 ms. Raise hermetic.timeout.",
    "Killed: memory limit 2 GiB, peak 2.0 GiB. Raise hermetic.max_memory.",
    "Killed: process limit 64. Raise hermetic.max_processes.",
    "Killed: output limit 1 MiB a file. Raise hermetic.max_output.",
    "Killed: log limit 1.5 KiB. Raise hermetic.max_log. The rest of stdout or stderr is cut off.",
    "Killed: output limit 1 MiB. Raise hermetic.max_output.",
    "Killed: output limit 7 files and folders. Raise hermetic.max_output_files.",
    "Killed: /tmp limit 300 bytes. Raise hermetic.max_tmp.",
    "Killed: /tmp limit 8 files and folders. Raise hermetic.max_tmp_files.",
  ]);
});

test("sizes are in the units that limits are given in", () => {
  expect([0, 1023, 1024, 1536, 2 ** 30, 2 ** 60].map((bytes) => formatSize(bytes))).toEqual([
    ...["0 bytes", "1023 bytes", "1 KiB", "1.5 KiB", "1 GiB", "1048576 TiB"],
  ]);
  expect(formatSize(2 ** 20, 1)).toBe("1.0 MiB");
});
