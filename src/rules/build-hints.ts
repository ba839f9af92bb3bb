// What other build files and system headers tell about flags: language standards, definitions,
// libraries to link.

/** Flags that a whole tree wants. */
export interface TreeFlags {
  readonly c: readonly string[];
  readonly cpp: readonly string[];
  /** `-D` flags, for both. */
  readonly both: readonly string[];
}

/** Names, without folder, of files that may tell flags. */
export const hintFile =
  /^(CMakeLists\.txt|(GNU)?[Mm]akefile(\.am)?|meson\.build|compile_flags\.txt|SConstruct|\.clangd|(build|compile|make)[\w-]*\.sh)$/;

/** What includes ask of the linker: the first row that fits a header. */
const libraries: readonly (readonly [RegExp, readonly string[]])[] = [
  [/^(pthread|semaphore|threads)\.h$/, ["-pthread"]],
  [/^(thread|mutex|shared_mutex|future|condition_variable|semaphore|barrier)$/, ["-pthread"]],
  [/^(math|complex|tgmath|fenv)\.h$|^(cmath|complex)$/, ["-lm"]],
  [/^dlfcn\.h$/, ["-ldl"]],
  [/^zlib\.h$/, ["-lz"]],
  [/^bzlib\.h$/, ["-lbz2"]],
  [/^lzma\.h$/, ["-llzma"]],
  [/^zstd\.h$/, ["-lzstd"]],
  [/^curl\//, ["-lcurl"]],
  [/^sqlite3\.h$/, ["-lsqlite3"]],
  [/^openssl\/(ssl|tls1)\.h$/, ["-lssl", "-lcrypto"]],
  [/^openssl\//, ["-lcrypto"]],
  [/^n?curses\.h$/, ["-lncurses"]],
  [/^readline\//, ["-lreadline"]],
  [/^uuid\//, ["-luuid"]],
  [/^gmock\//, ["-lgmock_main", "-lgmock", "-lgtest", "-pthread"]],
  [/^gtest\//, ["-lgtest_main", "-lgtest", "-pthread"]],
  [/^cmocka\.h$/, ["-lcmocka"]],
  [/^check\.h$/, ["-lcheck"]],
];

/** The linker flags that included system headers ask for, in the order of the table. */
export function linkFlagsFor(system: Iterable<string>): string[] {
  const rows = new Set<readonly string[]>();
  for (const header of system) {
    const row = libraries.find(([pattern]) => pattern.test(header));
    if (row !== undefined) rows.add(row[1]);
  }
  return [...new Set(libraries.flatMap(([, flags]) => (rows.has(flags) ? flags : [])))];
}

/** The flags that the texts of hint files name; the newest standard where they differ. */
export function treeFlags(texts: readonly string[]): TreeFlags {
  const found = { c: new Set<string>(), cpp: new Set<string>() };
  const defines = new Set<string>();
  for (const text of texts.map((one) => one.replaceAll(/^\s*#.*$/gm, ""))) {
    const family = /(CXX|C)_EXTENSIONS\s+(OFF|NO|FALSE|0)\b/i.test(text) ? "c" : "gnu";
    for (const [, language, year] of text.matchAll(/(?:^|[\s(_])(CXX|C)_STANDARD\s+(\d\d)\b/g)) {
      found[language === "C" ? "c" : "cpp"].add(standard(language === "C", year, family));
    }
    for (const [, language, year] of text.matchAll(/\b(cxx|c)_std_(\d\d)\b/g)) {
      found[language === "c" ? "c" : "cpp"].add(standard(language === "c", year, family));
    }
    const named = /std['"]?\s*[=:]\s*['"]?((?:c|gnu)(?:\+\+)?[0-9][0-9a-z])\b/g;
    for (const [, name = ""] of text.matchAll(named)) {
      found[name.includes("+") ? "cpp" : "c"].add(name);
    }
    // It only lets the system's headers show more: harmless wherever else it was not meant.
    if (/\s-D_GNU_SOURCE\b/.test(text)) defines.add("-D_GNU_SOURCE");
    for (const [line] of text.matchAll(/^\s*((C|CXX|CPP)FLAGS\s*[:+?]?=|-D).*$/gm)) {
      for (const [flag] of line.matchAll(/(?<=[\s=]|^)-D[A-Za-z_]\w*(=[\w.+-]+)?(?=\s|$)/g)) {
        defines.add(flag);
      }
    }
  }
  return { c: newest(found.c), cpp: newest(found.cpp), both: [...defines] };
}

function standard(isC: boolean, year: string | undefined, family: "c" | "gnu"): string {
  return `${family}${isC ? "" : "++"}${year}`;
}

/** C89, C90 and C99 come before C11. */
function newest(names: ReadonlySet<string>): string[] {
  const age = (name: string) => {
    const year = Number.parseInt(name.replace(/\D+/, ""), 10) || 0;
    return year > 80 ? year - 100 : year;
  };
  const [best] = [...names].sort((a, b) => age(b) - age(a) || (a < b ? -1 : 1));
  return best === undefined ? [] : [`-std=${best}`];
}
