// The client as people use it every day: running programs, looking inside actions, asking why.

import { spawn } from "node:child_process";
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createPlace, type Place, root, run } from "../support/programs.ts";
import { startAtTerminal } from "../support/terminal.ts";

let place: Place;
beforeAll(() => {
  place = createPlace();
});
afterAll(() => place.remove());

const workspace = (files: Readonly<Record<string, string>>) => place.workspace(files);

const app = {
  Builderfile:
    "target app:\n    type: executable\n    sources: [src/*.c]\n    includes: [include]\n    deps: [util]\n" +
    "target util:\n    type: library\n    sources: [util/util.c]\n" +
    "target gen:\n    command: cat in.txt > out.txt\n    inputs: [in.txt]\n    outputs: [out.txt]\n" +
    "target bad:\n    command: echo broken >&2; exit 4\n    outputs: [no]\n",
  "src/main.c":
    '#include "a.h"\n#include <stdio.h>\n#include <unistd.h>\nint util(void);\n' +
    "int main(int count, char **words) {\n" +
    "  char cwd[999]; puts(getcwd(cwd, 999));\n" +
    "  for (int i = 1; i < count; i++) puts(words[i]);\n" +
    "  if (count > 1 && words[1][0] == 'w') { fflush(stdout); for (;;) pause(); }\n" +
    "  return A + util();\n}\n",
  "include/a.h": '#include "b.h"\n#define A B\n',
  "include/b.h": "#define B 3\n",
  "util/util.c": "int util(void) { return 4; }\n",
  "in.txt": "1",
};

describe("bldr run", () => {
  test("the program runs in the user's folder with its arguments, and its exit code is ours", async () => {
    const folder = workspace(app);
    const there = join(folder, "util");
    const ended = await run(place, there, "bldr", ["run", "//:app", "--", "--x", "a b"]);
    expect(ended.stdout).toBe(`${there}\n--x\na b\n`);
    expect(ended.stderr).toContain("[INFO] Build completed in");
    expect(ended.code).toBe(7);
  });

  test("what is no program is refused by its type", async () => {
    const folder = workspace(app);
    const ended = await run(place, folder, "bldr", ["run", "util"]);
    expect(ended.stderr).toBe("[ERROR] util cannot be run: its type is library, not executable.\n");
    expect(ended.code).toBe(2);
  });

  test("signals reach the program, and its death is told as a shell tells it", async () => {
    const folder = workspace(app);
    const child = spawn(join(root, "cli/bin/bldr"), ["run", "app", "--", "wait"], {
      cwd: folder,
      env: place.env,
    });
    const ended = new Promise((resolve) => child.once("close", resolve));
    child.stdout.on("data", (text: Buffer) => {
      if (text.toString().includes("wait")) child.kill("SIGTERM");
    });
    expect(await ended).toBe(143);
  });
});

describe("bldr shell", () => {
  const compile = ["shell", "app", "--action", "CppCompile src/main.c"];

  test("a command sees the inputs of the action and no others, and its exit code is ours", async () => {
    const folder = workspace(app);
    const script = "find . -type f | sort; pwd; exit 9";
    const ended = await run(place, folder, "bldr", [...compile, "--", "sh", "-c", script]);
    expect(ended.stdout).toBe(
      "./.builder-command\n./include/a.h\n./include/b.h\n./src/main.c\n/work\n",
    );
    expect(ended.code).toBe(9);
  });

  test("the action's own command is there to be run, and what others make is built first", async () => {
    const folder = workspace(app);
    const script = "./.builder-command && .builder/out/app/program/app here; echo $?";
    const ended = await run(place, folder, "bldr", ["shell", "app", "--", "sh", "-c", script]);
    expect(ended.stdout).toBe("/work\nhere\n7\n");
    expect(readdirSync(join(folder)), "nothing comes out of it").not.toContain("bin");
  });

  test("a failed action tells how to look inside, and that works", async () => {
    const folder = workspace(app);
    const failed = await run(place, folder, "bldr", ["build", "bad"]);
    expect(failed.code).toBe(1);
    expect(failed.stderr).toContain("broken\n[ERROR] //:bad Custom failed: exit code 4\n");
    expect(failed.stderr).toContain("\n[INFO] Look inside: bldr shell //:bad --action Custom\n");
    const looked = await run(place, folder, "bldr", [
      ...["shell", "//:bad", "--action", "Custom", "--", "./.builder-command"],
    ]);
    expect([looked.code, looked.stderr]).toEqual([4, "broken\n"]);
  });

  test("an unknown action is refused with the names there are", async () => {
    const folder = workspace(app);
    const ended = await run(place, folder, "bldr", ["shell", "app", "--action", "CppLinc"]);
    expect(ended.stderr).toBe(
      '[ERROR] //:app has no action "CppLinc". Did you mean CppLink? It has: CppCompile src/main.c, CppLink.\n',
    );
    expect(ended.code).toBe(2);
  });

  test("at a terminal it is a shell: Ctrl-C is for what runs in it, its size is the terminal's", async () => {
    const folder = workspace(app);
    const size = { columns: 91, rows: 17 };
    const shell = startAtTerminal(place, folder, "bldr", compile, size);
    await shell.says("(//:app CppCompile src/main.c) $ ");
    // Said by what is to be interrupted: by then the terminal is its own.
    shell.type("stty size; sh -c 'echo be\"\"gun; exec sleep 1000'\n");
    await shell.says("17 91\r\nbegun\r\n");
    shell.type("\x03");
    await shell.says("^C");
    shell.type("echo ended by $?; echo $((40+2))\n");
    await shell.says("ended by 130\r\n42\r\n");
    shell.resize(70, 20);
    // The size is copied when its signal comes: asked until it has.
    shell.type("until stty size | grep '20 70'; do :; done; exit 6\n");
    await shell.says("20 70\r\n");
    expect(await shell.ended).toBe(6);
    const store = join(place.folder, "cache/builder/store/scratch");
    expect(readdirSync(store), "nothing of it stays").toEqual([]);
  });
});

describe("bldr why", () => {
  test("it names what changed since an action last ran, and what follows from that", async () => {
    const folder = workspace(app);
    const why = async () => (await run(place, folder, "bldr", ["why", "app"])).stdout;
    expect(await why()).toContain("//:app CppLink\n    it takes what //:app CppCompile src/main.c");
    expect((await run(place, folder, "bldr", ["build", "app"])).code).toBe(0);
    expect(await why()).toBe("//:app is up to date: nothing would run.\n");
    writeFileSync(join(folder, "include/b.h"), "#define B 5\n");
    expect(await why()).toBe(
      "//:app would run 1 of 4 actions, and 1 more if that makes a change:\n" +
        "  //:app CppCompile src/main.c\n    include/b.h changed\n" +
        "  //:app CppLink\n    it takes what //:app CppCompile src/main.c makes\n",
    );
    const text = readFileSync(join(folder, "Builderfile"), "utf8");
    const edited = text.replace("    deps:", "    flags: [-O2, -g]\n    deps:");
    writeFileSync(join(folder, "Builderfile"), edited);
    writeFileSync(join(folder, "include/b.h"), "#define B 3\n");
    expect(await why()).toContain("its command changed: -O2 added, -g added\n");
    writeFileSync(join(folder, "Builderfile"), text);
    expect(await why()).toBe("//:app is up to date: nothing would run.\n");
    rmSync(join(folder, "bin/app"));
    expect(await why()).toBe("//:app would only write files again:\n  bin/app is not there\n");
  });

  test("it shows the shortest way from one thing to another, with the lines that make it", async () => {
    const folder = workspace(app);
    const why = async (...words: string[]) =>
      (await run(place, folder, "bldr", ["why", ...words])).stdout;
    const way =
      "//:app depends on include/b.h:\n  //:app\n" +
      "  → src/main.c (Builderfile:3:5, sources)\n" +
      "  → include/a.h (src/main.c:1, include)\n" +
      "  → include/b.h (include/a.h:1, include)\n";
    expect(await why("app", "include/b.h")).toBe(way);
    expect(await why("include/b.h", "bin/app"), "a made file stands for its target").toBe(way);
    expect(await why("app", "util/util.c")).toBe(
      "//:app depends on util/util.c:\n  //:app\n  → //:util (Builderfile:5:11, deps)\n" +
        "  → util/util.c (Builderfile:8:5, sources)\n",
    );
    expect(await why("util", "gen")).toBe("Neither //:util nor //:gen depends on the other.\n");
    expect(await why("include/a.h")).toBe(
      "include/a.h is read by:\n  //:app CppCompile src/main.c\n",
    );
    const unknown = await run(place, folder, "bldr", ["why", "nothing.h"]);
    expect([unknown.code, unknown.stderr]).toEqual([
      2,
      "[ERROR] nothing.h is neither a target nor a file here.\n",
    ]);
  });
});

test("exit codes tell what kind of thing went wrong", async () => {
  const folder = workspace({
    ...app,
    "tests/Builderfile": "target t:\n    type: test\n    command: exit 1\n",
    "broken/Builderfile": "target x:\n    nonsense: 1\n",
  });
  const code = async (...words: string[]) => (await run(place, folder, "bldr", words)).code;
  expect(await code("build", "gen")).toBe(0);
  expect(await code("build", "bad")).toBe(1);
  expect(await code("test", "//tests:t")).toBe(1);
  expect(await code("build", "nowhere")).toBe(2);
  expect(await code("build", "--nonsense")).toBe(2);
  expect(await code("build", "//broken:x")).toBe(2);
  expect(await code("build", "app", "--remote=127.0.0.1:1")).toBe(3);
});

test("a JUnit file that cannot be written is told", async () => {
  const folder = workspace({ Builderfile: "target t:\n    type: test\n    command: 'true'\n" });
  const good = await run(place, folder, "bldr", ["test", "--junit", "results.xml"]);
  expect(good.code).toBe(0);
  expect(readFileSync(join(folder, "results.xml"), "utf8")).toContain('name="t" time="');
  const bad = await run(place, folder, "bldr", ["test", "--junit", "no/results.xml"]);
  expect([bad.code, bad.stderr]).toEqual([2, expect.stringContaining("--junit no/results.xml")]);
});
