// Names and their values: how they come into a block, and how variables change.

import { findBuiltin } from "./builtins.ts";
import { evaluateExpression } from "./evaluate-expression.ts";
import type { Evaluation } from "./evaluation.ts";
import { type Place, ProblemError } from "./model.ts";
import { hint } from "./suggest.ts";
import type { Statement } from "./syntax.ts";
import { type Binding, type Callable, lookUp, namesIn, type Scope, type Value } from "./values.ts";

/** A block without names yet, in another block or none. */
export function emptyScope(parent: Scope | undefined): Scope {
  return { bindings: new Map(), parent };
}

/** Gives a name its value in this block. Throws ProblemError where it has one. */
export function bind(scope: Scope, name: string, binding: Binding): void {
  const earlier = scope.bindings.get(name);
  if (earlier !== undefined && earlier !== binding) {
    const { file, line } = earlier.place;
    throw new ProblemError(binding.place, `${name} stands already in ${file}:${line}.`);
  }
  scope.bindings.set(name, binding);
}

/** Makes a function or macro known in this block. */
export function declareFunction(
  statement: Statement & { readonly kind: "function" },
  scope: Scope,
): void {
  const { name, isMacro, params, body, place } = statement;
  if (findBuiltin(name) !== undefined) {
    throw new ProblemError(place, `${name} is a function of the language; take another name.`);
  }
  const kind = isMacro ? "macro" : "function";
  bind(scope, name, { value: { kind, name, params, body, scope }, constant: true, place });
}

/** Changes a variable, which only the file that has it may. Throws ProblemError. */
export function assign(
  evaluation: Evaluation,
  { name, value, place }: Statement & { readonly kind: "assignment" },
  scope: Scope,
): void {
  const binding = lookUp(scope, name);
  if (binding === undefined) {
    const near = hint(name, namesIn(scope));
    throw new ProblemError(
      place,
      `There is no variable ${name}.${near} Begin with let ${name} = ….`,
    );
  }
  if (binding.constant || binding.place.file !== place.file) {
    const why = binding.constant ? "constant" : `a variable of ${binding.place.file}`;
    throw new ProblemError(place, `${name} is ${why} and stays as it is.`);
  }
  binding.value = evaluateExpression(evaluation, value, scope);
}

/** The names that the body of a function, macro or lambda begins with. Throws ProblemError. */
export function bindArguments(
  evaluation: Evaluation,
  { name, params, scope }: Callable,
  args: readonly Value[],
  place: Place,
): Scope {
  const inner = emptyScope(scope);
  for (const [at, param] of params.entries()) {
    const given = args[at];
    if (given === undefined && param.default === undefined) {
      throw new ProblemError(place, `${name} wants ${param.name} too.`);
    }
    const value =
      given !== undefined || param.default === undefined
        ? (given ?? null)
        : evaluateExpression(evaluation, param.default, inner);
    bind(inner, param.name, { value, constant: false, place: param.place });
  }
  if (args.length <= params.length) return emptyScope(inner);
  const message = `${name} takes ${params.length}, and is called with ${args.length}.`;
  throw new ProblemError(place, message);
}
