// Every message one node sends another, as plain values. `proto/builder/mesh/v1/mesh.proto` is the
// same list on the wire and specifies order and bounds; `src/wire/mesh-codec.ts` translates.
//
// Work is late-binding (Sparrow, SOSP 2013): an Offer is a reservation, the worker Claims it when a
// slot is really free, the first claim is Bound and later ones are Gone.

import type { ActionRequest, Outcome, PeerId, Token } from "./action.ts";

/**
 * What a node can take and what waits at it; on every change and at least every 5 s. Workers tell
 * every linked peer that serves, a node that serves tells every linked peer.
 */
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
  /** The serving node of the worker's own host, which started it; "" for a node without. */
  readonly home: PeerId;
  /** Actions it accepted that its own workers cannot start now; 0 for a mere worker. */
  readonly pending: number;
  /** True for a node that accepts actions. */
  readonly serves: boolean;
  /** Slots that run an action or ask for one; `free` is less than the rest while it is held back. */
  readonly busy: number;
  /** Expected work of `pending` in ms of one slot. */
  readonly pendingMs: number;
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

/** A node that serves, as the others know it. */
export interface MemberRecord {
  readonly peer: PeerId;
  /** Name for people. */
  readonly name: string;
  /** Multiaddrs to dial; none for a node that only dials out. */
  readonly addresses: readonly string[];
  /** Unix ms at which it started. */
  readonly incarnation: number;
  /** Counts the changes of this record since then. */
  readonly version: number;
  /** It said goodbye. */
  readonly left: boolean;
}

/** What is known of the serving nodes: everything once a link opens, changes at once. */
export interface Members {
  readonly kind: "members";
  readonly members: readonly MemberRecord[];
  /** Whether idle workers take work from other hosts. */
  readonly workStealing: boolean;
  /** Unix ms of that decision; 0 where none was made. The higher wins. */
  readonly workStealingVersion: number;
}

/** To up to three peers, about a member whose link closed: can you hear it? */
export interface Probe {
  readonly kind: "probe";
  readonly peer: PeerId;
}

/** The answer to a Probe. */
export interface Probed {
  readonly kind: "probed";
  readonly peer: PeerId;
  readonly linked: boolean;
}

/** The coordinator, every second, to every linked serving node; valid 5 s from its receipt. */
export interface Lease {
  readonly kind: "lease";
  readonly term: number;
  /** Lower is better. */
  readonly rank: number;
}

/** The coordinator → a serving node: what its workers shall do. Others are not obeyed. */
export interface Drain {
  readonly kind: "drain";
  /** Name of one worker; "" for all of that host. */
  readonly worker: string;
  /** `pause`: take nothing new; `resume`: go on; `leave`: end what runs, then end the node. */
  readonly phase: "pause" | "resume" | "leave";
}

/** An idle worker → a serving node of another host: give me some of what waits. */
export interface Steal {
  readonly kind: "steal";
  readonly nonce: number;
  /** How many it could start soon. */
  readonly room: number;
}

/** The answer to a Steal, after the Offers it speaks of. */
export interface Granted {
  readonly kind: "granted";
  readonly nonce: number;
  readonly count: number;
  /** Where `count` is 0: ask again after so many ms at the earliest. */
  readonly retryMs: number;
}

/** An idle worker → up to three serving nodes: offer me what you have too much of. */
export interface Lifeline {
  readonly kind: "lifeline";
  readonly on: boolean;
  readonly room: number;
}

/** What nodes tell each other about work. */
export type WorkMessage =
  | Load
  | Offer
  | Claim
  | Bound
  | Gone
  | Renew
  | Done
  | Cancel
  | Steal
  | Granted
  | Lifeline;

/** Any message between two nodes. */
export type Message = WorkMessage | Members | Probe | Probed | Lease | Drain;
