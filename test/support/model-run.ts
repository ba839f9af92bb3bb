// A workspace of the model on disk: does edits, builds after each, and holds every build against
// the reference.

import {
  appendFileSync,
  chmodSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
} from "node:fs";
import { join } from "node:path";
import { failureOf, MeshError } from "../../src/core/error.ts";
import { BuildWorkspace, type Built } from "./build-workspace.ts";
import type { DirectExecutor } from "./direct-executor.ts";
import { ModelDisk, quickFolder } from "./model-disk.ts";
import { type Edit, editState, pathOf } from "./model-edits.ts";
import { type Expected, expectBuild, labelOf } from "./model-reference.ts";
import { firstState, type ModelState } from "./model-workspace.ts";

/** What a run may vary. */
export interface ModelRunOptions {
  readonly createExecutor: () => DirectExecutor;
  /** False where tools are real ones, whose outputs the reference does not know. */
  readonly modelled: boolean;
}

interface Outcome {
  readonly built: Built | undefined;
  readonly error: MeshError | undefined;
}

const wantedSets: readonly (readonly string[] | undefined)[] = [
  ...[undefined, undefined, ["//:app"], ["//:low"], ["//lib:util", "//:app"], ["//:app", "//:gen"]],
];

/** Does edits, with a build after each; rejects with all that was done where one is wrong. */
export async function followEdits(edits: readonly Edit[], options: ModelRunOptions): Promise<void> {
  const run = new ModelRun(options);
  try {
    await run.step({ kind: "nothing", a: 0, b: 0, c: 0, hasty: edits[0]?.hasty ?? false });
    for (const edit of edits) await run.step(edit);
    await run.checkClean();
  } catch (error) {
    throw new Error(`After\n${run.said.join("\n")}\n${String(error)}`, { cause: error });
  } finally {
    run.workspace.remove();
  }
}

/** One sequence of edits. */
class ModelRun {
  readonly workspace = new BuildWorkspace({}, quickFolder);
  readonly disk = new ModelDisk(this.workspace.folder);
  state: ModelState = firstState();
  /** What was done, for people. */
  readonly said: string[] = [];
  readonly #options: ModelRunOptions;
  /** Keys whose results the executor has. */
  readonly #seen = new Set<string>();
  /** Keys whose results may be known without the executor having them. */
  readonly #perhaps = new Set<string>();
  #kept: ModelState = firstState();
  #wanted: readonly string[] | undefined;
  #hook: (() => void) | undefined;

  constructor(options: ModelRunOptions) {
    this.#options = options;
    const executor = options.createExecutor();
    const { execute } = executor;
    executor.execute = (action, call) => {
      this.#hook?.();
      return execute(action, call);
    };
    this.workspace.executor = executor;
    this.disk.write(this.state, 0);
  }

  /** One edit and the build after it. Throws where the build is not as it must be. */
  async step(edit: Edit): Promise<void> {
    this.disk.passGrain();
    this.workspace.aheadMs = edit.hasty ? 0 : 3_600_000;
    const text = edit.kind === "race" ? "race" : this.#edit(edit);
    this.said.push(`${edit.kind}${edit.hasty ? " (hasty)" : ""}: ${text}`);
    if (edit.kind === "race") await this.#race(edit);
    await this.#buildAndCheck();
  }

  /** A build of the same sources where nothing is known gives the same. */
  async checkClean(): Promise<void> {
    const clean = new ModelRun(this.#options);
    try {
      clean.disk.write(this.state, 0);
      clean.state = this.state;
      clean.#wanted = this.#wanted;
      const here = await this.#build();
      const there = await clean.#build();
      same("a clean build ends alike", ending(here), ending(there));
      for (const path of placedBy(there)) {
        const [ours, theirs] = [contentOf(this.workspace, path), contentOf(clean.workspace, path)];
        same(`${path} as a clean build makes it`, ours, theirs);
      }
    } finally {
      clean.workspace.remove();
    }
  }

  #labels(): string[] {
    const there = this.state.targets.map(labelOf);
    const root = there.filter((label) => label.startsWith("//:"));
    return this.#wanted?.filter((label) => there.includes(label)) ?? root;
  }

  #expect(state: ModelState): Expected {
    return expectBuild(state, this.#labels(), (path) => this.#isFolder(path));
  }

  #isFolder(path: string): boolean {
    return statSync(this.workspace.path(path), { throwIfNoEntry: false })?.isDirectory() ?? false;
  }

  async #build(): Promise<Outcome> {
    try {
      const names = this.#wanted === undefined ? {} : { names: this.#labels() };
      const built = await this.workspace.build({
        ...names,
        keepGoing: true,
        env: this.state.tools,
      });
      return { built, error: undefined };
    } catch (error) {
      if (error instanceof MeshError) return { built: undefined, error };
      throw error;
    }
  }

  async #buildAndCheck(): Promise<void> {
    const expected = this.#expect(this.state);
    const ranBefore = this.workspace.executor.ran.length;
    const outcome = await this.#build();
    const ran = new Set(this.workspace.executor.ran.slice(ranBefore));
    this.#checkEnding(expected, outcome);
    this.#checkRan(expected, ran, failuresOf(outcome));
    if (this.#options.modelled) this.#checkOutputs(expected);
    for (const path of placedBy(outcome)) this.disk.placed.add(path);
  }

  #checkEnding(expected: Expected, { built, error }: Outcome): void {
    const refused = error === undefined ? "" : ` (${error.message})`;
    same(`it is refused${refused}`, error !== undefined, expected.refused !== undefined);
    if (built === undefined || !this.#options.modelled) return;
    const failed = expected.actions.filter(({ ok }) => !ok).map(({ id }) => id);
    same(`failures ${built.failures.join("; ")}`, failuresOf({ built, error }), failed.sort());
    same("success", built.ok, expected.ok);
  }

  /** Runs what was never run, and nothing else. */
  #checkRan({ actions }: Expected, ran: ReadonlySet<string>, failed: readonly string[]): void {
    const foreseen = actions.filter(({ ok }) => !ok).map(({ id }) => id);
    // Real tools fail where the model does not, and the other way round.
    if (!this.#options.modelled && foreseen.sort().join() !== failed.join()) return;
    const may = actions.filter(({ key, always }) => always || !this.#seen.has(key));
    const must = may.filter(({ key, always }) => always || !this.#perhaps.has(key));
    const named = new Set(may.map(({ id }) => id));
    same("actions that ran for no reason", [...ran].filter((id) => !named.has(id)).sort(), []);
    const lacking = must.filter(({ id }) => !ran.has(id)).map(({ id }) => id);
    if (this.#options.modelled) same("actions that had to run", lacking.sort(), []);
    for (const { id, key, exitCode } of actions) {
      if (ran.has(id) && exitCode === 0) this.#seen.add(key);
    }
  }

  #checkOutputs({ outputs }: Expected): void {
    for (const [path, { text, executable }] of outputs) {
      same(path, contentOf(this.workspace, path), `${executable ? "x" : "-"} ${text}`);
    }
  }

  #edit(edit: Edit): string {
    const edited = editState(this.state, edit);
    if (edited !== undefined) {
      this.state = edited.state;
      this.disk.write(this.state, edit.c);
      return edited.say;
    }
    return this.#editWorld(edit) ?? this.#editOutput(edit) ?? "nothing";
  }

  #editWorld(edit: Edit): string | undefined {
    const folder = this.workspace.path(".builder");
    switch (edit.kind) {
      case "touch":
      case "sameTime":
      case "rewrite":
        return this.#rewrite(edit);
      case "keep":
        this.#kept = this.state;
        return "remember this version";
      case "switch": {
        const other = this.#kept;
        this.#kept = this.state;
        this.state = other;
        this.disk.write(other, edit.c);
        return "the other version";
      }
      case "dropState":
        rmSync(folder, { recursive: true, force: true });
        this.#perhaps.clear();
        return "remove .builder";
      case "cutState": {
        const size = statSync(join(folder, "state"), { throwIfNoEntry: false })?.size ?? 0;
        if (size === 0) return undefined;
        const at = (edit.a * 997 + edit.b) % size;
        truncateSync(join(folder, "state"), at);
        // The record of an unchanged build answers without the state.
        if (edit.c % 2 === 0) return `cut the state at ${at}`;
        const records = join(folder, "unchanged");
        const names = existsSync(records) ? readdirSync(records) : [];
        for (const name of names) truncateSync(join(records, name), at % 997);
        this.#perhaps.clear();
        return `cut the state and the records at ${at}`;
      }
      case "forget":
        this.workspace.executor.forget();
        for (const key of this.#seen) this.#perhaps.add(key);
        this.#seen.clear();
        return "the executor forgets everything";
      case "wanted":
        this.#wanted = wantedSets[edit.a % wantedSets.length];
        return `want ${this.#wanted?.join(" ") ?? "everything"}`;
      default:
        return undefined;
    }
  }

  /** The same file again, or another of the same size and time, in place or put over it. */
  #rewrite({ kind, a, b, c }: Edit): string | undefined {
    const path = pathOf(this.state, { kind, a, b, c, hasty: false });
    const file = this.state.files.get(path);
    if (file === undefined || file.link !== undefined) return undefined;
    const { atimeMs, mtimeMs } = statSync(this.workspace.path(path));
    const next = kind === "sameTime" ? { ...file, value: 10 + (b % 90) } : file;
    this.state = { ...this.state, files: new Map(this.state.files).set(path, next) };
    this.disk.write(this.state, c);
    if (kind === "sameTime") {
      utimesSync(this.workspace.path(path), atimeMs / 1000, mtimeMs / 1000);
      return `${path}: value ${next.value}, time set back`;
    }
    this.disk.put(path, next, c);
    return `write ${path} again`;
  }

  #editOutput(edit: Edit): string | undefined {
    const there = [...this.disk.placed].filter((path) => existsSync(this.workspace.path(path)));
    const path = there[edit.a % there.length];
    if (path === undefined) return undefined;
    const file = this.workspace.path(path);
    if (edit.kind === "dropOutput") rmSync(file);
    else if (edit.kind === "editOutput") appendFileSync(file, "x");
    else if (edit.kind === "modeOutput") chmodSync(file, 0o744 ^ (statSync(file).mode & 0o100));
    else if (edit.kind === "linkOutput") {
      rmSync(file);
      this.workspace.write("notes", "no target's\n");
      symlinkSync(this.workspace.path("notes"), file);
    } else return undefined;
    return path;
  }

  /** A value changes while the first action of a build runs. */
  async #race(edit: Edit): Promise<void> {
    const before = this.#expect(this.state);
    const changed = editState(this.state, { ...edit, kind: "value" })?.state ?? this.state;
    const after = this.#expect(changed);
    let pending = true;
    const change = () => {
      if (!pending) return;
      pending = false;
      this.disk.passGrain();
      this.state = changed;
      this.disk.write(changed, edit.c);
    };
    this.#hook = change;
    const outcome = await this.#build();
    this.#hook = undefined;
    if (outcome.built !== undefined && this.#options.modelled) {
      const wrong = [before, after].map((expected) => this.#differences(expected));
      if (wrong.every((paths) => paths.length > 0)) same("outputs of one version", wrong, []);
    }
    for (const { key } of [...before.actions, ...after.actions]) this.#perhaps.add(key);
    change();
    this.said.push(`  raced, ${outcome.error?.message ?? "it succeeded"}`);
    this.disk.passGrain();
  }

  #differences({ outputs }: Expected): string[] {
    return [...outputs].flatMap(([path, { text, executable }]) =>
      contentOf(this.workspace, path) === `${executable ? "x" : "-"} ${text}` ? [] : [path],
    );
  }
}

function placedBy({ built }: Outcome): string[] {
  return (built?.events ?? []).flatMap((event) =>
    event.kind === "target" && event.ok ? event.outputs : [],
  );
}

function failuresOf({ built }: Outcome): string[] {
  const failed = (built?.events ?? []).flatMap((event) =>
    event.kind === "action" && (event.exitCode !== 0 || event.failure !== "") ? [event.id] : [],
  );
  return failed.sort();
}

function ending({ built, error }: Outcome): string {
  if (built === undefined) return `refused: ${failureOf(error).code}`;
  return `${built.ok} ${built.failures.map((text) => text.split(" ").slice(0, 3).join(" ")).sort()}`;
}

/** Mode and bytes, as Latin-1 so that every difference counts. */
function contentOf(workspace: BuildWorkspace, path: string): string {
  const stat = statSync(workspace.path(path), { throwIfNoEntry: false });
  if (!stat?.isFile()) return "nothing";
  const text = readFileSync(workspace.path(path), "latin1");
  return `${(stat.mode & 0o100) === 0 ? "-" : "x"} ${text}`;
}

/** Plain and quick: it is called a million times. */
function same(what: string, is: unknown, must: unknown): void {
  const [left, right] = [JSON.stringify(is) ?? "", JSON.stringify(must) ?? ""];
  if (left === right) return;
  let at = 0;
  while (left[at] === right[at]) at += 1;
  const from = Math.max(0, at - 200);
  const around = (text: string) => text.slice(from, at + 200);
  throw new Error(`${what}:\n  is   ${around(left)}\n  must ${around(right)}`);
}
