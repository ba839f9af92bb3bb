// What the making again of lost blobs is told and tells: bounds, what happens outside, and what is
// wanted done there.

import type { ActionRequest } from "./action.ts";
import type { Digest } from "./digest.ts";
import type { Failure } from "./error.ts";

/** Bounds and times. */
export interface RemakingOptions {
  /** Blobs whose maker is remembered, of all invocations; the invocation heard of least goes. */
  readonly blobsMax: number;
  /** Invocations remembered. */
  readonly invocationsMax: number;
  /** An invocation that was not heard of for so long, in ms, is forgotten. */
  readonly invocationMs: number;
  /** Other invocations of the same user, the latest first, in which a maker is looked for. */
  readonly othersMax: number;
  /** Actions that are being made again at once; what needs more is answered as lost. */
  readonly actionsMax: number;
  /** Calls that wait for such actions at once. */
  readonly waitersMax: number;
  /** How many actions one may hang below another, each lacking what the next one made. */
  readonly depthMax: number;
  /** How often one action may find its inputs lost before it is answered so. */
  readonly roundsMax: number;
  /** What is asked of the store is given up after so long, in ms. */
  readonly lookMs: number;
}

/** The defaults. 100,000 blobs are some 30 MiB. */
export const remakingDefaults: RemakingOptions = {
  blobsMax: 100_000,
  invocationsMax: 1000,
  invocationMs: 3_600_000,
  othersMax: 8,
  actionsMax: 10_000,
  waitersMax: 10_000,
  depthMax: 100,
  roundsMax: 3,
  lookMs: 120_000,
};

/** Whose an invocation is, and how urgent what it waits for. */
export type Claimant = Pick<ActionRequest, "user" | "invocation" | "priority">;

/** An action of which somebody was told a result: enough to run it again. */
export interface Maker {
  readonly action: Digest;
  /** REAPI instance name, as the client gave it. */
  readonly instance: string;
  /** The toolchain of actions that name none, when it was told; empty where there was none. */
  readonly toolchain: string;
}

/** What happened outside. */
export type RemakingInput =
  /** A client was told a successful result of `maker`; these are the blobs that it names. */
  | {
      readonly kind: "told";
      readonly by: Pick<Claimant, "user" | "invocation">;
      readonly maker: Maker;
      readonly blobs: readonly Digest[];
    }
  /** A client reads or asks for blobs that nobody has; answered by `settled`. */
  | {
      readonly kind: "wanted";
      readonly want: string;
      readonly by: Claimant;
      readonly blobs: readonly Digest[];
    }
  /** The answer to `examine`. */
  | {
      readonly kind: "examined";
      readonly operation: string;
      /** Its response: a command ran, blobs were missing, or another reason not to run. */
      readonly ending: "ran" | "lacked" | "refused";
      /** Of the action's inputs, those that are missing now. */
      readonly missing: readonly Digest[];
      /** What the result names and can be had. */
      readonly made: readonly Digest[];
    }
  /** The answer to `prepare`: a request with `missing` inputs cannot be run as it is. */
  | {
      readonly kind: "prepared";
      readonly job: string;
      readonly request: ActionRequest;
      readonly missing: readonly Digest[];
    }
  /** The other answer to `prepare`: it can never be run. */
  | { readonly kind: "unprepared"; readonly job: string; readonly failure: Failure };

/** What is wanted done; each but the last is answered, or given up. */
export type RemakingEffect =
  /** Read the response of an operation that ended, and look for what it names. */
  | {
      readonly kind: "examine";
      readonly operation: string;
      readonly action: Digest;
      readonly response: Digest;
    }
  /** Read an action's messages and look for its inputs. */
  | {
      readonly kind: "prepare";
      readonly job: string;
      readonly maker: Maker;
      readonly by: Claimant;
    }
  /** Nothing more is done for a `wanted`; `made` where any of it was made again. */
  | { readonly kind: "settled"; readonly want: string; readonly made: boolean };
