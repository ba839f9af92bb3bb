// The same actions on two machines that differ in all that a machine is: host name, user, home,
// language, time zone, umask, environment, the place of the workspace. What they make is the same.

import { spawnSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createPlace, type Place, root, run } from "../support/programs.ts";

const missing =
  process.getuid?.() !== 0
    ? "another user wants root"
    : spawnSync("unshare", ["--uts", "hostname", "probe"]).status !== 0
      ? "host names of its own are not permitted"
      : spawnSync("setpriv", ["--reuid", "54321", "unshare", "--user", "true"]).status !== 0
        ? "ordinary users have no user namespaces here"
        : undefined;
if (missing !== undefined) process.stderr.write(`SKIPPED two machines, same bytes: ${missing}\n`);

const files = {
  Builderfile: [
    "target app:",
    "    type: executable",
    "    sources: [src/*.c]",
    "    flags: -g -O1",
    "target facts:",
    "    command: |",
    "        { hostname; id; pwd; umask; env | sort; locale; date -d @0; } > facts.txt",
    "        echo $HOME ~ >> facts.txt; ls -la > /dev/null",
    "        touch made; tar --sort=name --mtime=@$SOURCE_DATE_EPOCH -cf made.tar made",
    "    outputs: [facts.txt, made.tar]",
    "",
  ].join("\n"),
  "src/main.c": [
    "#include <assert.h>",
    "#include <stdio.h>",
    'int main(void) { assert(1); puts(__FILE__ " " __DATE__ " " __TIME__); return 0; }',
    "",
  ].join("\n"),
};
const outputs = ["bin/app", "facts.txt", "made.tar"];

let place: Place;

describe.skipIf(missing !== undefined)("two machines", () => {
  beforeAll(() => {
    place = createPlace();
    // The other user passes through here.
    chmodSync(place.folder, 0o755);
  });
  afterAll(() => place.remove());

  /** Builds in a workspace of its own, as a user there; the bytes of all outputs. */
  async function buildOn(machine: {
    readonly name: string;
    readonly uid: number;
    readonly umask: string;
    readonly env: NodeJS.ProcessEnv;
  }): Promise<readonly string[]> {
    const home = mkdtempSync(join(place.folder, `${machine.name}-`));
    const workspace = join(home, `of ${machine.name}`);
    for (const folder of [workspace, join(workspace, "src")]) mkdirSync(folder);
    for (const [path, text] of Object.entries(files)) writeFileSync(join(workspace, path), text);
    for (const path of [home, workspace, join(workspace, "src")]) {
      chownSync(path, machine.uid, machine.uid);
    }
    const script = `hostname ${machine.name} && umask ${machine.umask} && exec "$@"`;
    const user = ["setpriv", `--reuid=${machine.uid}`, `--regid=${machine.uid}`, "--clear-groups"];
    const bldr = [join(root, "cli/bin/bldr"), "build", "//...", "--store", join(home, "store")];
    const args = ["--uts", "--mount-proc", "--pid", "--fork", "sh", "-c", script, "sh"];
    const as = machine.uid === 0 ? [] : user;
    const env = { HOME: home, TMPDIR: home, XDG_CACHE_HOME: join(home, "cache"), ...machine.env };
    const { code, stdout, stderr } = await run(
      place,
      workspace,
      "unshare",
      [...args, ...as, ...bldr],
      env,
    );
    expect(code, stdout + stderr).toBe(0);
    const made = outputs.map((path) => readFileSync(join(workspace, path)).toString("latin1"));
    rmSync(home, { recursive: true, force: true });
    return made;
  }

  test("make the same bytes", { timeout: 180_000 }, async () => {
    const first = await buildOn({
      ...{ name: "alpha", uid: 0, umask: "022" },
      env: { TZ: "Asia/Tokyo", LANG: "C", USER: "root", SECRET: "1" },
    });
    const second = await buildOn({
      ...{ name: "beta-with-a-longer-name", uid: 54_321, umask: "077" },
      env: { TZ: "America/New_York", LC_ALL: "POSIX", LANGUAGE: "de", USER: "else" },
    });
    expect(second[1]).toBe(first[1]);
    expect(second).toEqual(first);
    // And what the actions saw was there to be seen.
    const facts = first[1] ?? "";
    for (const line of ["builder", "/work", "TZ=UTC", "HOME=/tmp", "LANG=C.UTF-8", "/tmp /tmp"]) {
      expect(facts.split("\n")).toContain(line);
    }
    expect(facts).toMatch(/uid=1000.* gid=1000/);
    expect(facts).toContain("Thu Jan  1 00:00:00 UTC 1970");
    expect(first[0]).toContain("Jan  1 1980 00:00:00");
  });
});
