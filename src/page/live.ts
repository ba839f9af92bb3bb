// What a node tells a page: sections, each sent again when it has changed.

import type { ActionList, MeshFigures } from "../wire/gen/builder/node/v1/insight.ts";
import type { InvocationSummary, Status } from "../wire/gen/builder/node/v1/node.ts";

/** Figures of one moment, for the charts. */
export interface Moment {
  /** Unix ms by the node's clock. */
  readonly atMs: number;
  readonly queued: number;
  readonly running: number;
  readonly workers: number;
  readonly slots: number;
  /** Totals since the node started: actions, answers of its cache, questions to it. */
  readonly ended: number;
  readonly hits: number;
  readonly lookups: number;
  /** Share of the slots; undefined where scaling forecasts nothing. */
  readonly predictedLoad: number | undefined;
}

/** Actions that workers of one host took from another. */
export interface Steals {
  /** Peer ids of the host that accepted them and of the one whose workers took them. */
  readonly from: string;
  readonly to: string;
  readonly total: number;
  /** Of these in the last 10 s. */
  readonly now: number;
}

/** The node's store and where blobs were that its clients wanted. */
export interface CacheFigures {
  readonly storeBytes: number;
  readonly storeBytesMax: number;
  /** Blobs: in the own store, of another host, of nobody. */
  readonly here: number;
  readonly peer: number;
  readonly nowhere: number;
  /** Writes of which a second host has a copy, and those that only this one has. */
  readonly copied: number;
  readonly single: number;
}

/** Everything, by section. */
export interface Live {
  /** As `builder remote status --json` has it. */
  readonly status: Status;
  /**
   * As `builder remote top --json` has them, without beats, and each worker at one host alone with
   * the sums of all.
   */
  readonly figures: MeshFigures;
  readonly steals: readonly Steals[];
  readonly cache: CacheFigures;
  /** Unfinished actions, the first accepted first; the list is cut, `total` is not. */
  readonly actions: ActionList;
  /** Lines of `builder remote decisions --json`, the newest last. */
  readonly decisions: readonly string[];
  /** Builds whose tool told its events, the newest first. */
  readonly invocations: readonly InvocationSummary[];
  /** The last quarter of an hour, the present moment last. Sent whole once, then each moment. */
  readonly history: readonly Moment[];
}
