// The only way the core speaks to humans. Log lines, metrics, status, stories and the simulator's
// trace are projections of notes, so this file is the whole vocabulary.

import type { ActionRequest, PeerId, Spans, Token } from "./action.ts";
import type { Digest } from "./digest.ts";
import type { Failure } from "./error.ts";
import type { Market } from "./scaling.ts";
import type { RecordedDecision } from "./scaling-record.ts";

/** One thing that happened, worth telling. */
export type Note =
  | {
      readonly name: "worker-linked";
      readonly peer: PeerId;
      readonly worker: string;
      readonly slots: number;
    }
  | {
      readonly name: "worker-lost";
      readonly peer: PeerId;
      readonly worker: string;
      readonly actions: number;
    }
  | { readonly name: "worker-draining"; readonly peer: PeerId; readonly worker: string }
  | {
      readonly name: "action-accepted";
      readonly token: Token;
      readonly request: ActionRequest;
      /** The operation that waits for it. */
      readonly operation: string;
    }
  /** An equal action was unfinished: one run answers both. */
  | {
      readonly name: "action-merged";
      readonly token: Token;
      readonly request: ActionRequest;
      readonly operation: string;
    }
  | { readonly name: "action-offered"; readonly token: Token; readonly peers: readonly PeerId[] }
  | {
      readonly name: "action-bound";
      readonly token: Token;
      readonly peer: PeerId;
      readonly worker: string;
      /** A worker of another host took it. */
      readonly stolen: boolean;
      /** Since the action was accepted. */
      readonly waitMs: number;
    }
  | {
      readonly name: "action-done";
      readonly token: Token;
      readonly peer: PeerId;
      readonly worker: string;
      readonly runMs: number;
      readonly exitCode: number | undefined;
      readonly spans: Spans | undefined;
    }
  | {
      readonly name: "action-retried";
      readonly token: Token;
      readonly worker: string;
      readonly why: string;
    }
  | {
      readonly name: "action-refused";
      readonly token: Token;
      readonly request: ActionRequest;
      /** Who waited for it. */
      readonly operations: readonly string[];
      readonly failure: Failure;
    }
  /** One of those who waited for it does so no longer; `last`: nobody does, and it is given up. */
  | {
      readonly name: "action-abandoned";
      readonly token: Token;
      readonly operation: string;
      readonly last: boolean;
    }
  /** An action runs again because what it made is lost and wanted; `blobs` of it so far. */
  | { readonly name: "remake-begun"; readonly action: Digest; readonly blobs: number }
  /** What was wanted of it is there again. */
  | { readonly name: "remake-done"; readonly action: Digest }
  | { readonly name: "remake-failed"; readonly action: Digest; readonly why: string }
  | { readonly name: "lease-expired"; readonly token: Token; readonly peer: PeerId }
  | { readonly name: "worker-launching"; readonly slot: number; readonly delayMs: number }
  | { readonly name: "worker-ended"; readonly slot: number; readonly why: string }
  /** What became of a machine of a provider, by the token of its launch. */
  | { readonly name: "machine-launched"; readonly machine: string; readonly market: Market }
  | { readonly name: "machine-ready"; readonly machine: string; readonly bootMs: number }
  | { readonly name: "machine-draining"; readonly machine: string }
  | { readonly name: "machine-kept"; readonly machine: string }
  | { readonly name: "machine-failed"; readonly machine: string; readonly why: string }
  | { readonly name: "machine-ended"; readonly machine: string }
  /** A decision that changes something, or that differs from the one before. */
  | { readonly name: "scaling-decided"; readonly decided: RecordedDecision }
  /** A serving node was linked for the first time, or came back. */
  | { readonly name: "member-alive"; readonly peer: PeerId; readonly member: string }
  /** Its link closed; others are asked whether they hear it. */
  | { readonly name: "member-suspect"; readonly peer: PeerId; readonly member: string }
  | { readonly name: "member-dead"; readonly peer: PeerId; readonly member: string }
  | { readonly name: "member-left"; readonly peer: PeerId; readonly member: string }
  /** A record was not taken in: the table is full, or what it says cannot be. */
  | { readonly name: "member-ignored"; readonly peer: PeerId; readonly why: string }
  /** This node has become the coordinator. */
  | { readonly name: "lease-taken"; readonly term: number }
  /** It is no longer: somebody has a better claim. */
  | { readonly name: "lease-lost"; readonly term: number; readonly leader: PeerId }
  /** Another node is the coordinator now. */
  | { readonly name: "lease-seen"; readonly term: number; readonly leader: PeerId }
  /** A claim that cannot be: its term is far beyond any that was ever reached. */
  | { readonly name: "lease-ignored"; readonly peer: PeerId; readonly term: number }
  | { readonly name: "work-stealing"; readonly on: boolean }
  | { readonly name: "steal-asked"; readonly victim: PeerId; readonly room: number }
  | { readonly name: "steal-granted"; readonly thief: PeerId; readonly count: number }
  | { readonly name: "steal-empty"; readonly victim: PeerId }
  /** A peer asks too much or does not keep its word and is given nothing for a while. */
  | {
      readonly name: "peer-refused";
      readonly peer: PeerId;
      readonly why: string;
      readonly forMs: number;
    }
  /** This process stood still, as a closed laptop does. */
  | { readonly name: "woke-up"; readonly pausedMs: number };
