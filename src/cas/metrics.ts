// Figures of stores and caches.

import { counter, gauge } from "../telemetry/metric.ts";

/** Who wanted a blob: the serving node for its clients, or the workers of its host. */
const wanting = ["node", "workers"] as const;

/** What there is to count of blobs and results. */
export const casMetrics = {
  storeBytes: gauge("builder_cas_store_bytes", "Bytes that this host's store holds.", {}),
  storeBytesMax: gauge("builder_cas_store_max_bytes", "Bytes that it may hold.", {}),
  diskFree: gauge("builder_cas_disk_free_bytes", "Bytes free on the store's disk.", {}),
  lookups: counter("builder_cas_result_lookups_total", "Questions to the action cache.", {
    result: ["hit", "miss"],
  }),
  wanted: counter(
    "builder_cas_blobs_wanted_total",
    "Blobs that were needed here, by who needed them and where they were.",
    { by: wanting, source: ["here", "peer", "nowhere"] },
  ),
  replicas: counter("builder_cas_replicas_total", "Writes, by whether a second host has them.", {
    result: ["copied", "single"],
  }),
} as const;
