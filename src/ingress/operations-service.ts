// google.longrunning.Operations over the operations of this node: look, list, cancel, forget, wait.

import { MeshError } from "../core/error.ts";
import type { Log } from "../telemetry/logger.ts";
import type {
  ListOperationsRequest,
  ListOperationsResponse,
  Operation,
} from "../wire/gen/google/longrunning/operations.ts";
import { fromDuration } from "../wire/reapi.ts";
import { noWishes } from "./action-results.ts";
import type { Scheduler } from "./execution.ts";
import { type Handlers, unary } from "./handlers.ts";
import { describeOperation, type MessageDeps } from "./operation-messages.ts";
import { isLast, type OperationRecord, type Operations, unknownOperation } from "./operations.ts";

/** What the service works with. */
export interface OperationsServiceDeps extends MessageDeps {
  readonly operations: Operations;
  readonly scheduler: Scheduler;
  readonly log: Log;
}

/** Operations on one page of a list at most. */
const pageMax = 1000;

/** Gives up an operation; false where it is unknown or has ended. */
export function cancelOperation(
  deps: Pick<OperationsServiceDeps, "operations" | "scheduler">,
  name: string,
): boolean {
  const found = deps.operations.find(name);
  if (found === undefined || isLast(found.stage)) return false;
  deps.operations.update(name, { kind: "failed", failure: cancelled });
  deps.scheduler.abandon(name);
  return true;
}

/** The service's handlers. */
export function operationsHandlers(deps: OperationsServiceDeps): Handlers {
  const { log } = deps;
  const named = (name: string): OperationRecord => {
    const found = deps.operations.find(name);
    if (found !== undefined) return found;
    throw unknownOperation(name);
  };
  return {
    getOperation: unary(log, async ({ name }: { readonly name: string }) =>
      describeOperation(deps, named(name), noWishes),
    ),
    listOperations: unary(log, (request: ListOperationsRequest) => list(deps, request)),
    cancelOperation: unary(log, async ({ name }: { readonly name: string }) => {
      named(name);
      cancelOperation(deps, name);
      return {};
    }),
    deleteOperation: unary(log, async ({ name }: { readonly name: string }) => {
      if (isLast(named(name).stage)) deps.operations.forget(name);
      return {};
    }),
    waitOperation: unary(log, async (request, call): Promise<Operation> => {
      const { name, timeout } = request;
      const record = named(name);
      const endMs = performance.now() + Math.min(fromDuration(timeout) ?? waitMsMax, waitMsMax);
      for (let leftMs = 1; !isLast(record.stage) && leftMs > 0 && !call.signal.aborted; ) {
        leftMs = endMs - performance.now();
        if (leftMs > 0) await deps.operations.changed(name, leftMs, call.signal);
      }
      return describeOperation(deps, record, noWishes);
    }),
  };
}

/** A wait without a timeout ends after an hour, with the operation as it is then. */
const waitMsMax = 3_600_000;

const cancelled = { code: "CANCELLED", message: "The client cancelled the operation." } as const;

async function list(
  deps: OperationsServiceDeps,
  request: ListOperationsRequest,
): Promise<ListOperationsResponse> {
  // The parent: `[instance/]operations`, as names begin, or the instance alone.
  const instance = request.name.replace(/(^|\/)operations\/?$/, "");
  const all = deps.operations.list(instance);
  const from = readPageToken(request.pageToken);
  const size = request.pageSize > 0 ? Math.min(request.pageSize, pageMax) : pageMax;
  const page = all.slice(from, from + size);
  return {
    operations: await Promise.all(page.map((record) => describeOperation(deps, record, noWishes))),
    nextPageToken: from + size < all.length ? `${from + size}` : "",
    unreachable: [],
  };
}

function readPageToken(token: string): number {
  if (/^([1-9][0-9]{0,8})?$/.test(token)) return Number(token);
  throw new MeshError(
    "INVALID_ARGUMENT",
    `page_token ${JSON.stringify(token.slice(0, 80))} is none that this list gave.`,
  );
}
