// Reads a folder and drafts a Builderfile for what is in it.

import { readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { type Language, namesByLanguage, type Target } from "../builderfile/model.ts";
import { parseBuilderfile } from "../builderfile/parse-builderfile.ts";
import { MeshError } from "../core/error.ts";
import { createListings } from "../workspace/folder-listing.ts";
import { hintFile, treeFlags } from "./build-hints.ts";
import { ruleFor } from "./languages.ts";
import { type ProposedTarget, proposeTargets } from "./propose-targets.ts";
import { isSurveyed, surveySources } from "./survey-sources.ts";
import { writeTargets } from "./write-targets.ts";

/** A draft: the file, and the targets it names. */
export interface Draft {
  readonly text: string;
  readonly targets: readonly Target[];
}

/** Where other build systems put what they make. */
const madeFolders = /^(build|_build|cmake-build-.*|out|dist|target|CMakeFiles|bazel-.*|bin)$/;
/** Bounds: of the files that are looked at, and of what is read of each. */
const bounds = { files: 100_000, charsRead: 1 << 20 };
const title = "Drafted by `bldr init` from the sources; change it as you like.";

/** What other languages end with, and what their programs begin with. */
const otherLanguages: readonly {
  readonly language: Language;
  readonly ending: RegExp;
  readonly main: RegExp;
}[] = [
  { language: "python", ending: /\.py$/, main: /^if __name__ == ["']__main__["']/m },
  { language: "go", ending: /\.go$/, main: /^func main\(\)/m },
  { language: "rust", ending: /\.rs$/, main: /^fn main\(\)/m },
  { language: "java", ending: /\.java$/, main: /\bstatic\s+void\s+main\s*\(/ },
  { language: "typescript", ending: /\.tsx?$/, main: /^#!/ },
  { language: "javascript", ending: /\.[cm]?js$/, main: /^#!/ },
];

/**
 * Drafts a Builderfile for a folder. NOT_FOUND where there is no source of a language that can be
 * built; it says what else there is.
 */
export function draftBuilderfile(folder: string): Draft {
  const paths = filesBelow(folder);
  const read = (path: string) => readStart(join(folder, path));
  const name = basename(folder).replaceAll(/[^\w.@+-]/g, "_") || "app";
  if (!paths.some(isSurveyed)) return draftOther(paths, read, name);
  const hints = paths.filter((path) => hintFile.test(basename(path)));
  const files = surveySources(paths, read);
  const targets = proposeTargets({ name, files, paths, flags: treeFlags(hints.map(read)) });
  if (targets.length > 0) return checked(writeTargets(targets, paths, title));
  throw new MeshError(
    "NOT_FOUND",
    "There are headers here but no C or C++ source to compile. Go to the folder that has some.",
  );
}

function draftOther(paths: readonly string[], read: (path: string) => string, name: string): Draft {
  for (const { language, ending, main } of otherLanguages) {
    const sources = paths.filter((path) => ending.test(path));
    if (sources.length === 0) continue;
    const starts = sources.filter((path) => main.test(read(path))).length === 1;
    const target: ProposedTarget = {
      ...{ name, type: starts ? "executable" : "library", sources },
      ...{ includes: [], flags: [], linkFlags: [], deps: [], inputs: [] },
    };
    const draft = checked(writeTargets([target], paths, title));
    const known = draft.targets.every((one) => ruleFor(one).languages.includes(language));
    if (known) return draft;
    const [called = language] = namesByLanguage[language];
    const shown = sources.slice(0, 5).join(", ");
    throw new MeshError(
      "NOT_FOUND",
      `There is no C or C++ source here, only ${called} (${shown}), which this version does not ` +
        "build. Write a Builderfile with commands for it.",
    );
  }
  throw new MeshError(
    "NOT_FOUND",
    "There are no sources here that bldr knows how to build. Go to the folder that has them.",
  );
}

/** A draft is read as any Builderfile is, so that one that cannot be is not written. */
function checked(text: string): Draft {
  const parsed = parseBuilderfile(text, "Builderfile");
  if (parsed.ok) return { text, targets: parsed.value.targets };
  const [problem] = parsed.problems;
  throw new MeshError(
    "FAILED_PRECONDITION",
    `No Builderfile can say what is here: ${problem?.message} Rename the file or the folder.`,
  );
}

/** The files of a tree; packages, workspaces and what builds made in it are none of it. */
function filesBelow(root: string): string[] {
  const list = createListings(root, () => {});
  const found: string[] = [];
  const open = [""];
  for (let folder = open.pop(); folder !== undefined; folder = open.pop()) {
    const { files, folders, unreadable } = list(folder);
    const own = files.map((path) => basename(path));
    if (folder !== "" && (own.includes("Builderfile") || own.includes("Builderspace"))) continue;
    for (const path of files) if (!unreadable.has(path)) found.push(path);
    for (const child of folders) {
      if (!unreadable.has(child) && !madeFolders.test(basename(child))) open.push(child);
    }
    if (found.length > bounds.files) {
      throw new MeshError(
        "RESOURCE_EXHAUSTED",
        `There are over ${bounds.files} files here. Go to a smaller folder, or leave some out in ` +
          ".builderignore.",
      );
    }
  }
  return found.sort();
}

function readStart(path: string): string {
  try {
    return readFileSync(path, "utf8").slice(0, bounds.charsRead);
  } catch {
    return "";
  }
}
