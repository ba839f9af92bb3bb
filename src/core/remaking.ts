// Makes lost blobs again: where a worker finds that nobody alive has an input, the action that made
// it runs once more, and what missed it goes on; its client sees a longer wait.
//
// Stands before the ledger. What clients were told names who made a blob (origins.ts). An operation
// that ended without a run is looked into; if it lacked blobs whose makers are all known, these run
// again, after theirs where need be, and it is submitted anew. Anything else is told as it ended.

import type { ActionRequest } from "./action.ts";
import type { Digest } from "./digest.ts";
import type { Effect, Input, Machine, Stage } from "./machine.ts";
import { Origins } from "./origins.ts";
import { Outbox } from "./outbox.ts";
import {
  type EndedOperation,
  type Job,
  RemakeJobs,
  type Waiter,
  type Want,
} from "./remake-jobs.ts";
import { type RemakingInput, type RemakingOptions, remakingDefaults } from "./remaking-options.ts";

/** What of a kind happened outside. */
type Of<K extends RemakingInput["kind"]> = Extract<RemakingInput, { kind: K }>;

/** Wraps the ledger; every input that is not about lost blobs goes through to it. */
export class Remaking implements Machine {
  readonly #ledger: Machine;
  readonly #options: RemakingOptions;
  readonly #origins: Origins;
  readonly #jobs: RemakeJobs;
  readonly #out = new Outbox();
  /** Unfinished operations of clients. */
  readonly #requests = new Map<string, ActionRequest>();
  /** Those of them that ended once. */
  readonly #endedOperations = new Map<string, EndedOperation>();
  readonly #wants = new Map<string, Want>();
  readonly #jobByOperation = new Map<string, Job>();
  /** What was asked of the store, the first to be given up first. */
  readonly #asked = new Map<string, { of: Job | EndedOperation; dueAtMs: number }>();
  #runs = 0;

  constructor(ledger: Machine, options: RemakingOptions = remakingDefaults) {
    this.#ledger = ledger;
    this.#options = options;
    this.#origins = new Origins(options);
    this.#jobs = new RemakeJobs(options);
  }

  /** Accepted operations that the ledger does not have while what they lack is made. */
  get waiting(): number {
    let count = 0;
    for (const { ended } of this.#endedOperations.values()) if (ended !== undefined) count += 1;
    return count;
  }

  /** False where none of these blobs can be made again for this client. */
  knowsMaker(by: Pick<ActionRequest, "user" | "invocation">, blobs: readonly Digest[]): boolean {
    return this.#origins.knows(by, blobs);
  }

  get wakeAtMs(): number {
    const first = this.#asked.values().next().value;
    return Math.min(this.#ledger.wakeAtMs, first?.dueAtMs ?? Number.POSITIVE_INFINITY);
  }

  handle(input: Input, nowMs: number): readonly Effect[] {
    this.#decide(input, nowMs);
    return this.#out.take();
  }

  #decide(input: Input, nowMs: number): void {
    switch (input.kind) {
      case "submit":
        if (this.#endedOperations.get(input.operation)?.ended !== undefined) return;
        this.#requests.set(input.operation, input.request);
        this.#feed(input, nowMs);
        return;
      case "abandon":
        this.#abandon(input.operation, nowMs);
        return;
      case "wake":
        if (this.#ledger.wakeAtMs <= nowMs) this.#feed(input, nowMs);
        this.#giveUp(nowMs);
        return;
      case "told":
        this.#origins.tell(input.by, input.maker, input.blobs, nowMs);
        return;
      case "wanted":
        this.#want(input, nowMs);
        return;
      case "examined":
        this.#examined(input, nowMs);
        return;
      case "prepared":
      case "unprepared":
        this.#prepared(input, nowMs);
        return;
      default:
        this.#feed(input, nowMs);
    }
  }

  /** Gives the ledger an input, and looks at what it wants told. */
  #feed(input: Input, nowMs: number): void {
    for (const effect of this.#ledger.handle(input, nowMs)) {
      if (effect.kind !== "publish") {
        this.#out.push(effect);
        continue;
      }
      const { operations, stage } = effect;
      const told = operations.filter((operation) => this.#mayTell(operation, stage, nowMs));
      this.#out.publish(told, stage);
    }
  }

  /** False for a stage that no client is to hear of, or not yet. */
  #mayTell(operation: string, stage: Stage, nowMs: number): boolean {
    const job = this.#jobByOperation.get(operation);
    if (job !== undefined) {
      this.#onRun(job, operation, stage, nowMs);
      return false;
    }
    if (stage.kind === "queued" || stage.kind === "executing") return true;
    const request = this.#requests.get(operation);
    if (request !== undefined && stage.kind === "completed" && !hasRun(stage)) {
      const ended = this.#endedOperations.get(operation) ?? newOperation(operation, request);
      this.#endedOperations.set(operation, ended);
      ended.ended = stage;
      this.#examine(ended, operation, stage, nowMs);
      return false;
    }
    this.#forget(operation);
    return true;
  }

  #forget(operation: string): void {
    this.#requests.delete(operation);
    this.#endedOperations.delete(operation);
  }

  #abandon(id: string, nowMs: number): void {
    const operation = this.#endedOperations.get(id);
    this.#forget(id);
    if (operation?.ended === undefined) {
      this.#feed({ kind: "abandon", operation: id }, nowMs);
      return;
    }
    this.#asked.delete(`examine ${id}`);
    this.#release(operation, nowMs);
  }

  #want({ want, by, blobs }: Of<"wanted">, nowMs: number): void {
    const waiter: Want = { kind: "want", id: want, by, needs: new Set(), made: false };
    if (this.#wants.size < this.#options.waitersMax) {
      const maker = this.#origins.finder(by, nowMs);
      // Those that no action made are the client's own.
      const made = blobs.filter((blob) => maker(blob) !== undefined);
      this.#need(waiter, made, nowMs);
    }
    if (waiter.needs.size > 0) this.#wants.set(want, waiter);
    else this.#out.push({ kind: "settled", want, made: false });
  }

  #examined(found: Of<"examined">, nowMs: number): void {
    const asked = this.#asked.get(`examine ${found.operation}`);
    if (asked === undefined) return;
    this.#asked.delete(`examine ${found.operation}`);
    if (asked.of.kind === "job") this.#ranAgain(asked.of, found, nowMs);
    else this.#ended(asked.of, found, nowMs);
  }

  /** An operation ended without a run; `missing` inputs may be why. */
  #ended(operation: EndedOperation, { ending, missing }: Of<"examined">, nowMs: number): void {
    const maker = this.#origins.finder(operation.by, nowMs);
    const isHopeless = ending !== "lacked" || operation.rounds >= this.#options.roundsMax;
    const isCrowded = this.waiting > this.#options.waitersMax;
    if (isHopeless || isCrowded || missing.some((blob) => maker(blob) === undefined)) {
      this.#tellEnd(operation);
      return;
    }
    operation.rounds += 1;
    operation.lacking = missing;
    this.#out.publish([operation.id], { kind: "queued" });
    const why = this.#need(operation, missing, nowMs);
    if (why !== undefined) this.#fail(operation, why, nowMs);
    else if (operation.needs.size === 0) this.#goOn(operation, nowMs);
  }

  /** As if nobody had looked. */
  #tellEnd({ id, ended }: EndedOperation): void {
    this.#forget(id);
    if (ended !== undefined) this.#out.publish([id], ended);
  }

  /** Lets `waiter` wait for the makers of these; or says why it cannot. */
  #need(waiter: Waiter, blobs: readonly Digest[], nowMs: number): string | undefined {
    const finder = this.#origins.finder(waiter.by, nowMs);
    let why: string | undefined;
    for (const blob of blobs) {
      const maker = finder(blob);
      const joined = maker && this.#jobs.join(waiter, maker, blob);
      if (joined === undefined) why ??= `Nobody knows what made ${blob.hash}, which is lost too.`;
      else if (typeof joined === "string") why ??= joined;
      else if (joined.isNew) this.#prepare(joined.job, nowMs);
    }
    return why;
  }

  #prepare(job: Job, nowMs: number): void {
    const { id, maker, by } = job;
    this.#ask(`prepare ${id}`, job, nowMs);
    this.#out.push({ kind: "prepare", job: id, maker, by });
  }

  #prepared(input: Of<"prepared" | "unprepared">, nowMs: number): void {
    const job = this.#jobs.find(input.job);
    if (!this.#asked.delete(`prepare ${input.job}`) || job === undefined) return;
    if (input.kind === "unprepared") this.#failJob(job, input.failure.message, nowMs);
    else if (input.missing.length > 0) this.#lacks(job, input.missing, nowMs);
    else this.#run(job, input.request, nowMs);
  }

  #run(job: Job, request: ActionRequest, nowMs: number): void {
    this.#runs += 1;
    const operation = `remakes/${this.#runs}`;
    job.operation = operation;
    this.#jobByOperation.set(operation, job);
    const { action } = job.maker;
    this.#out.note({ name: "remake-begun", action, blobs: job.wanted.size });
    this.#feed({ kind: "submit", operation, request: { ...request, ...job.by } }, nowMs);
  }

  /** A job's run got on. */
  #onRun(job: Job, operation: string, stage: Stage, nowMs: number): void {
    if (stage.kind === "queued" || stage.kind === "executing") return;
    this.#jobByOperation.delete(operation);
    const why = whyInVain(stage);
    if (why !== undefined) this.#failJob(job, why, nowMs);
    else if (stage.kind === "completed") this.#examine(job, operation, stage, nowMs);
  }

  #ranAgain(job: Job, { ending, missing, made }: Of<"examined">, nowMs: number): void {
    if (ending === "lacked") {
      this.#lacks(job, missing, nowMs);
      return;
    }
    const hashes = new Set(made.map(({ hash }) => hash));
    const differing = [...job.wanted.keys()].find((hash) => !hashes.has(hash));
    if (ending === "refused" || differing !== undefined) {
      const other = `It made something else than ${differing} this time: it is not deterministic.`;
      this.#failJob(job, ending === "refused" ? "No worker took it." : other, nowMs);
      return;
    }
    this.#out.note({ name: "remake-done", action: job.maker.action });
    for (const waiter of this.#jobs.close(job)) {
      if (waiter.kind === "want") waiter.made = true;
      if (waiter.needs.size === 0) this.#goOn(waiter, nowMs);
    }
  }

  /** A job's own inputs are lost: their makers come first. */
  #lacks(job: Job, missing: readonly Digest[], nowMs: number): void {
    job.rounds += 1;
    if (job.rounds > this.#options.roundsMax) {
      this.#failJob(job, "Its inputs are lost again and again.", nowMs);
      return;
    }
    const why = this.#need(job, missing, nowMs);
    if (why !== undefined) this.#failJob(job, why, nowMs);
    else if (job.needs.size === 0) this.#prepare(job, nowMs);
  }

  /** All that a waiter needed is there. */
  #goOn(waiter: Waiter, nowMs: number): void {
    if (!this.#lives(waiter)) return;
    if (waiter.kind === "job") this.#prepare(waiter, nowMs);
    else if (waiter.kind === "want") this.#settle(waiter);
    else {
      const { id: operation, request } = waiter;
      waiter.ended = undefined;
      this.#feed({ kind: "submit", operation, request }, nowMs);
    }
  }

  #settle({ id: want, made }: Want): void {
    this.#wants.delete(want);
    this.#out.push({ kind: "settled", want, made });
  }

  /** Ends a job in vain, and all that cannot go on without it. */
  #failJob(job: Job, why: string, nowMs: number): void {
    const { action } = job.maker;
    this.#out.note({ name: "remake-failed", action, why });
    const text = `Action ${action.hash} would have to run again for it, in vain: ${why}`;
    this.#dropJob(job, text, nowMs);
  }

  #dropJob(job: Job, why: string, nowMs: number): void {
    this.#callOff(job, nowMs);
    this.#release(job, nowMs);
    for (const waiter of this.#jobs.close(job)) {
      if (!this.#lives(waiter)) continue;
      if (waiter.kind === "job") this.#dropJob(waiter, why, nowMs);
      else if (waiter.kind === "operation") this.#fail(waiter, why, nowMs);
      else if (waiter.needs.size === 0) this.#settle(waiter);
    }
  }

  /** Tells an operation that what it lacks cannot be made again. */
  #fail(operation: EndedOperation, why: string, nowMs: number): void {
    const { id, lacking } = operation;
    this.#forget(id);
    this.#release(operation, nowMs);
    const blobs = `${lacking[0]?.hash}${lacking.length > 1 ? ` and ${lacking.length - 1} more` : ""}`;
    const message = `No host has an input any more: ${blobs}. ${why} Build again what makes it.`;
    const failure = { code: "FAILED_PRECONDITION", message } as const;
    this.#out.publish([id], { kind: "failed", failure, missing: lacking });
  }

  /** Nobody waits any more for what only `waiter` did. */
  #release(waiter: Waiter, nowMs: number): void {
    for (const orphan of this.#jobs.release(waiter)) this.#callOff(orphan, nowMs);
  }

  #callOff({ id, operation }: Job, nowMs: number): void {
    this.#asked.delete(`prepare ${id}`);
    if (operation === undefined) return;
    this.#asked.delete(`examine ${operation}`);
    if (!this.#jobByOperation.delete(operation)) return;
    this.#feed({ kind: "abandon", operation }, nowMs);
  }

  #lives(waiter: Waiter): boolean {
    if (waiter.kind === "job") return this.#jobs.find(waiter.id) === waiter;
    if (waiter.kind === "want") return this.#wants.get(waiter.id) === waiter;
    return this.#endedOperations.get(waiter.id) === waiter && waiter.ended !== undefined;
  }

  #examine(
    of: Job | EndedOperation,
    operation: string,
    { outcome }: Extract<Stage, { kind: "completed" }>,
    nowMs: number,
  ): void {
    if (outcome.kind !== "result") return;
    this.#ask(`examine ${operation}`, of, nowMs);
    const action = of.kind === "job" ? of.maker.action : of.request.action;
    this.#out.push({ kind: "examine", operation, action, response: outcome.response });
  }

  #ask(key: string, of: Job | EndedOperation, nowMs: number): void {
    this.#asked.set(key, { of, dueAtMs: nowMs + this.#options.lookMs });
  }

  /** Ends what the store did not answer in time. */
  #giveUp(nowMs: number): void {
    for (const [key, { of, dueAtMs }] of this.#asked) {
      if (dueAtMs > nowMs) return;
      this.#asked.delete(key);
      if (of.kind === "job") this.#failJob(of, "Its store does not answer.", nowMs);
      else this.#tellEnd(of);
    }
  }
}

function newOperation(id: string, request: ActionRequest): EndedOperation {
  const { user, invocation, priority } = request;
  const by = { user, invocation, priority };
  const rest = { needs: new Set<Job>(), ended: undefined, lacking: [], rounds: 0 };
  return { kind: "operation", id, by, request, ...rest };
}

/** False for an action whose response is a reason not to run it. */
function hasRun({ outcome }: Extract<Stage, { kind: "completed" }>): boolean {
  return outcome.kind !== "result" || outcome.exitCode !== undefined;
}

/** Why a run can have made nothing; undefined where it may have. */
function whyInVain(stage: Stage): string | undefined {
  if (stage.kind === "failed") return stage.failure.message;
  if (stage.kind !== "completed") return undefined;
  const { outcome } = stage;
  if (outcome.kind === "fault") return outcome.failure.message;
  const isFailed = outcome.exitCode !== undefined && outcome.exitCode !== 0;
  return isFailed ? `It ended with exit code ${outcome.exitCode} this time.` : undefined;
}
