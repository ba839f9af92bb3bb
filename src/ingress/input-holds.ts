// Keeps the inputs of unfinished actions, however long they wait: clients send or ask for what an
// action needs shortly before they execute it, and trust from then on that it is there.
//
// A store protects by itself what was used in the last minutes; this goes back as far as the oldest
// action that has not ended.

import type { Holds } from "../cas/blob-store.ts";
import type { IngressBounds } from "./bounds.ts";
import type { Operations } from "./operations.ts";

/** Looks after the holds of one ingress until closed. */
export function holdInputs(
  deps: {
    readonly store: Holds;
    readonly operations: Pick<Operations, "oldestUnfinishedMs">;
    readonly now: () => number;
  },
  bounds: Pick<IngressBounds, "inputAgeMs" | "holdEveryMs">,
): { close(): void } {
  let held: { readonly sinceMs: number; release(): void } | undefined;

  function look(): void {
    const oldestMs = deps.operations.oldestUnfinishedMs();
    const isOld = oldestMs !== undefined && deps.now() - oldestMs > bounds.holdEveryMs;
    const sinceMs = isOld ? oldestMs - bounds.inputAgeMs : undefined;
    if (sinceMs === held?.sinceMs) return;
    const before = held;
    held = sinceMs === undefined ? undefined : { sinceMs, ...deps.store.hold(sinceMs) };
    before?.release();
  }

  const timer = setInterval(look, bounds.holdEveryMs);
  timer.unref();
  return {
    close: () => {
      clearInterval(timer);
      held?.release();
    },
  };
}
