// Eight hosts with two slots each, and everything is asked of the first: work stealing must bring
// it to all of them as if they were one machine.

import { recordedDurationsMs } from "../recorded-durations.ts";
import type { Scenario } from "../scenario.ts";

/** The actions of a real build, ready all at once. */
export const steal: Scenario = {
  name: "steal",
  ingresses: 8,
  workload: {
    actions: recordedDurationsMs.length,
    invocations: 1,
    jobs: recordedDurationsMs.length,
    kinds: 40,
    repeatPerMille: 0,
    durationsMs: recordedDurationsMs,
    startMsMax: 0,
  },
  network: {
    latencyMs: 1,
    jitterMs: 0,
    lossPerMille: 0,
    duplicatePerMille: 0,
    reorderPerMille: 0,
    lateMs: 0,
  },
  machines: {
    workers: 8,
    slots: 2,
    crashes: 0,
    freezes: 0,
    cuts: 0,
    slow: 0,
    troubleMsMax: 1,
  },
  calmMs: 0,
  budget: { makespanPerMilleMax: 1_100, duplicatesMax: 0, idleMsMax: 1_000 },
  stealing: { submitAtMs: 1_000, spreadMs: 200, idlePerMilleMax: 20 },
};

/** Hosts that crash, freeze and lose messages while others steal from them. */
export const stealInTrouble: Scenario = {
  ...steal,
  name: "steal-in-trouble",
  workload: {
    actions: 600,
    invocations: 3,
    jobs: 60,
    kinds: 40,
    repeatPerMille: 30,
    startMsMax: 2_000,
  },
  network: {
    latencyMs: 1,
    jitterMs: 4,
    lossPerMille: 10,
    duplicatePerMille: 10,
    reorderPerMille: 20,
    lateMs: 50,
  },
  machines: {
    workers: 8,
    slots: 2,
    crashes: 2,
    freezes: 2,
    cuts: 2,
    slow: 1,
    troubleMsMax: 20_000,
  },
  calmMs: 60_000,
  budget: { makespanPerMilleMax: 5_000, duplicatesMax: 60, idleMsMax: 25_000 },
  stealing: { submitAtMs: 1_000, spreadMs: 60_000, idlePerMilleMax: 400 },
};
