import { execFileSync } from "node:child_process";
import fc from "fast-check";
import { expect, test } from "vitest";
import { parseBuilderfile } from "../../../src/builderfile/parse-builderfile.ts";
import { findMain } from "../../../src/rules/java.ts";
import { ruleFor } from "../../../src/rules/languages.ts";
import { shellLine, shellScript } from "../../../src/rules/shell-line.ts";
import { toolsFrom } from "../../../src/rules/tools.ts";

test("the shell reads back every word as it was", () => {
  const word = fc.string({ unit: "binary-ascii" }).map((text) => text.replaceAll("\0", ""));
  const words = fc.sample(fc.oneof(word, fc.constantFrom("", "'", "$x", "a b", "-n", "\n")), 500);
  const [program = "", ...args] = shellScript([shellLine(["printf", "%s\\0", ...words])]);
  const read = execFileSync(program, args, { encoding: "utf8" }).split("\0");
  expect(read.slice(0, -1)).toEqual(words);
});

test("a script stops at the first line that fails", () => {
  const [program = "", ...args] = shellScript(["false", "echo reached"]);
  expect(() => execFileSync(program, args)).toThrow();
});

test("the environment names tools, and only those", () => {
  const tools = toolsFrom({ RUSTC: "/opt/rustc", HOME: "/root" });
  expect(tools).toMatchObject({ RUSTC: "/opt/rustc", GO: "go" });
  expect(Object.keys(tools)).not.toContain("HOME");
});

test.each([
  ["package a.b; class X { public static void main(String[] args) {} }", ["a.b", "main"]],
  ["class X { static public final void main(String... args) {} }", [""]],
  ["class X { public static final void main(final String[] a) {} }", ["", "main"]],
  ['package a; class X { String s = "static void main(String"; }', ["a"]],
  ["package a; // static void main(String[] a)\nclass X {}", ["a"]],
])("the main method of %s", (text, found) => {
  expect(findMain(text)).toEqual(found);
});

test.each([
  ["a.c", "", "c"],
  ["src/**/*.rs", "", "rust"],
  ["*.{mts,tsx}", "", "typescript"],
  ["README.md, x.py", "", "python"],
  ["*", "", "c"],
  ["*", "language: golang", "go"],
  ["a.c", "language: js", "javascript"],
])("sources %s %s are taken for %s", (sources, language, name) => {
  const text = `target t:\n    type: library\n    sources: [${quoted(sources)}]\n    ${language}\n`;
  const parsed = parseBuilderfile(text, "Builderfile");
  const [target] = parsed.ok ? parsed.value.targets : [];
  expect(parsed).toMatchObject({ ok: true });
  expect(target && ruleFor(target).languages[0]).toBe(name);
});

function quoted(list: string): string {
  return list
    .split(", ")
    .map((word) => `"${word}"`)
    .join(", ");
}
