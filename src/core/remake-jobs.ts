// The actions that are being made again, who waits for each, and which of them wait for others.
// Bookkeeping only. Invariant: the waiting has no circles, so that every wait ends.

import type { ActionRequest } from "./action.ts";
import { type Digest, digestKey } from "./digest.ts";
import type { Stage } from "./machine.ts";
import type { Claimant, Maker, RemakingOptions } from "./remaking-options.ts";

/** Whatever cannot go on until some actions were made again. */
interface Needing {
  /** Name of an operation or a want, or the key of a job. */
  readonly id: string;
  readonly by: Claimant;
  /** Its needs that are not met yet. */
  readonly needs: Set<Job>;
}

/** An action that is being made again. */
export interface Job extends Needing {
  readonly kind: "job";
  readonly maker: Maker;
  /** Jobs in a row that wait for this one, each lacking what the next one made, and itself. */
  readonly depth: number;
  /** What it has to make, by hash. */
  readonly wanted: Map<string, Digest>;
  readonly waiters: Set<Waiter>;
  /** How often its inputs were found lost. */
  rounds: number;
  /** The operation by which it runs or ran; undefined before. */
  operation: string | undefined;
}

/** An operation that ended for want of inputs, or for another reason that is looked into. */
export interface EndedOperation extends Needing {
  readonly kind: "operation";
  readonly request: ActionRequest;
  /** How it ended; undefined while the ledger has it again. */
  ended: Extract<Stage, { kind: "completed" }> | undefined;
  lacking: readonly Digest[];
  /** How often its inputs were found lost. */
  rounds: number;
}

/** Somebody who reads or asks for lost blobs. */
export interface Want extends Needing {
  readonly kind: "want";
  /** True once any of them was made again. */
  made: boolean;
}

/** Who waits for jobs. */
export type Waiter = Job | EndedOperation | Want;

/** All jobs of an ingress. */
export class RemakeJobs {
  readonly #options: RemakingOptions;
  readonly #jobById = new Map<string, Job>();

  constructor(options: RemakingOptions) {
    this.#options = options;
  }

  find(id: string): Job | undefined {
    return this.#jobById.get(id);
  }

  /** Lets `waiter` wait for `blob` of `maker`; or says why not, as a sentence. */
  join(waiter: Waiter, maker: Maker, blob: Digest): { job: Job; isNew: boolean } | string {
    const { actionsMax, depthMax } = this.#options;
    const key = keyOf(maker);
    const known = this.#jobById.get(key);
    if (known !== undefined && waiter.kind === "job" && reaches(known, waiter)) {
      return `Action ${maker.action.hash} needs what was made from its own outputs.`;
    }
    if (known === undefined && this.#jobById.size >= actionsMax) {
      return `Over ${actionsMax} actions would have to run again.`;
    }
    const depth = waiter.kind === "job" ? waiter.depth + 1 : 1;
    if (depth > depthMax) return `Over ${depthMax} actions in a row would have to run again.`;
    const job = known ?? newJob(key, maker, waiter.by, depth);
    this.#jobById.set(key, job);
    job.wanted.set(blob.hash, blob);
    job.waiters.add(waiter);
    waiter.needs.add(job);
    return { job, isNew: known === undefined };
  }

  /** Ends the waiting of `waiter`; returns the jobs that nobody waits for any more, forgotten. */
  release(waiter: Waiter): Job[] {
    const orphans: Job[] = [];
    const released: Waiter[] = [waiter];
    for (let next = released.pop(); next !== undefined; next = released.pop()) {
      for (const job of next.needs) {
        job.waiters.delete(next);
        if (job.waiters.size > 0) continue;
        this.#jobById.delete(job.id);
        orphans.push(job);
        released.push(job);
      }
      next.needs.clear();
    }
    return orphans;
  }

  /** Forgets a job that ended; returns who waited for it. */
  close(job: Job): readonly Waiter[] {
    this.#jobById.delete(job.id);
    const waiters = [...job.waiters];
    for (const waiter of waiters) waiter.needs.delete(job);
    job.waiters.clear();
    return waiters;
  }
}

function newJob(key: string, maker: Maker, by: Claimant, depth: number): Job {
  const links = { wanted: new Map<string, Digest>(), waiters: new Set<Waiter>() };
  const state = { needs: new Set<Job>(), rounds: 0, operation: undefined };
  return { kind: "job", id: key, maker, by, depth, ...links, ...state };
}

/** True where `from` waits for `to`, or for something that does. */
function reaches(from: Job, to: Job): boolean {
  const seen = new Set([from]);
  for (const job of seen) {
    if (job === to) return true;
    for (const need of job.needs) seen.add(need);
  }
  return false;
}

function keyOf({ action, instance, toolchain }: Maker): string {
  return `${digestKey(action)} ${instance}\t${toolchain}`;
}
