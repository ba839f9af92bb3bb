// Reading the brace syntax character by character. What a word is depends on where it stands (a
// plain value is generous, an expression is not), so there is no list of tokens made beforehand.

import { builderfileBounds, type Place, ProblemError } from "./model.ts";

/** A text and how far it is read. */
export interface Scanner {
  readonly text: string;
  readonly file: string;
  /** Where each line begins. */
  readonly lineStarts: readonly number[];
  at: number;
}

/** A scanner at the beginning of a text; `file` is only used in places. */
export function scannerOf(text: string, file: string): Scanner {
  const lineStarts = [0];
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) {
    lineStarts.push(at + 1);
  }
  return { text, file, lineStarts, at: 0 };
}

/** The place of an offset, by default where the scanner is. */
export function placeAt(scanner: Scanner, at = scanner.at): Place {
  const { lineStarts, file } = scanner;
  let low = 0;
  let high = lineStarts.length - 1;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if ((lineStarts[middle] ?? 0) <= at) low = middle;
    else high = middle - 1;
  }
  return { file, line: low + 1, column: at - (lineStarts[low] ?? 0) + 1 };
}

/** Skips spaces, line ends and comments. Throws ProblemError for a comment that never ends. */
export function skipBlanks(scanner: Scanner): void {
  const { text } = scanner;
  for (;;) {
    scanner.at += matchAt(scanner, blanks)?.length ?? 0;
    if (text[scanner.at] === "#" || text.startsWith("//", scanner.at)) {
      const end = text.indexOf("\n", scanner.at);
      scanner.at = end < 0 ? text.length : end;
    } else if (text.startsWith("/*", scanner.at)) {
      const end = text.indexOf("*/", scanner.at + 2);
      if (end < 0)
        throw new ProblemError(placeAt(scanner), "This comment never ends; it wants */.");
      scanner.at = end + 2;
    } else {
      return;
    }
  }
}

/** What a sticky pattern matches right here; nothing is skipped or taken. */
export function matchAt(scanner: Scanner, pattern: RegExp): string | undefined {
  pattern.lastIndex = scanner.at;
  return pattern.exec(scanner.text)?.[0];
}

/** What a sticky pattern matches after blanks, taken; undefined leaves only the blanks skipped. */
export function takeMatch(scanner: Scanner, pattern: RegExp): string | undefined {
  skipBlanks(scanner);
  const found = matchAt(scanner, pattern);
  scanner.at += found?.length ?? 0;
  return found;
}

/** Whether a mark comes next after blanks. */
export function isNext(scanner: Scanner, mark: string): boolean {
  skipBlanks(scanner);
  return scanner.text.startsWith(mark, scanner.at);
}

/** Takes a mark if it comes next after blanks. */
export function takeMark(scanner: Scanner, mark: string): boolean {
  if (!isNext(scanner, mark)) return false;
  scanner.at += mark.length;
  return true;
}

/** Takes a mark or throws a ProblemError that says what was wanted. */
export function expectMark(scanner: Scanner, mark: string, wanted = mark): void {
  if (!takeMark(scanner, mark)) throw unexpected(scanner, wanted);
}

/** Whether only blanks are left. */
export function atEnd(scanner: Scanner): boolean {
  skipBlanks(scanner);
  return scanner.at >= scanner.text.length;
}

/** The error for whatever comes next. */
export function unexpected(scanner: Scanner, wanted: string): ProblemError {
  skipBlanks(scanner);
  const next = matchAt(scanner, plainWord) ?? matchAt(scanner, quoted) ?? matchAt(scanner, any);
  const found = next === undefined ? "end of file" : JSON.stringify(next.slice(0, 60));
  return new ProblemError(placeAt(scanner), `Expected ${wanted} and found ${found}.`);
}

/** Refuses what nests deeper than a file ever needs; it keeps every walk off the stack's end. */
export function checkNesting(scanner: Scanner, depth: number): void {
  if (depth > builderfileBounds.nestingMax) {
    throw new ProblemError(placeAt(scanner), "This nests too deep.");
  }
}

/** A word of a plain value or the name of a field: globs, sizes and flags need no quotes. */
export const plainWord = /[^\s(){}[\]:;,="'#]+/y;
/** A name of the language. */
export const identifier = /[A-Za-z_]\w*/y;

const blanks = /\s+/y;
const quoted = /"[^"\n]*"|'[^'\n]*'/y;
const any = /[\s\S]/y;
