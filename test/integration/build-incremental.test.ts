import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { basename, join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { type BuildRecord, keepBuild } from "../../src/build/unchanged.ts";
import { removeWorkspaces, workspaceOf } from "../support/build-workspace.ts";

afterEach(removeWorkspaces);

const app = {
  Builderfile:
    "target app:\n    type: executable\n    sources: [src/*.c]\n    includes: [first, include]\n" +
    "    deps: [low]\n" +
    "target low:\n    type: library\n    sources: [low/*.c]\n",
  "src/main.c":
    '#include <stdio.h>\n#include "a.h"\nint low(void);\n' +
    'int main(void) { printf("%d", A + low()); }\n',
  "src/other.c": "int other(void) { return 0; }\n",
  "include/a.h": '#include "b.h"\n#define A B\n',
  "include/b.h": "#define B 7\n",
  "low/low.c": "int low(void) { return 10; }\n",
};

const everything = [
  "app CppCompile src/main.c",
  "app CppCompile src/other.c",
  "app CppLink",
  "low CppArchive",
  "low CppCompile low/low.c",
];

/** Builds until the workspace's folders no longer change: outputs make new ones. */
async function settle(workspace: ReturnType<typeof workspaceOf>): Promise<void> {
  await workspace.build();
  await workspace.build();
}

describe("what runs again", () => {
  test("without a change nothing runs and no executor is asked", async () => {
    const workspace = workspaceOf(app);
    expect((await workspace.build()).ids).toEqual(everything);
    expect(workspace.run("bin/app")).toBe("17");
    await workspace.build();
    const again = await workspace.build();
    expect(again).toMatchObject({ ok: true, ran: 0, kept: 0, calls: 0 });
    expect(again.events.map(({ kind }) => kind)).toEqual(["target", "target", "finished"]);
    expect(again.events[0]).toMatchObject({ label: "//:app", cached: true, outputs: ["bin/app"] });
  });

  test("a header that changed runs exactly what sees it", async () => {
    const workspace = workspaceOf(app);
    await settle(workspace);
    workspace.write("include/b.h", "#define B 8\n");
    expect((await workspace.build()).ids).toEqual(["app CppCompile src/main.c", "app CppLink"]);
    expect(workspace.run("bin/app")).toBe("18");
    workspace.write("include/b.h", "#define B 7\n");
    expect((await workspace.build()).ids, "a known state").toEqual([]);
    expect(workspace.run("bin/app")).toBe("17");
  });

  test("a comment that leaves the object alike stops there", async () => {
    const workspace = workspaceOf(app);
    await settle(workspace);
    appendFileSync(workspace.path("low/low.c"), "/* why */\n");
    expect((await workspace.build()).ids).toEqual(["low CppCompile low/low.c"]);
  });

  test.each(["src", "first"])(
    "a new header in %s that wins over the old is seen",
    async (folder) => {
      const workspace = workspaceOf(app);
      await settle(workspace);
      await workspace.build();
      workspace.write(`${folder}/a.h`, "#define A 1\n");
      expect((await workspace.build()).ids).toContain("app CppCompile src/main.c");
      expect(workspace.run("bin/app")).toBe("11");
      rmSync(workspace.path(`${folder}/a.h`));
      await workspace.build();
      expect(workspace.run("bin/app")).toBe("17");
    },
  );

  test("flags, new sources, deleted sources and another compiler are changes", async () => {
    const workspace = workspaceOf(app);
    await settle(workspace);
    const text = workspace.read("Builderfile");
    workspace.write("Builderfile", text.replace("deps:", "flags: -O1\n    deps:"));
    expect((await workspace.build()).ids).toContain("app CppCompile src/other.c");
    rmSync(workspace.path("src/other.c"));
    expect((await workspace.build()).ids).toEqual(["app CppLink"]);
    workspace.write("src/third.c", "int third(void) { return 3; }\n");
    expect((await workspace.build()).ids).toEqual(["app CppCompile src/third.c", "app CppLink"]);
    const env = { CC: "cc -DMORE" };
    expect((await workspace.build({ env })).ids).toEqual([
      "app CppCompile src/main.c",
      "app CppCompile src/third.c",
      "app CppLink",
      "low CppCompile low/low.c",
    ]);
  });

  test("a compiler that was replaced at the same path, size and time is another", async () => {
    const workspace = workspaceOf(app);
    const compiler = workspace.path(`../${basename(workspace.folder)}-cc`);
    const write = (value: number) => {
      writeFileSync(compiler, `#!/bin/sh\nexec cc -DOTHER=${value} "$@"\n`, { mode: 0o755 });
      utimesSync(compiler, 1000, 1000);
    };
    try {
      write(1);
      const env = { CC: compiler };
      expect((await workspace.build({ env })).ids).toEqual(everything);
      await workspace.build({ env });
      expect((await workspace.build({ env })).calls).toBe(0);
      write(2);
      expect((await workspace.build({ env })).ids).toContain("app CppCompile src/main.c");
      write(1);
      expect((await workspace.build({ env })).ids, "a known compiler").toEqual([]);
    } finally {
      rmSync(compiler, { force: true });
    }
  });

  test("another version of the program believes no record of the last one", async () => {
    const workspace = workspaceOf(app);
    const program = workspace.path(`../${basename(workspace.folder)}-bldr`);
    try {
      writeFileSync(program, "1");
      await workspace.build({ program });
      await workspace.build({ program });
      expect(await workspace.build({ program })).toMatchObject({ kept: 0, calls: 0 });
      writeFileSync(program, "2");
      expect(await workspace.build({ program })).toMatchObject({ kept: 5, ran: 0 });
    } finally {
      rmSync(program, { force: true });
    }
  });

  test("other globs for the outputs of a command are about other files", async () => {
    const builderfile = (glob: string) =>
      `target gen:\n    command: mkdir -p gen; touch gen/a.h gen/b.c\n    outputs: ["gen/${glob}"]\n`;
    const workspace = workspaceOf({ Builderfile: builderfile("*.h") });
    await workspace.build();
    workspace.write("Builderfile", builderfile("*.c"));
    expect(await workspace.build()).toMatchObject({ ok: true });
    expect(readdirSync(workspace.path("gen")).sort()).toEqual(["a.h", "b.c"]);
  });

  test("a target without cache runs each time", async () => {
    const workspace = workspaceOf({
      Builderfile: "target t:\n    command: date > out\n    outputs: [out]\n    cache: false\n",
    });
    for (let i = 0; i < 3; i += 1) expect((await workspace.build()).ids).toEqual(["t Custom"]);
  });

  test("a test that passed is told as passed, one that failed runs again", async () => {
    const workspace = workspaceOf({
      Builderfile:
        "target t:\n    type: test\n    command: cat in; grep -q yes in\n    inputs: [in]\n",
      in: "no\n",
    });
    for (let i = 0; i < 2; i += 1) {
      const failed = await workspace.build({ test: true });
      expect(failed.failures).toEqual(["//:t TestRun 1  no\n"]);
    }
    workspace.write("in", "yes\n");
    expect((await workspace.build({ test: true })).ids).toEqual(["t TestRun"]);
    for (let i = 0; i < 2; i += 1) {
      const passed = await workspace.build({ test: true });
      expect(passed.calls).toBe(0);
      expect(passed.events[0]).toMatchObject({ mnemonic: "TestRun", how: "kept", exitCode: 0 });
    }
  });
});

describe("edits at any moment", () => {
  test("in quick succession, each is built", async () => {
    const workspace = workspaceOf({
      Builderfile: "target t:\n    command: cat in > out\n    inputs: [in]\n    outputs: [out]\n",
      in: "0",
    });
    workspace.aheadMs = 0;
    for (let i = 1; i < 9; i += 1) {
      workspace.write("in", `${i}`);
      await workspace.build();
      expect(workspace.read("out")).toBe(`${i}`);
    }
  });

  test("while the build runs, the Builderfile's and a new header's are seen by the next", async () => {
    const workspace = workspaceOf(app);
    await settle(workspace);
    workspace.write("src/other.c", "int other(void) { return 1; }\n");
    const text = workspace.read("Builderfile").replace("deps:", "flags: -DLATE\n    deps:");
    await workspace.build({
      onEvent: ({ kind }) => {
        if (kind !== "action") return;
        workspace.write("Builderfile", text);
        workspace.write("first/a.h", "#define A 1\n");
      },
    });
    expect((await workspace.build()).ids).toContain("app CppCompile src/main.c");
    expect(workspace.run("bin/app")).toBe("11");
  });

  test("of a source that was read but not sent yet are an error that says so", async () => {
    const workspace = workspaceOf(app);
    const execute = workspace.executor.execute;
    workspace.executor.execute = (action, call) => {
      if (action.build.id.endsWith("main.c")) workspace.write("src/main.c", "int main;\n");
      return execute(action, call);
    };
    await expect(workspace.build()).rejects.toThrow(
      /src\/main\.c was changed while .* Build again/,
    );
    workspace.executor.execute = execute;
    workspace.write("src/main.c", app["src/main.c"]);
    expect(await workspace.build()).toMatchObject({ ok: true });
  });
});

describe("what was lost is put back", () => {
  test("an output that was deleted, edited or lost its mode", async () => {
    const workspace = workspaceOf(app);
    await settle(workspace);
    const before = workspace.read("bin/app");
    const harms = [
      () => rmSync(workspace.path("bin"), { recursive: true }),
      () => appendFileSync(workspace.path("bin/app"), "x"),
      () => chmodSync(workspace.path("bin/app"), 0o644),
    ];
    for (const harm of harms) {
      harm();
      expect((await workspace.build()).ids).toEqual([]);
      expect(workspace.read("bin/app") === before).toBe(true);
      expect(workspace.run("bin/app")).toBe("17");
    }
  });

  test("a folder in an output's place is left alone and named", async () => {
    const workspace = workspaceOf(app);
    await workspace.build();
    rmSync(workspace.path("bin/app"));
    mkdirSync(workspace.path("bin/app"));
    await expect(workspace.build()).rejects.toThrow(/bin\/app is a folder.*Remove it/);
  });

  test("blobs that the store lost, wanted as inputs or as outputs", async () => {
    const workspace = workspaceOf(app);
    await settle(workspace);
    workspace.executor.forget();
    workspace.write("src/other.c", "int other(void) { return 2; }\n");
    const rebuilt = await workspace.build();
    expect(rebuilt).toMatchObject({ ok: true, failed: 0 });
    expect(rebuilt.ids).toEqual(everything);
    workspace.executor.forget();
    rmSync(workspace.path("bin"), { recursive: true });
    expect(await workspace.build()).toMatchObject({ ok: true });
    expect(workspace.run("bin/app")).toBe("17");
  });

  test("a folder of outputs comes back from a known result", async () => {
    const workspace = workspaceOf({
      Builderfile:
        "target t:\n    command: mkdir -p out/x; cp in out/x/y\n    inputs: [in]\n    outputs: [out]\n",
      in: "1",
    });
    await settle(workspace);
    rmSync(workspace.path("out"), { recursive: true });
    expect((await workspace.build()).ids).toEqual([]);
    expect(workspace.read("out/x/y")).toBe("1");
  });

  test("a state that is damaged in any way means a clean look, never a crash", async () => {
    const workspace = workspaceOf(app);
    await settle(workspace);
    const good = workspace.read(".builder/state");
    const damages = [
      "",
      "{}",
      "\n\n\n",
      good.slice(0, good.length / 2),
      good.replaceAll(/[0-9a-f]{8}/g, "00000000"),
      good.replace("builder-state 4", "builder-state 3"),
      good.replaceAll('"bytes"', '"bits"'),
    ];
    for (const damage of damages) {
      writeFileSync(workspace.path(".builder/state"), damage);
      rmSync(workspace.path(".builder/unchanged"), { recursive: true });
      expect(await workspace.build()).toMatchObject({ ok: true, kept: 0, cached: 5 });
    }
    rmSync(workspace.path(".builder"), { recursive: true });
    writeFileSync(workspace.path(".builder"), "not a folder");
    await expect(workspace.build()).rejects.toThrow(/While writing .*\.builder\/state/);
  });

  test("a record of an unchanged build that was cut or altered anywhere is not believed", async () => {
    const workspace = workspaceOf(app);
    await settle(workspace);
    const folder = workspace.path(".builder/unchanged");
    const [name = ""] = readdirSync(folder);
    const whole = readFileSync(join(folder, name));
    const damage = (bytes: Uint8Array) => writeFileSync(join(folder, name), bytes);
    for (let size = 0; size < whole.length; size += 97) {
      damage(whole.subarray(0, size));
      expect(await workspace.build()).toMatchObject({ ok: true, ran: 0, kept: 5 });
      damage(whole.with(size, (whole[size] ?? 0) ^ 1));
      expect(await workspace.build()).toMatchObject({ ok: true, ran: 0, kept: 5 });
    }
    damage(whole);
    expect(await workspace.build()).toMatchObject({ ok: true, kept: 0, calls: 0 });
  });

  test("a record that somebody made up writes nothing outside of the workspace", async () => {
    const workspace = workspaceOf(app);
    await settle(workspace);
    const folder = workspace.path(".builder/unchanged");
    const [name = ""] = readdirSync(folder);
    const outside = `../${basename(workspace.folder)}-outside`;
    const [, body = ""] = readFileSync(join(folder, name), "utf8").split("\n");
    const record: BuildRecord = JSON.parse(body);
    const outputs = record.outputs.map((output) => ({ ...output, path: outside, look: "-" }));
    keepBuild(workspace.folder, { ...record, inputs: [], outputs });
    expect(await workspace.build()).toMatchObject({ ok: true, kept: 5 });
    expect(existsSync(workspace.path(outside))).toBe(false);
  });
});
