// Tokens of syntax B. Words are generous (globs, sizes and paths need no quotes); strings escape.

import { type Place, ProblemError } from "./model.ts";

/** One token; `text` of a string is unescaped. */
export interface Token {
  readonly kind: "word" | "string" | "mark" | "end";
  readonly text: string;
  readonly place: Place;
}

const escapes: Readonly<Record<string, string>> = { n: "\n", t: "\t", r: "\r" };

/** All tokens, an `end` last. Throws ProblemError at the first thing that is no token. */
export function lexBraced(text: string, file: string): Token[] {
  const tokens: Token[] = [];
  const scanner = { text, file, at: 0, line: 1, lineStart: 0 };
  for (;;) {
    skipBlanks(scanner);
    const place = placeOf(scanner);
    const character = text[scanner.at];
    if (character === undefined) {
      tokens.push({ kind: "end", text: "end of file", place });
      return tokens;
    }
    if ("(){}[]:;,=".includes(character)) {
      scanner.at += 1;
      tokens.push({ kind: "mark", text: character, place });
    } else if (character === '"' || character === "'") {
      tokens.push({ kind: "string", text: lexString(scanner, character), place });
    } else {
      const word = /^[^\s(){}[\]:;,="'#]+/.exec(text.slice(scanner.at, scanner.at + 4096))?.[0];
      if (word === undefined) throw new ProblemError(place, `Unexpected ${quote(character)}.`);
      scanner.at += word.length;
      tokens.push({ kind: "word", text: word, place });
    }
  }
}

interface Scanner {
  readonly text: string;
  readonly file: string;
  at: number;
  line: number;
  lineStart: number;
}

function skipBlanks(scanner: Scanner): void {
  for (;;) {
    const two = scanner.text.slice(scanner.at, scanner.at + 2);
    if (two.startsWith("\n")) newLine(scanner);
    else if (/^\s/.test(two)) scanner.at += 1;
    else if (two.startsWith("#") || two === "//") toLineEnd(scanner);
    else if (two === "/*") skipBlockComment(scanner);
    else return;
  }
}

function toLineEnd(scanner: Scanner): void {
  const end = scanner.text.indexOf("\n", scanner.at);
  scanner.at = end < 0 ? scanner.text.length : end;
}

function skipBlockComment(scanner: Scanner): void {
  const place = placeOf(scanner);
  const end = scanner.text.indexOf("*/", scanner.at + 2);
  if (end < 0) throw new ProblemError(place, "This comment never ends; it wants */.");
  while (scanner.at < end + 2) {
    if (scanner.text[scanner.at] === "\n") newLine(scanner);
    else scanner.at += 1;
  }
}

function lexString(scanner: Scanner, quoteMark: string): string {
  const place = placeOf(scanner);
  let value = "";
  for (scanner.at += 1; ; scanner.at += 1) {
    const character = scanner.text[scanner.at];
    if (character === undefined || character === "\n") {
      throw new ProblemError(place, `This text never ends; it wants ${quoteMark} on its line.`);
    }
    if (character === quoteMark) break;
    if (character === "\\") {
      scanner.at += 1;
      const escaped = scanner.text[scanner.at] ?? "";
      value += escapes[escaped] ?? escaped;
    } else {
      value += character;
    }
  }
  scanner.at += 1;
  return value;
}

function newLine(scanner: Scanner): void {
  scanner.at += 1;
  scanner.line += 1;
  scanner.lineStart = scanner.at;
}

function placeOf(scanner: Scanner): Place {
  return { file: scanner.file, line: scanner.line, column: scanner.at - scanner.lineStart + 1 };
}

function quote(text: string): string {
  return JSON.stringify(text);
}
