// Answers a query: which targets, and sometimes files, an expression stands for.

import type { Label } from "../builderfile/model.ts";
import { type Place, ProblemError } from "../builderfile/model.ts";
import { hint } from "../builderfile/suggest.ts";
import { MeshError } from "../core/error.ts";
import { type QueryExpression, signatureOf } from "./query-expression.ts";
import { attributeField, attributeNames, attributeText } from "./query-fields.ts";
import { allPaths, type Edges, reachable, reversed, somePath } from "./query-graph.ts";
import type { PlacedTarget } from "./workspace.ts";

/** A target that a query found. */
export interface QueryTarget {
  readonly kind: "target";
  readonly label: string;
  readonly placed: PlacedTarget;
}

/** A file that a query found. Its label is its path in the workspace. */
export interface QueryFile {
  readonly kind: "file";
  readonly label: string;
}

/** What a query finds. Equal things are one object, so that sets can hold them. */
export type QueryItem = QueryTarget | QueryFile;

/** What a query asks of. All throw MeshError for what is not there. */
export interface QueryWorld {
  /** The targets of a pattern. */
  match(pattern: string): readonly QueryTarget[];
  resolve(label: Label, from: string): QueryTarget;
  packageTargets(name: string): readonly QueryTarget[];
  /** The source files of globs in a package. */
  files(folder: string, globs: readonly string[]): readonly string[];
}

/** Variables that an expression may use. */
type Scope = ReadonlyMap<string, ReadonlySet<QueryItem>>;
type Items = ReadonlySet<QueryItem>;
type Call = Extract<QueryExpression, { readonly kind: "call" }>;

/** Everything an expression stands for. ProblemError for what is wrong with it. */
export function evaluateQuery(expression: QueryExpression, world: QueryWorld): Items {
  return new Evaluation(world).evaluate(expression, new Map());
}

/** A target's dependencies; a file has none. Looked up once. */
export function dependencies(world: QueryWorld): Edges<QueryItem> {
  const depsByItem = new Map<QueryItem, readonly QueryItem[]>();
  return (item) => {
    const known = depsByItem.get(item);
    if (known !== undefined) return known;
    const deps =
      item.kind === "file"
        ? []
        : item.placed.target.deps.map((dep) => world.resolve(dep, item.placed.package));
    depsByItem.set(item, deps);
    return deps;
  };
}

class Evaluation {
  readonly #world: QueryWorld;
  readonly #deps: Edges<QueryItem>;
  readonly #fileByPath = new Map<string, QueryFile>();

  constructor(world: QueryWorld) {
    this.#world = world;
    this.#deps = dependencies(world);
  }

  evaluate(expression: QueryExpression, scope: Scope): Items {
    switch (expression.kind) {
      case "word":
        return new Set(this.#match(expression.text, expression.place));
      case "set":
        return new Set(expression.words.flatMap(({ text, place }) => this.#match(text, place)));
      case "variable": {
        const { name, place } = expression;
        const value = scope.get(name);
        if (value !== undefined) return value;
        throw new ProblemError(place, `There is no variable $${name}.${hint(name, scope.keys())}`);
      }
      case "let": {
        const value = this.evaluate(expression.value, scope);
        return this.evaluate(expression.body, new Map([...scope, [expression.name, value]]));
      }
      case "operation": {
        // One set that grows and shrinks: a long row of operators must not copy it each time.
        const found = new Set(this.evaluate(expression.first, scope));
        for (const { operator, right } of expression.rest) {
          const other = this.evaluate(right, scope);
          if (operator === "union") for (const item of other) found.add(item);
          else if (operator === "except") for (const item of other) found.delete(item);
          else for (const item of found) if (!other.has(item)) found.delete(item);
        }
        return found;
      }
      case "call":
        return this.#call(expression, scope);
    }
  }

  #call(call: Call, scope: Scope): Items {
    const kinds = signatureOf(call.name, call.args) ?? [];
    const sets = call.args
      .filter((_, at) => kinds[at] === "set")
      .map((arg) => this.evaluate(arg, scope));
    const words = call.args.flatMap((arg, at) =>
      kinds[at] !== "set" && arg.kind === "word" ? [arg] : [],
    );
    const [first = new Set<QueryItem>(), second] = sets;
    const [word, otherWord] = words;
    const depth = kinds.includes("depth") ? Number(word?.text) : Number.POSITIVE_INFINITY;
    switch (call.name) {
      case "deps":
        return reachable(first, this.#deps, depth);
      case "rdeps":
        return this.#dependents(second === undefined ? undefined : first, second ?? first, depth);
      case "somepath":
        return new Set(somePath(first, second ?? new Set(), this.#deps));
      case "allpaths":
        return allPaths(first, second ?? new Set(), this.#deps);
      case "siblings":
        return new Set(packagesOf(first).flatMap((name) => [...this.#world.packageTargets(name)]));
      case "buildfiles":
        return new Set(
          packagesOf(first).map((name) =>
            this.#file(name === "" ? "Builderfile" : `${name}/Builderfile`),
          ),
        );
      case "labels":
        return this.#labels(word?.text ?? "", call.args[0]?.place ?? call.place, first);
      case "attr": {
        const name = word?.text ?? "";
        if (attributeField(name) === undefined) throw noField(name, word?.place ?? call.place);
        return matching(first, otherWord, (item) =>
          item.kind === "file"
            ? undefined
            : attributeText(item.placed.target, name, item.placed.package),
        );
      }
      case "kind":
        return matching(first, word, typeOf);
      case "filter":
        return matching(first, word, ({ label }) => label);
      case "tests":
        return filtered(first, (item) => typeOf(item) === "test");
    }
  }

  #match(pattern: string, place: Place): readonly QueryTarget[] {
    try {
      return this.#world.match(pattern);
    } catch (error) {
      // What is wrong in a Builderfile has its own place.
      if (!(error instanceof MeshError) || /:\d+:\d+: error: /.test(error.message)) throw error;
      throw new ProblemError(place, error.message);
    }
  }

  /** Who depends on something, among a universe and all that it depends on. */
  #dependents(universe: Items | undefined, items: Items, depth: number): Items {
    const all = reachable(universe ?? this.#world.match("//..."), this.#deps);
    return reachable(all.intersection(items), reversed(all, this.#deps), depth);
  }

  #labels(name: string, place: Place, items: Items): Items {
    const field = attributeField(name);
    if (field === undefined) throw noField(name, place);
    const targets = [...items].filter((item) => item.kind === "target");
    if (field.name === "deps") return new Set(targets.flatMap((item) => this.#deps(item)));
    if (field.name !== "sources" && field.name !== "inputs") {
      throw new ProblemError(
        place,
        `${name} names no targets or files that are there. Ask for deps, sources or inputs.`,
      );
    }
    const globsOf = field.name;
    const files = targets.flatMap(({ placed }) => {
      const globs = placed.target[globsOf];
      return globs.length === 0 ? [] : this.#world.files(placed.package, globs);
    });
    return new Set(files.map((path) => this.#file(path)));
  }

  #file(path: string): QueryFile {
    const known = this.#fileByPath.get(path);
    if (known !== undefined) return known;
    const file: QueryFile = { kind: "file", label: path };
    this.#fileByPath.set(path, file);
    return file;
  }
}

/** What `kind` asks about: a target's type, or `file`. */
export function typeOf(item: QueryItem): string {
  return item.kind === "file" ? "file" : item.placed.target.type;
}

function packagesOf(items: Items): string[] {
  const names = [...items].flatMap((item) => (item.kind === "target" ? [item.placed.package] : []));
  return [...new Set(names)];
}

function filtered(items: Items, keeps: (item: QueryItem) => boolean): Items {
  return new Set([...items].filter(keeps));
}

function matching(
  items: Items,
  regex: { readonly text: string; readonly place: Place } | undefined,
  textFor: (item: QueryItem) => string | undefined,
): Items {
  let pattern: RegExp;
  try {
    pattern = new RegExp(regex?.text ?? "", "u");
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new ProblemError(
      regex?.place ?? { file: "query", line: 1, column: 1 },
      `${why}. Quote the pattern, and put a backslash before a sign that is meant literally.`,
    );
  }
  return filtered(items, (item) => {
    const text = textFor(item);
    return text !== undefined && pattern.test(text);
  });
}

function noField(name: string, place: Place): ProblemError {
  const near = hint(name, attributeNames());
  return new ProblemError(place, `There is no field ${name}.${near} docs/builderfile.md has all.`);
}
