// What a build of a model workspace must give and what it may run, worked out from the model alone:
// no digest, no state, no input tree of the product is used.

import { createHash } from "node:crypto";
import { posix } from "node:path";
import picomatch from "picomatch";
import { type MadeText, reach, runTool, type ToolFiles } from "./model-tools.ts";
import { fileAt, type ModelState, type ModelTarget, parentOf, textOf } from "./model-workspace.ts";

/** One action as the reference sees it. */
export interface ExpectedAction {
  readonly id: string;
  /**
   * Everything that its tool could read: command line, environment, and the content of every file
   * that its includes could mean. Two equal keys must be one run.
   */
  readonly key: string;
  readonly exitCode: number;
  /** Runs each time (`cache: false`). */
  readonly always: boolean;
  /** False where it failed or did not make what it declares. */
  readonly ok: boolean;
}

/** A build as it must be. */
export interface Expected {
  /** Why it cannot even be planned; undefined for a build that runs. */
  readonly refused: string | undefined;
  /** Those whose inputs are made, in order. */
  readonly actions: readonly ExpectedAction[];
  /** Path → content of every file of the wanted targets that succeed. */
  readonly outputs: ReadonlyMap<string, MadeText>;
  readonly ok: boolean;
}

/** What the reference looks at beside the model: folders that are on disk. */
export type FolderExists = (path: string) => boolean;

interface Done {
  readonly target: ModelTarget;
  readonly below: readonly Done[];
  readonly ok: boolean;
  /** At their places in the workspace. */
  readonly products: ReadonlyMap<string, MadeText>;
}

const headerEnding = /\.(h|hh|hpp|hxx|inc|ipp|tcc|def)$/;
const baseEnv = {
  ...{ HOME: "/tmp", LANG: "C.UTF-8", PATH: "/usr/local/bin:/usr/bin:/bin" },
  ...{ SOURCE_DATE_EPOCH: "315532800", TZ: "UTC" },
};

/** The label of a target. */
export function labelOf({ package: folder, name }: Pick<ModelTarget, "package" | "name">): string {
  return `//${folder}:${name}`;
}

/** Works a build out; `wanted` are labels. */
export function expectBuild(
  state: ModelState,
  wanted: readonly string[],
  folderExists: FolderExists,
): Expected {
  const reference = new Reference(state, folderExists);
  try {
    const done = wanted.map((label) => reference.plan(label));
    const outputs = new Map(done.flatMap(({ products }) => [...products]));
    const ok = done.every((one) => one.ok) && reference.allOk;
    return { refused: undefined, actions: reference.actions, outputs, ok };
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return { refused: error.message, actions: [], outputs: new Map(), ok: false };
  }
}

class Refusal extends Error {}

class Reference {
  readonly actions: ExpectedAction[] = [];
  allOk = true;
  readonly #state: ModelState;
  readonly #folderExists: FolderExists;
  readonly #doneByLabel = new Map<string, Done>();

  constructor(state: ModelState, folderExists: FolderExists) {
    this.#state = state;
    this.#folderExists = folderExists;
  }

  plan(label: string): Done {
    const known = this.#doneByLabel.get(label);
    if (known !== undefined) return known;
    const target = this.#state.targets.find((one) => labelOf(one) === label);
    if (target === undefined) throw new Refusal(`no ${label}`);
    const below = (target.fields["deps"] ?? []).map((dep) =>
      this.plan(dep.startsWith("//") ? dep : `//${target.package}:${dep}`),
    );
    const done = target.type === "custom" ? this.#custom(target, below) : this.#cpp(target, below);
    this.#doneByLabel.set(label, done);
    if (!done.ok) this.allOk = false;
    return done;
  }

  #text(path: string): string | undefined {
    const file = fileAt(this.#state, path);
    return file && textOf(file);
  }

  /** Path and everything about a file that an action can see. */
  #seen(path: string): string {
    return JSON.stringify([path, this.#text(path), fileAt(this.#state, path)?.executable]);
  }

  #matching(folder: string, glob: string): string[] {
    const matches = picomatch(posix.join(folder, glob), { dot: true });
    const all = [...this.#state.files.keys()];
    return all.filter((path) => matches(path) && this.#text(path) !== undefined).sort();
  }

  #record(
    { cache, ...target }: ModelTarget,
    step: string,
    key: unknown,
    exitCode: number,
    ok = exitCode === 0,
  ): void {
    const text = JSON.stringify([key, Object.entries(target.env).sort(), cache]);
    const hash = createHash("sha256").update(text).digest("hex");
    const id = `${labelOf(target)} ${step}`;
    this.actions.push({ id, key: hash, exitCode, ok, always: !cache });
  }

  #custom(target: ModelTarget, below: readonly Done[]): Done {
    const inputs = (target.fields["inputs"] ?? []).flatMap((glob) => {
      const found = this.#matching(target.package, glob);
      if (found.length === 0) throw new Refusal(`nothing matches ${glob}`);
      return found;
    });
    const blocked = { target, below, ok: false, products: new Map() };
    if (!below.every(({ ok }) => ok)) return blocked;
    const made = new Map(below.flatMap(({ products }) => [...products]));
    const env = { ...baseEnv, ...target.env };
    const argv = ["/bin/sh", "-e", "-c", `${target.command}\n`];
    const files: ToolFiles = {
      folderExists: () => true,
      read: (path) =>
        made.get(path)?.text ?? (inputs.includes(path) ? this.#text(path) : undefined),
    };
    const end = runTool({ argv, env, workingDirectory: target.package }, files);
    const globs = (target.fields["outputs"] ?? []).map((glob) => posix.join(target.package, glob));
    const products = new Map<string, MadeText>();
    for (const [path, file] of end.made) {
      if (globs.some((glob) => path.startsWith(`${glob}/`) || picomatch.isMatch(path, glob))) {
        products.set(path, file);
      }
    }
    const full = globs.every((glob) =>
      [...products.keys()].some(
        (path) => path.startsWith(`${glob}/`) || picomatch.isMatch(path, glob),
      ),
    );
    const asked = globs.map((glob) => glob.split("/*")[0]).sort();
    const seen = [...new Set(inputs)].sort().map((path) => this.#seen(path));
    const key = [argv, target.package, asked, seen, [...made].sort()];
    const ok = end.exitCode === 0 && full;
    this.#record(target, "Custom", key, end.exitCode, ok);
    return { ...blocked, ok, products: ok ? products : new Map() };
  }

  #cpp(target: ModelTarget, below: readonly Done[]): Done {
    const all = everythingBelow(below);
    const commands = all.filter((done) => done.target.type === "custom");
    const promised = commands.flatMap((done) =>
      (done.target.fields["outputs"] ?? []).map((glob) => posix.join(done.target.package, glob)),
    );
    const sources = new Set<string>();
    for (const glob of target.fields["sources"] ?? []) {
      const path = posix.join(target.package, glob);
      const found = this.#matching(target.package, glob);
      const made = promised.filter((one) => one === path || picomatch.isMatch(one, path));
      if (found.length + made.length === 0) throw new Refusal(`nothing matches ${glob}`);
      for (const one of [...found, ...made]) sources.add(one);
    }
    const folders = [target, ...orderBelow(below)].flatMap((one) =>
      (one.fields["includes"] ?? []).map((folder) => posix.join(one.package, folder)),
    );
    const scope = { target, folders: [...new Set(folders)], commands, promised };
    const objects = [...sources].sort().map((source) => this.#compile(scope, source));
    return this.#join(target, below, objects);
  }

  #compile(scope: Scope, source: string): MadeText | undefined {
    const { target, folders, commands, promised } = scope;
    const flags = target.fields["flags"] ?? [];
    const path = `.builder/out/${posix.join(target.package, target.name)}/objects/${source}.o`;
    const argv = [
      ...(this.#state.tools["CC"] ?? "").split(" "),
      ...flags,
      ...folders.flatMap((folder) => ["-I", folder === "" ? "." : folder]),
      ...["-c", source, "-o", path],
    ];
    const env = { ...baseEnv, ...target.env };
    const forced = flags.flatMap((flag, at) => (flag === "-include" ? [flags[at + 1] ?? ""] : []));
    const search = [...folders, ...flags.flatMap((flag) => /^-I(.+)/.exec(flag)?.[1] ?? [])];
    const isMade = (name: string) =>
      promised.some((glob) => glob === name || picomatch.isMatch(name, glob));
    const sight = this.#sight([source, ...forced], search, isMade);
    if (sight.made) {
      for (const place of [...search, parentOf(source), target.package]) {
        for (const file of this.#state.files.keys()) {
          const inside = place === "" || file.startsWith(`${place}/`);
          if (inside && headerEnding.test(file)) sight.start.push(file);
        }
      }
      Object.assign(sight, this.#sight(sight.start, search, isMade), { made: true });
      if (!commands.every(({ ok }) => ok)) return undefined;
    }
    const products = new Map(commands.flatMap((done) => [...done.products]));
    const files: ToolFiles = {
      folderExists: (name) => this.#hasFolder(name) || hasBelow(products.keys(), name),
      read: (name) => (isMade(name) ? products.get(name)?.text : this.#text(name)),
    };
    const end = runTool({ argv, env, workingDirectory: "" }, files);
    const through = [...search, ...sight.through].filter(
      (name) => this.#folderExists(name) || hasBelow(promised, name),
    );
    const seen = [...sight.files].sort().map((name) => this.#seen(name));
    const made = sight.made ? [...products].sort() : [];
    const key = [argv, seen, [...new Set(through)].sort(), made];
    this.#record(target, `CppCompile ${source}`, key, end.exitCode);
    return end.made.get(path);
  }

  #hasFolder(name: string): boolean {
    return this.#folderExists(name) || hasBelow(this.#state.files.keys(), name);
  }

  /** Every file that includes may mean, conditions counted as true, in any folder of the search. */
  #sight(start: readonly string[], search: readonly string[], isMade: (path: string) => boolean) {
    const files = new Set<string>();
    const through = new Set<string>();
    const queue = [...start];
    let made = start.some(isMade);
    for (let path = queue.pop(); path !== undefined; path = queue.pop()) {
      if (files.has(path) || isMade(path) || this.#text(path) === undefined) continue;
      files.add(path);
      for (const [, kind, name = ""] of (this.#text(path) ?? "").matchAll(
        /^#(?:include |if __has_include\()(["<])([^">]+)[">]/gm,
      )) {
        const own = kind === '"' ? [parentOf(path)] : [];
        for (const folder of [...own, ...search]) {
          const way = `${folder === "" ? "." : folder}/${name}`;
          const found = reach(way, () => true);
          if (found === undefined) continue;
          if (isMade(found)) made = true;
          else if (this.#text(found) === undefined) continue;
          for (const climbed of climbs(way)) through.add(climbed);
          queue.push(found);
        }
      }
    }
    return { files, through, made, start: [...start] };
  }

  /** A library's archive or a program. */
  #join(target: ModelTarget, below: readonly Done[], compiled: (MadeText | undefined)[]): Done {
    const isLibrary = target.type === "library";
    const base = `.builder/out/${posix.join(target.package, target.name)}`;
    const made = isLibrary ? `${base}/lib${target.name}.a` : `${base}/program/${target.name}`;
    const place = posix.join(target.package, "bin", posix.basename(made));
    const none = { target, below, ok: false, products: new Map() };
    if (compiled.length === 0) {
      if (!isLibrary) throw new Refusal(`${target.name} has no sources`);
      return { ...none, ok: true };
    }
    const objects = compiled.flatMap((object) => object ?? []);
    const paths = objects.map(({ text }) => /-o (\S+)/.exec(text)?.[1] ?? "");
    const libraries = orderBelow(below).filter((one) => one.type === "library");
    const archives = isLibrary
      ? []
      : libraries
          .map((one) => this.#doneByLabel.get(labelOf(one)))
          .filter((one) => one !== undefined);
    if (objects.length < compiled.length || archives.some(({ ok }) => !ok)) return none;
    const inputs = new Map(objects.map((object, at) => [paths[at] ?? "", object]));
    for (const { target: one, products } of archives) {
      const from = `.builder/out/${posix.join(one.package, one.name)}/lib${one.name}.a`;
      for (const product of products.values()) inputs.set(from, product);
    }
    const { CC = "", AR = "" } = this.#state.tools;
    const argv = isLibrary
      ? [AR, "rcsD", made, ...paths]
      : [
          ...[...CC.split(" "), ...(target.fields["flags"] ?? []), ...inputs.keys()],
          ...(target.fields["link_flags"] ?? []),
          ...["-o", made],
        ];
    const env = { ...baseEnv, ...target.env };
    const files = { folderExists: () => true, read: (path: string) => inputs.get(path)?.text };
    const end = runTool({ argv, env, workingDirectory: "" }, files);
    const step = isLibrary ? "CppArchive" : "CppLink";
    this.#record(target, step, [argv, [...inputs]], end.exitCode);
    const product = end.made.get(made);
    if (end.exitCode !== 0 || product === undefined) return none;
    return { ...none, ok: true, products: new Map([[place, product]]) };
  }
}

interface Scope {
  readonly target: ModelTarget;
  readonly folders: readonly string[];
  readonly commands: readonly Done[];
  readonly promised: readonly string[];
}

function everythingBelow(below: readonly Done[]): Done[] {
  return [...new Set(below.flatMap((done) => [done, ...everythingBelow(done.below)]))];
}

/** As a linker wants it: each before what it needs itself, the first named first. */
function orderBelow(below: readonly Done[]): ModelTarget[] {
  const order: ModelTarget[] = [];
  const seen = new Set<ModelTarget>();
  const visit = (done: Done): void => {
    if (seen.has(done.target)) return;
    seen.add(done.target);
    done.below.forEach(visit);
    order.push(done.target);
  };
  below.forEach(visit);
  return order.reverse();
}

function hasBelow(paths: Iterable<string>, folder: string): boolean {
  for (const path of paths) if (path.startsWith(`${folder}/`)) return true;
  return false;
}

/** The folders that `way` enters and leaves again. */
function climbs(way: string): string[] {
  const parts = way.split("/").filter((part) => part !== ".");
  return parts.flatMap((part, at) =>
    part === ".." && at > 0 && parts[at - 1] !== ".."
      ? [posix.normalize(parts.slice(0, at).join("/"))]
      : [],
  );
}
