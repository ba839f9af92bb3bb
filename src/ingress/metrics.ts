// Figures of the gRPC calls of a node.

import { counter, gauge, histogram, type Meter } from "../telemetry/metric.ts";
import { codeOf, numberByCode } from "../wire/status.ts";
import { rightByMethod } from "./access.ts";
import type { OnCall } from "./activity.ts";

/** `Execution/Execute`: the packages tell people nothing that the service does not. */
const methods = Object.keys(rightByMethod).map(shortName);
const codes = ["OK", ...Object.keys(numberByCode)];

/** What there is to count of calls. */
export const ingressMetrics = {
  calls: counter("builder_ingress_calls_total", "gRPC calls that ended, by method and code.", {
    method: methods,
    code: codes,
  }),
  callSeconds: histogram("builder_ingress_call_seconds", "How long gRPC calls took.", {
    method: methods,
  }),
  callsActive: gauge("builder_ingress_calls_active", "gRPC calls under way.", {}),
} as const;

/** Counts calls. */
export function meterCalls(meter: Meter): OnCall {
  return (method, number, ms) => {
    const name = shortName(method);
    const code = number === 0 ? "OK" : codeOf(number);
    meter.add(ingressMetrics.calls, { method: name, code });
    meter.observe(ingressMetrics.callSeconds, { method: name }, ms / 1000);
  };
}

function shortName(method: string): string {
  return method.slice(method.lastIndexOf(".") + 1);
}
