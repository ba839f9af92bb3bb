import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { manyTargets } from "../support/many-targets.ts";
import { type MeshUnderTest, startMesh } from "../support/mesh-hosts.ts";
import { namespacesMissing } from "../support/namespaces.ts";
import { createPlace, type Place } from "../support/programs.ts";

// Hosts with networks of their own, joined by the printed line, as their owners would.
const missing = namespacesMissing();
if (missing !== undefined) process.stderr.write(`SKIPPED the mesh's tests: ${missing}\n`);

let place: Place;
let mesh: MeshUnderTest;

describe.skipIf(missing !== undefined)("three hosts, joined by one line", () => {
  beforeAll(async () => {
    place = createPlace();
    mesh = await startMesh(place, 3, () => ["--slots", "2"]);
  });
  afterAll(async () => {
    await mesh.remove();
    place.remove();
  });

  const host = (at: number) => {
    const found = mesh.hosts[at];
    if (found === undefined) throw new Error(`there is no host ${at}`);
    return found;
  };
  const statusOf = async (at: number) => {
    const args = ["remote", "status", "--json", "--coordinator", host(at).address];
    return JSON.parse((await mesh.client("/", "builder", args)).stdout);
  };
  const aliveAt = async (at: number) => {
    const { members } = await statusOf(at);
    return members.filter(({ state }: { state: string }) => state === "alive").length;
  };

  test("each knows the others, and all agree on who coordinates", async () => {
    for (const at of [0, 1, 2]) {
      await eventually("three members", async () => (await aliveAt(at)) === 3);
    }
    const leaders = async () =>
      new Set(await Promise.all([0, 1, 2].map(async (at) => (await statusOf(at)).leader)));
    await eventually("one coordinator", async () => (await leaders()).size === 1);
    const listed = await host(1).run("/", "builder", [
      "mesh",
      "members",
      "--coordinator",
      host(1).address,
    ]);
    for (const name of ["host-0", "host-1", "host-2"]) expect(listed.stdout).toContain(name);
  });

  test("what is submitted at one host runs on all of them", async () => {
    const workspace = place.workspace(manyTargets(24, 0.3));
    const args = ["build", "//...", `--remote=${host(0).address}`, "--json"];
    const built = await mesh.client(workspace, "bldr", args);
    expect(built.stderr).toBe("");
    expect(built.code).toBe(0);
    const workers = new Set(built.stdout.match(/host-\d\/worker-\d/g));
    expect([...workers].sort()).toEqual(["host-0/worker-1", "host-1/worker-1", "host-2/worker-1"]);
    expect(readFileSync(join(workspace, "made-7.txt"), "utf8")).toBe("made 7\n");
  });

  test("what one host has built, every other answers from the cache", async () => {
    const workspace = place.workspace(manyTargets(24, 0.3));
    const args = ["build", "//...", `--remote=${host(2).address}`];
    const built = await mesh.client(workspace, "bldr", args);
    expect(built.code).toBe(0);
    expect(built.stdout).not.toContain("Executing");
    expect(readFileSync(join(workspace, "made-7.txt"), "utf8")).toBe("made 7\n");
  });

  test("a host that is killed and started again is back without a link", async () => {
    await host(1).kill();
    await eventually("it is missed", async () => (await aliveAt(0)) === 2);
    await host(1).start();
    await eventually("it is back", async () => (await aliveAt(0)) === 3);
  });

  test("when the node that made the mesh dies, the others go on at once", async () => {
    await host(0).kill();
    const workspace = place.workspace(manyTargets(6, 0.1, "after"));
    const args = ["build", "//...", `--remote=${host(1).address}`];
    expect((await mesh.client(workspace, "bldr", args)).code).toBe(0);
    const elected = async () => {
      const { leader, members } = await statusOf(1);
      return members.some(
        ({ name, peer }: { name: string; peer: string }) => peer === leader && name !== "host-0",
      );
    };
    await eventually("another coordinates", elected);
    await host(0).start();
    await eventually("it is back", async () => (await aliveAt(2)) === 3);
  });

  test("one that was revoked is cut off", async () => {
    const own = ["--coordinator", host(0).address, "--store", join(place.folder, "host-0")];
    const args = ["mesh", "revoke", "host-2", ...own];
    const revoked = await host(0).run("/", "builder", args);
    expect(revoked.stderr).toBe("");
    await eventually("two are left", async () => (await aliveAt(0)) === 2);
    await eventually("also for the third", async () => (await aliveAt(2)) === 1);
  });
});
