// Everything that one simulated day is made of, but for the policy.

import type { ScalingBounds, ScalingPolicy } from "../../src/core/scaling.ts";
import type { WaitingOrder } from "./waiting.ts";
import type { ScalingWorkload } from "./workload.ts";

/** One world to play policies in. */
export interface ScalingScenario {
  readonly name: string;
  readonly seed: number;
  readonly workload: ScalingWorkload;
  readonly bounds: ScalingBounds;
  /** Somebody's own machines: always there, never removed, not billed. Slots of each. */
  readonly owned: readonly number[];
  /** Boot times in ms: every one between is as likely. */
  readonly boot: { readonly minMs: number; readonly maxMs: number };
  /** From a slot's choice of an action until it runs, in ms; the slot is taken meanwhile. */
  readonly dispatchMs: number;
  /** From an action's end until its client has submitted the next one, in ms. */
  readonly roundTripMs: number;
  /** From a drain until the machine is gone, in ms; until then it can be cancelled. */
  readonly drainMs: number;
  readonly order: WaitingOrder;
  /** `spread`: any free slot, as in the mesh; `pack`: of the machine that is there longest. */
  readonly placement: "spread" | "pack";
  /**
   * What is known of a build when it begins: `queued` is only what has been submitted; a number is
   * the share by which the known size is wrong at most (0: exact, 0.5: half to one and a half).
   */
  readonly sizesKnown: "queued" | number;
  readonly prices: { readonly onDemandPerHour: number; readonly spotPerHour: number };
  /** A machine is billed for so long at least, in ms. */
  readonly billedMsMin: number;
  readonly interruptions: readonly Interruption[];
  /** The mesh is there for so long at least, in ms, also where the work ends before. */
  readonly durationMs: number;
}

/** A share of the spot machines that live at `atMs` is taken back within `withinMs` of it. */
export interface Interruption {
  readonly atMs: number;
  readonly withinMs: number;
  /** 0 to 1. */
  readonly share: number;
  /** Ahead of the end; 0: without a word. */
  readonly noticeMs: number;
}

/** A policy that takes part. */
export interface Contender {
  readonly name: string;
  /** One sentence: what it does. */
  readonly about: string;
  /** Time between two decisions in ms. */
  readonly tickMs: number;
  /** Whether it also decides when a build begins. */
  readonly actsOnBuilds: boolean;
  create(scenario: ScalingScenario): ScalingPolicy;
}
