// Which headers a C or C++ source can see: a scan of `#include` lines, transitive, inside the
// workspace. Conditions are not evaluated, so the answer is never too small; the sandbox shows the
// compiler exactly these files, so it cannot be too small unnoticed either.

import { posix } from "node:path";

/** What the scanner reads from. */
export interface IncludeScannerDeps {
  /** The includes of a file, relative to the workspace; `parseIncludes` finds them in its text. */
  readonly includesOf: (path: string) => readonly Include[];
  readonly exists: (path: string) => boolean;
  /** Headers a computed `#include MACRO` could mean: all below these folders. */
  readonly headersBelow: (folders: readonly string[]) => readonly string[];
}

/** What sources can see. */
export interface ScannedIncludes {
  /** Existing files, the sources not included, sorted. */
  readonly headers: readonly string[];
  /**
   * Folders that paths such as `sub/../a.h` lead through, sorted: without them the system does not
   * resolve the path, though nothing in them is read. They may not exist.
   */
  readonly folders: readonly string[];
  /** Whether it may include something that an action makes. */
  readonly made: boolean;
}

/**
 * One include of a file. The path of a computed one is the macro's name; a binary one is the
 * assembler's `.incbin`, whose path begins where the compiler runs.
 */
export interface Include {
  readonly kind: "quoted" | "angled" | "computed" | "binary";
  readonly path: string;
}

const directive =
  /^[ \t\f\v]*(?:#|%:)[ \t]*(?:include_next|include|import|embed)[ \t]*(?:"([^"\n]+)"|<([^>\n]+)>|(\w+))/gm;
const hasInclude =
  /__has_(?:include|include_next|embed)\s*\(\s*(?:"([^"\n]+)"|<([^>\n]+)>|([A-Za-z_]\w*))/g;
/** In the strings of `asm`, whose quotes are escaped, and in assembler sources. */
const incbin = /\.incbin\s+\\?"([^"\\\n]+)/g;

/** Comments, and what may look as if it held one: literals are kept, block comments go. */
const lexeme =
  /R"([^()\s\\"]{0,16})\([\s\S]*?\)\1"|"(?:\\.|[^"\\\n])*"|'(?:\\[^\n]{1,9}|[^'\\\n])'|\/\/[^\n]*|(\/\*[\s\S]*?\*\/)/g;

/** Creates a scanner whose results are remembered for the life of a build. */
export function createIncludeScanner(deps: IncludeScannerDeps): {
  scan(
    sources: readonly string[],
    searchFolders: readonly string[],
    isMade: (path: string) => boolean,
  ): ScannedIncludes;
} {
  const includesByPath = new Map<string, readonly Include[]>();

  function includesOf(path: string): readonly Include[] {
    const known = includesByPath.get(path);
    if (known !== undefined) return known;
    const found = deps.includesOf(path);
    includesByPath.set(path, found);
    return found;
  }

  /** Paths that an include may mean, as written, with `..` still in them. */
  function written(from: string, include: Include, search: readonly string[]): string[] {
    if (include.path.startsWith("/")) return [];
    const own =
      include.kind === "quoted" ? [posix.dirname(from)] : include.kind === "binary" ? [""] : [];
    // All that exist, not only the first: which one wins is the compiler's business.
    return [...own, ...search].map((folder) => `${folder === "" ? "." : folder}/${include.path}`);
  }

  return {
    scan: (sources, search, isMade) => {
      const seen = new Set<string>(sources);
      const folders = new Set<string>();
      const queue = [...sources];
      let made = false;
      const find = (path: string) => {
        if (!seen.has(path)) queue.push(path);
        seen.add(path);
      };
      const follow = (from: string, include: Include) => {
        for (const way of written(from, include, search)) {
          const path = posix.normalize(way);
          if (path.startsWith("../")) continue;
          made ||= isMade(path);
          if (!deps.exists(path)) continue;
          for (const through of climbs(way)) folders.add(through);
          // What is in a binary is nobody's text.
          if (include.kind === "binary") seen.add(path);
          else find(path);
        }
      };
      for (let path = queue.pop(); path !== undefined; path = queue.pop()) {
        for (const include of includesOf(path)) {
          if (include.kind !== "computed") follow(path, include);
          else deps.headersBelow([posix.dirname(path), ...search]).forEach(find);
        }
      }
      for (const source of sources) seen.delete(source);
      return { headers: [...seen].sort(), folders: [...folders].sort(), made };
    },
  };
}

/** An include as one text, to be remembered; `parseInclude` reads it back. */
export function formatInclude({ kind, path }: Include): string {
  return `${kind[0]}${path}`;
}

/** Reads what `formatInclude` wrote. */
export function parseInclude(text: string): Include {
  const kinds = ["quoted", "angled", "binary"] as const;
  const kind = kinds.find((name) => name[0] === text[0]) ?? "computed";
  return { kind, path: text.slice(1) };
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
  for (const [, path = ""] of plain.matchAll(incbin)) found.push({ kind: "binary", path });
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
