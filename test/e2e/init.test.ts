import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createPlace, type Place, run } from "../support/programs.ts";

let place: Place;
beforeAll(() => {
  place = createPlace();
});
afterAll(() => place.remove());

function tree(name: string, files: Readonly<Record<string, string>>): string {
  const folder = join(place.folder, name);
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(folder, path, ".."), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  return folder;
}

const bldr = (folder: string, ...args: string[]) => run(place, folder, "bldr", args);

/** Drafts, builds and tests a tree; gives the Builderfile. */
async function initialized(folder: string, hasTests: boolean): Promise<string> {
  expect(await bldr(folder, "init")).toMatchObject({ code: 0, stderr: "" });
  const text = readFileSync(join(folder, "Builderfile"), "utf8");
  const built = await bldr(folder, "build");
  expect(built.code, `${text}${built.stdout}${built.stderr}`).toBe(0);
  const tested = await bldr(folder, "test");
  expect(tested.code, `${text}${tested.stdout}${tested.stderr}`).toBe(hasTests ? 0 : 2);
  return text;
}

const prints = async (folder: string, program: string) =>
  (await run(place, folder, join(folder, "bin", program), [])).stdout;

describe("bldr init writes what builds", () => {
  test("for one program in one folder", async () => {
    const folder = tree("hello world", {
      "main.c":
        '#include <math.h>\n#include <stdio.h>\n#include "greet.h"\n' +
        'int main(int n, char **v) { (void)v; printf("%s %g", greet(), cos(n - 1.0)); }\n',
      "greet.c":
        '#include "greet.h"\n// int main(void) is elsewhere\nconst char *greet(void) { return "hi"; }\n',
      "greet.h": "const char *greet(void);\n",
      "port_win32.c": "#include <windows.h>\n",
      Makefile: "CFLAGS = -O2 -std=c99 -DUSED=1 $(MORE)\nall:\n\tcc main.c\n",
    });
    const text = await initialized(folder, false);
    expect(await prints(folder, "hello_world")).toBe("hi 1");
    expect(text).toContain("flags: [-std=c99, -DUSED=1]");
    expect(text).toContain("link_flags: [-lm]");
    expect(text).not.toContain("win32");
  });

  test("for two programs and tests that share a library, with headers in a folder of their own", async () => {
    const folder = tree("calc", {
      "CMakeLists.txt": "project(calc)\nset(CMAKE_CXX_STANDARD 20)\n# set(CMAKE_CXX_STANDARD 23)\n",
      "include/calc/add.hpp": "#pragma once\n#include <concepts>\nint add(int a, int b);\n",
      "include/calc/log.hpp": "#pragma once\nvoid log(int);\n",
      "src/add.cpp":
        '#include "calc/add.hpp"\n#include "detail.hpp"\nint add(int a, int b) { return a + b + zero(); }\n',
      "src/detail.hpp":
        "#pragma once\n#if __cplusplus < 202000L\n#error old\n#endif\nint zero();\n",
      "src/detail.cpp": '#include "detail.hpp"\nint zero() { return 0; }\n',
      "src/log.cpp":
        "#include <calc/log.hpp>\n#include <iostream>\nvoid log(int x) { std::cout << x; }\n",
      "apps/one/main.cpp":
        '#include <calc/add.hpp>\n#include <calc/log.hpp>\n#include "part.hpp"\nint main() { log(add(part(), 2)); }\n',
      "apps/one/part.cpp": '#include "part.hpp"\nint part() { return 1; }\n',
      "apps/one/part.hpp": "int part();\n",
      "apps/two/main.cpp":
        '#include <calc/add.hpp>\n#include <calc/log.hpp>\n#include <thread>\n#include "part.hpp"\n' +
        "int main() { std::thread t([] { log(add(part(), 5)); }); t.join(); }\n",
      "apps/two/part.cpp": '#include "part.hpp"\nint part() { return 2; }\n',
      "apps/two/part.hpp": "int part();\n",
      "tests/add_test.cpp":
        '#include <calc/add.hpp>\n#include <fstream>\n#include "check.hpp"\n' +
        'int main() { std::ifstream in("tests/data/sum.txt"); int want; in >> want; return check(add(1, 2), want); }\n',
      "tests/log_test.cpp":
        '#include <calc/log.hpp>\n#include "check.hpp"\nint main() { log(1); return check(1, 1); }\n',
      "tests/check.cpp":
        '#include "check.hpp"\nint check(int a, int b) { return a == b ? 0 : 1; }\n',
      "tests/check.hpp": "int check(int a, int b);\n",
      "tests/data/sum.txt": "3\n",
      "build/CMakeFiles/junk.c": "int main(void) { this is no C }\n",
    });
    const text = await initialized(folder, true);
    expect(await prints(folder, "one")).toBe("3");
    expect(await prints(folder, "two")).toBe("7");
    for (const part of [
      "target calc_lib:\n    type: library\n    sources: [src/*.cpp]\n    includes: [include]\n",
      "target test_support:\n",
      "sources: [apps/one/*.cpp]\n    flags: [-std=gnu++20]\n    deps: [calc_lib]\n",
      "target add_test:\n    type: test\n",
      "inputs: [tests/data/sum.txt]\n",
      "link_flags: [-pthread]\n",
    ]) {
      expect(text).toContain(part);
    }
  });

  test("for C and C++ in one program, with a standard that only one of them knows", async () => {
    const folder = tree("mixed", {
      "compile_flags.txt": "-std=c++17\n-DANSWER=42\n",
      "src/main.cc":
        '#include <cstdio>\n#include <string_view>\nextern "C" {\n#include "core/core.h"\n}\n' +
        'int main() { std::string_view s = "x"; std::printf("%d%zu", core(), s.size()); }\n',
      "src/core/core.h": "int core(void);\n",
      "src/core/core.c":
        '#include "core.h"\n#include "table.inc.c"\nint core(void) { return table[0]; }\n',
      "src/core/table.inc.c": "static const int table[] = {ANSWER};\n",
    });
    const text = await initialized(folder, false);
    expect(await prints(folder, "mixed")).toBe("421");
    expect(text).toContain("target mixed_c:\n    type: library\n    sources: [src/core/core.c]\n");
    expect(text).toContain("flags: [-std=c++17, -DANSWER=42]");
  });

  test("for a library with tests and no program, odd names included", async () => {
    const folder = tree("shapes", {
      "lib/the area.c": '#include "area.h"\nint area(int a) { return a * a; }\n',
      "lib/it's [odd].c": "int odd(void) { return 1; }\n",
      "lib/area.h": "int area(int a);\n",
      "test_area.c":
        '#include "area.h"\nint odd(void);\nint main(void) { return area(2) - 3 - odd(); }\n',
    });
    const text = await initialized(folder, true);
    expect(text).toContain("target shapes:\n    type: library\n    sources: [lib/*.c]\n");
    expect(text).toContain("target test_area:\n    type: test\n    sources: [test_area.c]\n");
    writeFileSync(join(folder, "lib/more.c"), "int main(void) { return 0; }\n");
    expect((await bldr(folder, "init", "--force")).code).toBe(0);
    const listed = readFileSync(join(folder, "Builderfile"), "utf8");
    expect(listed).toContain("lib/it?s ?odd?.c");
    expect((await bldr(folder, "build")).code).toBe(0);
  });
});

describe("bldr init", () => {
  test("overwrites nothing without --force, and prints with --print", async () => {
    const folder = tree("kept", { "a.c": "int main(void) { return 0; }\n", Builderfile: "mine\n" });
    const refused = await bldr(folder, "init");
    expect(refused).toMatchObject({ code: 3, stdout: "" });
    expect(refused.stderr).toContain("There is a Builderfile here.");
    const printed = await bldr(folder, "init", "--print");
    expect(printed).toMatchObject({ code: 0, stderr: "" });
    expect(printed.stdout).toContain("target a:\n    type: executable\n    sources: [a.c]\n");
    expect(readFileSync(join(folder, "Builderfile"), "utf8")).toBe("mine\n");
    expect((await bldr(folder, "init", "--force")).stdout).toContain("executable a");
    expect(readFileSync(join(folder, "Builderfile"), "utf8")).toBe(printed.stdout);
  });

  test("says what it found where there is nothing to build", async () => {
    const empty = tree("empty", { "README.md": "nothing\n" });
    const nothing = await bldr(empty, "init");
    expect(nothing.code).toBe(2);
    expect(nothing.stderr).toContain("There are no sources here that bldr knows how to build.");
    expect(existsSync(join(empty, "Builderfile"))).toBe(false);
    // Whether or not there is a rule for the language, its sources are named.
    const other = await bldr(tree("other", { "a.py": "print(1)\n" }), "init", "--print");
    expect(other.stdout + other.stderr).toContain("a.py");
    const headers = await bldr(tree("headers", { "a.h": "int a;\n" }), "init");
    expect(headers.stderr).toContain("no C or C++ source to compile");
  });
});
