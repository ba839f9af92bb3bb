// Figures of the processes of a node, and the list of all that a node counts.

import { casMetrics } from "../cas/metrics.ts";
import { ingressMetrics } from "../ingress/metrics.ts";
import { meshMetrics } from "../mesh/metrics.ts";
import { sandboxMetrics } from "../sandbox/metrics.ts";
import { coreMetrics } from "../telemetry/core-metrics.ts";
import { levels } from "../telemetry/logger.ts";
import { counter, gauge, type Metric } from "../telemetry/metric.ts";

/** Bound: processes of a host that have series of their own: the node and its workers. */
const processes = 200;

/** What there is to count of processes. */
export const nodeMetrics = {
  version: gauge("builder_node_version", "Always 1; the label is the program's version.", {
    version: 1,
  }),
  startTime: gauge("builder_node_start_time_seconds", "When the node started, Unix time.", {}),
  draining: gauge("builder_node_draining", "1 while the node takes nothing new, else 0.", {}),
  lag: gauge(
    "builder_node_event_loop_lag_seconds",
    "The longest that anything waited for a process's event loop within 5 s.",
    { process: processes },
  ),
  resident: gauge("builder_node_resident_bytes", "Memory of a process.", { process: processes }),
  cpu: counter("builder_node_cpu_seconds_total", "Processor time of a process.", {
    process: processes,
  }),
  logLines: counter("builder_node_log_lines_total", "Lines in the log, by level.", {
    level: levels,
  }),
  spans: counter("builder_node_spans_total", "Spans, by whether the collector took them.", {
    result: ["exported", "dropped"],
  }),
  untraced: counter(
    "builder_node_untraced_actions_total",
    "Actions without a trace, for too many were under way.",
    {},
  ),
  scrapes: counter("builder_node_scrapes_total", "Answers to scrapes, by whether there was one.", {
    result: ["answered", "refused"],
  }),
} as const;

/** Everything that a serving node counts. */
export const allMetrics: readonly Metric[] = [
  coreMetrics,
  casMetrics,
  ingressMetrics,
  meshMetrics,
  sandboxMetrics,
  nodeMetrics,
].flatMap((record) => Object.values<Metric>(record));
