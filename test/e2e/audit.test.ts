// `bldr build --hermetic-audit` as people use it: planted violations are told, the lines that it
// says mend them, and then the build works in the sandbox.

import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { allProcesses, createPlace, type Place, root, run } from "../support/programs.ts";

let place: Place;
beforeAll(() => {
  place = createPlace();
});
afterAll(() => place.remove());

const isRoot = process.getuid?.() === 0;
const canDrop = isRoot && spawnSync("setpriv", ["--version"]).status === 0;

/** Writes what the audit says into the Builderfile, at the lines that it says. */
function mend(folder: string, stdout: string): void {
  const path = join(folder, "Builderfile");
  const lines = readFileSync(path, "utf8").split("\n");
  const remedies = [...stdout.matchAll(/Builderfile:(\d+) should say.*:\n {4}(.*)/g)];
  for (const [, at, line = ""] of remedies.toReversed()) {
    const field = line.split(":")[0] ?? "";
    const index = Number(at) - 1;
    const isField = lines[index]?.trimStart().startsWith(`${field}:`) ?? false;
    lines.splice(isField ? index : index + 1, isField ? 1 : 0, `    ${line}`);
  }
  writeFileSync(path, lines.join("\n"));
}

test("headers that no scan finds break the build, and are all named with the line that mends it", async () => {
  const folder = place.workspace({
    Builderfile:
      "target app:\n    type: executable\n    sources: [main.cpp]\n" +
      "    flags: [-I, ., -DONE=<gen/one.list>, -DTWO=<gen/two.list>]\n",
    "main.cpp": "#include ONE\n#include TWO\nint main() { return one + two; }\n",
    "gen/one.list": "int one = 0;\n",
    "gen/two.list": "int two = 0;\n",
  });
  const broken = await run(place, folder, "bldr", ["build"]);
  expect(broken).toMatchObject({ code: 1, stderr: expect.stringContaining("gen/one.list") });
  const audited = await run(place, folder, "bldr", ["build", "app", "--hermetic-audit"]);
  expect(audited.code).toBe(1);
  expect(audited.stdout).toContain("    gen/one.list  read by cc1plus\n");
  expect(audited.stdout).toContain("    sources: [main.cpp, gen/one.list, gen/two.list]\n");
  mend(folder, audited.stdout);
  expect(await run(place, folder, "bldr", ["build", "--hermetic-audit"])).toMatchObject({
    code: 0,
  });
  expect(await run(place, folder, "bldr", ["build"])).toMatchObject({ code: 0 });
});

test("the example, compiled by a command that does not declare its header, is told its name", async () => {
  const folder = place.example("remote-execution");
  const text =
    "target amber:\n    command: c++ -c lib/amber.cpp -o amber.o\n" +
    "    inputs: [lib/amber.cpp]\n    outputs: [amber.o]\n";
  writeFileSync(join(folder, "Builderfile"), text);
  const broken = await run(place, folder, "bldr", ["build"]);
  expect(broken.code).toBe(1);
  expect(broken.stderr).toMatch(/series\.h: No such file/);
  const audited = await run(place, folder, "bldr", ["build", "--hermetic-audit"]);
  expect(audited.code).toBe(1);
  expect(audited.stdout).toContain("    lib/series.h  read by cc1plus\n");
  expect(audited.stdout).toContain("    inputs: [lib/amber.cpp, lib/series.h]\n");
  mend(folder, audited.stdout);
  expect(await run(place, folder, "bldr", ["build"])).toMatchObject({ code: 0 });
});

describe("a command that reaches for everything", () => {
  test("is told it all, and mended by what it is told", async () => {
    const folder = place.workspace({
      Builderfile:
        "target gen:\n    command: |\n        sh gen.sh\n    outputs: [out.txt]\n" +
        "target other:\n    command: echo made > made.txt\n    outputs: [made.txt]\n",
      "gen.sh": "cat data/a.txt made.txt > out.txt\n",
      "data/a.txt": "a\n",
      "data/b.txt": "b\n",
    });
    expect((await run(place, folder, "bldr", ["build", "other"])).code).toBe(0);
    const audited = await run(place, folder, "bldr", ["build", "gen", "--hermetic-audit"]);
    expect(audited.code).toBe(1);
    expect(audited.stdout).toContain("    data/a.txt  read by cat\n");
    expect(audited.stdout).toContain("    gen.sh  read by sh gen.sh\n");
    expect(audited.stdout).toContain("    inputs: [data/a.txt, gen.sh]\n");
    expect(audited.stdout).toContain("    deps: [other]\n");
    expect(existsSync(join(folder, "out.txt"))).toBe(false);
    mend(folder, audited.stdout);
    const again = await run(place, folder, "bldr", ["build", "gen", "--hermetic-audit"]);
    expect(again).toMatchObject({ code: 0, stderr: expect.not.stringContaining("ERROR") });
    expect(again.stdout).toContain("keep to their specifications");
    const built = await run(place, folder, "bldr", ["build", "gen"]);
    expect(built.code).toBe(0);
    expect(readFileSync(join(folder, "out.txt"), "utf8")).toBe("a\nmade\n");
  });

  test("home, network, strays and this machine each in its own group", async () => {
    const home = join(place.folder, "home");
    mkdirSync(join(home, ".config"), { recursive: true });
    writeFileSync(join(home, ".config/tool"), "x");
    const folder = place.workspace({
      Builderfile:
        `target gen:\n    env:\n        HOME: ${home}\n    command: |\n` +
        '        cat "$HOME/.config/tool" /proc/self/maps /etc/passwd > out.txt\n' +
        "        echo x > stray.txt\n        echo x > /tmp/own-$$ && rm /tmp/own-$$\n" +
        "        exec 3<>/dev/tcp/127.0.0.1/9 || true\n    outputs: [out.txt]\n",
    });
    const text = readFileSync(join(folder, "Builderfile"), "utf8");
    const dialling = `bash -c "exec 3<>/dev/tcp/127.0.0.1/9" || true`;
    const own = text.replace(/ {8}exec 3.*/, `        ${dialling}`);
    writeFileSync(join(folder, "Builderfile"), own);
    const audited = await run(place, folder, "bldr", ["build", "--hermetic-audit", "--json"]);
    expect(audited.code).toBe(1);
    const [target, end] = audited.stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(end).toEqual({ kind: "audit", ok: false, failed: 0, skipped: 0 });
    const told = target.findings.map(
      (one: { kind: string; what: string }) => `${one.kind} ${one.what}`,
    );
    expect(told).toEqual(
      expect.arrayContaining([
        ...["output stray.txt", `hidden ${join(home, ".config/tool")}`, "network 127.0.0.1:9"],
        ...["machine /proc/self/maps", "machine /etc/passwd"],
      ]),
    );
    expect(told.filter((line: string) => line.includes("/tmp/own"))).toEqual([]);
    expect(target.remedies.map(({ line }: { line?: string }) => line)).toEqual(
      expect.arrayContaining(["outputs: [out.txt, stray.txt]", "hermetic:\n    network: true"]),
    );
  });
});

test("a test's own run is audited, too, and what it reads is mended", async () => {
  const folder = place.workspace({
    Builderfile: "target t:\n    type: test\n    sources: [t.c]\n",
    "t.c": '#include <stdio.h>\nint main(void) { return fopen("data/a.txt", "r") == NULL; }\n',
    "data/a.txt": "a",
  });
  const flags = ["test", "--hermetic-audit"];
  const audited = await run(place, folder, "bldr", flags);
  expect(audited).toMatchObject({ code: 1, stdout: expect.stringContaining("[data/a.txt]") });
  mend(folder, audited.stdout);
  expect(await run(place, folder, "bldr", flags)).toMatchObject({ code: 0 });
  expect(await run(place, folder, "bldr", ["test"])).toMatchObject({ code: 0 });
});

test("what is hermetic is said to be so; nothing is kept of an audit", async () => {
  const folder = place.example("remote-execution");
  const audited = await run(place, folder, "bldr", ["build", "cpp_project", "--hermetic-audit"]);
  expect(audited).toMatchObject({ code: 0 });
  expect(audited.stdout).toContain("nothing outside its specification");
  expect(readdirSync(folder)).not.toContain("build");
  const built = await run(place, folder, "bldr", ["build", "cpp_project", "--json"]);
  const ran = built.stdout.split("\n").filter((line) => line.includes('"how":"ran"'));
  expect(ran.length).toBeGreaterThan(0);
});

test("a failing action and flags that mean nothing here are errors", async () => {
  const folder = place.workspace({ Builderfile: "target bad:\n    command: exit 3\n" });
  const failed = await run(place, folder, "bldr", ["build", "--hermetic-audit"]);
  expect(failed.code).toBe(1);
  expect(failed.stdout).toContain("1 actions failed");
  const away = await run(place, folder, "bldr", ["build", "--hermetic-audit", "--remote"]);
  expect(away).toMatchObject({ code: 2, stderr: expect.stringContaining("leave --remote out") });
  const watch = await run(place, folder, "bldr", ["build", "--hermetic-audit", "--watch"]);
  expect(watch).toMatchObject({ code: 2, stderr: expect.stringContaining("leave out --watch") });
});

test("a bldr that is killed takes the audited command along", async () => {
  const mark = `600${process.pid}`;
  const folder = place.workspace({
    Builderfile: `target slow:\n    command: sh -c "setsid sleep ${mark} & sleep ${mark}"\n`,
  });
  const words = ["build", "--hermetic-audit"];
  const bldr = spawn(join(root, "cli/bin/bldr"), words, { cwd: folder, env: place.env });
  const asleep = () =>
    allProcesses().filter(({ command }) => command.startsWith(`sleep ${mark}`)).length;
  await eventually("both sleep", () => asleep() === 2, 60_000);
  bldr.kill("SIGKILL");
  await eventually("none sleeps", () => asleep() === 0, 60_000);
});

test.skipIf(!canDrop)("an ordinary user audits, too (tried as one where we are root)", async () => {
  const folder = place.workspace({
    Builderfile: "target gen:\n    command: cat a.txt > out.txt\n    outputs: [out.txt]\n",
    "a.txt": "a",
  });
  await run(place, folder, "chmod", ["-R", "a+rwX", place.folder]);
  const who = ["--reuid=65534", "--regid=65534", "--clear-groups"];
  const words = [...who, join(root, "cli/bin/bldr"), "build", "--hermetic-audit"];
  const store = join(place.folder, "own-cache");
  mkdirSync(store, { mode: 0o777 });
  await run(place, folder, "chmod", ["777", store, folder]);
  const audited = await run(place, folder, "setpriv", words, { XDG_CACHE_HOME: store });
  expect(audited).toMatchObject({ code: 1, stdout: expect.stringContaining("a.txt  read by cat") });
});
