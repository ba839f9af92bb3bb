import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { builtinNames } from "../../../src/builderfile/builtins.ts";
import { emptyHost } from "../../../src/builderfile/evaluation.ts";
import { parseBuilderfile } from "../../../src/builderfile/parse-builderfile.ts";
import { curly, hostOf, problemOf, targetsOf } from "../../support/builderfiles.ts";

/** What an expression is worth, as the command of a target. */
function worth(expression: string, host = emptyHost): string | undefined {
  return targetsOf(`target("t") {\n command: str(${expression});\n}`, host)[0]?.command;
}

function flags(text: string): readonly string[] | undefined {
  return targetsOf(`${text}\ntarget("t") { type: library; sources: a.c; flags: flags; }`)[0]?.flags;
}

const library = 'type: library; sources: ["a.c"];';

describe("expressions", () => {
  test.each([
    ["1 + 2 * 3 - 4 / 2", "5"],
    ["(1 + 2) * 3 % 5", "4"],
    ["-2 - -3", "1"],
    ["1 < 2 && 2 <= 2 && !(3 > 4) || false", "true"],
    ['"a" < "b" ? "yes" : "no"', "yes"],
    ['false ? 1 : true ? "two" : 3', "two"],
    ['"a" + "b" == "ab"', "true"],
    ['[1, [2, "x"]] == [1, [2, "x"]]', "true"],
    ['{a: 1, "b c": 2} != {a: 1, "b c": 3}', "true"],
    ["[1, 2, 3][-1]", "3"],
    ["join([1, 2, 3, 4][1:3], '-')", "2-3"],
    ['"builder"[5:]', "er"],
    ['{a: {b: "deep"}}.a.b', "deep"],
    ['{a: {b: "deep"}}["a"]["b"]', "deep"],
    ['"x@{1 + 1}y@{"in" + "ner"}z"', "x2yinnerz"],
    ["'@{not} evaluated'", "@{not} evaluated"],
    ['"\\@{neither}"', "@{neither}"],
    ["[1, 2, 3].map(|x| x * x).filter(|x| x > 1).join(',')", "4,9"],
    ["(|a, b| a + b)(2, 3)", "5"],
    ["2GiB", "2GiB"],
    ["null == null", "true"],
  ])("%s is %s", (expression, expected) => {
    expect(worth(expression)).toBe(curly(expected));
  });

  test("whole numbers count as their reference does", () => {
    const number = fc.integer({ min: -1000, max: 1000 });
    fc.assert(
      fc.property(number, number, number, (a, b, c) => {
        expect(worth(`(${a}) + (${b}) * (${c})`)).toBe(String(a + b * c));
        expect(worth(`(${a}) < (${b}) == ((${b}) > (${a}))`)).toBe("true");
      }),
      { numRuns: 100 },
    );
  });

  test("any text comes back from its quotes", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 40 }), (text) => {
        fc.pre(!/[\0\n]/.test(text) && text !== "");
        const quoted = `"${text.replaceAll(/["\\$]/g, "\\$&")}"`;
        expect(worth(quoted)).toBe(text);
      }),
    );
  });
});

describe("functions of the language", () => {
  const host = hostOf({ "app/a.c": "", "app/b.c": "", "app/v": "7\n", v: "root" }, { CI: "1" });
  const answers: Readonly<Record<string, readonly (readonly [string, string])[]>> = {
    upper: [['upper("ab")', "AB"]],
    lower: [['lower("AB")', "ab"]],
    trim: [['trim(" a ")', "a"]],
    split: [['split("a,b", ",")[1]', "b"]],
    join: [['join(["a", 1, true], "-")', "a-1-true"]],
    replace: [['replace("a.b.c", ".", "::")', "a::b::c"]],
    startsWith: [['startsWith("abc", "ab")', "true"]],
    endsWith: [['endsWith("abc", "ab")', "false"]],
    contains: [
      ['contains("abc", "bc")', "true"],
      ['contains(["a"], "b")', "false"],
      ['contains({a: 1}, "a")', "true"],
    ],
    len: [['len("äö") + len([1]) + len({a: 1, b: 2})', "5"]],
    append: [['append(["a"], "b", "c").join("")', "abc"]],
    filter: [['filter(["a", "bb"], |x| len(x) > 1).join("")', "bb"]],
    map: [['map([1, 2], |x| x + 1).join("")', "23"]],
    range: [
      ['range(3).join("")', "012"],
      ['range(2, 4).join("")', "23"],
      ['range(5, 0, -2).join("")', "531"],
    ],
    str: [["str(1.5)", "1.5"]],
    int: [['int("12") + int(3.9)', "15"]],
    bool: [['bool("true") && !bool("false")', "true"]],
    glob: [
      ['glob("*.c").join(" ")', "a.c b.c"],
      ['glob(["*.c"], "b.c").join(" ")', "a.c"],
    ],
    fileExists: [['fileExists("a.c") && !fileExists("z.c")', "true"]],
    readFile: [
      ['trim(readFile("v"))', "7"],
      ['readFile("//v")', "root"],
    ],
    basename: [['basename("a/b.c")', "b.c"]],
    dirname: [['dirname("a/b.c") + dirname("x")', "a."]],
    stripExtension: [['stripExtension("a.b/c.tar.gz") + stripExtension(".x")', "a.b/c.tar.x"]],
    env: [['env("CI") + env("NO", "none")', "1none"]],
    platform: [["platform()", "linux"]],
    arch: [["arch()", "x64"]],
  };

  test.each(builtinNames())("%s", (name) => {
    for (const [expression, expected] of answers[name] ?? []) {
      expect(worth(expression, host)).toBe(expected);
    }
    expect(answers[name]).toBeDefined();
  });

  test("what they read of the world is told", () => {
    const text = `import "//lib/defs.bldr";
target("t") { ${library} env: {
  A: readFile("v"), B: env("CI"), C: env("NO", ""), D: str(fileExists("no")), E: join(glob("*.c"), " "),
} }`;
    const world = hostOf({ "app/v": "7", "lib/defs.bldr": "let x = 1" }, { CI: "1" });
    const parsed = parseBuilderfile(text, "app/Builderfile", world);
    expect(parsed.ok).toBe(true);
    expect(parsed.reads).toEqual([
      { kind: "file", path: "lib/defs.bldr" },
      { kind: "file", path: "app/v" },
      { kind: "variable", name: "CI", value: "1" },
      { kind: "variable", name: "NO", value: undefined },
      { kind: "file", path: "app/no" },
      { kind: "folder", path: "app" },
    ]);
  });
});

describe("statements", () => {
  test("loops and functions make targets of names that are computed", () => {
    const text = `
const packages = ["core", "net"];
fn sourcesOf(name, ending = "c") { return ["\${name}/*." + ending]; }
for name in packages {
  target("lib-" + name) { type: library; sources: sourcesOf(name); deps: name == "net" ? [":lib-core"] : []; }
}
target("app") { type: executable; sources: ["main.c"]; deps: packages.map(|p| ":lib-" + p); }`;
    const found = targetsOf(text);
    expect(found.map(({ name }) => name)).toEqual(["lib-core", "lib-net", "app"]);
    expect(found.map(({ sources }) => sources)).toEqual([["core/*.c"], ["net/*.c"], ["main.c"]]);
    expect(found.map(({ deps }) => deps.map(({ name }) => name))).toEqual([
      [],
      ["lib-core"],
      ["lib-core", "lib-net"],
    ]);
  });

  test("a macro declares targets at file level and sets fields inside of a target", () => {
    const text = `
macro strict(level) { flags: ["-Wall", "-O\${level}"]; if (level == 0) { return; } cache: false; }
macro unit(name) { target("test-" + name) { type: test; sources: ["\${name}.c"]; strict(0); } }
unit("a");
unit("b")
target("app") { ${library} strict(2); }`;
    const found = targetsOf(text);
    expect(found.map(({ name }) => name)).toEqual(["test-a", "test-b", "app"]);
    expect(found.map(({ flags }) => flags.join(" "))).toEqual([
      ...["-Wall -O0", "-Wall -O0", "-Wall -O2"],
    ]);
    expect(found.map(({ cache }) => cache)).toEqual([true, true, false]);
  });

  test("variables change where they are let, and blocks have their own", () => {
    const text = `
let flags = [];
for i in range(5) {
  let own = "-D\${i}";
  if (i == 1) { flags = append(flags, own); }
  else if (i == 3) { flags = flags + ["three"]; }
  else { let flags = ["nobody sees this"]; }
}`;
    expect(flags(text)).toEqual(["-D1", "three"]);
  });

  test("functions call each other and themselves, wherever they stand", () => {
    const text = `
let flags = [str(fib(12)), odd(7) ? "odd" : "even"];
fn fib(n) { if (n < 2) { return n; } return fib(n - 1) + fib(n - 2); }
fn odd(n) { return n == 0 ? false : even(n - 1); }
fn even(n) { return n == 0 ? true : odd(n - 1); }`;
    expect(flags(text)).toEqual(["144", "odd"]);
  });

  test("blocks of fields and lists are computed too, and null leaves out", () => {
    const text = `let big = true;
target("t") {
  ${library}
  hermetic { if (big) { max_memory: 4GiB; } else { max_memory: 1GiB; } timeout: (null); }
  env { for name in ["A", "B"] { if (name == "A") { A: "x"; } } }
  flags: ["-O2", big ? "-g" : null, big ? null : "-s"];
}`;
    const [target] = targetsOf(text);
    expect(target?.hermetic).toMatchObject({ maxMemoryBytes: 2 ** 32, timeoutMs: undefined });
    expect(target?.env).toEqual({ A: "x" });
    expect(target?.flags).toEqual(["-O2", "-g"]);
  });
});

describe("words without quotes", () => {
  test("stay texts, operators and all, until their first word is a variable", () => {
    const fields = "type: library; sources: [src/*.c, name/main.c]; flags: -O2 -Wall name * 2;";
    const before = targetsOf(`target("t") { ${fields} }`)[0];
    const after = targetsOf(`let name = 3; let src = 1; let library = "library";
target("t") { ${fields} parallelism: name * 2; }`)[0];
    expect(before?.sources).toEqual(["src/*.c", "name/main.c"]);
    expect(before?.flags).toEqual(["-O2", "-Wall", "name", "*", "2"]);
    expect(after).toMatchObject({ sources: before?.sources, flags: before?.flags, parallelism: 6 });
  });

  test("are expressions behind !, and with the members of a map", () => {
    const text = `let release = true; const c = { std: "-std=c17", list: ["a"] };
target("t") { ${library} cache: !release; flags: [c.std, c.none.x]; }`;
    expect(problemOf(text)).toBe("2:81 The map has no none.");
    expect(targetsOf(text.replace(", c.none.x", ", d.none.x"))[0]).toMatchObject({
      ...{ cache: false, flags: ["-std=c17", "d.none.x"] },
    });
  });

  test("are joined to lists in which words have no quotes either", () => {
    const text = `let more = ["b.c"];
target("t") { type: library; sources: [a.c] + more + [src/c.c]; flags: more; }`;
    expect(targetsOf(text)[0]?.sources).toEqual(["a.c", "b.c", "src/c.c"]);
  });
});

describe("imports", () => {
  const main = 'import "//lib/rules.bldr";\nunit("a", 2GiB);\n';

  test("bring what the file has of its own, from there and from next to it", () => {
    const host = hostOf({
      "lib/rules.bldr": `import "./defs";
macro unit(name, memory) {
  target(name) { type: test; sources: ["\${name}.c"]; flags: flags; hermetic { memory: memory; } }
}`,
      "lib/defs.bldr": 'const flags = ["-Wall"];',
    });
    expect(targetsOf(main, host)[0]).toMatchObject({ name: "a", flags: ["-Wall"] });
    expect(problemOf(`${main}target("t") { ${library} flags: (flags); }`, host)).toBe(
      "3:56 There is no variable flags. A text stands in quotes here.",
    );
  });

  test("are refused with a place where they go wrong", () => {
    const wrong = (rules: string, text = main) =>
      problemOf(text, hostOf({ "lib/rules.bldr": rules }));
    expect(problemOf(main)).toBe("1:1 There is no file lib/rules.bldr to import.");
    expect(wrong('import "./rules.bldr";')).toBe(
      "1:1 Files import each other: lib/rules.bldr -> lib/rules.bldr.",
    );
    expect(wrong("let unit =")).toBe("1:11 Expected a value and found end of file.");
    expect(wrong('target("x") { command: y; }')).toMatch(
      /^1:1 An imported file declares no targets/,
    );
    expect(wrong("let unit = 1", `let unit = 2;\n${main}`)).toMatch(/which stands already in app/);
    expect(problemOf('import "../x.bldr";')).toMatch(/^1:1 The path .* leaves the package/);
    const deep = Object.fromEntries(
      Array.from({ length: 40 }, (_, i) => [`lib/${i}.bldr`, `import "./${i + 1}";`]),
    );
    expect(problemOf('import "//lib/0.bldr";', hostOf(deep))).toMatch(/Imports nest too deep/);
  });
});
