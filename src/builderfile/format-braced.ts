// The brace syntax, laid out. Line breaks stay where their writer put them; the indentation follows
// the brackets, and the spaces of a line are those of one style. No word, text or comment changes.

import { matchAt, plainWord, type Scanner, scannerOf } from "./scan-braced.ts";

interface Token {
  readonly kind: "word" | "text" | "mark" | "comment";
  readonly text: string;
  /** Line breaks before it, and whether any blank is. */
  readonly lines: number;
  readonly spaced: boolean;
}

/** An open bracket: where it is, and whether a `?` waits for its `:` in it. */
interface Open {
  readonly mark: string;
  readonly line: number;
  asks: boolean;
}

/** The same file in the one style. The text has been parsed: it is known to be right. */
export function formatBraced(text: string): string {
  const tokens = tokensOf(scannerOf(text.replaceAll("\r\n", "\n"), ""));
  const lines: string[] = [];
  const open: Open[] = [{ mark: "", line: -1, asks: false }];
  let line = "";
  for (const [at, token] of tokens.entries()) {
    const before = tokens[at - 1];
    const isClosing = token.kind === "mark" && /[)\]}]/.test(token.text);
    const breaks = token.lines > 0 || before === undefined;
    if (isClosing && open.length > 1) open.pop();
    const around = open.at(-1);
    if (breaks) {
      if (before !== undefined) lines.push(line);
      const blank = token.lines > 1 && !isClosing && !isOpening(before) && before !== undefined;
      if (blank) lines.push("");
      line = indentOf(open, lines.length) + token.text;
    } else {
      line += (isApart(before, token, around) ? " " : "") + token.text;
    }
    follow(open, token, lines.length);
  }
  return tokens.length === 0 ? "" : `${[...lines, line].join("\n")}\n`;
}

/** Brackets that were opened in one line indent once. */
function indentOf(open: readonly Open[], line: number): string {
  const opened = open.filter((one) => one.line >= 0 && one.line < line);
  return "  ".repeat(new Set(opened.map((one) => one.line)).size);
}

function follow(open: Open[], token: Token, line: number): void {
  const around = open.at(-1);
  if (token.kind === "mark" && /[([{]/.test(token.text)) {
    open.push({ mark: token.text, line, asks: false });
  } else if (around !== undefined && token.kind === "mark" && /[;,]/.test(token.text)) {
    around.asks = false;
  } else if (around !== undefined && token.kind === "word" && token.text.includes("?")) {
    around.asks = true;
  }
}

/** Whether a space stands between two tokens of a line. */
function isApart(before: Token, token: Token, around: Open | undefined): boolean {
  if (before.kind === "comment" || token.kind === "comment") return true;
  const [left, right] = [markOf(before), markOf(token)];
  if (left === "{" || right === "}") return !(left === "{" && right === "}");
  if (/^[;,)\]]$/.test(right) || /^[([]$/.test(left)) return false;
  if (right === ":" || left === ":") return isColonApart(right === ":", around);
  if (/^[;,]$/.test(left) || right === "{") return true;
  if (right === "(" && before.text === "if") return true;
  return left === "=" || right === "=" || token.spaced;
}

/** `a ? b : c` has its colon apart, a slice together, a field only behind it. */
function isColonApart(isBefore: boolean, around: Open | undefined): boolean {
  if (around?.asks === true) return true;
  return around?.mark === "[" ? false : !isBefore;
}

function markOf(token: Token): string {
  return token.kind === "mark" ? token.text : "";
}

function isOpening(token: Token | undefined): boolean {
  return token?.kind === "mark" && /[([{]/.test(token.text);
}

function tokensOf(scanner: Scanner): Token[] {
  const tokens: Token[] = [];
  for (;;) {
    const blank = matchAt(scanner, blanks) ?? "";
    scanner.at += blank.length;
    const character = scanner.text[scanner.at];
    if (character === undefined) return tokens;
    const start = scanner.at;
    const kind = kindAt(scanner);
    if (kind === "text") skipText(scanner);
    else scanner.at += matchAt(scanner, patternByKind[kind])?.length ?? 1;
    const text = scanner.text.slice(start, scanner.at);
    const before = tokens.at(-1);
    if (
      text === "=" &&
      blank === "" &&
      /[<>!=]$/.test(before?.text ?? "") &&
      before !== undefined
    ) {
      // `==`, `<=`, `>=` and `!=` are one word, with what they stand at.
      tokens[tokens.length - 1] = { ...before, kind: "word", text: `${before.text}=` };
      continue;
    }
    tokens.push({
      kind,
      text: kind === "comment" ? text.trimEnd() : text,
      lines: blank.split("\n").length - 1,
      spaced: blank !== "",
    });
  }
}

function kindAt({ text, at }: Scanner): Token["kind"] {
  if (/^(#|\/[/*])/.test(text.slice(at, at + 2))) return "comment";
  if (/["']/.test(text[at] ?? "")) return "text";
  return /[(){}[\]:;,=]/.test(text[at] ?? "") ? "mark" : "word";
}

/** Past a text in quotes, with the expressions in it and the texts in those. */
function skipText(scanner: Scanner): void {
  const { text } = scanner;
  const quote = text[scanner.at];
  for (scanner.at += 1; scanner.at < text.length && text[scanner.at] !== quote; scanner.at += 1) {
    if (text[scanner.at] === "\\") scanner.at += 1;
    else if (quote === '"' && text.startsWith("${", scanner.at)) skipExpression(scanner);
  }
  scanner.at += 1;
}

/** To the `}` that ends `${…}`; the caller steps over it. */
function skipExpression(scanner: Scanner): void {
  const { text } = scanner;
  let depth = 0;
  for (scanner.at += 1; scanner.at < text.length; ) {
    const kind = kindAt(scanner);
    if (text[scanner.at] === "{") depth += 1;
    if (text[scanner.at] === "}") depth -= 1;
    if (depth === 0) return;
    if (kind === "text") skipText(scanner);
    else if (kind === "comment") scanner.at += matchAt(scanner, patternByKind.comment)?.length ?? 1;
    else scanner.at += 1;
  }
}

const blanks = /\s+/y;
const patternByKind = {
  comment: /\/\*[\s\S]*?\*\/|(?:#|\/\/)[^\n]*/y,
  mark: /[(){}[\]:;,=]/y,
  word: plainWord,
};
