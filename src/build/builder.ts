// A build: plan, run what is ready with bounded parallelism, put the wanted files in place,
// remember.

import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { digestKey } from "../core/digest.ts";
import { failureOf, MeshError } from "../core/error.ts";
import { type ActionRunnerDeps, goneBlobs, runAction, stateKeyOf } from "./action-runner.ts";
import type { BuildAction, MadeFile } from "./build-action.ts";
import type { BuildEvent, BuildSummary } from "./build-event.ts";
import type { PlannedTarget, RuleDeps } from "./cpp-rules.ts";
import type { ActionExecutor } from "./executor.ts";
import { type BuildPlan, planBuild } from "./plan.ts";
import { type BuildState, type Look, openState } from "./state.ts";
import { labelOf, type PlacedTarget, type Workspace } from "./workspace.ts";

/** What a build works with. */
export interface BuilderDeps {
  /** Opened when the first action must run; `remote: false` targets get the local one. */
  readonly executorFor: (action: BuildAction) => Promise<ActionExecutor>;
  readonly emit: (event: BuildEvent) => void;
  readonly now: () => number;
}

/** What to build and how. */
export interface BuildOptions {
  readonly workspace: Workspace;
  readonly wanted: readonly PlacedTarget[];
  /** Run the wanted tests too. */
  readonly test: boolean;
  /** Most actions at once. */
  readonly jobs: number;
  /** Go on with what does not depend on a failure. */
  readonly keepGoing: boolean;
  readonly compilers: RuleDeps["compilers"];
  readonly signal: AbortSignal;
}

/** Builds. Throws MeshError for what is wrong with the request; failing commands are events. */
export async function build(deps: BuilderDeps, options: BuildOptions): Promise<BuildSummary> {
  const startedAtMs = deps.now();
  const state = openState(options.workspace.root, deps.now);
  const key = buildKey(options);
  const unchanged = unchangedBuild(state, key);
  if (unchanged !== undefined) {
    for (const target of options.wanted) {
      const label = labelOf(target);
      deps.emit({ kind: "target", label, ok: true, cached: true, ...unchanged, outputs: [] });
    }
    const ms = deps.now() - startedAtMs;
    const summary = { ok: true, ms, ran: 0, cached: 0, kept: 0, failed: 0, skipped: 0 };
    deps.emit({ kind: "finished", ...summary });
    return summary;
  }
  const plan = planBuild(options.workspace, options.wanted, options);
  const runDeps = { ...deps, root: options.workspace.root, state };
  let run = new BuildRun(runDeps, options, plan);
  try {
    let outputs = await runToEnd(run).catch((error: unknown) => {
      if (goneBlobs(error).size === 0) throw error;
    });
    if (outputs === undefined) {
      // What the last build made is gone from the store: nothing that is remembered counts.
      state.dropResults();
      run = new BuildRun(runDeps, options, plan);
      outputs = await runToEnd(run);
    }
    if (run.failed === 0) remember(state, key, options.workspace, plan, outputs, run.newestMs);
  } finally {
    state.save();
  }
  const { ran, cached, kept, failed, skipped } = run;
  const ok = failed === 0 && skipped === 0;
  const summary = { ok, ms: deps.now() - startedAtMs, ran, cached, kept, failed, skipped };
  deps.emit({ kind: "finished", ...summary });
  return summary;
}

async function runToEnd(run: BuildRun): Promise<string[]> {
  await run.finish();
  return run.placeOutputs();
}

function buildKey(options: BuildOptions): string {
  const labels = options.wanted.map(labelOf).sort();
  return JSON.stringify([labels, options.test, options.compilers]);
}

/** The last build of the same targets, if everything it looked at looks the same. */
function unchangedBuild(state: BuildState, key: string): { storedAtMs: number } | undefined {
  const last = state.build(key);
  if (last === undefined) return undefined;
  for (const [path, look] of Object.entries(last.looks)) {
    if (state.look(path) !== look) return undefined;
  }
  return { storedAtMs: last.storedAtMs };
}

/** Keeps what the answer depends on, unless a source was touched too recently to be sure of it. */
function remember(
  state: BuildState,
  key: string,
  workspace: Workspace,
  plan: BuildPlan,
  outputs: readonly string[],
  storedAtMs: number,
): void {
  if (plan.actions.some((action) => !action.cache)) return;
  const looks: Record<string, Look> = {};
  const sources = plan.actions.flatMap((action) =>
    action.inputs.flatMap((input) => (input.kind === "source" ? [input.path] : [])),
  );
  for (const path of sources) {
    const look = state.settledLook(path);
    if (look === undefined) return;
    looks[path] = look;
  }
  const builderfiles = workspace
    .builderfiles()
    .map((file) => file.slice(workspace.root.length + 1));
  // Folders change their look when a file comes or goes: a new header may win over an old one.
  const folders = sources.map((path) => path.slice(0, Math.max(0, path.lastIndexOf("/"))));
  for (const path of [...builderfiles, ...folders, ...plan.files.folders(), ...outputs]) {
    looks[path] ??= state.look(path);
  }
  state.keepBuild(key, { storedAtMs, looks });
}

/** One build in progress. */
class BuildRun {
  ran = 0;
  cached = 0;
  kept = 0;
  failed = 0;
  skipped = 0;
  /** When the newest result that was used had been stored. */
  newestMs = 0;
  readonly #deps: ActionRunnerDeps;
  readonly #options: BuildOptions;
  readonly #plan: BuildPlan;
  readonly #invocation = randomUUID();
  readonly #madeBy = new Map<BuildAction, readonly MadeFile[]>();
  readonly #waiting: Set<BuildAction>;
  readonly #lost = new Set<BuildAction>();
  readonly #fresh = new Set<BuildAction>();
  readonly #runningByTarget = new Map<string, number>();
  readonly #ranTargets = new Set<string>();
  readonly #abort = new AbortController();
  #running = 0;

  constructor(deps: ActionRunnerDeps, options: BuildOptions, plan: BuildPlan) {
    this.#deps = deps;
    this.#options = options;
    this.#plan = plan;
    this.#waiting = new Set(plan.actions);
    options.signal.addEventListener("abort", () => this.#abort.abort());
  }

  /** Runs everything that can run. Rejects where an action could not be tried at all. */
  finish(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const step = (): void => {
      for (const action of this.#takeReady()) {
        this.#run(action).then(step, (error: unknown) => {
          this.#abort.abort();
          reject(error);
        });
      }
      if (this.#running > 0) return;
      this.skipped = this.#waiting.size;
      resolve();
    };
    step();
    return promise;
  }

  /** Writes the wanted targets' files where the workspace lacks them; tells of each target. */
  async placeOutputs(): Promise<string[]> {
    const placed: string[] = [];
    for (const planned of this.#plan.wanted) {
      const ok = this.#isDone(planned);
      const outputs = ok ? await this.#place(planned) : [];
      placed.push(...outputs);
      const label = planned.node.label;
      const cached = !this.#ranTargets.has(label);
      const storedAtMs = this.newestMs;
      this.#deps.emit({ kind: "target", label, ok, cached, storedAtMs, outputs });
    }
    return placed;
  }

  #isDone({ actions, test }: PlannedTarget): boolean {
    const needed = this.#options.test && test !== undefined ? [...actions, test] : actions;
    return needed.every((action) => this.#madeBy.has(action));
  }

  async #place({ finals, products, actions }: PlannedTarget): Promise<string[]> {
    const made = products.flatMap((action) => this.#madeBy.get(action) ?? []);
    const pathByMade = new Map(finals.map(({ made: from, path }) => [from, path]));
    const outputs: string[] = [];
    for (const file of made) {
      const path = pathByMade.get(file.path) ?? file.path;
      outputs.push(path);
      if (this.#isThere(path, file)) continue;
      const [action] = actions;
      if (action === undefined) continue;
      const executor = await this.#deps.executorFor(action);
      await executor.download(file.digest, join(this.#deps.root, path), file);
    }
    return outputs;
  }

  #isThere(path: string, file: MadeFile): boolean {
    if (this.#deps.state.look(path) === "-") return false;
    return this.#deps.state.digestOf(path).hash === file.digest.hash;
  }

  #takeReady(): BuildAction[] {
    if (this.#abort.signal.aborted || (this.failed > 0 && !this.#options.keepGoing)) return [];
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
    return inputs.every((input) => input.kind === "source" || this.#madeBy.has(input.by));
  }

  async #run(action: BuildAction): Promise<void> {
    try {
      const call = {
        invocation: this.#invocation,
        signal: this.#abort.signal,
        fresh: this.#fresh.has(action),
      };
      const done = await runAction(this.#deps, action, this.#madeBy, call);
      this.newestMs = Math.max(this.newestMs, done.storedAtMs);
      this[done.how] += 1;
      if (done.how === "ran") this.#ranTargets.add(action.target);
      if (done.ok) this.#madeBy.set(action, done.made);
      else this.failed += 1;
    } catch (error) {
      await this.#remake(action, error);
    } finally {
      this.#running -= 1;
      this.#runningByTarget.set(action.target, (this.#runningByTarget.get(action.target) ?? 1) - 1);
    }
  }

  /** A made input is gone from the store: whoever made it runs again, then this one. */
  async #remake(action: BuildAction, error: unknown): Promise<void> {
    const gone = goneBlobs(error);
    const makers = action.inputs.flatMap((input) => {
      if (input.kind === "source") return [];
      const made = this.#madeBy.get(input.by) ?? [];
      return made.some(({ digest }) => gone.has(digestKey(digest))) ? [input.by] : [];
    });
    if (makers.length === 0 || this.#lost.has(action)) throw describe(action, error);
    this.#lost.add(action);
    for (const maker of makers) {
      this.#deps.state.dropResult(await stateKeyOf(this.#deps, maker, this.#madeBy));
      this.#madeBy.delete(maker);
      this.#fresh.add(maker);
      this.#waiting.add(maker);
    }
    this.#waiting.add(action);
  }
}

function describe(action: BuildAction, error: unknown): MeshError {
  const failure = failureOf(error);
  return new MeshError(failure.code, `${action.id}: ${failure.message}`, { cause: error });
}
