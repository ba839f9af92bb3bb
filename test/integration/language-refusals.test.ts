import { afterEach, describe, expect, test } from "vitest";
import { removeWorkspaces, workspaceOf } from "../support/build-workspace.ts";

afterEach(removeWorkspaces);

/** What planning says of a target `t` with these fields. */
async function refusal(fields: string, files: Record<string, string> = {}): Promise<string> {
  const workspace = workspaceOf({ ...files, Builderfile: `target t:\n    ${fields}\n` });
  const built = workspace.build();
  return built.then(
    ({ failures }) => `it was built: ${failures.join()}`,
    (error: unknown) => (error instanceof Error ? error.message : String(error)),
  );
}

const program = "type: executable\n    sources: [FILES]\n    ";
const of = (files: string, rest = "") => program.replace("FILES", files) + rest;

describe("what a language has no meaning for is an error with its place", () => {
  test.each([
    ["main.rs", "includes: [x]", "Builderfile:4:5: error: includes means nothing"],
    ["main.py", "flags: -O", "flags means nothing to the language python. Remove it."],
    ["main.js", "link_flags: -s", "link_flags means nothing to the language javascript."],
    ["main.rs", "options:\n        edtion: 2018", "no option edtion. Did you mean edition?"],
    ["main.c", "options:\n        x: y", "c has no option x. Its options: none."],
    ["main.py", "options:\n        main: no.py", "options.main is no.py, which is none of"],
  ])("%s with %s", async (file, field, message) => {
    expect(await refusal(of(file, field), { [file]: "" })).toContain(message);
  });

  test("a library of another language", async () => {
    const fields = "deps: [lib]\n\ntarget lib:\n    type: library\n    sources: [lib.java]";
    const message = await refusal(of("main.py", fields), { "main.py": "", "lib.java": "" });
    expect(message).toContain("Builderfile:4:11: error: //:lib is a library of java, which python");
  });

  test("an output where no file is made", async () => {
    const fields = "type: library\n    sources: [a.py]\n    output: x";
    expect(await refusal(fields, { "a.py": "" })).toContain("t makes no file that output could");
  });
});

describe("what cannot be built is said before anything runs", () => {
  test.each([
    ["a.rs, b.rs", {}, "Nothing says which source t starts with. Call it main.rs or lib.rs, or"],
    ["a.java", { "a.java": "class a {}" }, "t starts with a main method, but no class has one."],
    [
      "a.java, b.java",
      {
        "a.java": "class a { static void main(String[] a) {} }",
        "b.java": "package p; class b { static void main(String[] a) {} }",
      },
      "but a and p.b have one. Name the class",
    ],
    ["main.ts", {}, "t needs TypeScript, and no node_modules at or above its package has it."],
    ["main.go", { "main.go": 'package main\nimport "C"\n' }, "but cgo is not supported."],
    ["main.go", { "main.go": 'package main\nimport "a.com/b"\n' }, "t imports a.com/b, which no"],
    ["main.go", { "main.go": 'package main\nimport "lib"\n', "lib/x": "" }, "t imports lib, which"],
    [
      "main.go",
      { "main.go": 'package main\nimport "m/x"\n', "go.mod": "module m\n" },
      "t imports m/x, which no dep makes.",
    ],
    ["main.go", { "main.go": "package main\n//go:embed x\n" }, "//go:embed, which is not"],
    ["main.go", { "main.go": "package other\n" }, "its sources are package other."],
    [
      "main.go, b.go",
      { "main.go": "package main\n", "b.go": "package b\n" },
      "packages b and main",
    ],
  ])("a program of %s with %j", async (names, files: Record<string, string>, message) => {
    const all = Object.fromEntries(names.split(", ").map((name) => [name, ""]));
    expect(await refusal(of(names), { ...all, ...files })).toContain(message);
  });

  test("a test runner that is none", async () => {
    const fields = "type: test\n    sources: [test_a.py]\n    options:\n        runner: nose";
    const message = await refusal(fields, { "test_a.py": "" });
    expect(message).toContain("options.runner is nose; it can be unittest or pytest.");
  });
});

describe("errors of the compilers reach the user", () => {
  test("a source that is no Python fails its target with the line", async () => {
    const message = await refusal(of("main.py"), { "main.py": "x = 1\nif\n" });
    expect(message).toContain("main.py:2: error: invalid syntax");
  });
});
