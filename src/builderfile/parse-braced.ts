// Statements of the brace syntax: `target("name") { field: value; … }` and what makes targets.
//
//   file      = { statement }
//   statement = ("target" | "workspace") "(" expression ")" block
//             | NAME ":" value ";" | NAME block | ("let" | "const") NAME "=" expression ";"
//             | NAME "=" expression ";" | ("fn" | "macro") NAME "(" parameters ")" block
//             | "if" "(" expression ")" block { "else" "if" "(" expression ")" block }
//               [ "else" block ]
//             | "for" NAME "in" expression block | "return" [ expression ] ";"
//             | NAME "(" args ")" ";" | "import" STRING ";"
//   block     = "{" { statement } "}" [ ";" ]
// The ; after a field may be a comma, and before } it may be left out; elsewhere it may be too.

import { builderfileBounds, type Problem, ProblemError } from "./model.ts";
import {
  parseExpression,
  parseFieldName,
  parseParameters,
  parseText,
  parseValue,
} from "./parse-expression.ts";
import {
  atEnd,
  checkNesting,
  expectMark,
  identifier,
  isNext,
  matchAt,
  placeAt,
  type Scanner,
  scannerOf,
  skipBlanks,
  takeMark,
  takeMatch,
  unexpected,
} from "./scan-braced.ts";
import type { Statement } from "./syntax.ts";

type Parsed = Omit<Statement, "place"> & Statement;

/** Parses the whole file; what cannot be read is reported and skipped to the next target. */
export function parseBraced(text: string, file: string, problems: Problem[]): Statement[] {
  const scanner = scannerOf(text, file);
  const statements: Statement[] = [];
  while (problems.length < builderfileBounds.problemsMax) {
    try {
      while (!atEnd(scanner)) statements.push(fileStatement(scanner));
      return statements;
    } catch (error) {
      if (!(error instanceof ProblemError)) throw error;
      problems.push(error.problem);
      skipToTarget(scanner);
    }
  }
  return statements;
}

/** Whether a text without targets or with unusual ones is in the brace syntax. */
export function looksBraced(text: string): boolean {
  const scanner = scannerOf(text, "");
  try {
    skipBlanks(scanner);
  } catch (error) {
    if (!(error instanceof ProblemError)) throw error;
    return true;
  }
  const line = /[^\n]*/y;
  const first = matchAt(scanner, line)?.trim() ?? "";
  if (first === "") return /^\s*\/[/*]/.test(text);
  if (/^(target|workspace)\b/.test(first) || first.endsWith(":")) {
    return /^\s*(target|workspace)\s*\(/m.test(text) && !/^(target|workspace)\s+[^(\s]/m.test(text);
  }
  const keyword = /^(let|const|fn|macro|if|for|import|repository)\b(?!\s*:)/.test(first);
  return keyword || /^[A-Za-z_]\w*\s*[({=]/.test(first) || /^\s*target\s*\(/m.test(text);
}

function skipToTarget(scanner: Scanner): void {
  const target = /^[ \t]*target\s*\(/gm;
  target.lastIndex = scanner.at + 1;
  scanner.at = target.exec(scanner.text)?.index ?? scanner.text.length;
}

const keywords = ["let", "const", "fn", "macro", "if", "for", "return", "import"] as const;
const notSupported =
  "repository(…) is not supported: nothing is fetched by name. Put the files in a folder of the " +
  "workspace, or fetch them by a target with a command and hermetic.network true.";

/** A statement of a file: one that begins like nothing known is told what a file consists of. */
function fileStatement(scanner: Scanner): Statement {
  skipBlanks(scanner);
  if (matchAt(scanner, identifier) === undefined) {
    throw unexpected(scanner, 'a target, such as target("app") { … }');
  }
  return statement(scanner, 1);
}

function statement(scanner: Scanner, depth: number): Statement {
  checkNesting(scanner, depth);
  skipBlanks(scanner);
  const start = scanner.at;
  const place = placeAt(scanner);
  const word = takeMatch(scanner, identifier);
  const next = nextMark(scanner);
  const keyword = keywords.find((candidate) => candidate === word);
  if (word !== undefined && next !== ":" && (next !== "{" || keyword !== undefined)) {
    if (keyword !== undefined) return { ...keywordStatement(scanner, keyword, depth), place };
    if (word === "repository") throw new ProblemError(place, notSupported);
    if ((word === "target" || word === "workspace") && next === "(") {
      return { ...declaration(scanner, word, depth), place };
    }
    if (next === "(" || next === ".") {
      scanner.at = start;
      const call = parseExpression(scanner, depth);
      if (call.kind !== "call") throw unexpected(scanner, "a call of a macro");
      endStatement(scanner);
      return { kind: "call", call, place };
    }
    if (next === "=") {
      takeMark(scanner, "=");
      const value = parseExpression(scanner, depth);
      endStatement(scanner);
      return { kind: "assignment", name: word, value, place };
    }
  }
  scanner.at = start;
  return { ...field(scanner, depth), place };
}

/** The next character that is no blank; `==` is no assignment. */
function nextMark(scanner: Scanner): string | undefined {
  skipBlanks(scanner);
  return scanner.text.startsWith("==", scanner.at) ? "==" : scanner.text[scanner.at];
}

type Bare<T> = T extends unknown ? Omit<T, "place"> : never;
type BareStatement = Bare<Parsed>;

function keywordStatement(
  scanner: Scanner,
  keyword: (typeof keywords)[number],
  depth: number,
): BareStatement {
  switch (keyword) {
    case "let":
    case "const":
      return variable(scanner, keyword === "const", depth);
    case "fn":
    case "macro":
      return functionOrMacro(scanner, keyword === "macro", depth);
    case "if":
      return choice(scanner, depth);
    case "for":
      return loop(scanner, depth);
    case "return": {
      const bare = isNext(scanner, ";") || isNext(scanner, "}");
      const value = bare ? undefined : parseExpression(scanner, depth);
      endStatement(scanner);
      return { kind: "return", value };
    }
    case "import":
      return importOf(scanner, depth);
  }
}

function declaration(scanner: Scanner, what: "target" | "workspace", depth: number): BareStatement {
  expectMark(scanner, "(", `( after ${what}`);
  if (isNext(scanner, ")")) throw unexpected(scanner, `the ${what}'s name in quotes, "app"`);
  const name = parseExpression(scanner, depth);
  expectMark(scanner, ")", ") after the name");
  const body = block(scanner, depth + 1);
  takeMark(scanner, ";");
  return { kind: "declaration", what, name, body };
}

function block(scanner: Scanner, depth: number): Statement[] {
  skipBlanks(scanner);
  const open = placeAt(scanner);
  expectMark(scanner, "{");
  checkNesting(scanner, depth);
  const statements: Statement[] = [];
  while (!takeMark(scanner, "}")) {
    if (atEnd(scanner)) throw unexpected(scanner, "; or }");
    statements.push(statement(scanner, depth));
    if (statements.length > builderfileBounds.listMax) {
      throw new ProblemError(open, "The block is too long.");
    }
  }
  return statements;
}

function field(scanner: Scanner, depth: number): BareStatement {
  const name = parseFieldName(scanner);
  if (isNext(scanner, "{")) {
    const body = block(scanner, depth + 1);
    if (!takeMark(scanner, ";")) takeMark(scanner, ",");
    return { kind: "block", name, body };
  }
  expectMark(scanner, ":", `: after ${name}`);
  const value = parseValue(scanner, depth);
  if (!takeMark(scanner, ";") && !takeMark(scanner, ",") && !isNext(scanner, "}")) {
    throw unexpected(scanner, "; or }");
  }
  return { kind: "field", name, value };
}

function variable(scanner: Scanner, constant: boolean, depth: number): BareStatement {
  const name = takeMatch(scanner, identifier);
  if (name === undefined) throw unexpected(scanner, "the variable's name");
  expectMark(scanner, "=", `= after ${name}`);
  const value = parseExpression(scanner, depth);
  endStatement(scanner);
  return { kind: "variable", name, constant, value };
}

function functionOrMacro(scanner: Scanner, isMacro: boolean, depth: number): BareStatement {
  const name = takeMatch(scanner, identifier);
  if (name === undefined) throw unexpected(scanner, `the ${isMacro ? "macro" : "function"}'s name`);
  expectMark(scanner, "(", `( after ${name}`);
  const params = parseParameters(scanner, ")", depth);
  const body = block(scanner, depth + 1);
  takeMark(scanner, ";");
  return { kind: "function", name, isMacro, params, body };
}

function choice(scanner: Scanner, depth: number): BareStatement {
  const branches = [branch(scanner, depth)];
  let otherwise: Statement[] = [];
  while (takeMatch(scanner, elseWord) !== undefined) {
    if (takeMatch(scanner, ifWord) !== undefined) {
      branches.push(branch(scanner, depth));
    } else {
      otherwise = block(scanner, depth + 1);
      break;
    }
  }
  takeMark(scanner, ";");
  return { kind: "if", branches, otherwise };
}

function branch(scanner: Scanner, depth: number) {
  expectMark(scanner, "(", "( after if");
  const condition = parseExpression(scanner, depth);
  expectMark(scanner, ")", ") after the condition");
  return { condition, body: block(scanner, depth + 1) };
}

function loop(scanner: Scanner, depth: number): BareStatement {
  const name = takeMatch(scanner, identifier);
  if (name === undefined) throw unexpected(scanner, "the loop variable's name");
  if (takeMatch(scanner, inWord) === undefined) throw unexpected(scanner, `in after ${name}`);
  const list = parseExpression(scanner, depth);
  const body = block(scanner, depth + 1);
  takeMark(scanner, ";");
  return { kind: "for", name, list, body };
}

function importOf(scanner: Scanner, depth: number): BareStatement {
  const isText = isNext(scanner, '"') || isNext(scanner, "'");
  const path = isText ? parseText(scanner, depth) : undefined;
  if (path?.kind !== "literal" || typeof path.value !== "string") {
    throw unexpected(scanner, 'the file to import in quotes, "//tools/rules.bldr"');
  }
  endStatement(scanner);
  return { kind: "import", path: path.value };
}

/** Takes the `;`, which may be left out at the end of a line or block. */
function endStatement(scanner: Scanner): void {
  if (takeMark(scanner, ";") || isNext(scanner, "}") || atEnd(scanner)) return;
  const before = scanner.text.slice(scanner.text.lastIndexOf("\n", scanner.at) + 1, scanner.at);
  const onNewLine = before.trim() === "" && placeAt(scanner).line > 1;
  if (!onNewLine) throw unexpected(scanner, "; or a new line");
}

const elseWord = /else\b/y;
const ifWord = /if\b/y;
const inWord = /in\b/y;
