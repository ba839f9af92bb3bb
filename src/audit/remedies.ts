// What there is to do about a finding: the line of the Builderfile as it should be, where a line
// does it, else a sentence.

import { posix } from "node:path";
import type { Target } from "../builderfile/model.ts";
import type { PlacedTarget } from "../workspace/workspace.ts";
import type { Finding } from "./outside-spec.ts";

/** What to do, for several findings of one target at once. */
export interface Remedy {
  /** File and line of the field, or of the target that lacks it: `lib/Builderfile:4`. */
  readonly place: string | undefined;
  /** The line as it should be; undefined where no line does it. */
  readonly line: string | undefined;
  /** Why, or what else; may be empty beside a line. */
  readonly advice: string;
}

/** What remedies are told from. */
export interface RemedyScope {
  readonly placed: PlacedTarget;
  /** Label of the target that makes a path of the workspace. */
  readonly makerOf: (path: string) => string | undefined;
  /** Whether a file was missed when the program ran as a test, and not when it was made. */
  readonly isOfRun: (path: string) => boolean;
  /** Which of the two syntaxes its Builderfile has. */
  readonly isBraced: boolean;
}

/** The remedies for what was found of a target, each once, in the order of the findings. */
export function remediesFor(findings: readonly Finding[], scope: RemedyScope): Remedy[] {
  const of = (kind: Finding["kind"]) => findings.filter((finding) => finding.kind === kind);
  const inputs = of("input").map(({ what }) => what);
  const made = inputs.filter((path) => scope.makerOf(path) !== undefined);
  const own = inputs.filter((path) => scope.makerOf(path) === undefined);
  const { package: folder } = scope.placed;
  const near = own.filter((path) => folder === "" || path.startsWith(`${folder}/`));
  const far = own.filter((path) => !near.includes(path));
  return [
    ...declareInputs(near, scope),
    ...declareInputsOfRun(near, scope),
    ...dependOn(made, scope),
    ...far.map((path) => elsewhere(path)),
    ...adviceFor(
      of("absolute"),
      "Name it relative to the folder the command runs in, and declare it.",
    ),
    ...declareOutputs(of("output"), scope),
    ...adviceFor(
      of("hidden"),
      "The sandbox hides it: put a copy into the workspace and declare that.",
    ),
    ...adviceFor(
      of("written"),
      "The sandbox does not keep it: write outputs below the workspace, the rest to /tmp.",
    ),
    ...allowNetwork(of("network"), scope),
    ...adviceFor(of("blind"), "What it did then could not be followed: do without it."),
  ];
}

/** A command's files are its inputs; a program's its sources, and its inputs when it runs. */
function declareInputs(paths: readonly string[], scope: RemedyScope): Remedy[] {
  const { target } = scope.placed;
  if (target.command !== undefined) return addTo("inputs", target.inputs, paths, scope);
  const ofBuild = paths.filter((path) => !scope.isOfRun(path));
  return addTo("sources", target.sources, ofBuild, scope);
}

function declareInputsOfRun(paths: readonly string[], scope: RemedyScope): Remedy[] {
  const { target } = scope.placed;
  if (target.command !== undefined) return [];
  return addTo("inputs", target.inputs, paths.filter(scope.isOfRun), scope);
}

function addTo(
  field: string,
  before: readonly string[],
  paths: readonly string[],
  scope: RemedyScope,
): Remedy[] {
  if (paths.length === 0) return [];
  const { package: folder } = scope.placed;
  const added = paths.map((path) => (folder === "" ? path : path.slice(folder.length + 1)));
  return [{ ...lineOf(scope, field, [...before, ...added]), advice: "" }];
}

function dependOn(paths: readonly string[], scope: RemedyScope): Remedy[] {
  const { placed, makerOf } = scope;
  const own = `//${placed.package}:`;
  const labels = [...new Set(paths.flatMap((path) => makerOf(path) ?? []))].sort();
  if (labels.length === 0) return [];
  const before = placed.target.deps.map(({ package: folder, name }) =>
    folder === undefined ? name : `//${folder}:${name}`,
  );
  const added = labels.map((label) => (label.startsWith(own) ? label.slice(own.length) : label));
  return [{ ...lineOf(scope, "deps", [...before, ...added]), advice: "" }];
}

/** Fields name files of their own package only. */
function elsewhere(path: string): Remedy {
  const folder = posix.dirname(path);
  return {
    place: undefined,
    line: undefined,
    advice:
      `${path} is of another folder: declare it in a target of //${folder === "." ? "" : folder}, ` +
      "or in a Builderfile further up, and depend on that.",
  };
}

function declareOutputs(findings: readonly Finding[], scope: RemedyScope): Remedy[] {
  if (findings.length === 0) return [];
  const { target, package: folder } = scope.placed;
  const near = findings
    .map(({ what }) => what)
    .filter((path) => folder === "" || path.startsWith(`${folder}/`))
    .map((path) => (folder === "" ? path : path.slice(folder.length + 1)));
  const mayDeclare = target.command !== undefined || target.type === "test";
  if (!mayDeclare || near.length === 0) {
    return adviceFor(findings, "It is not kept. Let no tool write it, or have it written to /tmp.");
  }
  const line = lineOf(scope, "outputs", [...target.outputs, ...near]);
  return [{ ...line, advice: "Or have it written to /tmp, where it goes with the action." }];
}

function allowNetwork(findings: readonly Finding[], { placed, isBraced }: RemedyScope): Remedy[] {
  if (findings.length === 0) return [];
  const { target } = placed;
  const hasBlock = target.placeByField.has("hermetic");
  const inBlock = isBraced ? "network: true;" : "network: true";
  const block = isBraced ? "hermetic { network: true; }" : "hermetic:\n    network: true";
  const line = hasBlock ? inBlock : block;
  const advice = "Better: put what it asks for into the workspace.";
  return [{ place: placeOf(target, "hermetic"), line, advice }];
}

function adviceFor(findings: readonly Finding[], advice: string): Remedy[] {
  return findings.length === 0 ? [] : [{ place: undefined, line: undefined, advice }];
}

function lineOf(
  { placed: { target }, isBraced }: RemedyScope,
  field: string,
  values: readonly string[],
): Pick<Remedy, "place" | "line"> {
  const list = [...new Set(values)].map((value) => listed(value, isBraced)).join(", ");
  const line = `${field}: [${list}]${isBraced ? ";" : ""}`;
  return { place: placeOf(target, field), line };
}

/** Plain words stand by themselves in a list of the one syntax; others in quotes. */
function listed(value: string, isBraced: boolean): string {
  const isPlain = !isBraced && /^[\w./*+@:-]+$/.test(value);
  return isPlain ? value : JSON.stringify(value);
}

function placeOf(target: Target, field: string): string {
  const { file, line } = target.placeByField.get(field) ?? target.place;
  return `${file}:${line}`;
}
