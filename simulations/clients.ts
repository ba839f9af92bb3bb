// The build clients: each keeps its number of calls open and makes the next when one ends.

import type { PeerId } from "../src/core/action.ts";
import type { Workload } from "./workloads.ts";
import type { World } from "./world.ts";

/** Calls that have not ended yet. */
export interface Clients {
  readonly open: number;
}

/** Starts all invocations of a workload; each talks to one ingress. */
export function startClients(
  world: World,
  workload: Workload,
  ingresses: readonly PeerId[],
): Clients {
  let open = 0;
  const onEndByOperation = new Map<string, () => void>();
  world.observe({
    onEffect: (_peer, effect) => {
      if (effect.kind !== "publish") return;
      if (effect.stage.kind !== "completed" && effect.stage.kind !== "failed") return;
      for (const operation of effect.operations) onEndByOperation.get(operation)?.();
    },
  });
  for (const [index, { startMs, jobs, calls }] of workload.invocations.entries()) {
    const ingress = ingresses[index % ingresses.length] ?? "";
    let next = 0;
    open += calls.length;
    const callNext = () => {
      const call = calls[next];
      if (call === undefined) return;
      next += 1;
      onEndByOperation.set(call.operation, () => {
        onEndByOperation.delete(call.operation);
        open -= 1;
        // Not from within the ingress's turn: a client hears of the end over its own connection.
        world.after(1, callNext);
      });
      world.tell(ingress, { kind: "submit", ...call });
    };
    for (let i = 0; i < jobs; i += 1) world.at(startMs, callNext);
  }
  return {
    get open() {
      return open;
    },
  };
}
