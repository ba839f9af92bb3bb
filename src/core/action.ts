// What the core knows of an action: its name, what it asks for, and how it ended. Never its bytes.

import type { Digest } from "./digest.ts";
import type { Failure } from "./error.ts";

/** The libp2p peer id of a node, as text. */
export type PeerId = string;

/** One request to run an action, as an ingress hands it to the core. */
export interface ActionRequest {
  /** The digest of the REAPI `Action` message. */
  readonly action: Digest;
  /** REAPI instance name; equal actions of different instances are never merged. */
  readonly instance: string;
  /** REAPI `ExecutionPolicy.priority`: lower runs sooner, 0 is the default. Any int32. */
  readonly priority: number;
  /** Users share the workers evenly: the caller's name, or its address where it has none. */
  readonly user: string;
  /** A user's invocations share evenly: the client's id for it, or its connection without one. */
  readonly invocation: string;
  /** What the action resembles (target and mnemonic); run times are learned per kind. */
  readonly kind: string;
  /** Digest of the input root: actions that share it like the same worker. */
  readonly inputRoot: Digest;
  /** Platform properties that a worker must have, name → value. */
  readonly properties: Readonly<Record<string, string>>;
  /** False for `do_not_cache`: such a request is never merged with an equal one in flight. */
  readonly mayMerge: boolean;
  /** True where a worker must not answer from the action cache (`skip_cache_lookup`). */
  readonly skipCacheLookup: boolean;
}

/** Names one attempt at an action. A re-offer keeps `ingress` and `seq` and raises `hop`. */
export interface Token {
  /** The node that took the Execute call and keeps the action in its ledger. */
  readonly ingress: PeerId;
  /** Counts the actions of that ingress. */
  readonly seq: number;
  /** Counts the attempts at this action, from 0. The highest owns the action. */
  readonly hop: number;
}

/** Where an attempt's time went at its worker besides the command itself; whole ms. */
export interface Spans {
  /** Until what its host did not have was fetched from other hosts. */
  readonly fetchMs: number;
  /** Until its inputs lay in a folder of their own. */
  readonly setUpMs: number;
  /** Until what it made was stored, and delivered where another host had accepted the action. */
  readonly storeMs: number;
}

/** How an attempt ended. */
export type Outcome =
  | {
      /** The action ran, or was refused for a reason that no other worker would change. */
      readonly kind: "result";
      /** Digest of the serialised REAPI `ExecuteResponse` in the store. */
      readonly response: Digest;
      /** Exit code of the command; undefined when the response carries a status instead. */
      readonly exitCode: number | undefined;
      /** Wall time of the command in ms. */
      readonly runMs: number;
      /** Undefined where nothing was run. */
      readonly spans?: Spans | undefined;
    }
  | {
      /** The worker, not the action, failed: try elsewhere. */
      readonly kind: "fault";
      readonly failure: Failure;
    };

/** A token as one string, usable as a map key. */
export function tokenKey(token: Token): string {
  return `${token.ingress}/${token.seq}/${token.hop}`;
}
