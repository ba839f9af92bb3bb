// Proposed targets as the text of a Builderfile.

import { folderOf } from "../workspace/paths.ts";
import { isGlob } from "../workspace/source-files.ts";
import type { ProposedTarget } from "./propose-targets.ts";

/** The text; `paths` is every file of the tree, which tells where a glob stands for all of them. */
export function writeTargets(
  targets: readonly ProposedTarget[],
  paths: readonly string[],
  title: string,
): string {
  const sections = targets.map((target) => writeTarget(target, paths));
  return [`# ${title}\n`, ...sections].join("\n");
}

function writeTarget(target: ProposedTarget, paths: readonly string[]): string {
  const { name, type, sources, includes, flags, linkFlags, deps, inputs, main } = target;
  const globs = [...globsOf(sources, paths)];
  return [
    `target ${name}:\n`,
    `    type: ${type}\n`,
    listField("sources", globs),
    listField("includes", includes),
    listField("flags", flags),
    listField("link_flags", linkFlags),
    listField("deps", deps),
    listField("inputs", inputs),
    main === undefined ? "" : `    options:\n        main: ${quoted(main)}\n`,
  ].join("");
}

function listField(name: string, items: readonly string[]): string {
  if (items.length === 0) return "";
  const texts = items.map(quoted);
  const line = `    ${name}: [${texts.join(", ")}]\n`;
  if (line.length <= 100) return line;
  return `    ${name}:\n${texts.map((text) => `        - ${text}\n`).join("")}`;
}

/** `folder/*.c` where it stands for nothing but these files, and at least for two of them. */
function globsOf(sources: readonly string[], paths: readonly string[]): Set<string> {
  const kindOf = (path: string) =>
    `${folderOf(path)}/*${path.slice(path.lastIndexOf("."))}`.replace(/^\//, "");
  const all = Map.groupBy(paths, kindOf);
  const own = Map.groupBy(sources, kindOf);
  const globs = new Set<string>();
  for (const source of sources) {
    const kind = kindOf(source);
    const count = own.get(kind)?.length ?? 0;
    const whole = count > 1 && count === all.get(kind)?.length && !isGlob(folderOf(source));
    globs.add(whole ? kind : nameable(source));
  }
  return globs;
}

/** A path in which what a glob or a quoted text cannot hold is any character. */
function nameable(path: string): string {
  return path.replaceAll(/[*?[\]{}()!"'\\\p{Cc}]/gu, "?");
}

function quoted(text: string): string {
  if (/^[\w./+=@*-]+$/.test(text) && !/^-(\s|$)/.test(text)) return text;
  return text.includes('"') ? `'${text}'` : `"${text}"`;
}
