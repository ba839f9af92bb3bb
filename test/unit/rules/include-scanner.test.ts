import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { createIncludeScanner, parseIncludes } from "../../../src/rules/include-scanner.ts";

function scan(
  files: Record<string, string>,
  source: string,
  search: string[] = [],
): readonly string[] {
  const scanner = createIncludeScanner({
    includesOf: (path) => parseIncludes(files[path] ?? ""),
    exists: (path) => Object.hasOwn(files, path),
    headersBelow: () => Object.keys(files).filter((path) => path.endsWith(".h")),
  });
  return scanner.scan([source], search, () => false).headers;
}

test("every spelling of an include is found", () => {
  const text = `#include "a.h"
  #  include <b.h>
#include /* why */ "c.h"
#inc\\
lude "d.h"
#import "e.h"
#include_next <f.h>
#if __has_include("g.h")
/* #include "not.h" */
#include MACRO
`;
  const found = parseIncludes(text).map(({ path }) => path);
  expect(found).toEqual(["a.h", "b.h", "c.h", "d.h", "e.h", "f.h", "MACRO", "g.h"]);
});

test("what only looks like a comment hides no include", () => {
  const text = `\uFEFF#include "a.h" // all of foo/*
#include "b.h"
const char *glob = "src/*", quote = '"';
  %:include "c.h"
const char *raw = R"x(/* )x";
int n = 1'000'000; /* a comment "of its own */
#embed "d.bin"
#if __has_include(MACRO)
`;
  const found = parseIncludes(text).map(({ path }) => path);
  expect(found).toEqual(["a.h", "b.h", "c.h", "d.bin", "MACRO"]);
});

test("a file that defines __has_include for old compilers asks for nothing by that", () => {
  const text = `#ifndef __has_include
#  define __has_include(header) 0
#endif
#define HAS_A __has_include("a.h")
`;
  expect(parseIncludes(text)).toEqual([{ kind: "quoted", path: "a.h" }]);
});

test("a path that climbs out of a folder needs that folder", () => {
  const files = { "src/m.c": '#include "../gen/x/../../inc/a.h"', "inc/a.h": "" };
  const scanner = createIncludeScanner({
    includesOf: (path) => parseIncludes(path === "src/m.c" ? files[path] : ""),
    exists: (path) => Object.hasOwn(files, path),
    headersBelow: () => [],
  });
  expect(scanner.scan(["src/m.c"], ["inc"], () => false)).toEqual({
    headers: ["inc/a.h"],
    folders: ["gen/x", "inc", "src"],
    made: false,
  });
});

test("quotes look beside the includer first, brackets only where they are told", () => {
  const files = { "src/m.c": '#include "x.h"\n#include <x.h>', "src/x.h": "", "inc/x.h": "" };
  expect(scan(files, "src/m.c", ["inc"])).toEqual(["inc/x.h", "src/x.h"]);
  expect(scan({ "src/m.c": "#include <x.h>", "src/x.h": "" }, "src/m.c")).toEqual([]);
});

test("cycles end, and nothing outside the workspace is named", () => {
  const files = {
    "a.c": '#include "a.h"\n#include "../../etc/passwd"',
    "a.h": '#include "b.h"',
    "b.h": '#include "a.h"',
  };
  expect(scan(files, "a.c")).toEqual(["a.h", "b.h"]);
});

test("a computed include brings every header near", () => {
  const files = { "a.c": "#include HEADER", "x.h": "", "y.h": "" };
  expect(scan(files, "a.c")).toEqual(["x.h", "y.h"]);
});

test("whatever the compiler reads, the scanner has found", () => {
  const folder = mkdtempSync(join(tmpdir(), "scan-"));
  const names = ["a.h", "b.h", "inc/a.h", "inc/c.h", "src/d.h", "src/b.h"];
  const include = fc.tuple(
    fc.constantFrom(...["a.h", "b.h", "c.h", "d.h", "src/d.h", "../b.h"]),
    fc.boolean(),
  );
  const line = include.map(
    ([name, quoted]) =>
      `#if __has_include(${quoted ? `"${name}"` : `<${name}>`})\n#include ${quoted ? `"${name}"` : `<${name}>`}\n#endif`,
  );
  const texts = fc.array(fc.array(line, { maxLength: 3 }), {
    minLength: names.length + 1,
    maxLength: names.length + 1,
  });
  try {
    fc.assert(
      fc.property(texts, (bodies) => {
        const files: Record<string, string> = {};
        for (const [i, name] of [...names, "src/main.c"].entries()) {
          files[name] = `#pragma once\n${(bodies[i] ?? []).join("\n")}\n`;
          mkdirSync(dirname(join(folder, name)), { recursive: true });
          writeFileSync(join(folder, name), files[name]);
        }
        const args = ["-w", "-MM", "-I", ".", "-I", "inc", "src/main.c"];
        const read = execFileSync("cc", args, { cwd: folder, encoding: "utf8", stdio: "pipe" });
        const wanted = read
          .replaceAll("\\\n", " ")
          .split(/\s+/)
          .filter((p) => p.endsWith(".h"));
        const found = new Set(scan(files, "src/main.c", ["", "inc"]));
        for (const path of wanted) expect(found).toContain(join(path));
      }),
      { numRuns: 40 },
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
});
