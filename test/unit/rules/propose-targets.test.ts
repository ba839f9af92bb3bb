import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseBuilderfile } from "../../../src/builderfile/parse-builderfile.ts";
import { linkFlagsFor, treeFlags } from "../../../src/rules/build-hints.ts";
import { proposeTargets } from "../../../src/rules/propose-targets.ts";
import { isSurveyed, surveySources } from "../../../src/rules/survey-sources.ts";
import { writeTargets } from "../../../src/rules/write-targets.ts";

describe("what other build files tell", () => {
  test.each([
    ["set(CMAKE_CXX_STANDARD 17)", ["-std=gnu++17"]],
    ["set(CMAKE_CXX_STANDARD 17)\nset(CMAKE_CXX_EXTENSIONS OFF)", ["-std=c++17"]],
    ["target_compile_features(x PUBLIC cxx_std_20)", ["-std=gnu++20"]],
    ["default_options: ['cpp_std=c++14']", ["-std=c++14"]],
    ["CXXFLAGS += -std=c++11 -Wall\nNEW = -std=c++2a", ["-std=c++11"]],
    ["set(CMAKE_CXX_STANDARD 98)\n-std=c++03\n-std=c++11", ["-std=c++11"]],
    ["# -std=c++20\nnothing c++17 here", []],
  ])("%s", (text, expected) => {
    expect(treeFlags([text]).cpp).toEqual(expected);
  });

  test("definitions are taken from flags, not from what a program decides", () => {
    const text = "CFLAGS = -D_GNU_SOURCE -DN=3 -DX=$(X)\nall:\n\tcc -DNOT_THIS x.c\n";
    expect(treeFlags([text, "-DFROM_FLAGS\n"]).both).toEqual([
      ...["-D_GNU_SOURCE", "-DN=3", "-DFROM_FLAGS"],
    ]);
  });

  test("system headers ask for their libraries, each once", () => {
    const headers = ["math.h", "thread", "openssl/ssl.h", "openssl/evp.h", "stdio.h", "mutex"];
    expect(linkFlagsFor(headers)).toEqual(["-pthread", "-lm", "-lssl", "-lcrypto"]);
  });
});

describe("a surveyed file", () => {
  const survey = (files: Readonly<Record<string, string>>, path: string) =>
    surveySources(Object.keys(files), (name) => files[name] ?? "").find(
      (file) => file.path === path,
    )!;

  test.each([
    ["int main(void) {}", true],
    ["int x;\nauto main() -> int {}", true],
    ["int\nmain(int n, char **v)\n{}", true],
    ["#define CATCH_CONFIG_MAIN\n", true],
    ["// int main(void) {}\nint x;", false],
    ['char *s = "\\nint main(void)";', false],
    ["int domain(void);", false],
    ["int f(void) { return main(); }", false],
  ])("%j has main: %s", (text, hasMain) => {
    expect(survey({ "a.cc": text }, "a.cc").hasMain).toBe(hasMain);
  });

  test("is a test by its name or folder, and only then", () => {
    const names = [
      "tests/a.c",
      "x/test/a.c",
      "test_a.c",
      "a_test.cc",
      "FooTest.cpp",
      "a_unittest.c",
    ];
    for (const name of names) expect(survey({ [name]: "" }, name).isTest, name).toBe(true);
    for (const name of ["latest.c", "testify.c", "contest/a.c", "attest.c"]) {
      expect(survey({ [name]: "" }, name).isTest, name).toBe(false);
    }
  });

  test("finds what it includes beside it, then through the folder that fits best", () => {
    const files = {
      "src/a.c": '#include "b.h"\n#include <lib/c.h>\n#include <string.h>\n#include "gone.h"\n',
      ...{ "src/b.h": "", "include/lib/c.h": "", "old/lib/c.h": "", "compat/string.h": "" },
    };
    const { includes, system } = survey(files, "src/a.c");
    expect(includes).toEqual([
      { path: "src/b.h", through: undefined },
      { path: "include/lib/c.h", through: "include" },
    ]);
    expect(system).toEqual(["string.h", "gone.h"]);
    expect(isSurveyed("src/port_win32.c")).toBe(false);
    expect(isSurveyed("src/window.c")).toBe(true);
  });
});

test("every source of any tree is in one target, each after its deps, in a file that reads well", () => {
  const folder = fc.constantFrom("", "src/", "apps/a/", "apps/b/", "tests/", "lib [x]/");
  const stem = fc.constantFrom("main", "a", "b", "c", "test_a", "d e", "it's");
  const file = fc.record({
    path: fc
      .tuple(folder, stem, fc.constantFrom(".c", ".cpp", ".h"))
      .map((parts) => parts.join("")),
    hasMain: fc.boolean(),
    includes: fc.array(fc.constantFrom("main.h", "a.h", "b.h", "c.h", "a.c"), { maxLength: 3 }),
  });
  const tree = fc.uniqueArray(file, { selector: ({ path }) => path, minLength: 1, maxLength: 14 });
  const flags = fc.constantFrom("", "-std=c++17", "-std=c11", "-std=c11\n-std=c++20");
  fc.assert(
    fc.property(tree, flags, (files, hints) => {
      const texts = new Map(
        files.map(({ path, hasMain, includes }) => [
          path,
          includes.map((name) => `#include "${name}"\n`).join("") +
            (hasMain ? "int main(void) { return 0; }\n" : ""),
        ]),
      );
      const paths = [...texts.keys()].sort();
      const surveyed = surveySources(paths, (path) => texts.get(path) ?? "");
      const part = new Set(surveyed.flatMap(({ includes }) => includes.map(({ path }) => path)));
      const targets = proposeTargets({
        ...{ name: "tree", files: surveyed, paths, flags: treeFlags([hints]) },
      });
      const compiled = surveyed.filter(({ path, isHeader }) => !isHeader && !part.has(path));
      const hasTests = compiled.some(({ isTest, hasMain }) => isTest && hasMain);
      // What only tests could use is left out where there is no test.
      const wanted = compiled.filter(({ isTest, hasMain }) => hasMain || hasTests || !isTest);
      expect(targets.flatMap(({ sources }) => sources).sort()).toEqual(
        wanted.map(({ path }) => path).sort(),
      );
      const before = new Set<string>();
      for (const { name, deps } of targets) {
        expect(before.has(name), name).toBe(false);
        for (const dep of deps) expect(before, `${name} needs ${dep}`).toContain(dep);
        before.add(name);
      }
      if (targets.length === 0) return;
      const parsed = parseBuilderfile(writeTargets(targets, paths, "A draft."), "Builderfile");
      expect(parsed).toMatchObject({ ok: true });
    }),
    { numRuns: 500 },
  );
});
