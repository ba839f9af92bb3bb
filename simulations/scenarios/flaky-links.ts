// Bad Wi-Fi: three messages in a hundred are lost, many come twice or late, links are cut,
// machines differ.

import type { Scenario } from "../scenario.ts";

/** 300 actions over links nobody should build on. */
export const flakyLinks: Scenario = {
  name: "flaky-links",
  ingresses: 1,
  workload: {
    actions: 300,
    invocations: 3,
    jobs: 50,
    kinds: 20,
    repeatPerMille: 50,
    startMsMax: 2_000,
  },
  network: {
    latencyMs: 5,
    jitterMs: 60,
    lossPerMille: 30,
    duplicatePerMille: 100,
    reorderPerMille: 200,
    lateMs: 2_000,
  },
  machines: {
    workers: 5,
    slots: 2,
    crashes: 1,
    freezes: 2,
    cuts: 3,
    slow: 1,
    troubleMsMax: 40_000,
  },
  calmMs: 60_000,
  budget: { makespanPerMilleMax: 5_000, duplicatesMax: 60, idleMsMax: 30_000 },
};
