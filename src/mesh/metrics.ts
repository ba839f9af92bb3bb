// Figures of the blobs that go between hosts.

import { counter } from "../telemetry/metric.ts";

/** For whom: the serving node's clients, or the workers of its host. */
const parties = ["node", "workers"] as const;

/** What there is to count of the exchange of blobs. */
export const meshMetrics = {
  blobs: counter("builder_mesh_blobs_total", "Blobs from and to other hosts.", {
    by: parties,
    direction: ["fetched", "sent"],
  }),
  bytes: counter("builder_mesh_blob_bytes_total", "Bytes of them.", {
    by: parties,
    direction: ["fetched", "sent"],
  }),
  lies: counter("builder_mesh_lies_total", "Peers caught sending what is not what it is named.", {
    by: parties,
  }),
  timeouts: counter("builder_mesh_timeouts_total", "Requests to peers given up for slowness.", {
    by: parties,
  }),
} as const;
