import { mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createPlace, type Ended, type Place, run } from "../support/programs.ts";

let place: Place;
let folder: string;
beforeAll(() => {
  place = createPlace();
  folder = join(place.folder, "ws");
  const files = {
    Builderspace: "",
    Builderfile:
      "target app:\n    type: executable\n    sources: [main.c]\n    deps: [//lib:low, //lib:high]\n",
    "main.c": "int high(void);\nint main(void) { return high(); }\n",
    "lib/Builderfile":
      "target high:\n    type: library\n    sources: [high.c]\n    deps: [low]\n    flags: -DX=1\n" +
      "target low:\n    type: library\n    sources: [low.c]\n" +
      "target check:\n    type: test\n    sources: [check.c]\n    deps: [low]\n",
    "lib/high.c": "int low(void);\nint high(void) { return low(); }\n",
    "lib/low.c": "int low(void) { return 0; }\n",
    "lib/check.c": "int low(void);\nint main(void) { return low(); }\n",
  };
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(join(folder, name, ".."), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
});
afterAll(() => place.remove());

const bldr = (...args: string[]): Promise<Ended> => run(place, folder, "bldr", args);
const linesOf = ({ stdout }: Ended) => stdout.split("\n").filter((line) => line !== "");

describe("target patterns", () => {
  test("build and test what they cover, less what they exclude", async () => {
    const built = await bldr("build", "--json", "--", "//...", "-//lib:check");
    expect(built.code).toBe(0);
    const labels = linesOf(built)
      .map((line) => JSON.parse(line))
      .filter(({ kind }) => kind === "target")
      .map(({ label }) => label);
    expect(labels.sort()).toEqual(["//:app", "//lib:high", "//lib:low"]);
    expect((await bldr("test", "//...")).code).toBe(0);
    const wrong = await bldr("test", "//lib:low");
    expect(wrong).toMatchObject({ code: 2, stderr: expect.stringContaining("low is no test") });
    const slip = await bldr("build", "//lib:hihg");
    expect(slip).toMatchObject({ code: 2, stderr: expect.stringContaining("Did you mean high?") });
  });
});

describe("bldr query", () => {
  test("prints labels, kinds, places, JSON and DOT, sorted", async () => {
    const query = async (...args: string[]) => linesOf(await bldr("query", ...args));
    expect(await query("rdeps(//lib:low) - app")).toEqual([
      "//lib:check",
      "//lib:high",
      "//lib:low",
    ]);
    expect(await query("tests(//...)", "--output", "kind")).toEqual(["test //lib:check"]);
    expect(await query("//lib:low", "--output=location")).toEqual([
      "lib/Builderfile:6:8: library //lib:low",
    ]);
    expect(await query("labels(sources, //lib:all)")).toEqual([
      "lib/check.c",
      "lib/high.c",
      "lib/low.c",
    ]);
    expect(await query("somepath(app, //lib:low)", "--output", "dot")).toEqual([
      "digraph targets {",
      '  "//:app";',
      '  "//:app" -> "//lib:low";',
      '  "//lib:low";',
      "}",
    ]);
    const [json] = await query("//lib:high", "--output", "json");
    expect(JSON.parse(json ?? "")).toMatchObject({
      ...{ label: "//lib:high", type: "library", package: "lib", deps: ["//lib:low"] },
      fields: { flags: "[-DX=1]" },
    });
  });

  test("refuses a bad expression with its place and exit code 2", async () => {
    const failed = await bldr("query", "dpes(//...)");
    expect(failed).toMatchObject({ code: 2, stdout: "" });
    expect(failed.stderr).toContain("query:1:1: error: There is no function dpes.");
    expect(failed.stderr).toContain("Did you mean deps?");
    expect((await bldr("query", "//...", "--output", "xml")).code).toBe(2);
  });
});

describe("bldr graph", () => {
  test("draws targets as a tree in which nothing is drawn twice", async () => {
    expect(linesOf(await bldr("graph"))).toEqual([
      "//:app",
      "  //lib:low",
      "  //lib:high",
      "    //lib:low",
    ]);
    const dot = await bldr("graph", "//lib:high", "--output", "dot");
    expect(linesOf(dot)).toContain('  "//lib:high" -> "//lib:low";');
  });

  test("draws actions with what they read and make", async () => {
    expect(linesOf(await bldr("graph", "//lib:high", "--actions"))).toEqual([
      "//lib:low CppArchive",
      "  //lib:low CppCompile lib/low.c",
      "//lib:high CppArchive",
      "  //lib:high CppCompile lib/high.c",
    ]);
    const lines = linesOf(await bldr("graph", "//lib:high", "--actions", "--output=json"));
    const compile = lines.map((line) => JSON.parse(line)).find(({ id }) => /high.c$/.test(id));
    expect(compile).toMatchObject({ mnemonic: "CppCompile", inputs: ["lib/high.c"], deps: [] });
    expect(compile.argv).toContain("-DX=1");
  });
});

describe("bldr compdb", () => {
  test("writes the compile commands of the workspace, and again only when they changed", async () => {
    const file = join(folder, "compile_commands.json");
    expect((await run(place, join(folder, "lib"), "bldr", ["compdb"])).code).toBe(0);
    const entries = JSON.parse(readFileSync(file, "utf8"));
    expect(entries.map((entry: { file: string }) => entry.file)).toEqual([
      "lib/check.c",
      "lib/high.c",
      "lib/low.c",
      "main.c",
    ]);
    for (const { directory, arguments: argv, file: source, output } of entries) {
      expect(argv).toContain(source);
      const [program, ...rest] = argv.with(argv.indexOf(output), join(place.folder, "object.o"));
      expect(await run(place, directory, program, rest)).toMatchObject({ code: 0, stderr: "" });
    }
    const before = statSync(file, { bigint: true }).ino;
    await bldr("compdb");
    expect(statSync(file, { bigint: true }).ino).toBe(before);
    writeFileSync(join(folder, "more.c"), "int more(void) { return 0; }\n");
    writeFileSync(
      join(folder, "Builderfile"),
      readFileSync(join(folder, "Builderfile"), "utf8").replace("[main.c]", "[main.c, more.c]"),
    );
    await bldr("compdb");
    expect(JSON.parse(readFileSync(file, "utf8"))).toHaveLength(5);
    const shown = await bldr("compdb", "//lib:low", "-o", "-");
    expect(JSON.parse(shown.stdout)).toHaveLength(1);
    expect((await bldr("compdb", "-o", "no/such/folder.json")).code).toBe(3);
  });
});
