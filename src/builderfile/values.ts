// What expressions are worth while a Builderfile is evaluated, and what such a value is as the
// value of a field.

import { type Place, ProblemError, type RawValue } from "./model.ts";
import type { Expression, Parameter, Statement } from "./syntax.ts";

/** A value. A list or map is never changed once it is made. */
export type Value =
  | string
  | number
  | boolean
  | null
  | readonly Value[]
  | ReadonlyMap<string, Value>
  | Callable;

/** A function, a macro or a lambda, with the names it sees. */
export interface Callable {
  readonly kind: "function" | "macro" | "lambda";
  readonly name: string;
  readonly params: readonly Parameter[];
  readonly body: readonly Statement[] | Expression;
  readonly scope: Scope;
}

/** A name's value. */
export interface Binding {
  value: Value;
  readonly constant: boolean;
  readonly place: Place;
}

/** The names of a block; those of the blocks around it are seen too. */
export interface Scope {
  readonly bindings: Map<string, Binding>;
  readonly parent: Scope | undefined;
}

/** What a name stands for, in this block or around it. */
export function lookUp(scope: Scope, name: string): Binding | undefined {
  for (let at: Scope | undefined = scope; at !== undefined; at = at.parent) {
    const found = at.bindings.get(name);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Every name seen from a block, for hints. */
export function namesIn(scope: Scope): string[] {
  const names: string[] = [];
  for (let at: Scope | undefined = scope; at !== undefined; at = at.parent) {
    names.push(...at.bindings.keys());
  }
  return names;
}

/** Whether a value is a list. */
export function isList(value: Value): value is readonly Value[] {
  return Array.isArray(value);
}

/** Whether a value is a map. */
export function isMap(value: Value): value is ReadonlyMap<string, Value> {
  return value instanceof Map;
}

/** Whether a value can be called. */
export function isCallable(value: Value): value is Callable {
  return typeof value === "object" && value !== null && !isList(value) && !isMap(value);
}

/** What kind of value it is, in words. */
export function kindOf(value: Value): string {
  if (value === null) return "null";
  if (isList(value)) return "list";
  if (isMap(value)) return "map";
  if (typeof value === "string") return "text";
  if (typeof value === "boolean") return "true or false";
  return typeof value === "number" ? "number" : value.kind;
}

/** A text, number or truth value as a text. Throws ProblemError for anything else. */
export function textOf(value: Value, place: Place): string {
  if (typeof value === "string") return value;
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  const remedy = isList(value) ? " Join it first: join(list, separator)." : "";
  throw new ProblemError(place, `A ${kindOf(value)} cannot be put in a text.${remedy}`);
}

/** Whether two values are the same, lists and maps by what is in them; `spend` bounds the walk. */
export function isSame(a: Value, b: Value, spend: (depth: number) => void, depth = 0): boolean {
  spend(depth);
  if (a === b) return true;
  if (isList(a) && isList(b)) {
    return (
      a.length === b.length && a.every((item, at) => isSame(item, b[at] ?? null, spend, depth + 1))
    );
  }
  if (isMap(a) && isMap(b)) {
    const same = ([name, item]: [string, Value]) =>
      b.has(name) && isSame(item, b.get(name) ?? null, spend, depth + 1);
    return a.size === b.size && [...a].every(same);
  }
  return false;
}

/**
 * A value as the raw value of a field, undefined for null: the field, item or entry is left out.
 * `from` gives each part the place where it is written, as far as it is written there; `spend`
 * bounds the walk.
 */
export function rawOf(
  value: Value,
  from: Expression,
  spend: (depth: number) => void,
  depth = 0,
): RawValue | undefined {
  const { place } = from;
  spend(depth);
  if (value === null) return undefined;
  if (isList(value)) {
    const written = from.kind === "list" && from.items.length === value.length;
    const items = value.flatMap((item, at) => {
      const part = written ? (from.items[at] ?? from) : from;
      return rawOf(item, part, spend, depth + 1) ?? [];
    });
    return { kind: "list", items, place };
  }
  if (isMap(value)) {
    const written = new Map(from.kind === "map" ? from.entries.map((one) => [one.name, one]) : []);
    const fields = [...value].flatMap(([name, item]) => {
      const entry = written.get(name);
      const raw = rawOf(item, entry?.value ?? from, spend, depth + 1);
      return raw === undefined ? [] : [{ name, place: entry?.place ?? place, value: raw }];
    });
    return { kind: "map", fields, place };
  }
  if (!isCallable(value)) return { kind: "scalar", text: String(value), place };
  const { kind, name } = value;
  throw new ProblemError(place, `A ${kind} is no value of a field. Call it: ${name}(…).`);
}
