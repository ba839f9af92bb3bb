import { afterEach, expect, test } from "vitest";
import { removeWorkspaces, workspaceOf } from "../support/build-workspace.ts";

afterEach(removeWorkspaces);

test("what a Builderfile asks of the world makes the next build look again when it changes", async () => {
  const workspace = workspaceOf({
    Builderfile: `import "//tools/defs.bldr";
let names = glob("*.txt").map(stripped);
target("list") {
  command: "echo \${names.join("+")} \${trim(readFile("//VERSION"))} \${env("MODE", "plain")} > list";
  outputs: ["list"];
}`,
    "tools/defs.bldr":
      'fn stripped(path) { return "<".replace("<", "") + stripExtension(path); }\n',
    "a.txt": "",
    VERSION: "1\n",
  });
  const list = async (env: Record<string, string> = {}) => {
    const { failures, calls } = await workspace.build({ env });
    return failures.length === 0 ? `${workspace.read("list").trim()} ${calls > 0}` : failures;
  };
  expect(await list()).toBe("a 1 plain true");
  expect(await list()).toBe("a 1 plain false");
  workspace.write("b.txt", "");
  expect(await list()).toBe("a+b 1 plain true");
  workspace.write("VERSION", "2\n");
  expect(await list()).toBe("a+b 2 plain true");
  expect(await list({ MODE: "fast" })).toBe("a+b 2 fast true");
  expect(await list({ MODE: "fast" })).toBe("a+b 2 fast false");
  workspace.write("tools/defs.bldr", "fn stripped(path) { return upper(stripExtension(path)); }\n");
  expect(await list({ MODE: "fast" })).toBe("A+B 2 fast true");
});

test("a Builderspace gives every target its environment and its folder for outputs", async () => {
  const workspace = workspaceOf({
    Builderspace: 'workspace("w") { env: { WHO: "space", LEVEL: "1" }; outputDir: "made"; }',
    Builderfile: `target app:
    type: executable
    sources: app.c
target say:
    command: echo $WHO $LEVEL > said
    outputs: said
    env:
        LEVEL: "2"
`,
    "app.c": '#include <stdio.h>\nint main(void) { puts("app"); return 0; }\n',
  });
  expect((await workspace.build()).failures).toEqual([]);
  expect(workspace.read("said")).toBe("space 2\n");
  expect(workspace.run("made/app")).toBe("app\n");
  workspace.write("Builderspace", "workspace w:\n    outputDir: other\n");
  expect((await workspace.build()).failures).toEqual([]);
  expect(workspace.read("said")).toBe("2\n");
  expect(workspace.run("other/app")).toBe("app\n");
});

test("a problem in an imported file is shown with the line of that file", async () => {
  const workspace = workspaceOf({
    Builderspace: "",
    "app/Builderfile": 'import "//lib/defs.bldr";\ntarget("t") { command: made("x"); }\n',
    "lib/defs.bldr": "fn made(name) {\n  return nmae;\n}\n",
  });
  await expect(workspace.build({ from: "app" })).rejects.toThrow(
    /lib\/defs\.bldr:2:10: error: There is no variable nmae\. Did you mean name\?.*\n.*nmae;/,
  );
});
