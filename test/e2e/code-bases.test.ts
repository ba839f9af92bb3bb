import { appendFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type CodeBase, layOut, leveldb, re2 } from "../../bench/code-bases.ts";
import { createPlace, type Ended, type Place, run } from "../support/programs.ts";

let place: Place;
beforeAll(() => {
  place = createPlace();
});
afterAll(() => place.remove());

interface Events extends Ended {
  /** Actions by how they ended. */
  readonly ids: Readonly<Record<"ran" | "cached" | "kept", readonly string[]>>;
}

async function bldr(folder: string, ...args: string[]): Promise<Events> {
  const ended = await run(place, folder, "bldr", [...args, "--json"]);
  const actions = ended.stdout
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line))
    .filter(({ kind }) => kind === "action");
  const ids = (wanted: string) =>
    actions.filter(({ how }) => how === wanted).map(({ id }) => String(id));
  return { ...ended, ids: { ran: ids("ran"), cached: ids("cached"), kept: ids("kept") } };
}

function checkout(base: CodeBase, name: string): string {
  const folder = join(place.folder, name);
  layOut(base, folder);
  return folder;
}

describe("LevelDB, with a header that is made", () => {
  test("builds, passes its tests, and comes from the cache in an empty checkout", async () => {
    const first = checkout(leveldb, "leveldb");
    const built = await bldr(first, "build");
    expect(built.stderr).not.toMatch(/error/);
    expect(built.code).toBe(0);
    expect(built.ids.ran).toContain("//snappy:public_header Custom");
    expect((await bldr(first, "test")).code).toBe(0);
    const own = await bldr(join(first, "leveldb"), "test");
    expect(own.code).toBe(0);
    expect(own.ids.ran.filter((id) => id.endsWith("TestRun")).length).toBeGreaterThan(10);

    rmSync(first, { recursive: true });
    const second = checkout(leveldb, "leveldb-again");
    const again = await bldr(second, "build");
    expect(again.ids.ran).toEqual([]);
    expect([...again.ids.cached].sort()).toEqual([...built.ids.ran].sort());
    expect((await bldr(join(second, "leveldb"), "test")).ids.ran).toEqual([]);
  });
});

describe("Abseil's strings, a hundred headers deep", () => {
  test("build, and only the dependents of a changed header run again", async () => {
    const first = join(checkout(re2, "re2"), "abseil-cpp");
    const built = await bldr(first, "build", "strings");
    expect(built.code).toBe(0);
    expect(built.ids.ran.length).toBeGreaterThan(40);
    const header = join(first, "absl/strings/str_split.h");
    const added = "__attribute__((used)) static int added_by_a_test = 1;";
    appendFileSync(header, `#ifndef ADDED_BY_A_TEST\n#define ADDED_BY_A_TEST\n${added}\n#endif\n`);
    const { ran } = (await bldr(first, "build", "strings")).ids;
    const compile = "//abseil-cpp:strings CppCompile abseil-cpp/absl/strings";
    expect(ran).toContain(`${compile}/str_split.cc`);
    expect(ran).toContain("//abseil-cpp:strings CppArchive");
    expect(ran).not.toContain(`${compile}/ascii.cc`);
    expect(ran.length).toBeLessThan(10);
  });
});
