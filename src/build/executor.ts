// The door through which a build gets its actions executed: a node's REAPI port, or this machine.

import type { Digest } from "../core/digest.ts";
import type { Failure } from "../core/error.ts";
import type { ActionResult } from "../wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import type { PreparedAction } from "./prepared-action.ts";

/** How an action ended. */
export interface ExecutedAction {
  readonly result: ActionResult;
  /** True where the action cache answered. */
  readonly cached: boolean;
  /** Set where the action did not end by itself: a time-out, a refusal. */
  readonly failure: Failure | undefined;
  /** For the user, such as which limit killed it; may be empty. */
  readonly message: string;
}

/** What the executor tells while an action is under way. */
export interface ExecutorEvents {
  /** Bytes that this action made the client send. */
  uploaded(bytes: number): void;
  /** It waits for a free slot no longer. May be told more than once, or not at all. */
  started(): void;
}

/** What tells where something runs, or where what it made is. */
export interface Place {
  /** False keeps it on this machine. */
  readonly remote: boolean;
  /** The action, where it is about one that is to run. */
  readonly id?: string;
}

/** Executes actions and hands over what they made. */
export interface ActionExecutor {
  /** FAILED_PRECONDITION with `missing` where an input is neither here nor there any more. */
  execute(
    action: PreparedAction,
    call: {
      readonly invocation: string;
      readonly signal: AbortSignal;
      /** True to run it even where a result is cached. */
      readonly fresh: boolean;
      readonly events: ExecutorEvents;
    },
  ): Promise<ExecutedAction>;
  /** A small blob, such as a command's output. */
  get(digest: Digest): Promise<Uint8Array>;
  /** Writes a blob to a file of this machine, replacing what is there. */
  download(digest: Digest, path: string, file: { readonly executable: boolean }): Promise<void>;
  close(): Promise<void>;
}
