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
  /** Share of the slots; undefined where scaling forecasts nothing. */
  readonly predictedLoad: number | undefined;
}

/** Everything, by section. */
export interface Live {
  /** As `builder remote status --json` has it. */
  readonly status: Status;
  /** As `builder remote top --json` has them. */
  readonly figures: MeshFigures;
  /** Unfinished actions, the first accepted first; the list is cut, `total` is not. */
  readonly actions: ActionList;
  /** Lines of `builder remote decisions --json`, the newest last. */
  readonly decisions: readonly string[];
  /** Builds whose tool told its events, the newest first. */
  readonly invocations: readonly InvocationSummary[];
  /** The last quarter of an hour, the present moment last. Sent whole once, then each moment. */
  readonly history: readonly Moment[];
}
