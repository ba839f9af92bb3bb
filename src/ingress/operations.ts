// Operations: one client's wait for an action, and how the waiting is told. Names describe
// themselves, so that a node that never heard of one can still adopt it (mesh-wide WaitExecution).

import { randomUUID } from "node:crypto";
import type { ActionRequest } from "../core/action.ts";
import { type Digest, parseDigestKey } from "../core/digest.ts";
import { MeshError } from "../core/error.ts";
import type { Stage } from "../core/machine.ts";
import { instanceCharsMax } from "./instance-name.ts";

/** What an operation waits for. */
export interface OperationSubject {
  readonly instance: string;
  readonly action: Digest;
}

/** One operation. */
export interface OperationRecord extends OperationSubject {
  readonly name: string;
  /** Who asked for it first. */
  readonly by: Pick<ActionRequest, "user" | "invocation">;
  /** Unix ms. */
  readonly acceptedAtMs: number;
  readonly stage: Stage;
  /** Unix ms at which the present stage began. */
  readonly stageAtMs: number;
}

/** Bounds of what is remembered after the end, for clients that come back. */
export interface OperationsOptions {
  readonly retainMs: number;
  readonly retainedMax: number;
}

/** The operations of one ingress. */
export interface Operations {
  create(name: string, subject: OperationSubject, by: OperationRecord["by"]): OperationRecord;
  find(name: string): OperationRecord | undefined;
  /** All of an instance, the oldest first. */
  list(instance: string): OperationRecord[];
  /** Records a new stage and wakes whoever watches. Stages after the last are ignored. */
  update(name: string, stage: Stage): void;
  /** Forgets one that has ended; false where it has not. */
  forget(name: string): boolean;
  /** Resolves at the next stage, or after `timeoutMs`, or when `signal` aborts. */
  changed(name: string, timeoutMs: number, signal: AbortSignal): Promise<void>;
  /** Operations that have not ended. */
  unfinished(): number;
  /** When the oldest of them was accepted, Unix ms; undefined where there is none. */
  oldestUnfinishedMs(): number | undefined;
}

interface Held extends OperationRecord {
  stage: Stage;
  stageAtMs: number;
  /** Who watches it. */
  wakers: (() => void)[];
}

/** Creates the table. `onStage` hears of every new stage, with the one before it. */
export function createOperations(
  deps: { readonly now: () => number; readonly onStage: (stage: Stage, before: Stage) => void },
  options: OperationsOptions,
): Operations {
  const heldByName = new Map<string, Held>();
  /** Ended ones, the first to end first. */
  const endedAtMsByName = new Map<string, number>();
  /** The others, the first to be accepted first. */
  const unfinished = new Set<Held>();

  function forgetOld(): void {
    const before = deps.now() - options.retainMs;
    for (const [name, atMs] of endedAtMsByName) {
      if (endedAtMsByName.size <= options.retainedMax && atMs >= before) return;
      endedAtMsByName.delete(name);
      heldByName.delete(name);
    }
  }

  return {
    create: (name, subject, by) => {
      forgetOld();
      const nowMs = deps.now();
      const held: Held = {
        ...subject,
        ...{ name, by },
        acceptedAtMs: nowMs,
        stage: { kind: "queued" },
        stageAtMs: nowMs,
        wakers: [],
      };
      heldByName.set(name, held);
      unfinished.add(held);
      return held;
    },
    find: (name) => heldByName.get(name),
    list: (instance) => [...heldByName.values()].filter((held) => held.instance === instance),
    update: (name, stage) => {
      const held = heldByName.get(name);
      if (held === undefined || isLast(held.stage)) return;
      deps.onStage(stage, held.stage);
      held.stage = stage;
      held.stageAtMs = deps.now();
      if (isLast(stage)) {
        unfinished.delete(held);
        endedAtMsByName.set(name, held.stageAtMs);
      }
      for (const wake of held.wakers.splice(0)) wake();
    },
    forget: (name) => endedAtMsByName.delete(name) && heldByName.delete(name),
    changed: (name, timeoutMs, signal) => {
      const { promise, resolve } = Promise.withResolvers<void>();
      const held = heldByName.get(name);
      const timer = setTimeout(resolve, timeoutMs);
      const wake = () => resolve();
      held?.wakers.push(wake);
      signal.addEventListener("abort", wake);
      return promise.finally(() => {
        clearTimeout(timer);
        if (held !== undefined) held.wakers = held.wakers.filter((other) => other !== wake);
        signal.removeEventListener("abort", wake);
      });
    },
    unfinished: () => unfinished.size,
    oldestUnfinishedMs: () => unfinished.values().next().value?.acceptedAtMs,
  };
}

/** True for a stage that no other follows. */
export function isLast(stage: Stage): boolean {
  return stage.kind === "completed" || stage.kind === "failed";
}

/** A new name: `[instance/]operations/<function>-<hash>-<size>/<node>.<unique>`. */
export function nameOperation({ instance, action }: OperationSubject, node: string): string {
  const prefix = instance === "" ? "" : `${instance}/`;
  const subject = `${action.fn}-${action.hash}-${action.sizeBytes}`;
  return `${prefix}operations/${subject}/${node}.${randomUUID()}`;
}

/** Longest name that `nameOperation` makes: 128 hex digits, a peer id and room. */
const nameCharsMax = instanceCharsMax + 512;

/** What a name that `nameOperation` made waits for; undefined for any other text. */
export function parseOperationName(name: string): OperationSubject | undefined {
  if (name.length > nameCharsMax) return undefined;
  const match = /^(?:(.*)\/)?operations\/([a-z0-9]+)-([0-9a-f]+)-([0-9]+)\/[^/]+$/.exec(name);
  if (match === null) return undefined;
  const action = parseDigestKey(`${match[2]}:${match[3]}/${match[4]}`);
  return action && { instance: match[1] ?? "", action };
}

/** NOT_FOUND for an operation; clients execute the action again. */
export function unknownOperation(name: string): MeshError {
  return new MeshError(
    "NOT_FOUND",
    `Operation ${JSON.stringify(name.slice(0, 200))} is not known here. Execute the action again.`,
  );
}
