// What machines of a provider are told and tell: times and bounds, what happens outside, and what
// is wanted done there.

import type { Failure } from "./error.ts";
import type { Market } from "./scaling.ts";

/** Times and bounds of provided machines. */
export interface ProvidedOptions {
  /** Begins every token of this mesh: letters and digits, at most 16. */
  readonly tag: string;
  /** A machine that is no member so many ms after its launch is ended. */
  readonly bootMsMax: number;
  /** One that was a member and is not any more is ended after so many ms. */
  readonly lostMs: number;
  /** A launch whose fate was not told is asked for again after so many ms. */
  readonly askAgainMs: number;
  /** A drained machine is told to leave after it was idle for so many ms. */
  readonly pauseMs: number;
  /** The same where somebody asked for the drain. */
  readonly askedPauseMs: number;
  /** One that was told to leave is ended after so many ms, whether it left or not. */
  readonly leaveMsMax: number;
  /** The provider is asked what there is every so many ms. */
  readonly listMs: number;
  /** A machine that the provider does not list counts for so many ms: lists lag behind. */
  readonly unlistedMs: number;
  /** Wait after a launch that failed, doubled for each further one. */
  readonly backoffMs: number;
  readonly backoffMsMax: number;
  /** Launches begun at once; further ones at the next decision. */
  readonly launchesAtOnce: number;
  /** Slots that a machine is expected to have before any was seen. */
  readonly slotsExpected: number;
}

/** The defaults. */
export const providedDefaults: Omit<ProvidedOptions, "tag"> = {
  bootMsMax: 300_000,
  lostMs: 60_000,
  askAgainMs: 120_000,
  pauseMs: 30_000,
  askedPauseMs: 30_000,
  leaveMsMax: 120_000,
  listMs: 60_000,
  unlistedMs: 60_000,
  backoffMs: 10_000,
  backoffMsMax: 300_000,
  launchesAtOnce: 20,
  slotsExpected: 4,
};

/** A launch that this node began and whose end it does not know. */
export interface BegunLaunch {
  readonly token: string;
  readonly market: Market;
}

/** What the provider says that exists. */
export interface ListedMachine extends BegunLaunch {
  readonly id: string;
  readonly state: "starting" | "running" | "ending" | "ended";
  /** Unix ms by the provider's clock. */
  readonly launchedAtMs: number;
}

/** What happened outside, told to whoever keeps provided machines. */
export type ProviderInput =
  | { readonly kind: "provided"; readonly token: string; readonly id: string }
  | { readonly kind: "unprovided"; readonly token: string; readonly failure: Failure }
  | { readonly kind: "listed"; readonly machines: readonly ListedMachine[] }
  | { readonly kind: "unlisted"; readonly failure: Failure };

/** What it wants done; each is answered by inputs, or asked for again. */
export type ProviderEffect =
  | { readonly kind: "provide"; readonly token: string; readonly market: Market }
  | { readonly kind: "dismiss"; readonly ids: readonly string[] }
  | { readonly kind: "list" };
