// Where the system allows no isolation: a refusal with the fix, or none at all where the user said
// so, which every result tells. Such a system is made by a user namespace that may have no others.

import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createPlace, type Place, root, run } from "../support/programs.ts";

/** Runs a program in such a system; a second `unshare` sees that it is one. */
const within = (how: string) => [
  ...["--user", "--map-root-user", "--mount", "--pid", "--fork", "--mount-proc", "sh", "-c"],
  `${how} && exec "$@"`,
  "sh",
];
const noNamespaces = within("echo 0 > /proc/sys/user/max_user_namespaces");
const noProc = within("mount -t tmpfs none /proc/sys && mount -o remount,ro /proc/sys");
const canMake = [noNamespaces, noProc].every(
  (flags) => spawnSync("unshare", [...flags, "true"]).status === 0,
);

describe.runIf(canMake)("a system that allows no isolation (made with unshare)", () => {
  let place: Place;
  let folder: string;
  beforeAll(() => {
    place = createPlace();
    folder = place.workspace({
      Builderfile: "target a:\n    command: echo made > out\n    outputs: [out]\n",
    });
  });
  afterAll(() => place.remove());

  const bldr = (how: readonly string[], ...flags: string[]) =>
    run(place, folder, "unshare", [...how, join(root, "cli/bin/bldr"), "build", ...flags]);

  test("is refused, with what to change in the system and in a container", async () => {
    const refused = await bldr(noNamespaces);
    expect(refused.code).not.toBe(0);
    expect(refused.stderr).toMatch(/User namespaces are disabled here.*max_user_namespaces=10000/);
    expect(refused.stderr).toMatch(/seccomp=unconfined.*--sandbox=none/);
  });

  test("so is a container that hides parts of /proc", async () => {
    const refused = await bldr(noProc);
    expect(refused.code).not.toBe(0);
    expect(refused.stderr).toMatch(/hides parts of \/proc.*systempaths=unconfined.*--sandbox=none/);
  });

  test("runs actions without isolation where its user says so, and tells", async () => {
    const built = await bldr(noNamespaces, "--sandbox=none", "--json");
    expect(built.stderr).toBe("");
    expect(readFileSync(join(folder, "out"), "utf8")).toBe("made\n");
    const events: { kind: string; isolation?: string }[] = built.stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(events.find(({ kind }) => kind === "action")).toMatchObject({ isolation: "none" });
  });
});
