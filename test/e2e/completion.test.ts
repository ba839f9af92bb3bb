import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createPlace, type Place, root, run } from "../support/programs.ts";

let place: Place;
let folder: string;
beforeAll(() => {
  place = createPlace();
  folder = join(place.folder, "ws");
  const target = (name: string) => `target ${name}:\n    command: 'true'\n`;
  mkdirSync(join(folder, "lib/deep"), { recursive: true });
  writeFileSync(join(folder, "Builderspace"), "");
  writeFileSync(join(folder, "Builderfile"), target("app") + target("apple"));
  writeFileSync(join(folder, "lib/Builderfile"), target("low") + target("high"));
  writeFileSync(join(folder, "lib/deep/Builderfile"), target("x"));
});
afterAll(() => place.remove());

/** What bash itself offers when Tab is pressed at the end of a line; it is bash that cuts words. */
async function offers(line: string): Promise<string[]> {
  const script = `
    eval "$(bldr completion bash)"
    compopt() { :; }
    COMP_LINE=$1 COMP_POINT=\${#1} COMP_WORDS=(bldr) COMP_CWORD=1
    _bldr_complete
    [ \${#COMPREPLY[@]} -eq 0 ] || printf '%s\\n' "\${COMPREPLY[@]}"
    complete -p bldr >&2`;
  const path = `${join(root, "cli/bin")}:${process.env["PATH"]}`;
  const ended = await run(place, folder, "bash", ["-c", script, "bash", line], { PATH: path });
  expect(ended.stderr.trim()).toBe("complete -o default -F _bldr_complete bldr");
  return ended.stdout.split("\n").filter((word) => word !== "");
}

describe("completion in bash", () => {
  test("offers commands and flags as --help shows them", async () => {
    const help = (await run(place, folder, "bldr", ["--help"])).stdout;
    const commands = [...help.matchAll(/^ {2}(\w+) .*(?:\[options\]|\[targets|<)/gm)];
    const names = commands.map(([, name]) => name).filter((name) => name !== "help");
    expect(await offers("bldr ")).toEqual(expect.arrayContaining(names));
    expect(await offers("bldr comp")).toEqual(["compdb", "completion"]);
    const buildHelp = (await run(place, folder, "bldr", ["build", "--help"])).stdout;
    const flags = [...buildHelp.matchAll(/--[a-z][a-z-]+(?=[ ,\n])/g)].map(([flag]) => flag);
    expect(await offers("bldr build --")).toEqual([...new Set(flags)].sort());
    expect(await offers("bldr query --output ")).toEqual([
      ...["dot", "json", "kind", "label", "location"],
    ]);
    expect(await offers("bldr query --output=j")).toEqual(["json"]);
    expect(await offers("bldr completion ")).toEqual(["bash", "fish", "zsh"]);
  });

  test("offers targets and packages, and leaves files to bash", async () => {
    expect(await offers("bldr build ")).toEqual(["//", "app", "apple"]);
    expect(await offers("bldr build appl")).toEqual(["apple"]);
    expect(await offers("bldr test //lib")).toEqual([
      "//lib/...",
      "//lib/deep/...",
      "//lib/deep:",
      "//lib:",
    ]);
    expect(await offers("bldr build -k //lib:")).toEqual(["high", "low"]);
    expect(await offers("bldr build -- //... -//lib:h")).toEqual(["high"]);
    expect(await offers("bldr graph :a")).toEqual(["app", "apple"]);
    expect(await offers("bldr build --store ")).toEqual([]);
    expect(await offers("bldr nonsense x")).toEqual([]);
  });

  test("is silent where a Builderfile is wrong", async () => {
    mkdirSync(join(folder, "bad"), { recursive: true });
    writeFileSync(join(folder, "bad/Builderfile"), "target x\n");
    expect(await offers("bldr build //bad:")).toEqual([]);
  });
});

test("each shell has a script, and another shell is refused by name", async () => {
  for (const shell of ["bash", "zsh", "fish"]) {
    const { code, stdout } = await run(place, folder, "bldr", ["completion", shell]);
    expect(code).toBe(0);
    expect(stdout).toContain("complete -- ");
  }
  const refused = await run(place, folder, "bldr", ["completion", "tcsh"]);
  expect(refused).toMatchObject({ code: 2 });
  expect(refused.stderr).toContain("bash, zsh, fish");
});
