import { execFileSync } from "node:child_process";
import { chmodSync, realpathSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { type MeshUnderTest, startMesh } from "../support/mesh-hosts.ts";
import { namespacesMissing } from "../support/namespaces.ts";
import { createPlace, type Place, root } from "../support/programs.ts";

// Two hosts of one mesh, one of which has another C compiler: over the real one its mount namespace
// has a script that says so.
const missing = namespacesMissing();
if (missing !== undefined) process.stderr.write(`SKIPPED toolchains of two hosts: ${missing}\n`);

const runPlain = join(root, "test/support/run-plain-action.ts");
const builderfile = (toolchain: string) =>
  "target which:\n    command: cc --version > out.txt\n    outputs: [out.txt]\n" +
  `    toolchain: ${toolchain}\n`;

let place: Place;
let mesh: MeshUnderTest;
let other: string;

describe.skipIf(missing !== undefined)("two hosts with different compilers", () => {
  beforeAll(async () => {
    place = createPlace();
    other = join(place.folder, "other-cc");
    writeFileSync(other, "#!/bin/sh\necho the other compiler\n");
    chmodSync(other, 0o755);
    const real = realpathSync("/usr/bin/cc");
    const hide = `mount --bind ${other} ${real} && exec "$@"`;
    const within = ["unshare", "--mount", "sh", "-c", hide, "sh"];
    mesh = await startMesh(
      place,
      2,
      () => ["--slots", "2"],
      (at) => (at === 1 ? within : []),
    );
  });
  afterAll(async () => {
    await mesh.remove();
    place.remove();
  });

  const addressOf = (at: number) => mesh.hosts[at]?.address ?? "";
  const plain = async (at: number, command: string) => {
    const args = [runPlain, addressOf(at), command];
    const { stdout, stderr } = await mesh.client(root, process.execPath, args);
    return stdout === "" ? stderr : stdout;
  };
  const build = async (toolchain: string, at: number) => {
    const folder = place.workspace({ Builderfile: builderfile(toolchain) });
    const run = await mesh.client(folder, "bldr", ["build", "which", `--remote=${addressOf(at)}`]);
    const made = run.code === 0 ? await mesh.client(folder, "cat", ["out.txt"]) : undefined;
    return { said: run.stdout + run.stderr, made: made?.stdout ?? "" };
  };

  test("never share a result of an action that names no toolchain", async () => {
    const real = execFileSync("cc", ["--version"]).toString();
    const command = "cc --version > out";
    expect(await plain(0, command)).toBe(real);
    expect(await plain(1, command)).toBe("the other compiler\n");
    expect(await plain(0, command)).toBe(`cached ${real}`);
    expect(await plain(1, command)).toBe("cached the other compiler\n");
  });

  test("run what a client sends where the tools are the client's own", async () => {
    const folder = place.workspace({
      Builderfile: "target which:\n    command: cc --version > out.txt\n    outputs: [out.txt]\n",
    });
    const args = ["build", "which", `--remote=${addressOf(1)}`];
    const { code, stderr } = await mesh.client(folder, "bldr", args);
    expect(code, stderr).toBe(0);
    const { stdout } = await mesh.client(folder, "cat", ["out.txt"]);
    expect(stdout).toBe(execFileSync("cc", ["--version"]).toString());
  });

  test("notice when a compiler is replaced while the node runs", async () => {
    const command = "cc --version > out # replaced";
    expect(await plain(1, command)).toBe("the other compiler\n");
    writeFileSync(other, "#!/bin/sh\necho the other compiler, upgraded\n");
    // The worker gives way to a new one within a second or two; until then nothing else answers.
    await eventually(
      "the new compiler is used",
      async () => (await plain(1, command)) === "the other compiler, upgraded\n",
      60_000,
    );
    expect(await plain(1, command)).toBe("cached the other compiler, upgraded\n");
    expect(mesh.hosts[1]?.said()).toContain("The tools of this system changed");
    writeFileSync(other, "#!/bin/sh\necho the other compiler\n");
    await eventually(
      "the old one again",
      async () => /cached the other compiler\n/.test(await plain(1, command)),
      60_000,
    );
  });

  test("run an action that names a toolchain where that is, and refuse a name nobody has", async () => {
    const own = execFileSync(join(root, "cli/bin/builder"), ["toolchain"]).toString();
    const ours = own.split("\n").find((name) => name.startsWith("system-")) ?? "";
    const nobody = `system-${"0".repeat(16)}`;
    let said = "";
    let theirs: string | undefined;
    // Workers of the other host may just have given way to others.
    await eventually("both hosts' tools are named", async () => {
      said = (await build(nobody, 0)).said;
      const named: readonly string[] = said.match(/system-[0-9a-f]{16}/g) ?? [];
      theirs = named.find((name) => ![nobody, ours].includes(name));
      return theirs !== undefined && named.includes(ours);
    });
    expect(said).toContain(`No worker has the toolchain ${nobody}; they have system-`);
    expect((await build(theirs ?? "", 0)).made).toBe("the other compiler\n");
    expect((await build(ours, 1)).made).toContain("Free Software Foundation");
    const folder = place.workspace({ Builderfile: builderfile(theirs ?? "") });
    const here = await mesh.client(folder, "bldr", ["build", "which"]);
    expect(here.code).not.toBe(0);
    expect(here.stdout + here.stderr).toContain(
      `wants the toolchain ${theirs}; this machine has ${ours}.`,
    );
  });
});
