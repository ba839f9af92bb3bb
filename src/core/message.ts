// Every message one node sends another, as plain values. `proto/builder/mesh/v1/mesh.proto` is the
// same list on the wire and specifies order and bounds; `src/wire/mesh-codec.ts` translates.
//
// Work is late-binding (Sparrow, SOSP 2013): an Offer is a reservation, the worker Claims it when a
// slot is really free, the first claim is Bound and later ones are Gone.

import type { ActionRequest, Outcome, Token } from "./action.ts";

/** A worker tells every linked peer what it can take; on every change and at least every 5 s. */
export interface Load {
  readonly kind: "load";
  /** Name for people, such as `worker-1`; unique within a serving node. */
  readonly name: string;
  /** How many actions it runs at once; 0 for a node that only takes calls. */
  readonly slots: number;
  readonly free: number;
  /** Reservations it holds. */
  readonly queued: number;
  /** True once it takes no further offers. */
  readonly draining: boolean;
  /** Isolation of its sandbox, for people: `namespaces+cgroup`. */
  readonly isolation: string;
  /** Platform properties it satisfies, name → accepted values. */
  readonly properties: Readonly<Record<string, readonly string[]>>;
}

/** Ingress → worker: a reservation for an attempt. */
export interface Offer {
  readonly kind: "offer";
  readonly token: Token;
  readonly request: ActionRequest;
  /** Expected run time in ms, learned per kind; undefined before the first run. */
  readonly estimateMs: number | undefined;
}

/** Worker → ingress: a slot is free; may I run it? */
export interface Claim {
  readonly kind: "claim";
  readonly token: Token;
}

/** Ingress → worker: it is yours; renew within the lease. */
export interface Bound {
  readonly kind: "bound";
  readonly token: Token;
}

/** Ingress → worker: somebody else has it, or it is over; drop the reservation. */
export interface Gone {
  readonly kind: "gone";
  readonly token: Token;
}

/** Worker → ingress, every 3 s: these attempts are alive. */
export interface Renew {
  readonly kind: "renew";
  readonly tokens: readonly Token[];
}

/** Worker → ingress: the attempt ended and its response is in the store. */
export interface Done {
  readonly kind: "done";
  readonly token: Token;
  readonly outcome: Outcome;
}

/** Ingress → worker: nobody waits for this attempt any more; kill it. */
export interface Cancel {
  readonly kind: "cancel";
  readonly token: Token;
}

/** Any message between two nodes. */
export type Message = Load | Offer | Claim | Bound | Gone | Renew | Done | Cancel;
