import { rmSync } from "node:fs";
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
  });
});
