// What every part of an evaluation shares: the world outside as it is let in, what was read of it,
// and the bounds that end what would not end by itself.

import { failureOf, MeshError } from "../core/error.ts";
import { type Place, ProblemError, type Read } from "./model.ts";
import type { Callable, Value } from "./values.ts";

/** The world outside a Builderfile. Paths are relative to the workspace and stay inside it. */
export interface EvaluationHost {
  /** The text of a file; undefined where there is none. MeshError where it cannot be had. */
  readFile(path: string): string | undefined;
  fileExists(path: string): boolean;
  /** Files below a folder that match any of the globs, sorted, and every folder looked into. */
  glob(
    folder: string,
    globs: readonly string[],
  ): { readonly files: readonly string[]; readonly folders: readonly string[] };
  /** A variable of the environment. */
  variable(name: string): string | undefined;
  /** The system, such as `linux` or `darwin`. */
  readonly platform: string;
  /** The processor, such as `x64` or `arm64`. */
  readonly arch: string;
}

/** A world with nothing in it, for texts that stand in no workspace. */
export const emptyHost: EvaluationHost = {
  readFile: () => undefined,
  fileExists: () => false,
  glob: () => ({ files: [], folders: [] }),
  variable: () => undefined,
  platform: "unknown",
  arch: "unknown",
};

/** Bounds of an evaluation. */
export const evaluationBounds = {
  /** Statements, expressions, items of lists and every 64th character of texts made. */
  stepsMax: 2_000_000,
  /** Expressions and calls inside each other. */
  depthMax: 1500,
  /** Characters of one text. */
  textMax: 1 << 20,
  importsDeepMax: 16,
};

/** One evaluation of one Builderfile. */
export interface Evaluation {
  readonly host: EvaluationHost;
  /** Folder of the Builderfile: what paths are relative to. */
  readonly folder: string;
  /** Counts work; throws a ProblemError where it becomes too much. */
  spend(place: Place, steps?: number): void;
  /** Whether `spend` has refused: nothing can go on then. */
  exhausted(): boolean;
  /** Goes one level deeper, or throws a ProblemError. `leave` goes back. */
  enter(place: Place): void;
  leave(): void;
  /** The present depth; setting it undoes what an error left behind. */
  depth: number;
  /** Calls a function or lambda. */
  call(callee: Callable, args: readonly Value[], place: Place): Value;
  /** Reads of the world so far, each once. */
  readonly reads: ReadonlyMap<string, Read>;
  remember(read: Read): void;
}

/** Begins an evaluation. `call` is what runs a function's body. */
export function beginEvaluation(
  host: EvaluationHost,
  folder: string,
  call: (evaluation: Evaluation, callee: Callable, args: readonly Value[], place: Place) => Value,
): Evaluation {
  const reads = new Map<string, Read>();
  let steps = 0;
  const evaluation: Evaluation = {
    host,
    folder,
    depth: 0,
    spend: (place, more = 1) => {
      steps += more;
      if (steps <= evaluationBounds.stepsMax) return;
      const message =
        `The evaluation takes over ${evaluationBounds.stepsMax} steps. Does a loop or a function ` +
        "go on without end?";
      throw new ProblemError(place, message);
    },
    exhausted: () => steps > evaluationBounds.stepsMax,
    enter: (place) => {
      evaluation.depth += 1;
      if (evaluation.depth <= evaluationBounds.depthMax) return;
      throw new ProblemError(
        place,
        "This nests too deep. Does a function call itself without end?",
      );
    },
    leave: () => {
      evaluation.depth -= 1;
    },
    call: (callee, args, place) => call(evaluation, callee, args, place),
    reads,
    remember: (read) => {
      const key = read.kind === "variable" ? `variable ${read.name}` : `${read.kind} ${read.path}`;
      if (!reads.has(key)) reads.set(key, read);
    },
  };
  return evaluation;
}

/** Refuses a text that is too long, before it is made, and counts the work of making it. */
export function checkText(evaluation: Evaluation, length: number, place: Place): void {
  evaluation.spend(place, 1 + Math.floor(length / 64));
  if (length <= evaluationBounds.textMax) return;
  throw new ProblemError(place, `The text is over ${evaluationBounds.textMax} characters long.`);
}

/** Asks the host; what it refuses becomes a problem with a place. */
export function ask<T>(place: Place, question: () => T): T {
  try {
    return question();
  } catch (error) {
    if (!(error instanceof MeshError)) throw error;
    throw new ProblemError(place, failureOf(error).message);
  }
}
