// Statements → raw targets: variables, functions, macros, conditions and loops are used up here;
// what is left is what the indentation syntax says directly.

import { posix } from "node:path";
import { resolvePath, walker } from "./builtins.ts";
import { evaluateCondition, evaluateExpression } from "./evaluate-expression.ts";
import {
  ask,
  beginEvaluation,
  type Evaluation,
  type EvaluationHost,
  evaluationBounds,
} from "./evaluation.ts";
import {
  builderfileBounds,
  type Place,
  type Problem,
  ProblemError,
  type RawField,
  type RawTarget,
  type Read,
} from "./model.ts";
import { parseBraced } from "./parse-braced.ts";
import { assign, bind, bindArguments, declareFunction, emptyScope } from "./scopes.ts";
import type { Expression, Statement } from "./syntax.ts";
import {
  type Binding,
  type Callable,
  isCallable,
  isList,
  kindOf,
  lookUp,
  rawOf,
  type Scope,
  type Value,
} from "./values.ts";

/** What a file declares, everything wrong with it, and what it looked at. */
export interface Evaluated {
  readonly declared: readonly RawTarget[];
  readonly problems: readonly Problem[];
  readonly reads: readonly Read[];
}

/** Where statements stand, which decides what they may be. */
interface Site {
  readonly kind: "file" | "import" | "fields" | "function";
  /** Where fields go. */
  readonly fields: RawField[];
  /** Whether `return` has something to return from. */
  readonly returns: boolean;
}

/** One file on its way through the statements. */
interface Run {
  readonly evaluation: Evaluation;
  readonly what: "target" | "workspace";
  readonly declared: RawTarget[];
  readonly problems: Problem[];
  /** Files being imported, outermost first. */
  readonly importing: string[];
  readonly importedByPath: Map<string, ReadonlyMap<string, Binding>>;
}

/** How statements ended: undefined at their end, else with what is returned. */
type Ending = { readonly value: Value } | undefined;

/**
 * Evaluates a parsed file; `file` is relative to the workspace. A target that goes wrong is
 * reported and left out, anything else that goes wrong ends it. Never throws.
 */
export function evaluateFile(
  statements: readonly Statement[],
  file: string,
  host: EvaluationHost,
  what: Run["what"],
): Evaluated {
  const folder = posix.dirname(file) === "." ? "" : posix.dirname(file);
  const evaluation = beginEvaluation(host, folder, callFunction);
  const run: Run = {
    ...{ evaluation, what, declared: [], problems: [] },
    ...{ importing: [file], importedByPath: new Map() },
  };
  try {
    runStatements(run, statements, emptyScope(undefined), {
      ...{ kind: "file", fields: [], returns: false },
    });
  } catch (error) {
    if (!(error instanceof ProblemError)) throw error;
    run.problems.push(error.problem);
  }
  return { ...run, reads: [...evaluation.reads.values()] };
}

function runStatements(
  run: Run,
  statements: readonly Statement[],
  scope: Scope,
  site: Site,
): Ending {
  // Functions may be called above the line where they stand.
  for (const statement of statements) {
    if (statement.kind === "function") declareFunction(statement, scope);
  }
  for (const statement of statements) {
    run.evaluation.spend(statement.place);
    run.evaluation.enter(statement.place);
    const ending = runStatement(run, statement, scope, site);
    run.evaluation.leave();
    if (ending !== undefined) return ending;
  }
  return undefined;
}

function runStatement(run: Run, statement: Statement, scope: Scope, site: Site): Ending {
  const { evaluation } = run;
  const { place } = statement;
  switch (statement.kind) {
    case "function":
      return undefined;
    case "declaration":
      declare(run, statement, scope, site);
      return undefined;
    case "field":
      addField(run, statement, scope, site);
      return undefined;
    case "block": {
      wantFields(site, statement.name, place);
      const inner: Site = { ...site, fields: [] };
      const ending = runStatements(run, statement.body, emptyScope(scope), inner);
      site.fields.push({
        ...{ name: statement.name, place },
        value: { kind: "map", fields: inner.fields, place },
      });
      return ending;
    }
    case "variable": {
      const value = evaluateExpression(evaluation, statement.value, scope);
      bind(scope, statement.name, { value, constant: statement.constant, place });
      return undefined;
    }
    case "assignment":
      assign(evaluation, statement, scope);
      return undefined;
    case "if": {
      const chosen = statement.branches.find(({ condition }) =>
        evaluateCondition(evaluation, condition, scope),
      );
      return runStatements(run, chosen?.body ?? statement.otherwise, emptyScope(scope), site);
    }
    case "for":
      return loop(run, statement, scope, site);
    case "return": {
      if (!site.returns) throw new ProblemError(place, "return stands in a function or a macro.");
      const { value } = statement;
      return { value: value === undefined ? null : evaluateExpression(evaluation, value, scope) };
    }
    case "call":
      callMacro(run, statement.call, scope, site);
      return undefined;
    case "import":
      importFile(run, statement, scope, site);
      return undefined;
  }
}

/** A target, or what a Builderspace says; what is wrong in it ends only itself. */
function declare(
  run: Run,
  { what, name, body, place }: Statement & { readonly kind: "declaration" },
  scope: Scope,
  site: Site,
): void {
  const { evaluation, declared } = run;
  if (what !== run.what) {
    const wants = what === "workspace" ? "the file Builderspace" : "a Builderfile";
    throw new ProblemError(place, `${what}(…) belongs in ${wants}.`);
  }
  if (site.kind !== "file") throw new ProblemError(place, misplaced[site.kind]);
  if (declared.length >= builderfileBounds.targetsMax) {
    const message = `There are over ${builderfileBounds.targetsMax} targets in one file.`;
    throw new ProblemError(place, message);
  }
  const { depth } = evaluation;
  try {
    const text = evaluateExpression(evaluation, name, scope);
    if (typeof text !== "string") {
      throw new ProblemError(name.place, `The name is a text, not a ${kindOf(text)}.`);
    }
    const fields: RawField[] = [];
    runStatements(run, body, emptyScope(scope), { kind: "fields", fields, returns: false });
    declared.push({ name: text, place: name.place, fields });
  } catch (error) {
    const full = run.problems.length >= builderfileBounds.problemsMax || evaluation.exhausted();
    if (!(error instanceof ProblemError) || full) throw error;
    evaluation.depth = depth;
    const { place: at, message } = error.problem;
    const known = run.problems.some((one) => one.place.line === at.line && one.message === message);
    if (!known) run.problems.push(error.problem);
  }
}

const misplaced: Readonly<Record<Exclude<Site["kind"], "file">, string>> = {
  fields: "A target cannot stand in another one.",
  function: "A function declares no targets; a macro does.",
  import: "An imported file declares no targets. Put them in a macro and call it.",
};

function wantFields(site: Site, name: string, place: Place): void {
  if (site.kind === "fields") return;
  throw new ProblemError(place, `The field ${name} stands in no target.`);
}

function addField(
  { evaluation }: Run,
  { name, place, value }: Statement & { readonly kind: "field" },
  scope: Scope,
  site: Site,
): void {
  wantFields(site, name, place);
  const found = evaluateExpression(evaluation, value, scope);
  const raw = rawOf(found, value, walker(evaluation, value.place));
  if (raw !== undefined) site.fields.push({ name, place, value: raw });
}

function loop(
  run: Run,
  { name, list, body, place }: Statement & { readonly kind: "for" },
  scope: Scope,
  site: Site,
): Ending {
  const items = evaluateExpression(run.evaluation, list, scope);
  if (!isList(items)) {
    const message = `for wants a list, not a ${kindOf(items)}; range(n) is a list of numbers.`;
    throw new ProblemError(list.place, message);
  }
  for (const value of items) {
    run.evaluation.spend(place);
    const inner = emptyScope(scope);
    bind(inner, name, { value, constant: false, place });
    const ending = runStatements(run, body, emptyScope(inner), site);
    if (ending !== undefined) return ending;
  }
  return undefined;
}

/** A macro's statements do what they would do where it is called; its names are its own. */
function callMacro(run: Run, call: Expression, scope: Scope, site: Site): void {
  if (call.kind !== "call") return;
  const { callee, args, place } = call;
  const found = callee.kind === "name" ? lookUp(scope, callee.name)?.value : undefined;
  if (found === undefined || !isCallable(found) || found.kind !== "macro") {
    // A name that is nothing at all has an error of its own.
    evaluateExpression(run.evaluation, call, scope);
    throw new ProblemError(
      callee.place,
      "This gives a value that nothing uses. Macros are called so.",
    );
  }
  const values = args.map((arg) => evaluateExpression(run.evaluation, arg, scope));
  const inner = bindArguments(run.evaluation, found, values, place);
  if (isStatements(found.body)) runStatements(run, found.body, inner, { ...site, returns: true });
}

/** Calls a function or lambda; what `Evaluation.call` does. */
function callFunction(
  evaluation: Evaluation,
  callee: Callable,
  args: readonly Value[],
  place: Place,
): Value {
  if (callee.kind === "macro") {
    const message = `${callee.name} is a macro: it has no value. Call it in a line of its own.`;
    throw new ProblemError(place, message);
  }
  evaluation.spend(place);
  evaluation.enter(place);
  const scope = bindArguments(evaluation, callee, args, place);
  let value: Value = null;
  if (isStatements(callee.body)) {
    const run: Run = {
      ...{ evaluation, what: "target", declared: [], problems: [] },
      ...{ importing: [], importedByPath: new Map() },
    };
    const site: Site = { kind: "function", fields: [], returns: true };
    value = runStatements(run, callee.body, scope, site)?.value ?? null;
  } else {
    value = evaluateExpression(evaluation, callee.body, scope);
  }
  evaluation.leave();
  return value;
}

function isStatements(body: Callable["body"]): body is readonly Statement[] {
  return Array.isArray(body);
}

function importFile(
  run: Run,
  { path: written, place }: Statement & { readonly kind: "import" },
  scope: Scope,
  site: Site,
): void {
  if (site.kind !== "file" && site.kind !== "import") {
    throw new ProblemError(place, "import stands outside of targets, functions and macros.");
  }
  const from = posix.dirname(place.file);
  const named = /\.[^./]*$/.test(written) ? written : `${written}.bldr`;
  const path = resolvePath(named, from === "." ? "" : from, place);
  const known = run.importedByPath.get(path);
  const bindings = known ?? readImport(run, path, place);
  run.importedByPath.set(path, bindings);
  for (const [name, binding] of bindings) {
    const earlier = scope.bindings.get(name);
    if (earlier !== undefined && earlier !== binding) {
      const { file, line } = earlier.place;
      throw new ProblemError(
        place,
        `${path} has ${name}, which stands already in ${file}:${line}.`,
      );
    }
    scope.bindings.set(name, binding);
  }
}

/** What an imported file has of its own; what it imports is not passed on. */
function readImport(run: Run, path: string, place: Place): ReadonlyMap<string, Binding> {
  const { evaluation, importing } = run;
  if (importing.includes(path)) {
    const chain = [...importing.slice(importing.indexOf(path)), path].join(" -> ");
    throw new ProblemError(place, `Files import each other: ${chain}.`);
  }
  if (importing.length > evaluationBounds.importsDeepMax) {
    throw new ProblemError(place, "Imports nest too deep.");
  }
  evaluation.remember({ kind: "file", path });
  const text = ask(place, () => evaluation.host.readFile(path));
  if (text === undefined) throw new ProblemError(place, `There is no file ${path} to import.`);
  if (text.length > builderfileBounds.bytesMax) {
    throw new ProblemError(place, `${path} is over ${builderfileBounds.bytesMax} bytes long.`);
  }
  evaluation.spend(place, 1 + Math.floor(text.length / 64));
  const problems: Problem[] = [];
  const statements = parseBraced(text, path, problems);
  const [first, ...others] = problems;
  if (first !== undefined) {
    run.problems.push(...others);
    throw new ProblemError(first.place, first.message);
  }
  importing.push(path);
  const scope = emptyScope(undefined);
  runStatements(run, statements, scope, { kind: "import", fields: [], returns: false });
  importing.pop();
  return new Map([...scope.bindings].filter(([, binding]) => binding.place.file === path));
}
