// What a compile sees of what is made, with the machine's compiler: all it can reach, nothing else.

import { afterEach, describe, expect, test } from "vitest";
import { removeWorkspaces, workspaceOf } from "../support/build-workspace.ts";

afterEach(removeWorkspaces);

const builderfile =
  "target app:\n    type: executable\n    sources: ['src/*.c']\n    includes: [include]\n" +
  "    deps: [gen]\n" +
  "target gen:\n    command: |\n        cat in > out.h\n        cat in in > out.bin\n" +
  "    inputs: [in]\n    outputs: [out.h, out.bin]\n";

describe("what is made", () => {
  test("is shown to sources that reach it, which alone run again when it changes", async () => {
    const workspace = workspaceOf({
      Builderfile: builderfile,
      "src/main.c": '#include "through.h"\nint main(void) { return A - 1; }\n',
      "src/other.c": '#include "plain.h"\nint other;\n',
      "include/through.h": '#include "../out.h"\n',
      "include/plain.h": "#define PLAIN\n",
      in: "#define A 1\n",
    });
    expect((await workspace.build()).failures).toEqual([]);
    workspace.write("in", "#define A 2\n");
    expect((await workspace.build()).ids).toEqual([
      "app CppCompile src/main.c",
      "app CppLink",
      "gen Custom",
    ]);
  });

  test("may include headers that include others", async () => {
    const workspace = workspaceOf({
      Builderfile: builderfile,
      "src/main.c": '#include "../out.h"\nint main(void) { return FAR - 5; }\n',
      "include/near.h": '#include "../far/far.h"\n',
      "far/far.h": '#include "farther.txt"\n',
      "far/farther.txt": "#define FAR 5\n",
      in: '#include "near.h"\n',
    });
    expect((await workspace.build()).failures).toEqual([]);
    workspace.write("far/farther.txt", "#define FAR 6\n");
    expect((await workspace.build()).ids).toEqual(["app CppCompile src/main.c", "app CppLink"]);
  });

  test("is shown where only a flag names it", async () => {
    const workspace = workspaceOf({
      Builderfile: builderfile.replace("    deps", '    flags: ["@out.h"]\n    deps'),
      "src/main.c": "int main(void) { return A; }\n",
      in: "-DA=0\n",
    });
    expect((await workspace.build()).failures).toEqual([]);
    workspace.run("bin/app");
  });
});

test("a file that the assembler takes in is an input, whoever made it", async () => {
  const take = (name: string, path: string) =>
    `__asm__(".section .rodata\\n${name}: .incbin \\"${path}\\"\\n.byte 0\\n.text");\n`;
  const workspace = workspaceOf({
    Builderfile: builderfile,
    "src/main.c":
      `#include <stdio.h>\n${take("one", "data/one.txt")}${take("two", "out.bin")}` +
      'extern const char one[], two[];\nint main(void) { printf("%s %s", one, two); }\n',
    "data/one.txt": "1",
    in: "2",
  });
  expect((await workspace.build()).failures).toEqual([]);
  expect(workspace.run("bin/app")).toBe("1 22");
  workspace.write("data/one.txt", "3");
  workspace.write("in", "4");
  await workspace.build();
  expect(workspace.run("bin/app")).toBe("3 44");
});

test("many actions that miss the same lost file let it be made once", async () => {
  const sources = Array.from({ length: 12 }, (_, at) => `src/s${at}.c`);
  const workspace = workspaceOf({
    Builderfile: builderfile,
    ...Object.fromEntries(sources.map((path) => [path, '#include "../out.h"\n'])),
    "src/main.c": "int main(void) { return 0; }\n",
    in: "#define A\n",
  });
  expect((await workspace.build()).failures).toEqual([]);
  workspace.executor.forget();
  for (const path of sources) workspace.write(path, '#include "../out.h"\nstatic int changed;\n');
  const again = await workspace.build({ jobs: 12 });
  expect(again.failures).toEqual([]);
  expect(again.ids.filter((id) => id === "gen Custom")).toHaveLength(1);
});
