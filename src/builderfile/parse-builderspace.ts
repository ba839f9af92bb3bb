// The Builderspace: the file at the root of a workspace, with what holds for all of its targets.

import { type EvaluationHost, emptyHost } from "./evaluation.ts";
import { builderspaceTable } from "./fields.ts";
import { builderfileBounds, type Place, type Problem, type Read } from "./model.ts";
import { declarationsOf } from "./parse-builderfile.ts";
import { collectFields, FieldReader } from "./read-fields.ts";
import {
  checkPath,
  readFlag,
  readNumber,
  readText,
  readTextMap,
  withoutSlash,
} from "./read-values.ts";

/** What a Builderspace says; undefined where it says nothing. */
export interface Builderspace {
  readonly name: string | undefined;
  /** Environment of every target's actions; a target's own wins. */
  readonly env: Readonly<Record<string, string>>;
  /** Most actions at once. */
  readonly jobs: number | undefined;
  /** The node that `--remote` without a value means. */
  readonly remote: string | undefined;
  /** Folder, in each package, of the files that targets make. */
  readonly outputDir: string;
  readonly verbose: boolean;
  /** Where each given field stands, by its name in the table. */
  readonly placeByField: ReadonlyMap<string, Place>;
}

/** A Builderspace, or at most 20 problems; and what else was read. */
export type BuilderspaceResult = { readonly reads: readonly Read[] } & (
  | { readonly ok: true; readonly value: Builderspace }
  | { readonly ok: false; readonly problems: readonly Problem[] }
);

/** A workspace without a Builderspace, or with an empty one. */
export const plainBuilderspace: Builderspace = {
  name: undefined,
  env: {},
  jobs: undefined,
  remote: undefined,
  outputDir: "bin",
  verbose: false,
  placeByField: new Map(),
};

/** Fields that other build systems have here, each with what to do instead. */
const refused: Readonly<Record<string, string>> = {
  cacheDir:
    "cacheDir belongs to a machine, not to a workspace: every workspace of a machine shares one " +
    "store. Say --store=FOLDER, or set XDG_CACHE_HOME.",
};

/** Parses and evaluates a Builderspace in either syntax; an empty one is fine. Never throws. */
export function parseBuilderspace(
  bytes: Uint8Array | string,
  file: string,
  host: EvaluationHost = emptyHost,
): BuilderspaceResult {
  const { declared, problems, reads } = declarationsOf(bytes, file, host, "workspace");
  const [raw, second] = declared;
  if (second !== undefined) {
    problems.push({ place: second.place, message: "There is one workspace in a Builderspace." });
  }
  const own = (raw?.fields ?? []).filter(({ name, place }) => {
    const why = Object.hasOwn(refused, name) ? refused[name] : undefined;
    if (why !== undefined) problems.push({ place, message: why });
    return why === undefined;
  });
  const fields = collectFields(own, builderspaceTable, "", problems);
  const reader = new FieldReader(fields, problems);
  const value: Builderspace = {
    name: raw?.name,
    env: reader.get("env", (v) => readTextMap(v, "env")) ?? {},
    jobs: reader.get("jobs", (v) => readNumber(v, "jobs", "count")),
    remote: reader.get("remote", (v) => readText(v, "remote", "text")),
    outputDir:
      reader.get("outputDir", (v) => {
        const path = readText(v, "outputDir", "path");
        checkPath(path, v.place);
        return withoutSlash(path);
      }) ?? plainBuilderspace.outputDir,
    verbose: reader.get("verbose", (v) => readFlag(v, "verbose")) ?? false,
    placeByField: new Map([...fields].map(([name, field]) => [name, field.place])),
  };
  if (problems.length === 0) return { ok: true, value, reads };
  return { ok: false, problems: problems.slice(0, builderfileBounds.problemsMax), reads };
}
