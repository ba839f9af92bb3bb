import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { builtinNames } from "../../../src/builderfile/builtins.ts";
import { parseBuilderfile } from "../../../src/builderfile/parse-builderfile.ts";
import { curly, hostOf, problemOf } from "../../support/builderfiles.ts";

describe("what goes wrong has a place and a reason", () => {
  test.each([
    ['repository("x") { }', /^1:1 repository\(…\) is not supported.*Put the files in a folder/],
    ["let x = y;", /^1:9 There is no variable y/],
    ["let count = 1; let x = cuont;", /^1:24 There is no variable cuont\. Did you mean count\?/],
    ["let x = lenn([]);", /^1:9 There is no function lenn\. Did you mean len\?/],
    ["let x = len();", /^1:9 len is called with 0: write len\(value\)\./],
    ["let x = upper;", /^1:9 upper is a function: call it/],
    ["let x = 1; let x = 2;", /^1:12 x stands already in app\/Builderfile:1\./],
    ["const x = 1; x = 2;", /^1:14 x is constant and stays as it is\./],
    ["x = 2;", /^1:1 There is no variable x\. Begin with let x = …\./],
    ["let x = 1 / 0;", /^1:11 This divides by zero\./],
    ["let x = [1][1];", /^1:12 There is no item 1: the list has 1\./],
    [
      'let x = 1 + "a";',
      /^1:11 \+ adds two numbers, texts, lists or maps, not a number and a text/,
    ],
    ["if (1) { }", /^1:5 This wants true or false, not a number/],
    ["for x in 3 { }", /^1:10 for wants a list, not a number; range\(n\)/],
    ["let x = 1; return 1;", /^1:12 return stands in a function or a macro\./],
    ["fn map(x) { }", /^1:1 map is a function of the language/],
    ["fn f(a, a) { }", /^1:9 There are two parameters a\./],
    ["fn f(a) { return a; } let x = f();", /^1:31 f wants a too\./],
    ["fn f(a) { return a; } let x = f(1, 2);", /^1:31 f takes 1, and is called with 2\./],
    ["fn f() { } f();", /^1:12 This gives a value that nothing uses/],
    ["fn f() { target('x') { } } let x = f();", /^1:10 A function declares no targets/],
    ["macro m() { } let x = m();", /^1:23 m is a macro: it has no value/],
    ["let x = 1; flags: x;", /^1:12 The field flags stands in no target/],
    ["target('a') { target('b') { } }", /^1:15 A target cannot stand in another one/],
    ["target(1 + 1) { }", /^1:10 The name is a text, not a number/],
    ["workspace('a') { }\ntarget('a') { }", /^1:1 workspace\(…\) belongs in the file Builderspace/],
    ["target('a') { if (true) { import 'x'; } }", /^1:27 import stands outside of targets/],
    ["let x = 1 let y = 2;", /^1:11 Expected ; or a new line and found "let"/],
    ["let x = readFile('no');", /^1:9 There is no file app\/no/],
    ["let x = glob('../*');", /^1:9 The path "..\/\*" leaves the package/],
    ['let x = "a@{1";', /^1:14 Expected } after the expression in the text/],
    ["let f = |x| x; target('t') { command: f; }", /^1:39 A lambda is no value of a field/],
  ])("%s", (text, expected) => {
    expect(problemOf(text)).toMatch(expected);
  });

  test("a wrong target does not hide what is wrong in the others", () => {
    const text = 'target("a") { command: (x); }\ntarget("b") { command: (y); nope: 1; }';
    const parsed = parseBuilderfile(text, "B");
    expect(parsed.ok ? [] : parsed.problems.map(({ message }) => message.slice(0, 25))).toEqual([
      ...["There is no variable x. A", "There is no variable y. A"],
    ]);
  });
});

describe("nothing runs or grows without end", () => {
  test.each([
    ["for a in range(100000) { for b in range(100000) { } }", /over 2000000 steps/],
    ["fn f(n) { return f(n + 1); } let x = f(0);", /nests too deep. Does a function call itself/],
    ["macro m() { m(); } m();", /nests too deep/],
    ["fn f(n) { if (n == 0) { return 1; } return f(n - 1) + f(n - 1); } let x = f(60);", /steps/],
    ["let x = 'xxxxxxxx'; for i in range(99) { x = x + x; }", /over 1048576 characters/],
    ["let x = 'xxxxxxxx'; for i in range(99) { x = replace(x, 'x', x); }", /characters|steps/],
    ["let x = [1]; for i in range(99) { x = x + x; }", /over 100000 items|steps/],
    [
      "let x = [1]; for i in range(99) { x = [x, x]; } let y = x == [x, x];",
      /steps|nests too deep/,
    ],
    ["let x = [1]; for i in range(60) { x = [x, x]; } target('t') { flags: x; }", /steps/],
    ["let x = [1]; for i in range(100000) { x = [x]; } let y = x == [x];", /nests too deep/],
    ["let x = range(1000000000);", /over 100000 items/],
    [`let x = ${"(".repeat(5000)}1${")".repeat(5000)};`, /nests too deep/],
    [`let x = ${"!".repeat(5000)}true;`, /nests too deep/],
    [`let x = ${"[".repeat(5000)};`, /nests too deep/],
    [`let x = ${'"@{'.repeat(5000)};`, /nests too deep/],
    [`let x = 1${" + 1".repeat(50000)};`, /nests too deep/],
    [`let x = y${".a".repeat(50000)};`, /nests too deep/],
    [`let x = ${"|a| ".repeat(5000)}1;`, /nests too deep/],
    [`let x = ${"true ? 1 : ".repeat(5000)}1;`, /nests too deep/],
    ["if (true) { ".repeat(5000), /nests too deep/],
    [
      "for i in range(20000) { target('t@{i}') { command: x; } }".replaceAll("'", '"'),
      /10000 targets/,
    ],
    ["let x = '/'; for i in range(17) { x = x + x; } let y = basename(x + 'a' + x);", /^$/],
  ])("case %#", (text, expected) => {
    const parsed = parseBuilderfile(curly(text), "B");
    expect(parsed.ok ? "" : (parsed.problems[0]?.message ?? "")).toMatch(expected);
  });
});

describe("no text makes it throw", () => {
  const words = [
    ...[
      "let x = ",
      "const y = ",
      "fn f(a, b = 1) { ",
      "macro m(n) { ",
      "target(",
      '"t',
      "}",
      ") ",
      "{ ",
    ],
    ...[
      "if (",
      "else ",
      "for i in ",
      "return ",
      "import ",
      "x",
      "f(x)",
      "m(1);",
      "[1, 2]",
      "{a: 1}",
    ],
    ...[
      "|v| v",
      "+",
      "==",
      "&&",
      "? 1 : 2",
      "!",
      "-",
      ".a",
      "[0]",
      "[1:]",
      '"@{',
      '"',
      "'",
      "\\",
      "\n",
    ],
    ...[
      "sources: ",
      "flags: ",
      "hermetic { ",
      "type: library",
      "env: ",
      ";",
      ",",
      "//",
      "/*",
      "#",
      "*",
    ],
    ...[
      "range(9999)",
      "map(",
      "join(",
      "glob('*')",
      "readFile('v')",
      "2GiB",
      "null",
      "0",
      "target a:\n  ",
    ],
  ];
  const phrase = fc.array(fc.oneof(fc.constantFrom(...words), fc.string({ maxLength: 3 })), {
    maxLength: 40,
  });

  test("whatever the words are", () => {
    const host = hostOf({ "app/v": "x" });
    fc.assert(
      fc.property(
        phrase,
        fc.constantFrom("", "let x = [1];\n", "target a:\n  "),
        (parts, begin) => {
          const parsed = parseBuilderfile(curly(begin + parts.join("")), "app/Builderfile", host);
          expect(parsed.ok || parsed.problems.length > 0).toBe(true);
        },
      ),
      { numRuns: 3000 },
    );
  });

  test("expressions of every shape are evaluated or refused", () => {
    const { expression } = fc.letrec<{ expression: string }>((tie) => ({
      expression: fc.oneof(
        { maxDepth: 6 },
        fc.constantFrom("1", "0", '"a"', "true", "null", "[]", "{}", "x", "f", "l", "2GiB", "-3"),
        fc
          .tuple(
            tie("expression"),
            fc.constantFrom("+", "-", "*", "/", "%", "==", "<", "&&", "||"),
            tie("expression"),
          )
          .map(([a, operator, b]) => `(${a}) ${operator} ${b}`),
        tie("expression").map((a) => `"<\${${a}}>"`),
        tie("expression").map((a) => `(|x| ${a})(${a})`),
        fc.tuple(tie("expression"), tie("expression")).map(([a, b]) => `[${a}, ${b}][${b}]`),
        fc.tuple(tie("expression"), tie("expression")).map(([a, b]) => `{k: ${a}}.k == ${b}`),
        fc
          .tuple(fc.constantFrom(...builtinNames()), fc.array(tie("expression"), { maxLength: 3 }))
          .map(([name, args]) => `${name}(${args.join(", ")})`),
      ),
    }));
    const before = 'let x = 7; let l = [1, "b"]; fn f(a) { return [a, l]; }\n';
    fc.assert(
      fc.property(expression, (text) => {
        const parsed = parseBuilderfile(`${before}target("t") { command: (${text}); }`, "B");
        expect(parsed.ok || parsed.problems.length > 0).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });
});
