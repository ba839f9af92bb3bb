// Names that shells, compilers, globs or lists could misread: every one is just a name.

import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { removeWorkspaces, workspaceOf } from "../support/build-workspace.ts";

afterEach(removeWorkspaces);

const names = [
  ...["a b", "tab\there", "new\nline", 'double"quote', "it's", "$HOME", "`id`", "-dash", "--help"],
  ...["@list", "semi;colon", "a&b", "a|b", "#hash", "100%", "a=b", "a,b", "a:b", "back\\slash"],
  ...["[ab]", "(ab)", "{a,b}", "star*", "what?", "!not", "~", "größe", "日本語", "e\u0301", "🙂"],
];

const plain =
  "target app:\n    type: executable\n    sources: ['*.c']\n" +
  "    includes: [include]\n    deps: [low]\n" +
  "target low:\n    type: library\n    sources: ['low/**/*.c']\n";

describe("a name is just a name", () => {
  test.each(names)("of sources, headers and folders: %j", async (name) => {
    // An include cannot hold these itself, whatever the file system allows.
    const inText = /["\n\\]/.test(name) ? "plain" : name;
    const workspace = workspaceOf({
      Builderfile: plain,
      [`${name}.c`]: `#include <stdio.h>\n#include "${inText}.h"\nint low(void);\nint main(void) { printf("%d", A + low()); }\n`,
      [`include/${inText}.h`]: "#define A 1\n",
      [`low/${name}/${name}.c`]: "int low(void) { return 2; }\n",
    });
    const first = await workspace.build();
    expect(first.failures).toEqual([]);
    expect(workspace.run("bin/app")).toBe("3");
    workspace.write(`include/${inText}.h`, "#define A 5\n");
    expect((await workspace.build()).ids).toEqual([`app CppCompile ${name}.c`, "app CppLink"]);
    expect(workspace.run("bin/app")).toBe("7");
    expect(await workspace.build()).toMatchObject({ calls: 0 });
  });

  test.each(names.filter((name) => !/["\n\\]/.test(name)))(
    "of what targets make and take: %j",
    async (name) => {
      const workspace = workspaceOf({
        Builderfile:
          `target app:\n    type: executable\n    sources: [m.c]\n    output: "out/${name}"\n` +
          `target copy:\n    command: |\n        cat ./data/* > ./copy-*\n` +
          `    inputs: ["data/${name}.in"]\n    outputs: ["copy-${name}"]\n`,
        "m.c": "int main(void) { return 0; }\n",
        [`data/${name}.in`]: "data\n",
      });
      const text = workspace.read("Builderfile");
      const quoted = `'./copy-${name.replaceAll("'", "'\\''")}'`;
      workspace.write(
        "Builderfile",
        text.replace("./copy-*", () => quoted),
      );
      const first = await workspace.build();
      expect(first.failures).toEqual([]);
      expect(workspace.run(`out/${name}`)).toBe("");
      expect(workspace.read(`copy-${name}`)).toBe("data\n");
      workspace.write(`data/${name}.in`, "more\n");
      expect((await workspace.build()).ids).toEqual(["copy Custom"]);
      expect(workspace.read(`copy-${name}`)).toBe("more\n");
    },
  );

  test.each(names)("of the workspace's folder: %j", async (name) => {
    const base = mkdtempSync(join(tmpdir(), "names-"));
    try {
      mkdirSync(join(base, name));
      const workspace = workspaceOf(
        {
          Builderfile:
            "target app:\n    type: executable\n    sources: ['**/*.c']\n    includes: [i]\n",
          "src/m.c": '#include "a.h"\nint main(void) { return A; }\n',
          "i/a.h": "#define A 0\n",
        },
        join(base, name),
      );
      expect((await workspace.build()).failures).toEqual([]);
      execFileSync(workspace.path("bin/app"));
      expect(await workspace.build()).toMatchObject({ calls: 0 });
    } finally {
      rmSync(base, { recursive: true });
    }
  });

  test.each(names.filter((name) => !/["\n\\:]/.test(name)))("of a package: %j", async (name) => {
    const workspace = workspaceOf({
      Builderspace: "",
      [`${name}/Builderfile`]:
        "target app:\n    type: executable\n    sources: ['src/*.c']\n    deps: [gen]\n" +
        'target gen:\n    command: |\n        echo "#define A 0" > gen.h\n    outputs: [gen.h]\n',
      [`${name}/src/m.c`]: '#include "../gen.h"\nint main(void) { return A; }\n',
    });
    const first = await workspace.build({ from: name });
    expect(first.failures).toEqual([]);
    execFileSync(workspace.path(`${name}/bin/app`));
    expect(workspace.read(`${name}/gen.h`)).toBe("#define A 0\n");
    expect(await workspace.build({ from: name })).toMatchObject({ calls: 0 });
  });
});
