// Operations: one client's wait for an action, and how the waiting is told. Names describe
// themselves, so that a node that never heard of one can still adopt it (mesh-wide WaitExecution).

import { randomUUID } from "node:crypto";
import { type Digest, parseDigestKey } from "../core/digest.ts";
import type { Stage } from "../core/machine.ts";

/** What an operation waits for. */
export interface OperationSubject {
  readonly instance: string;
  readonly action: Digest;
}

/** One operation. */
export interface OperationRecord extends OperationSubject {
  readonly name: string;
  /** Unix ms. */
  readonly acceptedAtMs: number;
  readonly stage: Stage;
}

/** Bounds of what is remembered after the end, for clients that come back. */
export interface OperationsOptions {
  readonly retainMs: number;
  readonly retainedMax: number;
}

/** The operations of one ingress. */
export interface Operations {
  create(name: string, subject: OperationSubject): OperationRecord;
  find(name: string): OperationRecord | undefined;
  /** Records a new stage and wakes whoever watches. Stages after the last are ignored. */
  update(name: string, stage: Stage): void;
  /** Resolves at the next stage, or after `timeoutMs`, or when `signal` aborts. */
  changed(name: string, timeoutMs: number, signal: AbortSignal): Promise<void>;
  /** Operations that have not ended. */
  unfinished(): number;
}

interface Held extends OperationRecord {
  stage: Stage;
  readonly wakers: Set<() => void>;
}

/** Creates the table. */
export function createOperations(
  deps: { readonly now: () => number },
  options: OperationsOptions,
): Operations {
  const heldByName = new Map<string, Held>();
  const finished: { readonly name: string; readonly atMs: number }[] = [];
  let unfinished = 0;

  function forgetOld(): void {
    const before = deps.now() - options.retainMs;
    while (finished.length > 0) {
      const [oldest] = finished;
      if (oldest === undefined) return;
      if (finished.length <= options.retainedMax && oldest.atMs >= before) return;
      finished.shift();
      heldByName.delete(oldest.name);
    }
  }

  return {
    create: (name, subject) => {
      forgetOld();
      const held: Held = {
        ...subject,
        name,
        acceptedAtMs: deps.now(),
        stage: { kind: "queued" },
        wakers: new Set(),
      };
      heldByName.set(name, held);
      unfinished += 1;
      return held;
    },
    find: (name) => heldByName.get(name),
    update: (name, stage) => {
      const held = heldByName.get(name);
      if (held === undefined || isLast(held.stage)) return;
      held.stage = stage;
      if (isLast(stage)) {
        unfinished -= 1;
        finished.push({ name, atMs: deps.now() });
      }
      for (const wake of [...held.wakers]) wake();
    },
    changed: (name, timeoutMs, signal) => {
      const { promise, resolve } = Promise.withResolvers<void>();
      const held = heldByName.get(name);
      const timer = setTimeout(resolve, timeoutMs);
      held?.wakers.add(resolve);
      signal.addEventListener("abort", () => resolve());
      return promise.finally(() => {
        clearTimeout(timer);
        held?.wakers.delete(resolve);
      });
    },
    unfinished: () => unfinished,
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

/** What a name that `nameOperation` made waits for; undefined for any other text. */
export function parseOperationName(name: string): OperationSubject | undefined {
  const match = /^(?:(.*)\/)?operations\/([a-z0-9]+)-([0-9a-f]+)-([0-9]+)\/[^/]+$/.exec(name);
  if (match === null) return undefined;
  const action = parseDigestKey(`${match[2]}:${match[3]}/${match[4]}`);
  return action && { instance: match[1] ?? "", action };
}
