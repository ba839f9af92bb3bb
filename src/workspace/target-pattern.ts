// Which targets a command line means: names, all of a package, all below a folder, all but some.

import { MeshError } from "../core/error.ts";
import {
  labelOf,
  type PlacedTarget,
  parseTargetName,
  patternForms,
  type Workspace,
} from "./workspace.ts";

/** What some patterns stand for. */
export interface ChosenTargets {
  /** Each once, in the order of the patterns. */
  readonly targets: readonly PlacedTarget[];
  /** Labels of those that a pattern names, and does not only cover. */
  readonly named: ReadonlySet<string>;
}

/**
 * The targets of patterns. One with a `-` before it takes away what it covers from what stands
 * before. INVALID_ARGUMENT for what is no pattern, NOT_FOUND for what is not there.
 */
export function chooseTargets(workspace: Workspace, patterns: readonly string[]): ChosenTargets {
  const byLabel = new Map<string, PlacedTarget>();
  const named = new Set<string>();
  for (const [at, text] of patterns.entries()) {
    const excluded = text.startsWith("-");
    if (excluded && at === 0) {
      throw new MeshError(
        "INVALID_ARGUMENT",
        `${text} takes targets away; say first from what, as in -- //... ${text}`,
      );
    }
    const { targets, wild } = targetsOf(workspace, excluded ? text.slice(1) : text);
    for (const placed of targets) {
      const label = labelOf(placed);
      if (excluded) byLabel.delete(label);
      else byLabel.set(label, placed);
      if (excluded) named.delete(label);
      else if (!wild) named.add(label);
    }
  }
  if (byLabel.size === 0) {
    throw new MeshError("NOT_FOUND", `Nothing is left of ${patterns.join(" ")}. Exclude less.`);
  }
  return { targets: [...byLabel.values()], named };
}

/** The targets of one pattern without a `-`; `wild` where it covers whatever is there. */
export function targetsOf(
  workspace: Workspace,
  pattern: string,
): { readonly targets: readonly PlacedTarget[]; readonly wild: boolean } {
  const below = /^(?:\/\/(?:(.+)\/)?|)\.\.\.$/.exec(pattern);
  if (below !== null) {
    const folder = pattern === "..." ? workspace.here : folderIn(below[1] ?? "", pattern);
    const packages = workspace.packagesBelow(folder);
    if (packages.length === 0) throw nothingBelow(folder);
    return { targets: packages.flatMap((name) => workspace.packageTargets(name)), wild: true };
  }
  const all = /^(?:\/\/([^:]*))?:(all|\*)$/.exec(pattern);
  if (all !== null) {
    const folder = all[1] === undefined ? workspace.here : folderIn(all[1], pattern);
    const targets = workspace.packageTargets(folder);
    // A target may have the name `all`; `*` is none that a target can have.
    const one = targets.find(({ target }) => target.name === all[2]);
    return one === undefined ? { targets, wild: true } : { targets: [one], wild: false };
  }
  if (/^\/\/[^:]*$/.test(pattern)) {
    const folder = pattern.replace(/\/+$/, "");
    const forms = folder === "" ? "//:all or //..." : `${folder}:all or ${folder}/...`;
    throw new MeshError(
      "INVALID_ARGUMENT",
      `${JSON.stringify(pattern)} is a folder. Write ${forms} for its targets.`,
    );
  }
  return { targets: [workspace.find(parseTargetName(pattern), workspace.here)], wild: false };
}

/** A folder as a pattern gives it, held to what a package's name can be. */
function folderIn(folder: string, pattern: string): string {
  const inside = !/^\/|[\0\\:]|(^|\/)\.\.(\/|$)/.test(folder);
  if (inside) return folder.replace(/\/+$/, "");
  throw new MeshError(
    "INVALID_ARGUMENT",
    `${JSON.stringify(pattern)} names no targets. Write ${patternForms}.`,
  );
}

function nothingBelow(folder: string): MeshError {
  const where = folder === "" ? "this workspace" : folder;
  return new MeshError("NOT_FOUND", `There is no Builderfile in ${where} or below. Write one.`);
}
