// Which headers a C or C++ source can see: a scan of `#include` lines, transitive, inside the
// workspace. Conditions are not evaluated, so the answer is never too small; the sandbox shows the
// compiler exactly these files, so it cannot be too small unnoticed either.

import { posix } from "node:path";

/** What the scanner reads from. */
export interface IncludeScannerDeps {
  /** Text of a file, relative to the workspace. Called once per file. */
  readonly read: (path: string) => string;
  readonly exists: (path: string) => boolean;
  /** Headers a computed `#include MACRO` could mean: all below these folders. */
  readonly headersBelow: (folders: readonly string[]) => readonly string[];
}

/** Every path that was looked at, existing or not: a new file at one of them changes the answer. */
export interface ScannedIncludes {
  /** Existing files, the source not included, sorted. */
  readonly headers: readonly string[];
}

interface Include {
  readonly kind: "quoted" | "angled" | "computed";
  readonly path: string;
}

/** Directives, with line continuations joined and comments allowed before the name. */
const directive =
  /^[ \t]*#[ \t]*(?:include_next|include|import)[ \t]*(?:"([^"\n]+)"|<([^>\n]+)>|(\w+))/gm;
const hasInclude = /__has_include(?:_next)?\s*\(\s*(?:"([^"\n]+)"|<([^>\n]+)>)/g;

/** Creates a scanner whose results are remembered for the life of a build. */
export function createIncludeScanner(deps: IncludeScannerDeps): {
  scan(source: string, searchFolders: readonly string[]): ScannedIncludes;
} {
  const includesByPath = new Map<string, readonly Include[]>();

  function includesOf(path: string): readonly Include[] {
    const known = includesByPath.get(path);
    if (known !== undefined) return known;
    const found = parseIncludes(deps.read(path));
    includesByPath.set(path, found);
    return found;
  }

  function candidates(from: string, include: Include, search: readonly string[]): string[] {
    if (include.kind === "computed") {
      return [...deps.headersBelow([posix.dirname(from), ...search])];
    }
    const own = include.kind === "quoted" ? [posix.dirname(from)] : [];
    // All that exist, not only the first: which one wins is the compiler's business.
    return [...own, ...search]
      .map((folder) => posix.normalize(posix.join(folder, include.path)))
      .filter((path) => !path.startsWith("../") && !path.startsWith("/") && deps.exists(path));
  }

  return {
    scan: (source, searchFolders) => {
      const seen = new Set<string>([source]);
      const queue = [source];
      for (let path = queue.pop(); path !== undefined; path = queue.pop()) {
        for (const include of includesOf(path)) {
          for (const found of candidates(path, include, searchFolders)) {
            if (seen.has(found)) continue;
            seen.add(found);
            queue.push(found);
          }
        }
      }
      seen.delete(source);
      return { headers: [...seen].sort() };
    },
  };
}

/** The includes a text may make. */
export function parseIncludes(text: string): Include[] {
  const plain = text.replaceAll(/\\\r?\n/g, "").replaceAll(/\/\*[\s\S]*?\*\//g, " ");
  const found: Include[] = [];
  for (const [, quoted, angled, computed] of plain.matchAll(directive)) {
    if (quoted !== undefined) found.push({ kind: "quoted", path: quoted });
    else if (angled !== undefined) found.push({ kind: "angled", path: angled });
    else if (computed !== undefined) found.push({ kind: "computed", path: computed });
  }
  for (const [, quoted, angled] of plain.matchAll(hasInclude)) {
    found.push({ kind: quoted === undefined ? "angled" : "quoted", path: quoted ?? angled ?? "" });
  }
  return found;
}
