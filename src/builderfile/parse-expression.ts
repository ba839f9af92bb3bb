// Expressions of the brace syntax, and the values of fields, which may also be plain words.
//
//   expression = choice ; choice = binary [ "?" expression ":" expression ]
//   binary     = unary { OPERATOR unary }        || && == != < <= > >= + - * / %
//   unary      = { "!" | "-" } primary { "(" args ")" | "[" index "]" | "." NAME }
//   primary    = STRING | NUMBER | QUANTITY | true | false | null | NAME | "(" expression ")"
//              | "[" { expression "," } "]" | "{" { NAME ":" expression "," } "}"
//              | "|" { NAME "," } "|" expression
//   value      = expression | WORD { WORD }

import { builderfileBounds, ProblemError } from "./model.ts";
import {
  checkNesting,
  expectMark,
  identifier,
  isNext,
  matchAt,
  placeAt,
  plainWord,
  type Scanner,
  skipBlanks,
  takeMark,
  takeMatch,
  unexpected,
} from "./scan-braced.ts";
import type { BinaryOperator, Expression, MapEntry, Parameter } from "./syntax.ts";

/** How deep a value is, and whether the items of its lists may be plain words. */
interface Mode {
  readonly depth: number;
  readonly plain: boolean;
}

const operators: Readonly<Record<BinaryOperator, number>> = {
  ...{ "||": 1, "&&": 2, "==": 3, "!=": 3, "<": 4, "<=": 4, ">": 4, ">=": 4 },
  ...{ "+": 5, "-": 5, "*": 6, "/": 6, "%": 6 },
};
const binaryOperator = /\|\||&&|[=!<>]=|[<>+\-*/%]/y;
const number = /\d+(?:\.\d+)?/y;
const quantity = /\d+(?:\.\d+)?[A-Za-z]+(?!\w)/y;
/** A first word that may stand for a variable: `name`, `!name` or `name.member`. */
const variableWord = /^!*([A-Za-z_]\w*)((?:\.[A-Za-z_]\w*)*)$/;
const keywordValues: ReadonlyMap<string, boolean | null> = new Map([
  ["true", true],
  ["false", false],
  ["null", null],
]);
const escapes: Readonly<Record<string, string>> = { n: "\n", t: "\t", r: "\r" };

/** An expression; names stand for variables and functions. Throws ProblemError. */
export function parseExpression(scanner: Scanner, depth: number): Expression {
  return expression(scanner, { depth, plain: false });
}

/**
 * The value of a field. Words without quotes are one text, as they always were; they are an
 * expression only where they cannot be a text (`glob("*.c")`), or where the first is a variable.
 * Which names are variables is known when the value is evaluated.
 */
export function parseValue(scanner: Scanner, depth: number): Expression {
  skipBlanks(scanner);
  const start = scanner.at;
  const first = matchAt(scanner, plainWord);
  const mode = { depth, plain: true };
  if (first === undefined) return expression(scanner, mode);
  const words: string[] = [];
  for (let word = takeMatch(scanner, plainWord); word !== undefined; ) {
    words.push(word);
    word = takeMatch(scanner, plainWord);
  }
  const end = scanner.at;
  const text = words.join(" ");
  const place = placeAt(scanner, start);
  const [, head, members] = variableWord.exec(first) ?? [];
  const ended = end >= scanner.text.length || /[;,}\]]/.test(scanner.text[end] ?? "");
  if (ended && head === undefined) return { kind: "literal", value: text, place };
  scanner.at = start;
  if (!ended || head === undefined) return expression(scanner, mode);
  const other = alternative(scanner, end, mode);
  scanner.at = end;
  if (other === undefined) return { kind: "literal", value: text, place };
  return { kind: "plain", text, head, ofMap: members !== "", expression: other, place };
}

/** Words read as an expression; undefined where they are none, or not to their end. */
function alternative(scanner: Scanner, end: number, mode: Mode): Expression | undefined {
  try {
    const found = expression(scanner, mode);
    skipBlanks(scanner);
    return scanner.at === end ? found : undefined;
  } catch (error) {
    if (!(error instanceof ProblemError)) throw error;
    return undefined;
  }
}

/** Names and defaults up to the closing mark, which is taken. */
export function parseParameters(scanner: Scanner, close: ")" | "|", depth: number): Parameter[] {
  const params: Parameter[] = [];
  while (!takeMark(scanner, close)) {
    const place = placeAt(scanner);
    const name = takeMatch(scanner, identifier);
    if (name === undefined) throw unexpected(scanner, `a parameter's name or ${close}`);
    if (params.some((other) => other.name === name)) {
      throw new ProblemError(place, `There are two parameters ${name}.`);
    }
    const given = close === ")" && takeMark(scanner, "=");
    params.push({ name, place, default: given ? parseExpression(scanner, depth + 1) : undefined });
    if (!takeMark(scanner, ",") && !isNext(scanner, close)) {
      throw unexpected(scanner, `, or ${close}`);
    }
  }
  return params;
}

function expression(scanner: Scanner, mode: Mode): Expression {
  checkNesting(scanner, mode.depth);
  const condition = binary(scanner, unary(scanner, mode), 1, mode);
  const { place } = condition;
  if (!takeMark(scanner, "?")) return condition;
  const inner = { ...mode, depth: mode.depth + 1 };
  const yes = expression(scanner, inner);
  expectMark(scanner, ":", ": and the other value");
  return { kind: "choice", condition, yes, no: expression(scanner, inner), place };
}

function binary(scanner: Scanner, first: Expression, least: number, mode: Mode): Expression {
  let left = first;
  for (;;) {
    skipBlanks(scanner);
    const found = matchAt(scanner, binaryOperator);
    if (found === undefined || !isOperator(found) || operators[found] < least) return left;
    const place = placeAt(scanner);
    scanner.at += found.length;
    const right = binary(scanner, unary(scanner, mode), operators[found] + 1, mode);
    left = { kind: "binary", operator: found, left, right, place };
  }
}

function isOperator(text: string): text is BinaryOperator {
  return Object.hasOwn(operators, text);
}

function unary(scanner: Scanner, mode: Mode): Expression {
  checkNesting(scanner, mode.depth);
  skipBlanks(scanner);
  const place = placeAt(scanner);
  const operator = takeMark(scanner, "!") ? "!" : takeMark(scanner, "-") ? "-" : undefined;
  if (operator === undefined) return postfix(scanner, primary(scanner, mode), mode);
  const operand = unary(scanner, { ...mode, depth: mode.depth + 1 });
  return { kind: "unary", operator, operand, place };
}

function postfix(scanner: Scanner, first: Expression, mode: Mode): Expression {
  let of = first;
  const depth = mode.depth + 1;
  for (;;) {
    skipBlanks(scanner);
    const place = placeAt(scanner);
    if (takeMark(scanner, "(")) {
      of = { kind: "call", callee: of, args: items(scanner, ")", { depth, plain: false }), place };
    } else if (takeMark(scanner, "[")) {
      const from = isNext(scanner, ":") ? undefined : parseExpression(scanner, depth);
      if (takeMark(scanner, ":")) {
        const to = isNext(scanner, "]") ? undefined : parseExpression(scanner, depth);
        of = { kind: "slice", of, from, to, place };
      } else if (from !== undefined) {
        of = { kind: "index", of, index: from, place };
      }
      expectMark(scanner, "]");
    } else if (takeMark(scanner, ".")) {
      const name = takeMatch(scanner, identifier);
      if (name === undefined) throw unexpected(scanner, "a name after the point");
      of = { kind: "member", of, name, place };
    } else {
      return of;
    }
  }
}

function primary(scanner: Scanner, mode: Mode): Expression {
  skipBlanks(scanner);
  const place = placeAt(scanner);
  const inner = { ...mode, depth: mode.depth + 1 };
  const first = scanner.text[scanner.at];
  if (first === '"' || first === "'") return parseText(scanner, mode.depth);
  if (takeMark(scanner, "(")) {
    const found = parseExpression(scanner, inner.depth);
    expectMark(scanner, ")");
    return found;
  }
  if (takeMark(scanner, "[")) return { kind: "list", items: items(scanner, "]", inner), place };
  if (takeMark(scanner, "{")) return { kind: "map", entries: entries(scanner, inner), place };
  if (takeMark(scanner, "|")) {
    const params = parseParameters(scanner, "|", mode.depth);
    return { kind: "lambda", params, body: parseExpression(scanner, inner.depth), place };
  }
  const size = takeMatch(scanner, quantity);
  if (size !== undefined) return { kind: "literal", value: size, place };
  const digits = takeMatch(scanner, number);
  if (digits !== undefined) return { kind: "literal", value: Number(digits), place };
  const name = takeMatch(scanner, identifier);
  if (name === undefined) throw unexpected(scanner, "a value");
  const value = keywordValues.get(name);
  return value === undefined ? { kind: "name", name, place } : { kind: "literal", value, place };
}

function items(scanner: Scanner, close: ")" | "]", mode: Mode): Expression[] {
  const found: Expression[] = [];
  checkNesting(scanner, mode.depth);
  while (!takeMark(scanner, close)) {
    if (found.length >= builderfileBounds.listMax) {
      throw new ProblemError(placeAt(scanner), "The list is too long.");
    }
    found.push(mode.plain ? parseValue(scanner, mode.depth) : expression(scanner, mode));
    if (!takeMark(scanner, ",") && !isNext(scanner, close)) {
      throw unexpected(scanner, `, or ${close}`);
    }
  }
  return found;
}

function entries(scanner: Scanner, mode: Mode): MapEntry[] {
  const found: MapEntry[] = [];
  checkNesting(scanner, mode.depth);
  while (!takeMark(scanner, "}")) {
    if (found.length >= builderfileBounds.listMax) {
      throw new ProblemError(placeAt(scanner), "The map is too long.");
    }
    const place = placeAt(scanner);
    const name = parseFieldName(scanner);
    if (takeMark(scanner, "{")) {
      const inner = { ...mode, depth: mode.depth + 1 };
      const value: Expression = { kind: "map", entries: entries(scanner, inner), place };
      found.push({ name, place, value });
      if (!takeMark(scanner, ";")) takeMark(scanner, ",");
      continue;
    }
    expectMark(scanner, ":", `: after ${name}`);
    const value = mode.plain ? parseValue(scanner, mode.depth) : expression(scanner, mode);
    found.push({ name, place, value });
    if (!takeMark(scanner, ";") && !takeMark(scanner, ",") && !isNext(scanner, "}")) {
      throw unexpected(scanner, "; or }");
    }
  }
  return found;
}

/** The name of a field or of an entry of a map, quoted or not. */
export function parseFieldName(scanner: Scanner): string {
  skipBlanks(scanner);
  const place = placeAt(scanner);
  const word = takeMatch(scanner, plainWord);
  if (word !== undefined) return word;
  const first = scanner.text[scanner.at];
  if (first !== '"' && first !== "'") throw unexpected(scanner, "a field");
  const text = parseText(scanner, 0);
  if (text.kind === "literal" && typeof text.value === "string") return text.value;
  throw new ProblemError(place, "The name of a field has nothing to evaluate in it.");
}

/** A text in quotes. Double quotes have `${…}` in them evaluated; `\` escapes in both. */
export function parseText(scanner: Scanner, depth: number): Expression {
  const place = placeAt(scanner);
  const mark = scanner.text[scanner.at] ?? "";
  const parts: (string | Expression)[] = [];
  let value = "";
  scanner.at += 1;
  for (;;) {
    const character = scanner.text[scanner.at];
    if (character === undefined || character === "\n") {
      throw new ProblemError(place, `This text never ends; it wants ${mark} on its line.`);
    }
    scanner.at += 1;
    if (character === mark) break;
    if (character === "\\") {
      const escaped = scanner.text[scanner.at] ?? "";
      scanner.at += 1;
      value += escapes[escaped] ?? escaped;
    } else if (mark === '"' && character === "$" && scanner.text[scanner.at] === "{") {
      scanner.at += 1;
      parts.push(value, parseExpression(scanner, depth + 1));
      expectMark(scanner, "}", "} after the expression in the text");
      value = "";
    } else {
      value += character;
    }
  }
  if (parts.length === 0) return { kind: "literal", value, place };
  return { kind: "template", parts: [...parts, value], place };
}
