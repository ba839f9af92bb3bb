// What the owner of a mesh says about scaling, as a node's core is told it.

import type { ScalingBounds } from "./scaling.ts";

/** `advise` decides and tells, but starts and ends nothing; `off` keeps the minimum. */
export type ScalingMode = "off" | "advise" | "on";

/** Mode and bounds of this moment. */
export interface ScalingSettings {
  readonly mode: ScalingMode;
  /** `min` is the highest of what is configured, scheduled and asked for. */
  readonly bounds: Omit<ScalingBounds, "slotsPerMachine">;
}

/** The defaults of what is not a number of machines. */
export const scalingDefaults = {
  onDemandBase: 0,
  spot: false,
  targetWaitMs: 5_000,
  idleMs: 300_000,
};
