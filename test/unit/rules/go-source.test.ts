import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { findModule } from "../../../src/rules/go.ts";
import {
  formatGoSource,
  isForPlatform,
  parseGoSource,
  readGoSource,
} from "../../../src/rules/go-source.ts";

const linux = { system: "linux", machine: "amd64" };

describe("what a Go source says", () => {
  test("imports come one by one, in groups, with names, behind comments", () => {
    const text =
      '/* import "no" */ package p // import "comment"\n\nimport "fmt"\n' +
      'import (\n\t// "gone"\n\t_ "net/http" /* x */\n\tm "math"; "os"\n)\nimport . `strings`\n' +
      'var x = `import "late"`\n';
    const { package: name, imports } = parseGoSource(text);
    expect(name).toBe("p");
    expect(imports).toEqual(["fmt", "math", "net/http", "os", "strings"]);
  });

  test("tests are functions that Go takes for them", () => {
    const text =
      "package p\nfunc TestA(t *testing.T) {}\nfunc Testing() {}\nfunc (s S) TestB() {}\n" +
      "// func TestC(t *testing.T) {}\nfunc Test_d(t *testing.T) {}\nfunc TestMain(m *M) {}\n";
    expect(parseGoSource(text).tests).toEqual(["TestA", "Test_d"]);
  });

  test("a constraint counts before the package only", () => {
    expect(parseGoSource("//go:build linux\n\npackage p\n").constraint).toBe("linux");
    expect(parseGoSource("package p\n//go:build linux\n").constraint).toBe("");
  });

  test("what is found survives being kept, whatever the text", () => {
    const part = fc.constantFrom("package p\n", 'import "a"\n', "import (", '"b"', ")", "/*", "`");
    fc.assert(
      fc.property(fc.array(fc.oneof(part, fc.string())), (parts) => {
        const source = parseGoSource(parts.join(""));
        expect(readGoSource(formatGoSource(source))).toEqual(source);
      }),
    );
  });

  test("a module says its path and its version of Go", () => {
    expect(findModule("// x\nmodule example.com/a\n\ngo 1.22.3\n")).toEqual([
      "example.com/a",
      "1.22",
    ]);
    expect(findModule('module "a"\n')).toEqual(["a"]);
    expect(findModule("")).toEqual([""]);
  });
});

describe("which files are for the platform", () => {
  test.each([
    ["a.go", true],
    ["linux.go", true],
    ["windows.go", true],
    ["a_windows.go", false],
    ["a_linux_test.go", true],
    ["a_windows_amd64.go", false],
    ["a_linux_arm64.go", false],
    ["a_other_amd64.go", true],
    ["_a.go", false],
    ["d/.a.go", false],
  ])("%s: %s", (path, expected) => {
    expect(isForPlatform(path, "", linux)).toBe(expected);
  });

  type Tree = { text: string; value: boolean };
  const leaf = fc.constantFrom<Tree>(
    { text: "linux", value: true },
    { text: "windows", value: false },
    { text: "go1.18", value: true },
    { text: "cgo", value: false },
    { text: "ignore", value: false },
  );
  const { tree } = fc.letrec<{ tree: Tree }>((tie) => ({
    tree: fc.oneof(
      leaf,
      tie("tree").map(({ text, value }) => ({ text: `!(${text})`, value: !value })),
      fc.tuple(tie("tree"), tie("tree")).map(([a, b]) => ({
        text: `(${a.text}) && (${b.text})`,
        value: a.value && b.value,
      })),
      fc.tuple(tie("tree"), tie("tree")).map(([a, b]) => ({
        text: `(${a.text} || ${b.text})`,
        value: a.value || b.value,
      })),
    ),
  }));

  test("constraints mean what their logic means", () => {
    fc.assert(
      fc.property(tree, ({ text, value }) => {
        expect(isForPlatform("a.go", text, linux)).toBe(value);
      }),
    );
    expect(isForPlatform("a.go", "windows && linux || linux", linux)).toBe(true);
  });

  test("no constraint is too odd to be answered", () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(typeof isForPlatform("a.go", text, linux)).toBe("boolean");
      }),
    );
    expect(isForPlatform("a.go", "(".repeat(1_000_000), linux)).toBe(true);
  });
});
