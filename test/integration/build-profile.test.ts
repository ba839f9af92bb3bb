import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createPlace, type Place, run } from "../support/programs.ts";

let place: Place;
let workspace: string;
beforeAll(() => {
  place = createPlace();
  workspace = place.example("remote-execution");
});
afterAll(() => place.remove());

const build = (...args: string[]) => run(place, workspace, "bldr", ["build", ...args]);

test("--profile writes a trace and says in few lines where the time went", async () => {
  const done = await build("cpp_project", "--profile", "out.json");
  expect(done.code, done.stderr).toBe(0);
  const table = done.stdout.slice(done.stdout.indexOf("Profile: out.json"));
  expect(table).toMatch(/Build +\S+, 3 ran, 0 reused/);
  expect(table).toMatch(/Phases +wait \S+, fetch \S+, set-up \S+, run \S+, upload \S+, return/);
  expect(table).toMatch(
    /Critical path[^\n]*\n +\S+ +\/\/:cpp_project CppCompile[^\n]*\n[^\n]*CppLink/,
  );
  const trace = JSON.parse(readFileSync(join(workspace, "out.json"), "utf8"));
  const names = trace.traceEvents.map(({ name }: { name: string }) => name);
  expect(names).toContain("//:cpp_project CppLink");
});

test("a build that reuses everything has a profile, too, with what was saved", async () => {
  const done = await build("cpp_project", "--profile", "again.json");
  expect(done.stdout).toMatch(/Build +\S+, 0 ran, 3 reused/);
  expect(done.stdout).toMatch(/Cache saved +\S+ of commands/);
});

test("with --json the events stay alone on standard output", async () => {
  const done = await build("cpp_project", "--profile", "out.json", "--json");
  for (const line of done.stdout.trim().split("\n")) expect(() => JSON.parse(line)).not.toThrow();
  expect(done.stderr).toContain("Profile: out.json");
});

test("a file that cannot be written is wrong use", async () => {
  const done = await build("cpp_project", "--profile", "nowhere/out.json");
  expect(done.stderr).toContain("--profile nowhere/out.json cannot be written");
  expect(done.code).toBe(2);
});
