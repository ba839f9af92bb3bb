import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createPlace, type Place, run } from "../support/programs.ts";

let place: Place;
beforeAll(() => {
  place = createPlace();
});
afterAll(() => place.remove());

const workspace = (files: Readonly<Record<string, string>>) => place.workspace(files);

test("bldr check tells all that is wrong below a folder and exits 2, and 0 where nothing is", async () => {
  const folder = workspace({
    Builderspace: "",
    Builderfile:
      'import "//lib/defs.bldr";\nsay("hi");\ntarget("t") { command: true; deps: "say-h"; }\n',
    "lib/defs.bldr": 'macro say(word) { target("say-" + word) { command: "echo " + word; } }\n',
    "wrong/Builderfile": "target a:\n    comand: x\n    command: y\n",
    "circle/Builderfile":
      "target a:\n    command: x\n    deps: b\ntarget b:\n    command: y\n    deps: a\n",
  });
  const all = await run(place, folder, "bldr", ["check"]);
  expect(all.code).toBe(2);
  expect(all.stderr).toMatch(
    /Builderfile:3:36: error: There is no target say-h .*Did you mean say-hi\?/,
  );
  expect(all.stderr).toMatch(/wrong\/Builderfile:2:5: error: There is no field comand\. .*command/);
  const circle = await run(place, folder, "bldr", ["check", "circle"]);
  expect(circle.stderr).toMatch(
    /circle\/Builderfile:1:8: error: Targets depend on each other: a -> b/,
  );
  const right = await run(place, join(folder, "lib"), "bldr", ["check"]);
  expect(right).toMatchObject({
    code: 0,
    stdout: "Nothing is wrong. Builderfiles: 0, targets: 0.\n",
  });
});

test("bldr fmt lays out what is below, and --check only names it", async () => {
  const before = 'target( "a" ){command:x;}\n';
  const folder = workspace({
    Builderfile: before,
    "lib/a.bldr": "let x=1\n",
    "lib/b.bldr": "let y = 1\n",
  });
  const told = { stdout: "Builderfile\nlib/a.bldr\n", stderr: "" };
  expect(await run(place, folder, "bldr", ["fmt", "--check"])).toEqual({ ...told, code: 1 });
  expect(readFileSync(join(folder, "Builderfile"), "utf8")).toBe(before);
  expect(await run(place, folder, "bldr", ["fmt"])).toEqual({ ...told, code: 0 });
  expect(readFileSync(join(folder, "Builderfile"), "utf8")).toBe('target("a") { command: x; }\n');
  const again = await run(place, folder, "bldr", ["fmt", "--check", "lib/a.bldr", "Builderfile"]);
  expect(again).toEqual({ code: 0, stdout: "", stderr: "" });
  writeFileSync(join(folder, "Builderfile"), 'target("a" {\n');
  const wrong = await run(place, folder, "bldr", ["fmt"]);
  expect(wrong.code).toBe(2);
  expect(wrong.stderr).toMatch(/Builderfile:1:12: error: Expected \) after the name/);
  expect(readFileSync(join(folder, "Builderfile"), "utf8")).toBe('target("a" {\n');
});

test("bldr schema prints a schema, or the handbook's tables", async () => {
  const { stdout } = await run(place, place.folder, "bldr", ["schema"]);
  expect(JSON.parse(stdout)).toMatchObject({ properties: { deps: {}, shards: { minimum: 1 } } });
  const tables = await run(place, place.folder, "bldr", ["schema", "--markdown"]);
  expect(tables.stdout).toContain("| `glob(globs, [except])` |");
});
