// Builds at a terminal: the block that shows them, colours, Ctrl-C, and the lines of a watch.

import { mkdirSync, renameSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createPlace, type Place, run } from "../support/programs.ts";
import { screenOf, startAtTerminal } from "../support/terminal.ts";

let place: Place;
let count = 0;
beforeAll(() => {
  place = createPlace();
});
afterAll(() => place.remove());

/** A workspace with this Builderfile. N in it is a number that no other workspace has. */
function workspace(builderfile: string): string {
  count += 1;
  const folder = join(place.folder, `ws${count}`);
  mkdirSync(folder);
  writeFileSync(join(folder, "Builderfile"), builderfile.replaceAll("N", String(count)));
  return folder;
}

/** A command that says something, and waits until the test lets it go on (it has no network). */
const long = "target long:\n    command: echo said >&2; sleep 1000\n    outputs: [x]\n";
const quick = "target quick:\n    command: echo warned >&2; echo N > q\n    outputs: [q]\n";

describe("progress", () => {
  test("running actions are shown, and nothing of the block stays behind", async () => {
    const folder = workspace(`${quick}${long}    hermetic:\n        timeout: 2s\n`);
    const size = { columns: 60, rows: 20 };
    const shown = startAtTerminal(place, folder, "bldr", ["build", "-k"], size);
    await shown.says("//:long Custom\r\n");
    expect(await shown.ended).toBe(1);
    const lines = screenOf(shown.said(), size.columns);
    const plain = lines.join("\n").replaceAll(/\d+(\.\d+)?(ms|s)/g, "TIME");
    expect(plain).toContain("[INFO] Executing on local (hermetic: ");
    expect(plain).toContain("\nwarned\n");
    expect(plain).toContain("[ERROR] //:long Custom failed: Action timeout");
    expect(plain).toContain("[ERROR] Build failed in TIME: 1 failed");
    expect(plain, "the block is gone").not.toMatch(/\[\d\/2\]|^ +TIME/m);
    expect(shown.said()).toMatch(/\[1\/2\] 0 hits, 1 running/);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: a terminal is made of them
    expect(shown.said(), "the cursor is never hidden").not.toMatch(/\x1b\[\?25l/);
  });

  test("a terminal that becomes narrow gets lines that fit", async () => {
    const folder = workspace(long.replace("long:", `${"long".repeat(15)}:`));
    const shown = startAtTerminal(place, folder, "bldr", ["build"], { columns: 100, rows: 20 });
    await shown.says(`${"long".repeat(15)} Custom\r\n`);
    shown.resize(30, 20);
    await shown.says("…");
    const narrow = shown.said().split("\x1b[J").at(-1) ?? "";
    for (const line of narrow.split("\r\n")) expect(line.length).toBeLessThan(30);
    shown.type("\x03");
    expect(await shown.ended).toBe(130);
  });

  test("Ctrl-C ends the build with 130 and leaves the terminal as it was", async () => {
    const folder = workspace(long);
    const shown = startAtTerminal(place, folder, "bldr", ["build"], { columns: 80, rows: 20 });
    await shown.says("//:long Custom\r\n");
    shown.type("\x03");
    expect(await shown.ended).toBe(130);
    const lines = screenOf(shown.said(), 80);
    expect(lines.join("\n")).not.toMatch(/\[\d\/\d\]/);
    expect(lines.at(-2)).toMatch(/^\[ERROR\] /);
    expect(lines.at(-1)).toBe("");
  });

  test("a pipe gets the same lines as ever, without a block and without colour", async () => {
    const folder = workspace(quick);
    const piped = await run(place, folder, "bldr", ["build"]);
    const plain = piped.stdout.replaceAll(/\d+(\.\d+)?(ms|s)/g, "TIME");
    const isolation = /\(hermetic: ([a-z+]+)\)/.exec(plain)?.[1];
    expect(plain).toBe(
      `[INFO] Executing on local (hermetic: ${isolation})\n` +
        "[INFO] Build completed in TIME\n[INFO] Cache miss → stored for reuse\n",
    );
    const colored = await run(place, folder, "bldr", ["build", "--color", "always"]);
    expect(colored.stdout).toContain("\x1b[2m[INFO]\x1b[0m ");
  });

  test("a verbose build tells each command and where it ran", async () => {
    const folder = workspace(quick);
    const { stdout } = await run(place, folder, "bldr", ["build", "--verbose"]);
    expect(stdout).toMatch(
      /\[INFO\] \/\/:quick Custom \(on local, [\d.]+m?s, CPU [^)]+\)\n {2}\/bin\/sh -e -c 'echo /,
    );
  });
});

describe("--watch", () => {
  const size = { columns: 80, rows: 24 };
  const builderfile = (command: string) =>
    `target t:\n    type: test\n    command: ${command}\n    inputs: [in]\n`;

  test("it builds after each change until Ctrl-C, whose exit code is the last build's", async () => {
    const folder = workspace(builderfile("cat in"));
    writeFileSync(join(folder, "in"), "1");
    const shown = startAtTerminal(place, folder, "bldr", ["test", "--watch"], size);
    await shown.says("Waiting for changes");
    await shown.says("Build completed");
    // As editors save: another file, moved into place.
    writeFileSync(join(folder, "in.new"), "2");
    renameSync(join(folder, "in.new"), join(folder, "in"));
    await shown.says("──── in changed");
    await shown.says("Build completed", 2);
    writeFileSync(join(folder, "Builderfile"), "target t:\n    nonsense: 1\n");
    await shown.says("──── Builderfile changed");
    await shown.says("Builderfile:2:5: error:");
    writeFileSync(join(folder, "Builderfile"), builderfile("cat in; exit 3"));
    await shown.says("──── Builderfile changed", 2);
    await shown.says("Build failed");
    shown.type("\x03");
    expect(await shown.ended).toBe(1);
    expect(shown.said().split("────").length - 1, "no build without a change").toBe(3);
  });

  test("edits during a build, and times that lie, lead to one more build", async () => {
    const folder = workspace(builderfile("echo began $(cat in) >&2; sleep 1"));
    writeFileSync(join(folder, "in"), "one");
    const shown = startAtTerminal(place, folder, "bldr", ["test", "--watch"], size);
    await shown.says("TestRun\r\n");
    writeFileSync(join(folder, "in"), "two");
    await shown.says("began two\r\n");
    utimesSync(join(folder, "in"), 1, 1);
    writeFileSync(join(folder, "in"), "three");
    await shown.says("began three\r\n");
    await shown.says("──── in changed", 2);
    shown.type("\x03");
    expect(await shown.ended).toBe(0);
  });
});
