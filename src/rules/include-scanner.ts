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
/** Not where a file defines the name for compilers without it: that asks for nothing. */
const hasInclude =
  /(?<!(?:#|%:)[ \t]*define[ \t]+)__has_(?:include|include_next|embed)\s*\(\s*(?:"([^"\n]+)"|<([^>\n]+)>|([A-Za-z_]\w*))/g;
/** In the strings of `asm`, whose quotes are escaped, and in assembler sources. */
const incbin = /\.incbin\s+\\?"([^"\\\n]+)/g;

/** Comments, and what may look as if it held one: literals are kept, block comments go. */
const lexeme =
  /R"([^()\s\\"]{0,16})\([\s\S]*?\)\1"|"(?:\\.|[^"\\\n])*"|'(?:\\[^\n]{1,9}|[^'\\\n])'|\/\/[^\n]*|(\/\*[\s\S]*?\*\/)/g;

/** Where the includes of one file lead, given where they are looked for. */
interface Resolved {
  /** Existing files. */
  readonly files: readonly string[];
  /** Existing files too, whose text nobody reads. */
  readonly binaries: readonly string[];
  readonly folders: readonly string[];
  readonly made: boolean;
}

/** Creates a scanner whose results are remembered for the life of a build. */
export function createIncludeScanner(deps: IncludeScannerDeps): {
  /** Quick for many sources with the same search folders and the same `isMade`, one function. */
  scan(
    sources: readonly string[],
    searchFolders: readonly string[],
    isMade: (path: string) => boolean,
  ): ScannedIncludes;
} {
  const knownByQuestion = new Map<(path: string) => boolean, Map<string, Map<string, Resolved>>>();

  /** What is resolved already, by path, where the same folders are searched. */
  function knownFor(
    search: readonly string[],
    isMade: (path: string) => boolean,
  ): Map<string, Resolved> {
    const bySearch = entryOf(
      knownByQuestion,
      isMade,
      () => new Map<string, Map<string, Resolved>>(),
    );
    return entryOf(bySearch, search.join("\n"), () => new Map<string, Resolved>());
  }

  /** Paths that an include may mean, as written, with `..` still in them. */
  function written(from: string, include: Include, search: readonly string[]): string[] {
    if (include.path.startsWith("/")) return [];
    const own =
      include.kind === "quoted" ? [posix.dirname(from)] : include.kind === "binary" ? [""] : [];
    // All that exist, not only the first: which one wins is the compiler's business.
    return [...own, ...search].map((folder) => `${folder === "" ? "." : folder}/${include.path}`);
  }

  function resolve(
    from: string,
    search: readonly string[],
    isMade: (path: string) => boolean,
  ): Resolved {
    const files = new Set<string>();
    const binaries = new Set<string>();
    const folders = new Set<string>();
    let made = false;
    for (const include of deps.includesOf(from)) {
      if (include.kind === "computed") {
        for (const path of deps.headersBelow([posix.dirname(from), ...search])) files.add(path);
        continue;
      }
      for (const way of written(from, include, search)) {
        const path = posix.normalize(way);
        if (path.startsWith("../")) continue;
        made ||= isMade(path);
        if (!deps.exists(path)) continue;
        for (const through of climbs(way)) folders.add(through);
        (include.kind === "binary" ? binaries : files).add(path);
      }
    }
    return { files: [...files], binaries: [...binaries], folders: [...folders], made };
  }

  return {
    scan: (sources, search, isMade) => {
      const known = knownFor(search, isMade);
      // A set is walked in the order of its additions, those made on the way included.
      const seen = new Set<string>(sources);
      const binaries = new Set<string>();
      const folders = new Set<string>();
      let made = false;
      for (const path of seen) {
        const found = entryOf(known, path, () => resolve(path, search, isMade));
        for (const file of found.files) seen.add(file);
        for (const file of found.binaries) binaries.add(file);
        for (const folder of found.folders) folders.add(folder);
        made ||= found.made;
      }
      for (const source of sources) seen.delete(source);
      const headers = [...new Set([...seen, ...binaries])].sort();
      return { headers, folders: [...folders].sort(), made };
    },
  };
}

function entryOf<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const known = map.get(key);
  if (known !== undefined) return known;
  const made = make();
  map.set(key, made);
  return made;
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
  if (!parts.includes("..")) return [];
  return parts.flatMap((part, at) => {
    const before = parts.slice(0, at).filter((name) => name !== ".");
    const climbing = part === ".." && before.length > 0 && before.at(-1) !== "..";
    const through = posix.normalize(before.join("/"));
    return climbing && through !== "." && !through.startsWith("..") ? [through] : [];
  });
}
