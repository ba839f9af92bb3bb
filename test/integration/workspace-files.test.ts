import { execFileSync } from "node:child_process";
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, describe, expect, test } from "vitest";
import { sourceFiles } from "../../src/workspace/source-files.ts";
import { chooseTargets } from "../../src/workspace/target-pattern.ts";
import { labelOf, openWorkspace } from "../../src/workspace/workspace.ts";
import { removeWorkspaces, workspaceOf } from "../support/build-workspace.ts";

afterEach(removeWorkspaces);

function globbed(root: string, folder: string, ...globs: string[]): string[] {
  return sourceFiles(openWorkspace(root, {}).root, () => false).matching(folder, globs);
}

/** Calls of the operating system take bytes: a name that is no text can be made this way only. */
function writeBytes(folder: string, name: readonly number[]): void {
  writeFileSync(Buffer.concat([Buffer.from(`${folder}/`), Buffer.from(name)]), "");
}

const one = "target one:\n    command: 'true'\n";

describe("what a glob finds", () => {
  test("is what git would list, whatever the ignore files say", { timeout: 120_000 }, () => {
    const { folder } = workspaceOf({});
    const paths = ["a", "b", "ab", "d/a", "d/b", "d/e/a", "d/e/ab", "e/d/b", "e/a", "de/a b"];
    for (const path of paths) {
      mkdirSync(join(folder, path, ".."), { recursive: true });
      writeFileSync(join(folder, path), "");
    }
    execFileSync("git", ["init", "-q"], { cwd: folder });
    // Not `a**`: the manual says that it is as `a*`, but git does not always hold to that.
    const line = fc.stringMatching(/^!?\/?(\*\*\/)?\*?[abde?]{1,2}\*?(\/(\*\*|[abde?]{1,2}))?\/?$/);
    const lines = fc.array(line, { maxLength: 4 });
    fc.assert(
      fc.property(lines, lines, (top, inner) => {
        writeFileSync(join(folder, ".builderignore"), top.join("\n"));
        writeFileSync(join(folder, "d/.builderignore"), inner.join("\n"));
        const git = execFileSync(
          "git",
          ["ls-files", "-oz", "--exclude-per-directory=.builderignore"],
          { cwd: folder, encoding: "utf8" },
        );
        const expected = git.split("\0").filter((path) => paths.includes(path));
        const found = sourceFiles(folder, () => false).matching("", ["**"]);
        expect(found.filter((path) => paths.includes(path))).toEqual(expected.sort());
      }),
      { numRuns: 150 },
    );
  });

  test("is not cut short by odd names", () => {
    const names = ["a b.c", "line\nbreak.c", 'it\'s "so".c', "größe.c", ".hidden.c", "d\ne/f.c"];
    const { folder } = workspaceOf(
      Object.fromEntries([["Builderfile", one], ...names.map((name) => [`src/${name}`, ""])]),
    );
    const all = names.map((name) => `src/${name}`).sort();
    expect(globbed(folder, "", "src/**/*.c")).toEqual(all);
    expect(globbed(folder, "src", "**/*.c")).toEqual(all);
    expect(globbed(folder, "", "src/größe.c", "./src/a b.c")).toEqual(["src/a b.c", "src/größe.c"]);
  });

  test("ends where links run in circles, and does not lead out of the workspace", () => {
    const workspace = workspaceOf({ Builderfile: one, "src/a.c": "" });
    symlinkSync("..", workspace.path("src/up"));
    symlinkSync("self", workspace.path("src/self"));
    symlinkSync("a.c", workspace.path("src/b.c"));
    expect(globbed(workspace.folder, "", "**/*.c", "src/self")).toEqual(["src/a.c", "src/b.c"]);
    symlinkSync("/etc/hostname", workspace.path("src/out.c"));
    expect(() => globbed(workspace.folder, "", "src/*.c")).toThrow(/src\/out.c leads out of/);
    symlinkSync("/etc", workspace.path("etc"));
    expect(() => globbed(workspace.folder, "", "etc/host*")).toThrow(/etc leads out of/);
    expect(() => globbed(workspace.folder, "", "etc/hostname")).toThrow(/leads out of/);
  });

  test("with a name that is no text is an error only where it is wanted", () => {
    const workspace = workspaceOf({ Builderfile: one, "src/a.c": "", "src/\uFFFD.c": "" });
    expect(globbed(workspace.folder, "", "src/*.c")).toHaveLength(2);
    writeBytes(workspace.path("src"), [0x62, 0xff, 0x2e, 0x63]);
    expect(globbed(workspace.folder, "", "src/a.*")).toEqual(["src/a.c"]);
    expect(() => globbed(workspace.folder, "", "src/*.c")).toThrow(
      /The name of "src\/b.\.c" is no UTF-8 text. Rename it, or leave it out/,
    );
    workspace.write("src/.builderignore", "b?.c\n");
    expect(globbed(workspace.folder, "", "src/*.c")).toHaveLength(2);
  });

  test("goes no deeper than the glob", () => {
    const workspace = workspaceOf({ Builderfile: one, "src/a.c": "", "src/x/b.c": "" });
    const files = sourceFiles(openWorkspace(workspace.folder, {}).root, () => false);
    expect(files.matching("", ["src/*.c"])).toEqual(["src/a.c"]);
    expect([...files.looks().keys()]).not.toContain("src/x");
    expect(files.matching("", ["src/{a,x/b}.c"])).toEqual(["src/a.c", "src/x/b.c"]);
  });
});

describe(".builderignore", () => {
  const app = {
    Builderfile: "target app:\n    type: executable\n    sources: ['src/**/*.c']\n",
    "src/main.c": "int main(void) { return 0; }\n",
    "src/old/broken.c": "no C\n",
  };

  test("is noticed by the next build when it comes, changes and goes", async () => {
    const workspace = workspaceOf(app);
    expect((await workspace.build()).ok).toBe(false);
    workspace.write(".builderignore", "old/\n");
    expect((await workspace.build()).ok).toBe(true);
    await workspace.build();
    expect((await workspace.build()).calls).toBe(0);
    workspace.write("src/old/.builderignore", "nothing\n");
    workspace.write(".builderignore", "# nothing\n");
    expect((await workspace.build()).ok).toBe(false);
    workspace.write("src/old/.builderignore", "*\n");
    expect((await workspace.build()).ok).toBe(true);
    await workspace.build();
    rmSync(workspace.path("src/old/.builderignore"));
    expect((await workspace.build()).ok).toBe(false);
  });

  test("has no say over what is named without wildcards", async () => {
    const workspace = workspaceOf({ ...app, ".builderignore": "src/\nmain.c\n" });
    workspace.write("Builderfile", app.Builderfile.replace("'src/**/*.c'", "src/main.c"));
    expect((await workspace.build()).ok).toBe(true);
  });

  test("too large or no file is an error with its name", () => {
    const workspace = workspaceOf({ ...app, ".builderignore": "x".repeat(2 << 20) });
    expect(() => globbed(workspace.folder, "", "**")).toThrow(/.builderignore is over 1 MiB/);
    rmSync(workspace.path(".builderignore"));
    mkdirSync(workspace.path(".builderignore"));
    expect(() => globbed(workspace.folder, "", "**")).toThrow(/.builderignore cannot be read/);
  });
});

describe("target patterns", () => {
  const two = `${one}target two:\n    command: 'true'\n`;
  const tree = {
    Builderspace: "",
    Builderfile: one,
    "lib/Builderfile": two,
    "lib/deep/er/Builderfile": one,
    "all/Builderfile": "target all:\n    command: 'true'\ntarget x:\n    command: 'true'\n",
    "inner/Builderspace": "",
    "inner/Builderfile": one,
    "node_modules/p/Builderfile": one,
    "old/Builderfile": one,
    ".builderignore": "/old\n",
  };
  let folder = "";
  const chosen = (from: string, ...patterns: string[]) => {
    if (folder === "") folder = workspaceOf(tree).folder;
    return chooseTargets(openWorkspace(join(folder, from), {}), patterns).targets.map(labelOf);
  };
  afterEach(() => {
    folder = "";
  });

  test("name one target, all of a package or all below a folder", () => {
    const everything = ["//:one", "//all:all", "//all:x", "//lib:one", "//lib:two"];
    expect(chosen("", "//...")).toEqual([...everything, "//lib/deep/er:one"]);
    expect(chosen("lib", "...")).toEqual(["//lib:one", "//lib:two", "//lib/deep/er:one"]);
    expect(chosen("", "//lib/deep/...")).toEqual(["//lib/deep/er:one"]);
    expect(chosen("", "//lib:all", "//lib:*", ":one")).toEqual([
      "//lib:one",
      "//lib:two",
      "//:one",
    ]);
    expect(chosen("lib", ":all", "two")).toEqual(["//lib:one", "//lib:two"]);
    expect(chosen("", "//all:all"), "a target of that name").toEqual(["//all:all"]);
    expect(chosen("", "//old:one"), "ignored, but named").toEqual(["//old:one"]);
  });

  test("take away what an exclusion covers of what stands before it", () => {
    expect(chosen("", "//lib/...", "-//lib:two")).toEqual(["//lib:one", "//lib/deep/er:one"]);
    expect(chosen("", "//...", "-//lib/...", "-//all:*", "//lib:two")).toEqual([
      "//:one",
      "//lib:two",
    ]);
  });

  test.each([
    [["//lib:tow"], /There is no target tow in lib\/Builderfile. Did you mean two\?/],
    [["//...", "-//lib:thre"], /There is no target thre/],
    [["-//lib:two"], /say first from what, as in -- \/\/... -\/\/lib:two/],
    [["one", "-//..."], /Nothing is left of one -\/\/.../],
    [["//lib"], /"\/\/lib" is a folder. Write \/\/lib:all or \/\/lib\/.../],
    [["//"], /Write \/\/:all or \/\/.../],
    [["//nowhere/..."], /There is no folder nowhere in this workspace/],
    [["//inner/deep/..."], /There is no folder inner\/deep/],
    [["//inner/..."], /There is no Builderfile in inner or below/],
    [["//../x/..."], /"\/\/..\/x\/..." names no targets/],
    [["//a\0b/..."], /names no targets/],
    [["lib:one"], /names no target. Write app, :app/],
    [[""], /"" names no target/],
  ])("%j is answered with a sentence where it is wrong", (patterns, message) => {
    expect(() => chosen("", ...patterns)).toThrow(message);
  });

  test("a package whose name no label can hold is refused by name", () => {
    const workspace = workspaceOf({ Builderfile: one, "a:b/Builderfile": one });
    const opened = openWorkspace(workspace.folder, {});
    expect(() => chooseTargets(opened, ["//..."])).toThrow(/No label can name the package "a:b"/);
  });

  test("see a package that came since the last build", async () => {
    const workspace = workspaceOf({ ...tree });
    const targets = async () => {
      const { events } = await workspace.build({ names: ["//..."] });
      return events.filter(({ kind }) => kind === "target").length;
    };
    expect(await targets()).toBe(6);
    await targets();
    expect(await workspace.build({ names: ["//..."] }), "unchanged").toMatchObject({
      kept: 0,
      ran: 0,
    });
    workspace.write("lib/new/Builderfile", one);
    expect(await targets()).toBe(7);
  });
});
