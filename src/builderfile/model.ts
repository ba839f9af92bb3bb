// What a Builderfile says, the same for both syntaxes, with the place of everything that can be
// wrong.

/** Where something stands. Lines and columns count from 1. */
export interface Place {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** Something wrong in a Builderfile: a sentence with its place. */
export interface Problem {
  readonly place: Place;
  readonly message: string;
}

/** What a target makes. */
export type TargetType = "executable" | "library" | "test" | "custom";

/** Languages, each with the names it goes by in Builderfiles. */
export const namesByLanguage = {
  c: ["c"],
  cpp: ["cpp", "c++", "cxx"],
  rust: ["rust", "rs"],
  go: ["go", "golang"],
  java: ["java"],
  typescript: ["typescript", "ts"],
  javascript: ["javascript", "js"],
  python: ["python", "py"],
} as const;

/** A language with a rule of its own. */
export type Language = keyof typeof namesByLanguage;

/** A reference to a target; `package` undefined means the file it stands in. */
export interface Label {
  readonly package: string | undefined;
  readonly name: string;
  readonly place: Place;
}

/** What an action of the target may use. */
export interface Hermetic {
  readonly maxMemoryBytes: number | undefined;
  /** Cores, may be a fraction. */
  readonly maxCpus: number | undefined;
  readonly timeoutMs: number | undefined;
  readonly maxProcesses: number | undefined;
  readonly maxOpenFiles: number | undefined;
  readonly maxOutputBytes: number | undefined;
  readonly maxOutputFiles: number | undefined;
  readonly maxTmpBytes: number | undefined;
  readonly maxTmpFiles: number | undefined;
  readonly maxLogBytes: number | undefined;
  readonly network: boolean;
}

/** Of a target that says nothing. */
export const hermeticDefaults: Hermetic = {
  ...{ maxMemoryBytes: undefined, maxCpus: undefined, timeoutMs: undefined },
  ...{ maxProcesses: undefined, maxOpenFiles: undefined, maxOutputBytes: undefined },
  ...{ maxOutputFiles: undefined, maxTmpBytes: undefined, maxTmpFiles: undefined },
  ...{ maxLogBytes: undefined, network: false },
};

/** What a toolchain may be called: `any`, or the kind of its tools, a label and a hash. */
export const toolchainPattern = /^(any|[a-z]+(-[\w.+-]{1,60})?-[0-9a-f]{16})$/;

/** One target. */
export interface Target {
  readonly name: string;
  readonly place: Place;
  readonly type: TargetType;
  readonly language: Language | undefined;
  /** Globs, relative to the Builderfile's folder; so are the other paths. */
  readonly sources: readonly string[];
  readonly includes: readonly string[];
  readonly flags: readonly string[];
  readonly linkFlags: readonly string[];
  readonly deps: readonly Label[];
  /** Settings by name that the rule of its language knows and checks. */
  readonly options: Readonly<Record<string, string>>;
  /** Arguments of the program when it is run. */
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly output: string | undefined;
  /** Folder of the file it makes where `output` does not name one. */
  readonly outputDir: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly command: string | undefined;
  readonly hermetic: Hermetic;
  /** Name of the tools its actions are run with, or `any`; the client's own where undefined. */
  readonly toolchain: string | undefined;
  /** Parts a test is split in; 1 is the whole. */
  readonly shards: number;
  /** How often a failed test is tried again before it counts as failed. */
  readonly flakyRetries: number;
  readonly remote: boolean;
  readonly cache: boolean;
  /** Most actions of this target at once. */
  readonly parallelism: number | undefined;
  /** REAPI order: lower runs sooner, 0 is normal. */
  readonly priority: number;
  /** Where each given field stands, by its name in the table. */
  readonly placeByField: ReadonlyMap<string, Place>;
}

/** A parsed file. */
export interface Builderfile {
  readonly file: string;
  readonly targets: readonly Target[];
}

/**
 * Something outside a Builderfile that its evaluation looked at; where it changes, the targets may.
 * Paths are relative to the workspace, empty for itself; files and folders may be absent.
 */
export type Read =
  | { readonly kind: "file"; readonly path: string }
  /** A folder whose list of files counted. */
  | { readonly kind: "folder"; readonly path: string }
  /** A variable of the environment; undefined where it was not set. */
  | { readonly kind: "variable"; readonly name: string; readonly value: string | undefined };

/** A value before its field gives it a meaning. */
export type RawValue =
  | { readonly kind: "scalar"; readonly text: string; readonly place: Place }
  | { readonly kind: "list"; readonly items: readonly RawValue[]; readonly place: Place }
  | { readonly kind: "map"; readonly fields: readonly RawField[]; readonly place: Place };

/** A name with its value. */
export interface RawField {
  readonly name: string;
  readonly place: Place;
  readonly value: RawValue;
}

/** A target as either syntax parses it. */
export interface RawTarget {
  readonly name: string;
  readonly place: Place;
  readonly fields: readonly RawField[];
}

/** Collects problems up to a bound; parsers throw it at what they cannot go on from. */
export class ProblemError extends Error {
  readonly problem: Problem;

  constructor(place: Place, message: string) {
    super(message);
    this.problem = { place, message };
  }
}

/** Bounds of a Builderfile. */
export const builderfileBounds = {
  bytesMax: 1 << 20,
  targetsMax: 10_000,
  listMax: 100_000,
  nestingMax: 64,
  problemsMax: 20,
};

/** The first problems, as many as people read, each as long as they read. */
export function reported(problems: readonly Problem[]): Problem[] {
  return problems.slice(0, builderfileBounds.problemsMax).map(({ place, message }) => {
    const isLong = message.length > 600;
    const shown = isLong ? `${message.slice(0, 300)} … ${message.slice(-200)}` : message;
    return { place, message: shown };
  });
}

/** `file:line:column: error: …` with the line and a caret under the column. */
export function formatProblem(problem: Problem, text: string): string {
  const { file, line, column } = problem.place;
  const source = (text.split("\n")[line - 1] ?? "").replaceAll("\t", " ").trimEnd().slice(0, 160);
  const shown = `  ${source}\n  ${" ".repeat(Math.min(column - 1, 160))}^`;
  return `${file}:${line}:${column}: error: ${problem.message}\n${shown}`;
}
