import fc from "fast-check";
import { expect, test } from "vitest";
import { findDependencies, findImports, packageOf } from "../../../src/rules/node-packages.ts";
import { emittedName, findExtends } from "../../../src/rules/typescript.ts";

test("imports are found in every form", () => {
  const text =
    'import a from "a";\nimport "b";\nimport { c } from\n  \'./c.js\';\nexport * from "@d/e/f";\n' +
    'const g = require("g"), h = await import("node:h");\nimport type { i } from "i";\n';
  expect(findImports(text)).toEqual(["./c.js", "@d/e/f", "a", "b", "g", "i", "node:h"]);
});

test.each([
  ["a", "a"],
  ["a/b/c", "a"],
  ["@a/b/c", "@a/b"],
  ["@a", undefined],
  ["./a", undefined],
  ["../a", undefined],
  ["/a", undefined],
  ["#a", undefined],
  ["node:fs", undefined],
  ["fs", undefined],
  ["fs/promises", undefined],
  ["https://a", undefined],
])("the package of %s is %s", (specifier, name) => {
  expect(packageOf(specifier)).toBe(name);
});

test("a package is a name that stays below node_modules", () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      const name = packageOf(text);
      if (name !== undefined) expect(name.split("/")).not.toContain("..");
    }),
  );
  expect(packageOf("..a/b")).toBeUndefined();
  expect(packageOf("@x/../y")).toBeUndefined();
});

test("dependencies are read from any text", () => {
  const text =
    '{ "dependencies": { "b": "1", "../a": "1" }, "optionalDependencies": { "a": "1" } }';
  expect(findDependencies(text)).toEqual(["a", "b"]);
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), (any) => {
      expect(Array.isArray(findDependencies(any))).toBe(true);
    }),
  );
});

test("a tsconfig.json extends one file or several", () => {
  expect(findExtends('{ // x\n "extends": "./a.json" }')).toEqual(["./a.json"]);
  expect(findExtends('{ "extends": ["./a", "@b/c.json"] }')).toEqual(["./a", "@b/c.json"]);
  expect(findExtends("{}")).toEqual([]);
});

test.each([
  ["a/b.ts", "a/b.js"],
  ["a.mts", "a.mjs"],
  ["a.cts", "a.cjs"],
  ["a.ts.tsx", "a.ts.js"],
])("TypeScript makes of %s %s", (source, made) => {
  expect(emittedName(source)).toBe(made);
});
