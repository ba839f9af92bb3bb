// A build in progress: runs what is ready with bounded parallelism, makes again what the store has
// lost, puts the wanted files in their places.

import { randomUUID } from "node:crypto";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { digestKey, sameDigest } from "../core/digest.ts";
import { failureOf, MeshError } from "../core/error.ts";
import type { BuildAction } from "../rules/build-action.ts";
import type { BuildPlan } from "../rules/plan.ts";
import { type PlannedTarget, placeOf } from "../rules/rule.ts";
import { retryOf } from "../rules/test-runs.ts";
import { missingOf } from "../wire/status.ts";
import { statOf } from "../workspace/look.ts";
import {
  type ActionRunnerDeps,
  type FinishedAction,
  movedFolder,
  runAction,
  stateKeyOf,
} from "./action-runner.ts";
import type { BuildSummary } from "./build-event.ts";
import type { MadeFile } from "./prepared-action.ts";
import type { PlacedFile } from "./unchanged.ts";

/** How to run. */
export interface BuildRunOptions {
  readonly jobs: number;
  readonly keepGoing: boolean;
  readonly download: Download;
  /** Further attempts of a failed test; undefined leaves it to each target. */
  readonly flakyRetries: number | undefined;
  readonly signal: AbortSignal;
}

/** Which outputs come to the workspace: of all targets, of those that were asked for, or none. */
export type Download = "all" | "top" | "none";

/** The files of a wanted target, relative to the workspace. */
export interface PlacedOutputs {
  readonly label: string;
  readonly paths: readonly string[];
}

/** Times that one action may be made again because the store had lost what it made. */
const remakesMax = 3;

/** One build. Use once. */
export class BuildRun {
  /** When the newest result that was used had been stored, Unix ms. */
  newestMs = 0;
  readonly counts: { -readonly [K in keyof Omit<BuildSummary, "ok" | "ms">]: number } = {
    ...{ ran: 0, cached: 0, kept: 0, failed: 0, skipped: 0, flaky: 0 },
  };
  readonly #deps: ActionRunnerDeps;
  readonly #options: BuildRunOptions;
  readonly #plan: BuildPlan;
  readonly #invocation = randomUUID();
  readonly #madeBy = new Map<BuildAction, readonly MadeFile[]>();
  readonly #waiting: Set<BuildAction>;
  readonly #remakesByAction = new Map<BuildAction, number>();
  readonly #runningByTarget = new Map<string, number>();
  readonly #ranTargets = new Set<string>();
  readonly #placedByPath = new Map<string, PlacedFile>();
  readonly #abort = new AbortController();
  #running = 0;

  constructor(deps: ActionRunnerDeps, options: BuildRunOptions, plan: BuildPlan) {
    this.#deps = deps;
    this.#options = options;
    this.#plan = plan;
    this.#waiting = new Set([...plan.actions].sort((a, b) => a.priority - b.priority));
    if (options.signal.aborted) this.#abort.abort();
    options.signal.addEventListener("abort", () => this.#abort.abort());
  }

  /** Runs everything that can run and places what is wanted. Rejects where that is impossible. */
  async finish(): Promise<PlacedOutputs[]> {
    try {
      await this.#runAll();
      // What cannot be fetched any more is made again.
      while (await this.#placeAll()) await this.#runAll();
      return this.#plan.wanted.map((planned) => this.#tell(planned));
    } finally {
      removeFolder(join(this.#deps.root, movedFolder));
    }
  }

  #runAll(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const errors: unknown[] = [];
    const step = (): void => {
      for (const action of this.#takeReady()) {
        this.#run(action).then(step, (error: unknown) => {
          errors.push(error);
          this.#abort.abort();
          step();
        });
      }
      if (this.#running > 0) return;
      this.counts.skipped = this.#waiting.size;
      // Nothing is left running behind an error.
      if (errors.length > 0) reject(errors[0]);
      else resolve();
    };
    step();
    return promise;
  }

  #takeReady(): BuildAction[] {
    const stopped = this.counts.failed > 0 && !this.#options.keepGoing;
    if (stopped || this.#abort.signal.aborted) return [];
    const ready: BuildAction[] = [];
    for (const action of this.#waiting) {
      if (this.#running >= this.#options.jobs) break;
      const mates = this.#runningByTarget.get(action.target) ?? 0;
      if (mates >= (action.parallelism ?? Number.POSITIVE_INFINITY)) continue;
      if (!this.#isReady(action)) continue;
      this.#waiting.delete(action);
      this.#runningByTarget.set(action.target, mates + 1);
      this.#running += 1;
      ready.push(action);
    }
    return ready;
  }

  #isReady({ inputs }: BuildAction): boolean {
    return inputs.every((input) => input.kind !== "made" || this.#madeBy.has(input.by));
  }

  async #run(action: BuildAction): Promise<void> {
    try {
      const done = await this.#attempt(action);
      this.newestMs = Math.max(this.newestMs, done.storedAtMs);
      this.counts[done.how] += 1;
      if (done.how === "ran") this.#ranTargets.add(action.target);
      if (done.ok) this.#madeBy.set(action, done.made);
      else this.counts.failed += 1;
    } catch (error) {
      // A made input is gone from the store: whoever made it runs again, then this one.
      if (!(await this.#remakeInputs(action, error))) throw this.#explain(action, error);
    } finally {
      this.#running -= 1;
      this.#runningByTarget.set(action.target, (this.#runningByTarget.get(action.target) ?? 1) - 1);
    }
  }

  /** Runs an action; a test that fails, as often as it may. */
  async #attempt(action: BuildAction): Promise<FinishedAction> {
    const attemptsMax = 1 + this.#retriesOf(action);
    for (let attempt = 1; ; attempt += 1) {
      const tried = attempt === 1 ? action : retryOf(action, attempt);
      const done = await runAction(this.#deps, tried, this.#madeBy, {
        invocation: this.#invocation,
        signal: this.#abort.signal,
        fresh: this.#remakesByAction.has(action),
        attempt,
        mayTryAgain: attempt < attemptsMax,
      });
      if (done.ok && attempt > 1) this.counts.flaky += 1;
      if (done.ok || attempt >= attemptsMax || this.#abort.signal.aborted) return done;
    }
  }

  #retriesOf(action: BuildAction): number {
    if (action.mnemonic !== "TestRun") return 0;
    const planned = this.#plan.wanted.find(({ node }) => node.label === action.target);
    return this.#options.flakyRetries ?? planned?.node.target.flakyRetries ?? 0;
  }

  async #remakeInputs(action: BuildAction, error: unknown): Promise<boolean> {
    const gone = new Set(missingOf(error).map(digestKey));
    if (gone.size === 0) return false;
    const makers = action.inputs.flatMap((input) => {
      if (input.kind !== "made") return [];
      const made = this.#madeBy.get(input.by);
      // What nobody has made now is being made again already, for another that missed it.
      const lost = made?.some(({ digest }) => gone.has(digestKey(digest))) ?? true;
      return lost ? [input.by] : [];
    });
    if (makers.length === 0) return false;
    for (const maker of makers) if (!(await this.#remake(maker))) return false;
    this.#waiting.add(action);
    return true;
  }

  /** Lets an action run again, at most so many times. */
  async #remake(maker: BuildAction): Promise<boolean> {
    if (!this.#madeBy.has(maker)) return true;
    const remakes = (this.#remakesByAction.get(maker) ?? 0) + 1;
    if (remakes > remakesMax) return false;
    this.#remakesByAction.set(maker, remakes);
    // At once: others that miss the same must find it being made, not count one more remake.
    this.#madeBy.delete(maker);
    this.#deps.state.dropResult(await stateKeyOf(this.#deps, maker, this.#madeBy));
    this.#waiting.add(maker);
    return true;
  }

  #explain(action: BuildAction, error: unknown): MeshError {
    const edited = action.inputs.find(
      (input) => input.kind === "source" && this.#deps.state.hasChanged(input.path),
    );
    if (edited?.kind === "source") {
      const message = `${edited.path} was changed while it was being built. Build again.`;
      return new MeshError("ABORTED", message, { cause: error });
    }
    const failure = failureOf(error);
    return new MeshError(failure.code, `${action.id}: ${failure.message}`, { cause: error });
  }

  #isDone({ actions, node }: PlannedTarget): boolean {
    const needed = [...actions, ...(this.#plan.testsByLabel.get(node.label) ?? [])];
    return needed.every((action) => this.#madeBy.has(action));
  }

  /** Every file that is in its place now. */
  placed(): readonly PlacedFile[] {
    return [...this.#placedByPath.values()];
  }

  /** Writes what the workspace lacks; true where something of it must be made again first. */
  async #placeAll(): Promise<boolean> {
    let again = false;
    const { download } = this.#options;
    if (download === "none") return false;
    for (const planned of download === "all" ? this.#plan.targets : this.#plan.wanted) {
      if (!this.#isDone(planned)) continue;
      for (const maker of planned.products) {
        for (const made of this.#madeBy.get(maker) ?? []) {
          const path = placeOf(planned, made.path);
          if (path === undefined) continue;
          if (!this.#isThere(path, made)) again = (await this.#place(maker, made, path)) || again;
          this.#placedByPath.set(path, { ...made, path, remote: maker.remote });
        }
      }
    }
    return again && !this.#abort.signal.aborted;
  }

  async #place(maker: BuildAction, made: MadeFile, path: string): Promise<boolean> {
    const executor = await this.#deps.executorFor(maker);
    try {
      await executor.download(made.digest, join(this.#deps.root, path), made);
      return false;
    } catch (error) {
      const gone = failureOf(error).code === "NOT_FOUND";
      if (gone && (await this.#remake(maker))) return true;
      const { code, message } = failureOf(error);
      throw new MeshError(code, `Cannot write ${path}: ${message}`, { cause: error });
    }
  }

  #isThere(path: string, { digest, executable }: MadeFile): boolean {
    const stat = statOf(join(this.#deps.root, path));
    if (stat === undefined) return false;
    if (stat.isDirectory()) {
      const message = `${path} is a folder, where a file should be written. Remove it.`;
      throw new MeshError("FAILED_PRECONDITION", message);
    }
    const same = stat.isFile() && ((stat.mode & 0o100n) !== 0n) === executable;
    return same && sameDigest(this.#deps.state.digestOf(path), digest);
  }

  #tell(planned: PlannedTarget): PlacedOutputs {
    const { label } = planned.node;
    const ok = this.#isDone(planned);
    const made = ok ? planned.products.flatMap((action) => this.#madeBy.get(action) ?? []) : [];
    const paths = made
      .flatMap((file) => placeOf(planned, file.path) ?? [])
      .filter((path) => this.#placedByPath.has(path));
    const cached = !this.#ranTargets.has(label);
    const storedAtMs = this.newestMs;
    this.#deps.emit({ kind: "target", label, ok, cached, storedAtMs, outputs: paths });
    return { label, paths };
  }
}

/** Leaves a path that is not there alone. */
function removeFolder(path: string): void {
  if (statOf(path) !== undefined) rmSync(path, { recursive: true, force: true });
}
