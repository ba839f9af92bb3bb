// A Builderfile, in either syntax, as targets; or everything that is wrong with it.

import { evaluateFile } from "./evaluate.ts";
import { type EvaluationHost, emptyHost } from "./evaluation.ts";
import {
  type Builderfile,
  builderfileBounds,
  type Place,
  type Problem,
  type RawTarget,
  type Read,
  type Target,
} from "./model.ts";
import { looksBraced, parseBraced } from "./parse-braced.ts";
import { parseIndented } from "./parse-indented.ts";
import { readTarget } from "./read-target.ts";

/** The targets, or at most 20 problems; and what else was read. */
export type ParseResult = { readonly reads: readonly Read[] } & (
  | { readonly ok: true; readonly value: Builderfile }
  | { readonly ok: false; readonly problems: readonly Problem[] }
);

/** What either syntax says before fields have a meaning. */
export interface Declarations {
  readonly declared: readonly RawTarget[];
  readonly problems: Problem[];
  readonly reads: readonly Read[];
  /** Whether there is nothing in the file but comments. */
  readonly empty: boolean;
}

/**
 * Parses and evaluates bytes from anywhere. Never throws. `file` is relative to the workspace;
 * what the file asks of the world goes through `host`.
 */
export function parseBuilderfile(
  bytes: Uint8Array | string,
  file: string,
  host: EvaluationHost = emptyHost,
): ParseResult {
  const start: Place = { file, line: 1, column: 1 };
  const begin = 'Begin with "target NAME:".';
  const { declared, problems, reads, empty } = declarationsOf(bytes, file, host, "target");
  const targets: Target[] = [];
  const placeByName = new Map<string, Place>();
  for (const target of declared) {
    const earlier = placeByName.get(target.name);
    if (earlier !== undefined) {
      const message = `Target ${target.name} stands already in line ${earlier.line}.`;
      problems.push({ place: target.place, message });
    }
    placeByName.set(target.name, target.place);
    const read = readTarget(target, problems);
    if (read !== undefined) targets.push(read);
    if (problems.length >= builderfileBounds.problemsMax) break;
  }
  if (empty && problems.length === 0) {
    const nothing = textOf(bytes).text?.trim() === "";
    const message = `${nothing ? "It is empty." : "It holds no target."} ${begin}`;
    problems.push({ place: start, message });
  }
  if (problems.length === 0) return { ok: true, value: { file, targets }, reads };
  return { ok: false, problems: problems.slice(0, builderfileBounds.problemsMax), reads };
}

/** What a file in either syntax declares. Never throws. */
export function declarationsOf(
  bytes: Uint8Array | string,
  file: string,
  host: EvaluationHost,
  what: "target" | "workspace",
): Declarations {
  const { text, refusal } = textOf(bytes);
  if (text === undefined) {
    const problems = [{ place: { file, line: 1, column: 1 }, message: refusal }];
    return { declared: [], problems, reads: [], empty: false };
  }
  const problems: Problem[] = [];
  if (!looksBraced(text)) {
    const declared = parseIndented(text, file, problems, what);
    return { declared, problems, reads: [], empty: declared.length === 0 };
  }
  const statements = parseBraced(text, file, problems);
  // Half a file would only be wrong in more ways: names that it declares would be missing.
  if (problems.length > 0) return { declared: [], problems, reads: [], empty: false };
  const evaluated = evaluateFile(statements, file, host, what);
  return {
    ...evaluated,
    problems: [...evaluated.problems],
    empty: statements.length === 0,
  };
}

function textOf(
  bytes: Uint8Array | string,
): { readonly text: string; readonly refusal: undefined } | Refusal {
  const { bytesMax } = builderfileBounds;
  const refuse = (refusal: string): Refusal => ({ text: undefined, refusal });
  if (bytes.length > bytesMax) return refuse(`It is over ${bytesMax} bytes long.`);
  const text = typeof bytes === "string" ? bytes : decoded(bytes);
  if (text === undefined) return refuse("It is not valid UTF-8 text.");
  if (text.includes("\0")) return refuse("It holds a NUL byte; it is no text file.");
  return { text, refusal: undefined };
}

interface Refusal {
  readonly text: undefined;
  readonly refusal: string;
}

function decoded(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}
