// Who waits for which operation: the join between the ingress and the core's `publish` effects.

import type { Input, Stage } from "../core/machine.ts";
import type { Scheduler } from "../ingress/execution.ts";

/** Joins the ingress's waiters to the core's `publish` effects. */
export function createWaiters(): {
  tell(operations: readonly string[], stage: Stage): void;
  scheduler(input: (next: Input) => void): Scheduler;
} {
  const waiterByOperation = new Map<string, (stage: Stage) => void>();
  return {
    tell: (operations, stage) => {
      for (const operation of operations) {
        waiterByOperation.get(operation)?.(stage);
        if (stage.kind === "completed" || stage.kind === "failed") {
          waiterByOperation.delete(operation);
        }
      }
    },
    scheduler: (input) => ({
      submit: (operation, request, onStage) => {
        waiterByOperation.set(operation, onStage);
        input({ kind: "submit", operation, request });
      },
      abandon: (operation) => {
        waiterByOperation.delete(operation);
        input({ kind: "abandon", operation });
      },
    }),
  };
}
