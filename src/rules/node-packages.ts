// What sources for Node import: packages of node_modules with all that those need, and the
// package.json files that say what kind of module a source is.

import { builtinModules } from "node:module";
import { posix } from "node:path";
import { folderOf } from "../workspace/paths.ts";
import type { ActionInput } from "./build-action.ts";
import type { RuleDeps } from "./rule.ts";

/** What follows `from`, `import`, `import(` and `require(` in a source, sorted. */
export function findImports(text: string): string[] {
  const pattern = /\b(?:from|import|require)\s*\(?\s*(["'])((?:(?!\1)[^\\\n])+)\1/g;
  return [...new Set([...text.matchAll(pattern)].map((match) => match[2] ?? ""))].sort();
}

/** The package an import is of; undefined for a file and for what Node itself has. */
export function packageOf(specifier: string): string | undefined {
  const pattern = /^(?:@[\w.~-]+\/)?[\w~-][\w.~-]*(?=\/|$)/;
  if (/^[./#]/.test(specifier) || specifier.includes(":")) return undefined;
  const name = pattern.exec(specifier)?.[0];
  return name === undefined || builtinModules.includes(name) ? undefined : name;
}

/** The folder of an installed package, as Node finds it from a folder of the workspace. */
export function installedPackage(name: string, from: string, deps: RuleDeps): string | undefined {
  for (let folder = from; ; folder = folderOf(folder)) {
    const found = posix.join(folder, "node_modules", name);
    if (deps.files.exists(`${found}/package.json`)) return found;
    if (folder === "") return undefined;
  }
}

/**
 * The files of these packages and of all they depend on. What is not installed is left out: who
 * needs it says so better.
 */
export function packageInputs(
  wanted: readonly { readonly name: string; readonly from: string }[],
  deps: RuleDeps,
): ActionInput[] {
  const done = new Set<string>();
  const waiting = [...wanted];
  const inputs: ActionInput[] = [];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const folder = installedPackage(next.name, next.from, deps);
    if (folder === undefined || done.has(folder)) continue;
    done.add(folder);
    for (const path of deps.files.matching(folder, ["**"])) inputs.push({ kind: "source", path });
    for (const name of deps.findings(`${folder}/package.json`, findDependencies)) {
      waiting.push({ name, from: folder });
    }
  }
  return inputs;
}

/** What sources import of node_modules, with the folder each import is in. */
export function importedPackages(
  sources: readonly string[],
  deps: RuleDeps,
): { readonly name: string; readonly from: string }[] {
  return sources.flatMap((path) =>
    deps.findings(path, findImports).flatMap((specifier) => {
      const name = packageOf(specifier);
      return name === undefined ? [] : [{ name, from: folderOf(path) }];
    }),
  );
}

/** Names in the dependencies of a package.json, those that may be absent too. */
export function findDependencies(text: string): string[] {
  const kinds = ["dependencies", "optionalDependencies", "peerDependencies"];
  const names = kinds.flatMap((kind) => Object.keys(Object(member(parsed(text), kind))));
  return [...new Set(names)].filter((name) => packageOf(name) === name).sort();
}

/** The nearest package.json above each source: it tells modules from scripts. */
export function packageFiles(sources: readonly string[], deps: RuleDeps): string[] {
  const found = new Set<string>();
  for (const start of new Set(sources.map(folderOf))) {
    for (let folder = start; ; folder = folderOf(folder)) {
      const file = posix.join(folder, "package.json");
      if (deps.files.exists(file)) found.add(file);
      if (found.has(file) || folder === "") break;
    }
  }
  return [...found].sort();
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function member(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined;
}
