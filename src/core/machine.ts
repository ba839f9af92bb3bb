// The shape of every decision in a node: a synchronous machine over (input, now) that returns what
// it wants done as data. The node's pump performs effects; the simulator's world performs the same
// ones in virtual time. See ARCHITECTURE.md, "One shape".

import type { ActionRequest, Outcome, PeerId, Token } from "./action.ts";
import type { Digest } from "./digest.ts";
import type { Failure } from "./error.ts";
import type { Message } from "./message.ts";
import type { Note } from "./note.ts";
import type { ProviderEffect, ProviderInput } from "./provided-options.ts";
import type { RemakingEffect, RemakingInput } from "./remaking-options.ts";
import type { ScalingSettings } from "./scaling-settings.ts";

/** Something that happened outside, told to the core. */
export type Input =
  | { readonly kind: "wake" }
  | { readonly kind: "linked"; readonly peer: PeerId }
  | { readonly kind: "unlinked"; readonly peer: PeerId }
  | { readonly kind: "message"; readonly from: PeerId; readonly message: Message }
  /** An ingress accepted an Execute call; `operation` names the waiter. */
  | { readonly kind: "submit"; readonly operation: string; readonly request: ActionRequest }
  /** The waiter asked for the action to be given up. */
  | { readonly kind: "abandon"; readonly operation: string }
  /** An attempt started by `execute` ended. */
  | { readonly kind: "executed"; readonly token: Token; readonly outcome: Outcome }
  /** A worker process started for `slot` of the pool. */
  | { readonly kind: "launched"; readonly slot: number }
  /** It ended, for whatever reason, or never started. */
  | { readonly kind: "terminated"; readonly slot: number; readonly why: string }
  /** The addresses at which others can dial this node; changes when the network does. */
  | { readonly kind: "addresses"; readonly addresses: readonly string[] }
  /** No address of a peer that was to be dialled answered. */
  | { readonly kind: "undialled"; readonly peer: PeerId }
  /** A member is out for good: its certificate was revoked. */
  | { readonly kind: "revoked"; readonly peer: PeerId }
  /** How many of its slots a worker may fill now, 0 to all: its owner needs the machine. */
  | { readonly kind: "allow"; readonly slots: number }
  /** This machine is taken away in so many ms: take nothing new, give away what takes longer. */
  | { readonly kind: "noticed"; readonly lastsMs: number }
  /** What its owner says about scaling, the schedule's word of this moment included. */
  | { readonly kind: "scaling"; readonly settings: ScalingSettings }
  /** Somebody wants a worker or a host to take nothing new, or to go on. */
  | { readonly kind: "ask-drain"; readonly node: string; readonly cancel: boolean }
  | ProviderInput
  | RemakingInput
  /** This node is asked to leave: finish what runs, take nothing new. */
  | { readonly kind: "drain" };

/** How far an operation is (REAPI `ExecutionStage`), told to the ingress's waiters. */
export type Stage =
  | { readonly kind: "queued" }
  | {
      readonly kind: "executing";
      /** Name of the worker, for people. */
      readonly worker: string;
      readonly peer: PeerId;
      readonly token: Token;
    }
  | { readonly kind: "completed"; readonly outcome: Outcome; readonly worker: string }
  | {
      readonly kind: "failed";
      readonly failure: Failure;
      /** Blobs whose absence is the reason. */
      readonly missing?: readonly Digest[];
    };

/** Something the core wants done. A request: it may fail silently; who cares set a deadline. */
export type Effect =
  | { readonly kind: "send"; readonly to: PeerId; readonly message: Message }
  | { readonly kind: "execute"; readonly token: Token; readonly request: ActionRequest }
  | { readonly kind: "cancel"; readonly token: Token }
  | { readonly kind: "publish"; readonly operations: readonly string[]; readonly stage: Stage }
  /** Answered by `linked` or `undialled`. */
  | { readonly kind: "dial"; readonly peer: PeerId; readonly addresses: readonly string[] }
  | { readonly kind: "launch"; readonly slot: number }
  /** The worker of a slot takes nothing new until `resume`. */
  | { readonly kind: "pause"; readonly slot: number }
  | { readonly kind: "resume"; readonly slot: number }
  /** It ends once what it runs has ended. */
  | { readonly kind: "retire"; readonly slot: number }
  | ProviderEffect
  | RemakingEffect
  /** The coordinator wants this node to leave the mesh and end. */
  | { readonly kind: "depart" }
  | { readonly kind: "note"; readonly note: Note };

/** A pure decision maker. `handle` is total: it throws only on a failed assertion. */
export interface Machine {
  /** Absolute ms at which it wants a `wake`; Infinity when it waits for nothing. */
  readonly wakeAtMs: number;
  handle(input: Input, nowMs: number): readonly Effect[];
}
