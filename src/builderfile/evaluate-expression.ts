// Expressions → values. Every step is counted and every level too: no text makes it run for long.

import { builtinNames, callBuiltin, checkListLength, findBuiltin, walker } from "./builtins.ts";
import { checkText, type Evaluation } from "./evaluation.ts";
import { type Place, ProblemError } from "./model.ts";
import { hint } from "./suggest.ts";
import type { BinaryOperator, Expression, MapEntry } from "./syntax.ts";
import {
  isCallable,
  isList,
  isMap,
  isSame,
  kindOf,
  lookUp,
  namesIn,
  type Scope,
  textOf,
  type Value,
} from "./values.ts";

/** The value of an expression. Throws ProblemError. */
export function evaluateExpression(
  evaluation: Evaluation,
  expression: Expression,
  scope: Scope,
): Value {
  evaluation.spend(expression.place);
  evaluation.enter(expression.place);
  const value = resultOf(evaluation, expression, scope);
  evaluation.leave();
  return value;
}

/** A condition's value. Throws ProblemError for what is neither true nor false. */
export function evaluateCondition(
  evaluation: Evaluation,
  expression: Expression,
  scope: Scope,
): boolean {
  const value = evaluateExpression(evaluation, expression, scope);
  if (typeof value === "boolean") return value;
  const message = `This wants true or false, not a ${kindOf(value)}. Compare it: … != "".`;
  throw new ProblemError(expression.place, message);
}

function resultOf(evaluation: Evaluation, expression: Expression, scope: Scope): Value {
  const inner = (part: Expression) => evaluateExpression(evaluation, part, scope);
  const { place } = expression;
  switch (expression.kind) {
    case "literal":
      return expression.value;
    case "plain": {
      const value = lookUp(scope, expression.head)?.value;
      const isVariable = value !== undefined && !(isCallable(value) && value.kind !== "lambda");
      return isVariable && (isMap(value) || !expression.ofMap)
        ? inner(expression.expression)
        : expression.text;
    }
    case "template": {
      const parts = expression.parts.map((part) =>
        typeof part === "string" ? part : textOf(inner(part), part.place),
      );
      checkText(
        evaluation,
        parts.reduce((sum, part) => sum + part.length, 0),
        place,
      );
      return parts.join("");
    }
    case "name":
      return named(expression.name, place, scope);
    case "list":
      return expression.items.map(inner);
    case "map":
      return mapOf(evaluation, expression.entries, scope);
    case "unary": {
      if (expression.operator === "!")
        return !evaluateCondition(evaluation, expression.operand, scope);
      return -numberOf(inner(expression.operand), place, "-");
    }
    case "binary":
      return binary(evaluation, expression, scope);
    case "choice":
      return evaluateCondition(evaluation, expression.condition, scope)
        ? inner(expression.yes)
        : inner(expression.no);
    case "call":
      return call(evaluation, expression, scope);
    case "index":
      return indexed(inner(expression.of), inner(expression.index), place);
    case "slice":
      return sliced(evaluation, expression, scope);
    case "member":
      return memberOf(inner(expression.of), expression.name, place);
    case "lambda": {
      const { params, body } = expression;
      return { kind: "lambda", name: "function", params, body, scope };
    }
  }
}

function named(name: string, place: Place, scope: Scope): Value {
  const binding = lookUp(scope, name);
  if (binding !== undefined) return binding.value;
  if (findBuiltin(name) !== undefined) {
    throw new ProblemError(
      place,
      `${name} is a function: call it, ${name}(…), or write |x| ${name}(x).`,
    );
  }
  throw new ProblemError(
    place,
    `There is no variable ${name}.${hint(name, namesIn(scope))} A text stands in quotes here.`,
  );
}

function mapOf(evaluation: Evaluation, entries: readonly MapEntry[], scope: Scope): Value {
  const map = new Map<string, Value>();
  for (const { name, place, value } of entries) {
    if (map.has(name)) throw new ProblemError(place, `${name} is given twice.`);
    map.set(name, evaluateExpression(evaluation, value, scope));
  }
  return map;
}

function binary(
  evaluation: Evaluation,
  expression: Expression & { readonly kind: "binary" },
  scope: Scope,
): Value {
  const { operator, place } = expression;
  if (operator === "&&" || operator === "||") {
    const left = evaluateCondition(evaluation, expression.left, scope);
    if (left === (operator === "||")) return left;
    return evaluateCondition(evaluation, expression.right, scope);
  }
  const left = evaluateExpression(evaluation, expression.left, scope);
  const right = evaluateExpression(evaluation, expression.right, scope);
  if (operator === "==" || operator === "!=") {
    return isSame(left, right, walker(evaluation, place)) === (operator === "==");
  }
  if (operator === "+") return sum(evaluation, left, right, place);
  if (operator === "<" || operator === "<=" || operator === ">" || operator === ">=") {
    return isOrdered(operator, left, right, place);
  }
  return calculated(operator, left, right, place);
}

function sum(evaluation: Evaluation, left: Value, right: Value, place: Place): Value {
  if (typeof left === "number" && typeof right === "number") return finite(left + right, place);
  if (typeof left === "string" && typeof right === "string") {
    checkText(evaluation, left.length + right.length, place);
    return left + right;
  }
  if (isList(left) && isList(right)) {
    checkListLength(evaluation, left.length + right.length, place);
    return [...left, ...right];
  }
  if (isMap(left) && isMap(right)) {
    checkListLength(evaluation, left.size + right.size, place);
    return new Map([...left, ...right]);
  }
  const message =
    `+ adds two numbers, texts, lists or maps, not a ${kindOf(left)} and a ${kindOf(right)}. ` +
    "Make a text with str(…), a list with […].";
  throw new ProblemError(place, message);
}

function isOrdered(
  operator: "<" | "<=" | ">" | ">=",
  left: Value,
  right: Value,
  place: Place,
): boolean {
  const numbers = typeof left === "number" && typeof right === "number";
  const texts = typeof left === "string" && typeof right === "string";
  if (!numbers && !texts) {
    const message = `${operator} compares two numbers or two texts, not a ${kindOf(left)} and a ${kindOf(right)}.`;
    throw new ProblemError(place, message);
  }
  if (operator === "<") return left < right;
  if (operator === "<=") return left <= right;
  return operator === ">" ? left > right : left >= right;
}

function calculated(
  operator: Exclude<BinaryOperator, "+" | "||" | "&&" | "==" | "!=" | "<" | "<=" | ">" | ">=">,
  left: Value,
  right: Value,
  place: Place,
): number {
  const a = numberOf(left, place, operator);
  const b = numberOf(right, place, operator);
  if (operator === "-") return finite(a - b, place);
  if (operator === "*") return finite(a * b, place);
  if (b === 0) throw new ProblemError(place, "This divides by zero.");
  return finite(operator === "/" ? a / b : a % b, place);
}

function numberOf(value: Value, place: Place, operator: string): number {
  if (typeof value === "number") return value;
  throw new ProblemError(place, `${operator} wants numbers, not a ${kindOf(value)}.`);
}

function finite(value: number, place: Place): number {
  if (Math.abs(value) <= Number.MAX_SAFE_INTEGER) return value;
  throw new ProblemError(place, "The number becomes too large.");
}

function call(
  evaluation: Evaluation,
  { callee, args, place }: Expression & { readonly kind: "call" },
  scope: Scope,
): Value {
  const inner = (part: Expression) => evaluateExpression(evaluation, part, scope);
  if (callee.kind === "name") {
    const found = lookUp(scope, callee.name)?.value;
    if (found !== undefined && isCallable(found)) {
      return evaluation.call(found, args.map(inner), callee.place);
    }
    return callNamed(evaluation, callee.name, args.map(inner), callee.place, scope);
  }
  if (callee.kind !== "member") {
    const found = inner(callee);
    if (isCallable(found)) return evaluation.call(found, args.map(inner), place);
    throw new ProblemError(place, `A ${kindOf(found)} cannot be called.`);
  }
  // `xs.map(f)` is `map(xs, f)`, unless a map has such a function of its own.
  const receiver = inner(callee.of);
  const own = isMap(receiver) ? receiver.get(callee.name) : undefined;
  if (own !== undefined && isCallable(own)) return evaluation.call(own, args.map(inner), place);
  const found = lookUp(scope, callee.name)?.value;
  const all = [receiver, ...args.map(inner)];
  if (found !== undefined && isCallable(found)) return evaluation.call(found, all, place);
  return callNamed(evaluation, callee.name, all, callee.place, scope);
}

function callNamed(
  evaluation: Evaluation,
  name: string,
  args: readonly Value[],
  place: Place,
  scope: Scope,
): Value {
  const builtin = findBuiltin(name);
  if (builtin !== undefined) return callBuiltin(builtin, evaluation, args, place);
  const names = [...namesIn(scope), ...builtinNames()];
  throw new ProblemError(place, `There is no function ${name}.${hint(name, names)}`);
}

function indexed(of: Value, index: Value, place: Place): Value {
  if (isMap(of)) {
    if (typeof index === "string") return memberOf(of, index, place);
    throw new ProblemError(place, `A map is indexed by a text, not a ${kindOf(index)}.`);
  }
  const length = isList(of) || typeof of === "string" ? of.length : undefined;
  if (length === undefined) throw new ProblemError(place, `A ${kindOf(of)} has no items.`);
  if (typeof index !== "number" || !Number.isSafeInteger(index)) {
    throw new ProblemError(place, `A ${kindOf(of)} is indexed by a whole number.`);
  }
  const at = index < 0 ? length + index : index;
  const found = isList(of) ? of[at] : typeof of === "string" ? of[at] : undefined;
  if (found !== undefined) return found;
  throw new ProblemError(place, `There is no item ${index}: the ${kindOf(of)} has ${length}.`);
}

function sliced(
  evaluation: Evaluation,
  { of, from, to, place }: Expression & { readonly kind: "slice" },
  scope: Scope,
): Value {
  const value = evaluateExpression(evaluation, of, scope);
  const bound = (part: Expression | undefined) => {
    if (part === undefined) return undefined;
    const index = evaluateExpression(evaluation, part, scope);
    if (typeof index === "number" && Number.isSafeInteger(index)) return index;
    throw new ProblemError(part.place, `A slice wants whole numbers, not a ${kindOf(index)}.`);
  };
  if (typeof value === "string") {
    const text = value.slice(bound(from), bound(to));
    checkText(evaluation, text.length, place);
    return text;
  }
  if (!isList(value)) throw new ProblemError(place, `A ${kindOf(value)} has no slices.`);
  const items = value.slice(bound(from), bound(to));
  checkListLength(evaluation, items.length, place);
  return items;
}

function memberOf(of: Value, name: string, place: Place): Value {
  if (!isMap(of)) {
    throw new ProblemError(place, `A ${kindOf(of)} has no member ${name}; only a map has.`);
  }
  const found = of.get(name);
  if (found !== undefined) return found;
  throw new ProblemError(place, `The map has no ${name}.${hint(name, of.keys())}`);
}
