// Builderfiles as texts, evaluated in a world in memory.

import { type EvaluationHost, emptyHost } from "../../src/builderfile/evaluation.ts";
import { formatProblem, type Target } from "../../src/builderfile/model.ts";
import { parseBuilderfile } from "../../src/builderfile/parse-builderfile.ts";

/** A world of files and variables in memory; globs match by their ending. */
export function hostOf(
  files: Readonly<Record<string, string>>,
  variables: Readonly<Record<string, string>> = {},
): EvaluationHost {
  const ending = (glob: string) => glob.slice(glob.lastIndexOf("*") + 1);
  return {
    readFile: (path) => files[path],
    fileExists: (path) => path in files,
    glob: (folder, globs) => ({
      files: Object.keys(files)
        .filter((path) => path.startsWith(folder))
        .filter((path) => globs.some((glob) => path.endsWith(ending(glob))))
        .sort(),
      folders: [folder],
    }),
    variable: (name) => variables[name],
    platform: "linux",
    arch: "x64",
  };
}

/** `@{x}` as the language writes it; here it would look like a slip in a template. */
export function curly(text: string): string {
  return text.replaceAll("@{", "$".concat("{"));
}

/** The targets of a text that is right. */
export function targetsOf(written: string, host = emptyHost): readonly Target[] {
  const text = curly(written);
  const parsed = parseBuilderfile(text, "app/Builderfile", host);
  if (!parsed.ok) throw new Error(parsed.problems.map((p) => formatProblem(p, text)).join("\n"));
  return parsed.value.targets;
}

/** The first problem of a text that is wrong. */
export function problemOf(written: string, host = emptyHost): string {
  const text = curly(written);
  const parsed = parseBuilderfile(text, "app/Builderfile", host);
  if (parsed.ok) throw new Error("it parsed");
  const [{ place, message } = { place: { line: 0, column: 0 }, message: "" }] = parsed.problems;
  return `${place.line}:${place.column} ${message}`;
}
