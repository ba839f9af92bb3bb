// The first thing a mesh must survive: a big build while a third of its workers die and come back.

import type { Scenario } from "../scenario.ts";

const network = {
  latencyMs: 1,
  jitterMs: 4,
  lossPerMille: 10,
  duplicatePerMille: 10,
  reorderPerMille: 20,
  lateMs: 50,
} as const;

/** 10,000 actions, 16 workers with 2 slots. */
export const firstLight: Scenario = {
  name: "first-light",
  ingresses: 2,
  workload: {
    actions: 10_000,
    invocations: 6,
    jobs: 200,
    kinds: 120,
    repeatPerMille: 30,
    startMsMax: 60_000,
  },
  network,
  machines: {
    workers: 16,
    slots: 2,
    crashes: 6,
    freezes: 2,
    cuts: 2,
    slow: 0,
    troubleMsMax: 300_000,
  },
  calmMs: 600_000,
  // Two leases one after the other, and a second for the messages between.
  budget: { makespanPerMilleMax: 1_500, duplicatesMax: 150, idleMsMax: 21_000 },
};

/** The same trouble in small, for many seeds. */
export const firstLightSmall: Scenario = {
  ...firstLight,
  name: "first-light-small",
  workload: { ...firstLight.workload, actions: 600, kinds: 40, jobs: 100, startMsMax: 5_000 },
  machines: {
    ...firstLight.machines,
    workers: 6,
    crashes: 2,
    freezes: 1,
    cuts: 1,
    troubleMsMax: 30_000,
  },
  calmMs: 60_000,
  budget: { makespanPerMilleMax: 2_500, duplicatesMax: 40, idleMsMax: 21_000 },
};
