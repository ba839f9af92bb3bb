import { appendFileSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createPlace, type Ended, type Place, run } from "../support/programs.ts";

let place: Place;
beforeAll(() => {
  place = createPlace();
});
afterAll(() => place.remove());

const workspace = (files: Readonly<Record<string, string>>) => place.workspace(files);

async function build(folder: string, ...args: string[]): Promise<Ended & { ran: string[] }> {
  const ended = await run(place, folder, "bldr", ["build", "--json", ...args]);
  const events = ended.stdout
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line));
  const ran = events
    .filter(({ kind, how }) => kind === "action" && how === "ran")
    .map(({ id }) => id.replace("//:app ", ""))
    .sort();
  return { ...ended, ran };
}

const app = {
  Builderfile:
    "target app:\n    type: executable\n    sources: [src/*.cpp]\n    includes: [include]\n    deps: [util]\n" +
    "target util:\n    type: library\n    sources: [util/*.c]\n",
  "src/main.cpp": '#include "a.h"\nextern "C" int util(void);\nint main() { return A - util(); }\n',
  "src/other.cpp": "int other() { return 0; }\n",
  "include/a.h": '#include "b.h"\n#define A B\n',
  "include/b.h": "#define B 7\n",
  "util/util.c": "int util(void) { return 7; }\n",
};

describe("what runs again", () => {
  test("nothing without a change, and exactly the dependents of what changed", async () => {
    const folder = workspace(app);
    expect((await build(folder)).ran).toEqual([
      "//:util CppArchive",
      "//:util CppCompile util/util.c",
      "CppCompile src/main.cpp",
      "CppCompile src/other.cpp",
      "CppLink",
    ]);
    expect((await run(place, folder, join(folder, "bin/app"), [])).code).toBe(0);
    expect((await build(folder)).ran).toEqual([]);
    writeFileSync(join(folder, "include/b.h"), "#define B 8\n");
    expect((await build(folder)).ran).toEqual(["CppCompile src/main.cpp", "CppLink"]);
    expect((await run(place, folder, join(folder, "bin/app"), [])).code).toBe(1);
    writeFileSync(join(folder, "include/b.h"), "#define B 7\n");
    expect((await build(folder)).ran, "back to a known state").toEqual([]);
    expect((await run(place, folder, join(folder, "bin/app"), [])).code).toBe(0);
  });

  test("a new header that shadows another is seen", async () => {
    const folder = workspace(app);
    await build(folder);
    writeFileSync(join(folder, "src/a.h"), "#define A 9\n");
    expect((await build(folder)).ran).toContain("CppCompile src/main.cpp");
    expect((await run(place, folder, join(folder, "bin/app"), [])).code).toBe(2);
  });

  test("flags, new sources and deleted sources are changes", async () => {
    const folder = workspace(app);
    await build(folder);
    const text = readFileSync(join(folder, "Builderfile"), "utf8");
    writeFileSync(join(folder, "Builderfile"), text.replace("deps:", "flags: -O1\n    deps:"));
    expect((await build(folder)).ran).toContain("CppCompile src/other.cpp");
    rmSync(join(folder, "src/other.cpp"));
    expect((await build(folder)).ran).toEqual(["CppLink"]);
    writeFileSync(join(folder, "src/third.cpp"), "int third() { return 3; }\n");
    expect((await build(folder)).ran).toEqual(["CppCompile src/third.cpp", "CppLink"]);
  });

  test("an output that the user deleted or edited is put back without running anything", async () => {
    const folder = workspace(app);
    await build(folder);
    const before = readFileSync(join(folder, "bin/app"));
    rmSync(join(folder, "bin/app"));
    expect((await build(folder)).ran).toEqual([]);
    appendFileSync(join(folder, "bin/app"), "x");
    expect((await build(folder)).ran).toEqual([]);
    expect(readFileSync(join(folder, "bin/app")).equals(before)).toBe(true);
  });

  test("edits in quick succession are never missed", async () => {
    const folder = workspace({
      Builderfile: "target t:\n    command: cat in > out\n    inputs: [in]\n    outputs: [out]\n",
      in: "0",
    });
    for (let i = 1; i < 6; i += 1) {
      writeFileSync(join(folder, "in"), `${i}`);
      expect((await build(folder)).code).toBe(0);
      expect(readFileSync(join(folder, "out"), "utf8")).toBe(`${i}`);
    }
  });

  test("an intermediate that the store lost is made again", async () => {
    const folder = workspace(app);
    const store = join(place.folder, "lossy");
    await build(folder, "--store", store);
    rmSync(store, { recursive: true });
    appendFileSync(join(folder, "src/other.cpp"), "int more() { return 1; }\n");
    const rebuilt = await build(folder, "--store", store);
    expect(rebuilt.stderr).toBe("");
    expect(rebuilt.ran).toContain("CppLink");
    rmSync(store, { recursive: true });
    rmSync(join(folder, "bin"), { recursive: true });
    expect((await build(folder, "--store", store)).code).toBe(0);
    expect((await run(place, folder, join(folder, "bin/app"), [])).code).toBe(0);
  });
});

describe("commands and generated files", () => {
  test("a command sees its declared inputs only and its outputs reach who depends on it", async () => {
    const folder = workspace({
      Builderfile:
        'target("gen") { command: "mkdir -p gen; sed s/X/42/ in.txt > gen/answer.h"; ' +
        "inputs: [in.txt]; outputs: [gen/answer.h]; }\n" +
        'target("app") { type: executable; sources: [main.c]; deps: [gen]; includes: [gen]; }\n',
      "in.txt": "#define ANSWER X\n",
      "main.c": '#include "answer.h"\nint main(void) { return ANSWER; }\n',
    });
    expect((await build(folder)).stderr).toBe("");
    expect((await run(place, folder, join(folder, "bin/app"), [])).code).toBe(42);
  });

  test("a generated header that an earlier build left behind is not mistaken for a source", async () => {
    const folder = workspace({
      Builderfile:
        "target gen:\n    command: mkdir -p gen; sed s/X/$(cat in.txt)/ t.txt > gen/answer.h\n" +
        "    inputs: [in.txt, t.txt]\n    outputs: [gen/answer.h]\n" +
        "target app:\n    type: executable\n    sources: [main.c, x.c, x.cpp]\n    deps: [gen]\n    includes: [gen]\n",
      "in.txt": "42",
      "t.txt": "#define ANSWER X\n",
      "main.c": '#include "answer.h"\nint main(void) { return ANSWER; }\n',
      "x.c": "int of_c(void) { return 1; }\n",
      "x.cpp": "int of_cpp() { return 2; }\n",
    });
    await run(place, folder, "bldr", ["build"]);
    expect((await run(place, folder, join(folder, "bin/app"), [])).code).toBe(42);
    writeFileSync(join(folder, "in.txt"), "43");
    expect((await run(place, folder, "bldr", ["build"])).stderr).toBe("");
    expect((await run(place, folder, join(folder, "bin/app"), [])).code).toBe(43);
  });

  test("an undeclared input is not there, and a declared output must be made", async () => {
    const folder = workspace({
      Builderfile:
        "target peek:\n    command: cat secret.txt > out\n    outputs: [out]\n" +
        'target lazy:\n    command: "true"\n    outputs: [never]\n',
      "secret.txt": "undeclared",
    });
    const failed = await run(place, folder, "bldr", ["build", "-k"]);
    expect(failed.stderr).toMatch(/cat: secret.txt: No such file/);
    expect(failed.stderr).toMatch(/\/\/:lazy Custom failed: it did not make .* output never/);
    expect(failed.code).toBe(1);
  });

  test("the user's files, home and network are out of reach", async () => {
    const folder = workspace({
      Builderfile:
        "target look:\n    command: |\n" +
        "        ls -A /home /root 2>/dev/null | wc -l > out\n" +
        "        (cat < /dev/tcp/127.0.0.1/22) 2>/dev/null && exit 9\n" +
        "        touch /usr/x 2>/dev/null && exit 8\n" +
        "        id -u >> out\n    outputs: [out]\n",
    });
    expect((await build(folder)).stderr).toBe("");
    expect(readFileSync(join(folder, "out"), "utf8")).toBe("0\n1000\n");
  });

  test("limits kill and name themselves", async () => {
    const folder = workspace({
      Builderfile:
        "target slow:\n    command: sleep 20\n    hermetic:\n        timeout: 500ms\n" +
        "target fat:\n    command: head -c 200m /dev/zero | tail > /dev/null\n" +
        "    hermetic:\n        max_memory: 32MiB\n",
    });
    const failed = await run(place, folder, "bldr", ["build", "-k"]);
    expect(failed.stderr).toMatch(/\/\/:slow Custom failed: Action timeout.*hermetic\.timeout/);
    expect(failed.stderr).toMatch(/\/\/:fat Custom failed: .*memory limit/);
  });
});

describe("what a user gets wrong", () => {
  test("every mistake in a Builderfile is shown with its place and a hint", async () => {
    const folder = workspace({ Builderfile: "target a:\n    type: executabel\n    sorces: x.c\n" });
    const failed = await run(place, folder, "bldr", ["build"]);
    expect(failed.stderr).toMatch(/Builderfile:2:11: error: .*Did you mean executable\?/);
    expect(failed.stderr).toMatch(/Builderfile:3:5: error: .*Did you mean sources\?/);
    expect(failed.code).toBe(2);
  });

  test("cycles, unknown targets, missing folders and empty globs are named", async () => {
    const cycle = workspace({
      Builderfile:
        "target a:\n    command: x\n    deps: [b]\ntarget b:\n    command: x\n    deps: [a]\n",
    });
    expect((await run(place, cycle, "bldr", ["build"])).stderr).toMatch(/a -> b -> a/);
    const unknown = await run(place, cycle, "bldr", ["build", "aa"]);
    expect(unknown.stderr).toMatch(/no target aa .*Did you mean a\?/);
    expect((await run(place, "/tmp", "bldr", ["build"])).stderr).toMatch(/no Builderfile in \/tmp/);
    const empty = workspace({
      Builderfile: "target a:\n    type: library\n    sources: [x/*.c]\n",
    });
    const nothing = await run(place, empty, "bldr", ["build"]);
    expect(nothing.stderr).toMatch(/Builderfile:3:5: error: No file matches x\/\*\.c/);
  });

  test("a missing compiler is named with the remedy", async () => {
    const folder = workspace(app);
    const failed = await run(place, folder, "bldr", ["build"], { CXX: "no-such-c++" });
    expect(failed.stderr).toMatch(/no-such-c\+\+ was not found .*Install a compiler/);
    expect(failed.code).toBe(1);
  });
});
