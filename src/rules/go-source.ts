// What planning reads of a Go source: its package, its imports, its tests, and whether it is for
// the platform that actions run on.

/** A Go source as far as planning cares. */
export interface GoSource {
  readonly package: string;
  readonly imports: readonly string[];
  /** Functions that `testing` runs, in order. */
  readonly tests: readonly string[];
  /** Its `//go:build` expression; empty where it has none. */
  readonly constraint: string;
  /** Whether it embeds files (`//go:embed`). */
  readonly embeds: boolean;
}

const systems = new Set([
  ...["aix", "android", "darwin", "dragonfly", "freebsd", "illumos", "ios", "js", "linux"],
  ...["netbsd", "openbsd", "plan9", "solaris", "wasip1", "windows"],
]);
const machines = new Set([
  ...["386", "amd64", "arm", "arm64", "loong64", "mips", "mips64", "mips64le", "mipsle", "ppc64"],
  ...["ppc64le", "riscv64", "s390x", "wasm"],
]);

/** Reads a source. Total: what is no Go has an empty package. */
export function parseGoSource(text: string): GoSource {
  const plain = withoutComments(text);
  const [head = "", name = ""] = /^\s*package\s+([\p{L}_][\p{L}\p{N}_]*)/u.exec(plain) ?? [];
  const imports: string[] = [];
  // Imports come before everything else, one by one or in parentheses.
  const statement =
    /\s*;?\s*import\s*(?:\(([^)]*)\)|([\p{L}_.][\p{L}\p{N}_]*\s+)?("[^"\n]*"|`[^`]*`))/uy;
  statement.lastIndex = head.length;
  for (let found = statement.exec(plain); found !== null; found = statement.exec(plain)) {
    const group = found[1] ?? found[3] ?? "";
    for (const [quoted] of group.matchAll(/"[^"\n]*"|`[^`]*`/g)) imports.push(quoted.slice(1, -1));
  }
  const tests = [...plain.matchAll(/^func\s+(Test(?![\p{Ll}])[\p{L}\p{N}_]*)\s*\(/gmu)];
  return {
    package: name,
    imports: [...new Set(imports)].sort(),
    tests: tests.map((match) => match[1] ?? "").filter((test) => test !== "TestMain"),
    constraint: /^\/\/go:build[ \t]+(.+)$/m.exec(beforePackage(text))?.[1]?.trim() ?? "",
    embeds: /^\/\/go:embed\s/m.test(text),
  };
}

/** As findings are kept: one text for each thing found. */
export function formatGoSource(source: GoSource): string[] {
  return [
    `package ${source.package}`,
    ...source.imports.map((path) => `import ${path}`),
    ...source.tests.map((name) => `test ${name}`),
    `constraint ${source.constraint}`,
    ...(source.embeds ? ["embeds "] : []),
  ];
}

/** The inverse of `formatGoSource`. */
export function readGoSource(findings: readonly string[]): GoSource {
  const all = (kind: string) =>
    findings.flatMap((line) => (line.startsWith(`${kind} `) ? [line.slice(kind.length + 1)] : []));
  return {
    package: all("package")[0] ?? "",
    imports: all("import"),
    tests: all("test"),
    constraint: all("constraint")[0] ?? "",
    embeds: all("embeds").length > 0,
  };
}

/** Whether Go compiles a file here: by the end of its name and by its constraint. */
export function isForPlatform(
  path: string,
  constraint: string,
  platform: { readonly system: string; readonly machine: string },
): boolean {
  const name = path.slice(path.lastIndexOf("/") + 1).replace(/\.go$/, "");
  if (/^[_.]/.test(name)) return false;
  const parts = name
    .replace(/_test$/, "")
    .split("_")
    .slice(1);
  const last = parts.at(-1) ?? "";
  const before = parts.at(-2) ?? "";
  const { system, machine } = platform;
  if (machines.has(last)) {
    if (last !== machine || (systems.has(before) && before !== system)) return false;
  } else if (systems.has(last) && last !== system) return false;
  const tags = new Set([system, machine, "gc", "unix"]);
  return constraint === "" || evaluate(constraint, (tag) => tags.has(tag) || /^go1\./.test(tag));
}

/** `a && (b || !c)`. What cannot be read holds: the compiler then says what is wrong. */
function evaluate(expression: string, holds: (tag: string) => boolean): boolean {
  const tokens = expression.match(/&&|\|\||[!()]|[\w.]+/g) ?? [];
  let at = 0;
  const either = (): boolean => {
    let value = both();
    while (tokens[at] === "||") {
      at += 1;
      const right = both();
      value = value || right;
    }
    return value;
  };
  const both = (): boolean => {
    let value = one();
    while (tokens[at] === "&&") {
      at += 1;
      const right = one();
      value = value && right;
    }
    return value;
  };
  const one = (): boolean => {
    // Nesting is an expression's only depth: a line long enough to exhaust the stack is no Go.
    let negated = false;
    for (; tokens[at] === "!"; at += 1) negated = !negated;
    const token = tokens[at];
    at += 1;
    if (token !== "(") return (token === undefined || holds(token)) !== negated;
    const value = either();
    at += 1;
    return value !== negated;
  };
  return tokens.length > tokensMax || either();
}

/** Bound of a constraint. */
const tokensMax = 1000;

/** Comments become spaces; strings stay, so that imports can be read. */
function withoutComments(text: string): string {
  return text.replaceAll(
    /"(?:\\.|[^"\\\n])*"|`[^`]*`|'(?:\\.|[^'\\\n])+'|\/\*[\s\S]*?\*\/|\/\/[^\n]*/g,
    (found) => (found.startsWith("/*") || found.startsWith("//") ? " " : found),
  );
}

function beforePackage(text: string): string {
  return text.slice(0, /^package\s/m.exec(text)?.index ?? text.length);
}
