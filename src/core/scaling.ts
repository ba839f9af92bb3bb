// What scaling decides from, and what it decides: plain values, recorded with every decision, so
// that the simulator can ask what another policy would have done. The policies are elsewhere
// (autoscaler.ts; simulations/policies.ts); all of them are a `ScalingPolicy`.

/** How a machine is paid for. `spot` may be taken back at any time and costs less. */
export type Market = "on-demand" | "spot";

/** A worker machine as the coordinator sees it. */
export interface ScaledMachine {
  readonly id: string;
  /**
   * `booting`: launched, not linked yet. `draining` machines are neither supply nor removable
   * again, but their drain can be cancelled. `owned`: somebody's own machine; never removed.
   */
  readonly state: "booting" | "ready" | "draining" | "owned";
  readonly market: Market;
  readonly slots: number;
  readonly busySlots: number;
  /** When it was launched, in ms of the coordinator's clock. */
  readonly launchedAtMs: number;
  /** Since when none of its slots was busy; undefined while one is. */
  readonly idleSinceMs: number | undefined;
}

/** A build that is under way, as far as its ingress knows. */
export interface OpenInvocation {
  /** Actions its client keeps running at once, at most. */
  readonly parallelism: number;
  /** Work that is still to come, queued included, in ms of one slot; estimated. */
  readonly remainingMs: number;
}

/** The truth at one moment, counted anew each time. */
export interface ScalingDemand {
  /** Actions that wait for a slot. */
  readonly queued: number;
  /** Their expected work in ms of one slot. */
  readonly queuedWorkMs: number;
  readonly invocations: readonly OpenInvocation[];
  /** Sorted by id. */
  readonly machines: readonly ScaledMachine[];
}

/** Bounds that a user sets; see `builder remote configure --help`. */
export interface ScalingBounds {
  /** Machines kept, 0 or more: what is configured, scheduled or asked for now. */
  readonly min: number;
  readonly max: number;
  /** Machines that are always on demand before any is spot. */
  readonly onDemandBase: number;
  /** Whether further ones may be spot. */
  readonly spot: boolean;
  /** Queue wait that 95 of 100 actions should not exceed, in ms. */
  readonly targetWaitMs: number;
  /** A machine may go once idle for so long, or once so few were needed for so long, in ms. */
  readonly idleMs: number;
  /** Slots of a machine that would be launched. */
  readonly slotsPerMachine: number;
}

/** What holds a decision back, by a word for programs and a sentence for people. */
export interface HeldBack {
  readonly by: "max" | "min" | "velocity" | "warm" | "provider" | "cut-off" | "advise" | "hold";
  readonly why: string;
}

/** A decision with its reason. Applying it twice does nothing more. */
export interface ScalingDecision {
  /** Machines wanted in all, booting ones included, draining ones not. */
  readonly target: number;
  /** Machines to launch now, by market. */
  readonly launch: Readonly<Record<Market, number>>;
  /** Ids to drain now; idle ones only. */
  readonly drain: readonly string[];
  /** Ids whose drain is to be cancelled now. */
  readonly keep: readonly string[];
  /** What is about to happen and when it is final, in ms from now; undefined: nothing. */
  readonly next: { readonly change: number; readonly inMs: number } | undefined;
  /** A sentence: why this target. */
  readonly because: string;
  readonly heldBack: HeldBack | undefined;
  /** Slots wanted, by the reason that wanted them; the largest counts. */
  readonly needs: Readonly<Record<"now" | "build" | "trend" | "floor", number>>;
  /** Busy and queued work as a share of ready slots; 1 is full. */
  readonly load: number;
  /** Forecast of it at the horizon, over ready and booting slots. */
  readonly predictedLoad: number;
  readonly horizonMs: number;
  /** Change of the predicted load in a minute. */
  readonly trendPerMinute: number;
  /** Mean absolute error of the forecasts of the last hour, as a share; undefined: none yet. */
  readonly forecastError: number | undefined;
}

/** A policy: keeps what it has learnt inside, sees the world only through its arguments. */
export interface ScalingPolicy {
  readonly name: string;
  decide(demand: ScalingDemand, bounds: ScalingBounds, nowMs: number): ScalingDecision;
}
