// What ended an action, for people: which limit, how much of it was used, what to change.

import type { SandboxLimits, SandboxResult } from "../sandbox/sandbox.ts";

/** The sentence for a run that a limit ended; empty where none did. */
export function describePassedLimit(ran: SandboxResult, limits: SandboxLimits): string {
  switch (ran.limit) {
    case undefined:
      return "";
    case "timeout":
      return `Action timeout: killed after ${limits.wallMs} ms. Raise hermetic.timeout.`;
    case "memory": {
      const peak = formatSize(ran.usage.memoryPeakBytes, 1);
      return killed("memory", `${formatSize(limits.memoryBytes)}, peak ${peak}`, "max_memory");
    }
    case "pids":
      return killed("process", `${limits.pids}`, "max_processes");
    case "fileBytes":
      return killed("output", `${formatSize(limits.fileBytes)} a file`, "max_output");
    case "logBytes": {
      const sentence = killed("log", formatSize(limits.logBytes), "max_log");
      return `${sentence} The rest of stdout or stderr is cut off.`;
    }
    case "outputBytes":
      return killed("output", formatSize(limits.outputBytes), "max_output");
    case "outputFiles":
      return killed("output", `${limits.outputFiles} files and folders`, "max_output_files");
    case "tmpBytes":
      return killed("/tmp", formatSize(limits.tmpBytes), "max_tmp");
    case "tmpFiles":
      return killed("/tmp", `${limits.tmpFiles} files and folders`, "max_tmp_files");
  }
}

/**
 * Bytes in binary units, as limits are given: `2 GiB`, `1.5 MiB`, `300 bytes`. With `digits` always
 * so many after the point.
 */
export function formatSize(bytes: number, digits?: number): string {
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  const text = unit === 0 ? `${value}` : value.toFixed(digits ?? 1);
  return `${digits === undefined ? text.replace(/\.0$/, "") : text} ${units[unit]}`;
}

function killed(what: string, limit: string, field: string): string {
  return `Killed: ${what} limit ${limit}. Raise hermetic.${field}.`;
}
