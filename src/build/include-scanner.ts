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

/** What a source can see. */
export interface ScannedIncludes {
  /** Existing files, the source not included, sorted. */
  readonly headers: readonly string[];
  /**
   * Folders that paths such as `sub/../a.h` lead through, sorted: without them the system does not
   * resolve the path, though nothing in them is read. They may not exist.
   */
  readonly folders: readonly string[];
}

/** One include of a file. The path of a computed one is the macro's name. */
export interface Include {
  readonly kind: "quoted" | "angled" | "computed";
  readonly path: string;
}

const directive =
  /^[ \t\f\v]*(?:#|%:)[ \t]*(?:include_next|include|import|embed)[ \t]*(?:"([^"\n]+)"|<([^>\n]+)>|(\w+))/gm;
const hasInclude =
  /__has_(?:include|include_next|embed)\s*\(\s*(?:"([^"\n]+)"|<([^>\n]+)>|([A-Za-z_]\w*))/g;

/** Comments, and what may look as if it held one: literals are kept, block comments go. */
const lexeme =
  /R"([^()\s\\"]{0,16})\([\s\S]*?\)\1"|"(?:\\.|[^"\\\n])*"|'(?:\\[^\n]{1,9}|[^'\\\n])'|\/\/[^\n]*|(\/\*[\s\S]*?\*\/)/g;

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

  function candidates(
    from: string,
    include: Include,
    search: readonly string[],
    folders: Set<string>,
  ): string[] {
    if (include.kind === "computed") {
      return [...deps.headersBelow([posix.dirname(from), ...search])];
    }
    const own = include.kind === "quoted" ? [posix.dirname(from)] : [];
    const found: string[] = [];
    // All that exist, not only the first: which one wins is the compiler's business.
    for (const folder of [...own, ...search]) {
      const written = `${folder === "" ? "." : folder}/${include.path}`;
      const path = posix.normalize(written);
      if (path.startsWith("../") || include.path.startsWith("/") || !deps.exists(path)) continue;
      for (const through of climbs(written)) folders.add(through);
      found.push(path);
    }
    return found;
  }

  return {
    scan: (source, searchFolders) => {
      const seen = new Set<string>([source]);
      const folders = new Set<string>();
      const queue = [source];
      for (let path = queue.pop(); path !== undefined; path = queue.pop()) {
        for (const include of includesOf(path)) {
          for (const found of candidates(path, include, searchFolders, folders)) {
            if (seen.has(found)) continue;
            seen.add(found);
            queue.push(found);
          }
        }
      }
      seen.delete(source);
      return { headers: [...seen].sort(), folders: [...folders].sort() };
    },
  };
}

/** The includes a text may make. */
export function parseIncludes(text: string): Include[] {
  const joined = text.replace(/^\uFEFF/, "").replaceAll(/\\\r?\n/g, "");
  const plain = joined.replaceAll(lexeme, (all: string, _delimiter: unknown, comment: unknown) =>
    comment === undefined ? all : " ",
  );
  const found: Include[] = [];
  for (const pattern of [directive, hasInclude]) {
    for (const [, quoted, angled, computed] of plain.matchAll(pattern)) {
      if (quoted !== undefined) found.push({ kind: "quoted", path: quoted });
      else if (angled !== undefined) found.push({ kind: "angled", path: angled });
      else if (computed !== undefined) found.push({ kind: "computed", path: computed });
    }
  }
  return found;
}

/** The folders that a path enters and leaves again by `..`. */
function climbs(path: string): string[] {
  const parts = path.split("/");
  return parts.flatMap((part, at) => {
    const before = parts.slice(0, at).filter((name) => name !== ".");
    const climbing = part === ".." && before.length > 0 && before.at(-1) !== "..";
    const through = posix.normalize(before.join("/"));
    return climbing && through !== "." && !through.startsWith("..") ? [through] : [];
  });
}
