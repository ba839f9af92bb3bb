// Trees that are not as one would like them: links that loop or lead out, cycles, folders in the
// place of files, two builds at once, no room, no right to write. The result is right or an error
// says what to do; what lies in an output's place is never old.

import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { failureOf } from "../../src/core/error.ts";
import { type BuildWorkspace, removeWorkspaces, workspaceOf } from "../support/build-workspace.ts";
import { createModelExecutor } from "../support/model-executor.ts";

afterEach(removeWorkspaces);

const app = {
  Builderfile:
    "target app:\n    type: executable\n    sources: ['src/**/*.c']\n    includes: [include]\n" +
    "    deps: [gen]\n" +
    "target gen:\n    command: |\n        cat in.h > out.h\n    inputs: [in.h]\n    outputs: [out.h]\n",
  "src/main.c": '#include "a.h"\n#include "../out.h"\nint main(void) { return 0; }\n',
  "include/a.h": "#define A 1\n",
  "in.h": "#define IN 1\n",
};

/** With tools that are functions; it has been built once. */
async function builtApp(): Promise<BuildWorkspace> {
  const workspace = workspaceOf(app);
  workspace.executor = createModelExecutor();
  expect(await workspace.build()).toMatchObject({ ok: true, ran: 3 });
  return workspace;
}

describe("links", () => {
  test("that loop are no files, and folders that loop are not entered", async () => {
    const workspace = await builtApp();
    symlinkSync("self.c", workspace.path("src/self.c"));
    symlinkSync("b.c", workspace.path("src/a.c"));
    symlinkSync("a.c", workspace.path("src/b.c"));
    symlinkSync("..", workspace.path("src/up"));
    expect(await workspace.build()).toMatchObject({ ok: true, ran: 0 });
    rmSync(workspace.path("include/a.h"));
    symlinkSync("a.h", workspace.path("include/a.h"));
    const lost = await workspace.build();
    expect(lost.failures.join()).toMatch(/"a\.h": No such file/);
  });

  test("out of the workspace are refused by name: files, headers, folders", async () => {
    const outside = mkdtempSync(join(tmpdir(), "outside-"));
    try {
      writeFileSync(join(outside, "x.c"), "int x;\n");
      writeFileSync(join(outside, "a.h"), "#define A 2\n");
      const workspace = await builtApp();
      symlinkSync(join(outside, "x.c"), workspace.path("src/x.c"));
      await expect(workspace.build()).rejects.toThrow(/src\/x\.c leads out of the workspace/);
      rmSync(workspace.path("src/x.c"));
      rmSync(workspace.path("include"), { recursive: true });
      symlinkSync(outside, workspace.path("include"));
      await expect(workspace.build()).rejects.toThrow(/include\/a\.h leads out of the workspace/);
    } finally {
      rmSync(outside, { recursive: true });
    }
  });

  test("to another file of the workspace have its content, and follow it", async () => {
    const workspace = await builtApp();
    rmSync(workspace.path("include/a.h"));
    workspace.write("other/real.h", "#define A 3\n");
    symlinkSync("../other/real.h", workspace.path("include/a.h"));
    expect((await workspace.build()).ids).toContain("app CppCompile src/main.c");
    expect(await workspace.build()).toMatchObject({ calls: 0 });
    workspace.write("other/real.h", "#define A 4\n");
    expect((await workspace.build()).ids).toContain("app CppCompile src/main.c");
  });
});

describe("cycles", () => {
  test("of includes end, through made headers too", async () => {
    const workspace = workspaceOf({
      ...app,
      "src/main.c": '#include "a.h"\n#include "../out.h"\nint main(void) { return A - B; }\n',
      "include/a.h": '#ifndef A\n#define A 1\n#include "b.h"\n#endif\n',
      "include/b.h": '#ifndef B\n#define B 1\n#include "a.h"\n#endif\n',
      "in.h": '#ifndef O\n#define O\n#include "a.h"\n#include "out.h"\n#endif\n',
    });
    expect((await workspace.build()).failures).toEqual([]);
    workspace.write("include/b.h", workspace.read("include/b.h").replace("B 1", "B 2"));
    expect((await workspace.build()).ids).toEqual(["app CppCompile src/main.c", "app CppLink"]);
  });

  test("without a guard fail in the compiler, not in the build", async () => {
    const workspace = workspaceOf({ ...app, "include/a.h": '#include "a.h"\n' });
    const failed = await workspace.build();
    expect(failed).toMatchObject({ ok: false, failed: 1 });
    expect(failed.failures.join()).toMatch(/nested depth|nested too deeply/);
  });
});

describe("in the place of an output", () => {
  test("whatever else is there is replaced, or named where that would lose files", async () => {
    const workspace = await builtApp();
    const right = workspace.read("bin/app");
    const away = workspace.path("away");
    rmSync(workspace.path("bin/app"));
    symlinkSync("../src/main.c", workspace.path("bin/app"));
    expect(await workspace.build()).toMatchObject({ ok: true, ran: 0 });
    expect(workspace.read("bin/app")).toBe(right);
    expect(workspace.read("src/main.c"), "what the link led to").toBe(app["src/main.c"]);
    renameSync(workspace.path("bin"), away);
    writeFileSync(workspace.path("bin"), "a file");
    await expect(workspace.build()).rejects.toThrow(/Cannot write bin\/app: .*bin/);
    rmSync(workspace.path("bin"));
    mkdirSync(workspace.path("bin/app"), { recursive: true });
    await expect(workspace.build()).rejects.toThrow(/bin\/app is a folder.*Remove it/);
    rmSync(workspace.path("bin"), { recursive: true });
    expect(await workspace.build()).toMatchObject({ ok: true, ran: 0 });
    expect(workspace.read("bin/app")).toBe(right);
  });
});

describe("two builds at once in one tree", () => {
  test.each([
    { what: "of the same target", names: [["app"], ["app"]] },
    { what: "of different targets", names: [["app"], ["gen"]] },
  ])("$what are both right, with edits between", async ({ names }) => {
    const workspace = await builtApp();
    const others = names.map((_, at) => (at === 0 ? workspace.executor : createModelExecutor()));
    for (let round = 0; round < 10; round += 1) {
      workspace.write("in.h", `static int in = ${round + 10};\n`);
      const builds = names.map((chosen, at) => {
        workspace.executor = others[at] ?? workspace.executor;
        return workspace.build({ names: chosen });
      });
      for (const built of await Promise.all(builds)) expect(built.ok).toBe(true);
      expect(workspace.read("bin/app")).toContain(`in = ${round + 10}`);
      if (names[1]?.[0] === "gen") expect(workspace.read("out.h")).toContain(`in = ${round + 10}`);
      for (const chosen of names) {
        expect(await workspace.build({ names: chosen }), "the state is whole").toMatchObject({
          ok: true,
          ran: 0,
        });
      }
    }
  });
});

/** A file system of its own; undefined where this machine lets nobody mount one. */
function mounted(options: string): string | undefined {
  const folder = mkdtempSync(join(tmpdir(), "mounted-"));
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", options, "none", folder], { stdio: "ignore" });
    return folder;
  } catch {
    rmSync(folder, { recursive: true });
    return undefined;
  }
}

function unmount(folder: string): void {
  execFileSync("umount", [folder]);
  rmSync(folder, { recursive: true });
}

const probe = mounted("size=1m");
if (probe !== undefined) unmount(probe);

describe.skipIf(probe === undefined)(
  "on a file system of its own (needs the right to mount)",
  () => {
    test("that is full, an error says so; with room again all is right", async () => {
      const folder = mounted("size=256k") ?? "";
      try {
        const workspace = workspaceOf(app, folder);
        workspace.executor = createModelExecutor();
        expect(await workspace.build()).toMatchObject({ ok: true });
        workspace.write("in.h", `static int in = ${"1".repeat(60_000)};\n`);
        writeFileSync(join(folder, "ballast"), Buffer.alloc(110_000));
        const error = await workspace.build().catch((thrown: unknown) => thrown);
        expect(failureOf(error)).toMatchObject({ code: "RESOURCE_EXHAUSTED" });
        expect(failureOf(error).message).toMatch(/disk is full/);
        rmSync(join(folder, "ballast"));
        expect(await workspace.build()).toMatchObject({ ok: true });
        expect(workspace.read("out.h")).toBe(workspace.read("in.h"));
        expect(workspace.read("bin/app")).toContain("1".repeat(60_000));
        expect(await workspace.build()).toMatchObject({ calls: 0 });
      } finally {
        unmount(folder);
      }
    });

    test("that may only be read, a build without a change answers, any other says why not", async () => {
      const folder = mounted("size=1m") ?? "";
      const again = (mode: string) => execFileSync("mount", ["-o", `remount,${mode}`, folder]);
      try {
        const workspace = workspaceOf(app, folder);
        workspace.executor = createModelExecutor();
        expect(await workspace.build()).toMatchObject({ ok: true });
        // The first one made folders, so that only the second may be believed.
        await workspace.build();
        again("ro");
        expect(await workspace.build()).toMatchObject({ ok: true, calls: 0 });
        again("rw");
        workspace.write("in.h", "#define IN 7\n");
        again("ro");
        await expect(workspace.build()).rejects.toThrow(/Cannot write .*read-only/i);
        again("rw");
        expect(await workspace.build()).toMatchObject({ ok: true });
        expect(workspace.read("out.h")).toBe("#define IN 7\n");
      } finally {
        unmount(folder);
      }
    });
  },
);
