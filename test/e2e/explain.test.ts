// Cache diagnosis as users ask for it: `bldr build --explain` and `bldr diff-actions`.

import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createPlace, type Place, run } from "../support/programs.ts";

let place: Place;
let folder: string;
const builderfile =
  "target app:\n    command: cat in.txt > out; echo $MODE >> out\n" +
  "    inputs: [in.txt]\n    outputs: [out]\n    env:\n        MODE: fast\n" +
  "target bad:\n    command: exit 3\n    outputs: [x]\n";

beforeAll(() => {
  place = createPlace();
  folder = place.workspace({ Builderfile: builderfile, "in.txt": "1\n" });
});
afterAll(() => place.remove());

/** The digests and reasons that a build with --explain tells. */
async function explained(...words: string[]) {
  const { stdout } = await run(place, folder, "bldr", ["build", ...words, "--explain"]);
  const found = /ran \(action (\S+)\):\n((?: {2}.*\n)*)/.exec(stdout);
  return { digest: found?.[1] ?? "", reasons: found?.[2] ?? stdout };
}

const diff = (...words: string[]) => run(place, folder, "bldr", ["diff-actions", ...words]);

test("each action that runs says why: never built, file, variable, command, tool, failure", async () => {
  const first = await explained("app");
  expect(first.reasons).toBe("  it has not run here before\n");
  expect((await explained("app")).reasons, "nothing ran").not.toContain("ran (action");

  writeFileSync(join(folder, "in.txt"), "2\n");
  const second = await explained("app");
  expect(second.reasons).toBe("  in.txt changed\n");
  const byFile = await diff(first.digest, second.digest);
  expect(byFile.stdout).toBe("file       in.txt changed\n");

  const edited = builderfile
    .replace("MODE: fast", "MODE: slow")
    .replace("cat in.txt", "cat ./in.txt");
  writeFileSync(join(folder, "Builderfile"), edited);
  const third = await explained("app");
  expect(third.reasons).toMatch(/^ {2}its command changed: .*\n {2}MODE was fast and is slow\n$/);
  const bySetting = await diff(second.digest, third.digest);
  expect(bySetting.stdout).toMatch(
    /^command {4}its command changed.*\nvariable {3}MODE was fast and is slow\n$/,
  );

  expect((await explained("bad")).reasons).toBe("  it has not run here before\n");
  expect((await explained("bad")).reasons).toBe(
    "  it failed when it last ran: only successes are kept\n",
  );
});

test("a tool that is another one now is named, and so is a result that was evicted", async () => {
  const tools = join(place.folder, "tools");
  mkdirSync(tools);
  const tool = (says: string) => {
    writeFileSync(join(tools, "cc"), `#!/bin/sh\n# ${says}\nexec /usr/bin/cc "$@"\n`);
    chmodSync(join(tools, "cc"), 0o755);
  };
  tool("one");
  folder = place.workspace({
    Builderfile: "target lib:\n    type: library\n    sources: [a.c]\n",
    "a.c": "int a;\n",
  });
  const env = { CC: join(tools, "cc") };
  const build = () => run(place, folder, "bldr", ["build", "--explain"], env);
  expect((await build()).stdout).toContain("CppCompile a.c ran (action");
  tool("two");
  expect((await build()).stdout).toMatch(
    /CppCompile a\.c ran .*\n {2}the tools it runs with changed/,
  );

  // Whether it compiles there is another matter: what is evicted is seen with a plain command.
  const script = "target t:\n    command: echo hi > o\n    outputs: [o]\n";
  folder = place.workspace({ Builderfile: script });
  expect((await explained("t")).reasons).toBe("  it has not run here before\n");
  rmSync(join(folder, ".builder/state"), { recursive: true });
  rmSync(join(folder, "o"));
  rmSync(join(place.folder, "cache/builder/store"), { recursive: true });
  expect((await explained("t")).reasons).toMatch(
    /^ {2}nothing of it changed: its result was evicted/,
  );
});

test("digests that name nothing are refused in words, and events hold digest and reasons", async () => {
  const none = await diff("123", "456");
  expect(none.code).toBe(2);
  expect(none.stderr).toContain('"123" is no digest. It wants HASH/SIZE');
  const gone = await diff(`${"a".repeat(64)}/5`, `${"b".repeat(64)}/5`);
  expect(gone.stderr).toMatch(/The Action aaaaaaaaaaaa is not stored \(any more\)/);
  const script = "target t:\n    command: echo other > o\n    outputs: [o]\n";
  folder = place.workspace({ Builderfile: script });
  const { stdout } = await run(place, folder, "bldr", ["build", "--explain", "--json"]);
  const events = stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  expect(events.find(({ kind }) => kind === "action")).toMatchObject({
    digest: expect.stringMatching(/^sha256:[0-9a-f]{64}\/\d+$/),
    why: ["it has not run here before"],
  });
  expect(readFileSync(join(folder, ".builder/history"), "utf8")).toContain('"failed":false');
});
