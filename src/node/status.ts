// What a node tells about itself: plain figures, taken from the core's view and the notes.

import type { Endpoint } from "../build/endpoint.ts";
import { fetchWireStatus } from "../build/status-client.ts";
import type { PeerId } from "../core/action.ts";
import type { InvocationView } from "../core/entries.ts";
import type { ActionCounters } from "../telemetry/action-counters.ts";
import type { Scaling as WireScaling } from "../wire/gen/builder/node/v1/node.ts";

/** One linked worker as it last reported. */
export interface WorkerStatus {
  readonly name: string;
  readonly peer: PeerId;
  readonly slots: number;
  readonly free: number;
  /** Reservations it holds. */
  readonly queued: number;
  readonly draining: boolean;
  readonly isolation: string;
}

/** A node that serves, as this one knows it. */
export interface MemberStatus {
  readonly peer: PeerId;
  readonly name: string;
  /** `alive`, `suspect`, `unreachable` (others hear it) or `dead`. */
  readonly state: string;
  readonly linked: boolean;
  readonly addresses: readonly string[];
}

/** How scaling stands: figures of the last decision, and what the machines cost today. */
export type ScalingStatus = WireScaling;

/** A node's figures at one moment. */
export interface Status {
  readonly version: string;
  readonly uptimeMs: number;
  readonly draining: boolean;
  readonly workers: readonly WorkerStatus[];
  /** Actions that wait for a slot. */
  readonly pending: number;
  /** Actions bound to a worker. */
  readonly executing: number;
  readonly actions: ActionCounters;
  readonly workersMin: number;
  readonly workersMax: number;
  readonly coordinator: string;
  readonly reapi: readonly string[];
  /** Whose the pending and executing actions are, the most first; at most 100. */
  readonly invocations: readonly InvocationView[];
  /** This node's peer id. */
  readonly peer: PeerId;
  /** The nodes that serve, this one among them. */
  readonly members: readonly MemberStatus[];
  /** Peer id of the coordinator; "" while none is elected. */
  readonly leader: PeerId | "";
  readonly term: number;
  /** Whether idle workers take work from other hosts. */
  readonly workStealing: boolean;
  /** What the pending actions wait for, the most first. */
  readonly waits: readonly {
    readonly reason: string;
    readonly count: number;
    readonly longestMs: number;
  }[];
  /** What looks wrong, in sentences. */
  readonly troubles: readonly string[];
  /** Undefined for a node of an earlier version. */
  readonly scaling: ScalingStatus | undefined;
}

const noActions: ActionCounters = {
  ended: 0,
  succeeded: 0,
  failed: 0,
  runMs: 0,
  cacheLookups: 0,
  cacheHits: 0,
};

/** The figures of a node. UNAVAILABLE where none answers within 5 s. */
export async function fetchStatus(endpoint: Endpoint): Promise<Status> {
  const status = await fetchWireStatus(endpoint, 5000);
  return { ...status, actions: status.actions ?? noActions };
}
