// Figures of the actions that ran in this host's sandboxes, and the sandbox that counts them.

import { counter, gauge } from "../telemetry/metric.ts";
import type { Sandbox } from "./sandbox.ts";

/** What there is to count of runs, of all workers of a host. */
export const sandboxMetrics = {
  runs: counter("builder_sandbox_runs_total", "Commands that ran, by their isolation.", {
    isolation: ["namespaces+cgroup", "namespaces+rlimits", "none"],
  }),
  limits: counter("builder_sandbox_limits_total", "Commands that a limit ended, by the limit.", {
    limit: 16,
  }),
  faults: counter(
    "builder_sandbox_faults_total",
    "Commands that could not be run for this machine's own reasons.",
    {},
  ),
  cpu: counter("builder_sandbox_cpu_seconds_total", "Processor time of commands.", {
    mode: ["user", "system"],
  }),
  memoryPeak: gauge(
    "builder_sandbox_memory_peak_bytes",
    "The most memory that a command used which ended within 5 s.",
    { process: 200 },
  ),
} as const;

/** What was counted since the start, besides the peak. */
export interface SandboxCounts {
  readonly isolation: string;
  readonly runs: number;
  readonly faults: number;
  readonly userCpuSeconds: number;
  readonly systemCpuSeconds: number;
  /** Of the commands that ended since the last look. */
  readonly memoryPeakBytes: number;
  /** How often each limit ended a command. */
  readonly limits: Readonly<Record<string, number>>;
}

/** Wraps a sandbox; `look` begins a new peak. */
export function meterSandbox(sandbox: Sandbox): {
  readonly sandbox: Sandbox;
  look(): SandboxCounts;
} {
  const { isolation } = sandbox;
  const limits = new Map<string, number>();
  const total = { runs: 0, faults: 0, userCpuSeconds: 0, systemCpuSeconds: 0 };
  let memoryPeakBytes = 0;
  return {
    sandbox: {
      isolation,
      ownerId: sandbox.ownerId,
      ...(sandbox.keep && { keep: sandbox.keep.bind(sandbox) }),
      run: async (run, call) => {
        try {
          const ran = await sandbox.run(run, call);
          const { limit, usage } = ran;
          total.runs += 1;
          total.userCpuSeconds += usage.userCpuMs / 1000;
          total.systemCpuSeconds += usage.systemCpuMs / 1000;
          memoryPeakBytes = Math.max(memoryPeakBytes, usage.memoryPeakBytes);
          if (limit !== undefined) limits.set(limit, (limits.get(limit) ?? 0) + 1);
          return ran;
        } catch (error) {
          total.faults += 1;
          throw error;
        }
      },
    },
    look: () => {
      const counts = { ...total, isolation, memoryPeakBytes, limits: Object.fromEntries(limits) };
      memoryPeakBytes = 0;
      return counts;
    },
  };
}
