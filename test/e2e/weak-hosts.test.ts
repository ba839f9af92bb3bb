// Hosts that are not hostile but weak: a worker that stands still and comes back, a disk that is
// full. Builds go on beside them.

import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { type MeshUnderTest, startMesh } from "../support/mesh-hosts.ts";
import { namespacesMissing } from "../support/namespaces.ts";
import { createPlace, type Place, run, startNode } from "../support/programs.ts";

let place: Place;
beforeAll(() => {
  place = createPlace();
});
afterAll(() => place.remove());

test("a worker that stands still loses its action, and joins again when it goes on", async () => {
  const flags = ["--workers-min", "2", "--slots", "1", "--log-level", "debug"];
  const node = await startNode(place, flags);
  try {
    const status = async () => {
      const args = ["remote", "status", "--json", "--coordinator", node.address];
      return JSON.parse((await run(place, "/", "builder", args)).stdout);
    };
    const workers = () => node.workers();
    await eventually("two workers", async () => (await status()).workers.length === 2, 30_000);
    const target = (name: string) =>
      `target ${name}:\n    command: sleep 2; echo ${name} > ${name}.out\n    outputs: [${name}.out]\n`;
    const folder = place.workspace({ Builderfile: target("one") + target("two") });
    const building = run(place, folder, "bldr", ["build", "//...", `--remote=${node.address}`]);
    await eventually("both run", async () => (await status()).executing === 2, 30_000);
    const [frozen] = workers();
    if (frozen === undefined) throw new Error("there is no worker");
    process.kill(frozen, "SIGSTOP");
    const lost = await eventually(
      `its lease ends: ${node.said()}`,
      () => /(\S+) did not renew action (\S+) in time/.exec(node.said()) ?? false,
      60_000,
    );
    const built = await building;
    expect([built.code, built.stderr], node.said()).toEqual([0, ""]);
    for (const name of ["one", "two"]) {
      expect(readFileSync(join(folder, `${name}.out`), "utf8")).toBe(`${name}\n`);
    }
    process.kill(frozen, "SIGCONT");
    await eventually(
      "both take actions again",
      async () => {
        const { workers: listed } = await status();
        const free = listed.reduce(
          (sum: number, one: { free?: number }) => sum + (one.free ?? 0),
          0,
        );
        return listed.length === 2 && free === 2;
      },
      60_000,
    );
    const again = place.workspace({
      Builderfile: `${target("one")}${target("two")}`.replaceAll("sleep 2", "sleep 3"),
    });
    const rebuilt = await run(place, again, "bldr", ["build", "//...", `--remote=${node.address}`]);
    expect([rebuilt.code, rebuilt.stderr], node.said()).toEqual([0, ""]);
    // Each action ended once for the node, whoever finished it a second time.
    const ended = node.said().match(/Action \S+ ended in \d+ ms, exit 0/g) ?? [];
    expect(ended, `${lost[0]}\n${node.said()}`).toHaveLength(4);
  } finally {
    await node.stop();
  }
});

const missing = namespacesMissing();
if (missing !== undefined) process.stderr.write(`SKIPPED the mesh's tests: ${missing}\n`);

describe.skipIf(missing !== undefined)("a host whose disk is full", () => {
  let mesh: MeshUnderTest;
  let disk: string;
  beforeAll(async () => {
    disk = join(place.folder, "host-1");
    mkdirSync(disk);
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=40m", "tmpfs", disk]);
    mesh = await startMesh(place, 2, () => ["--slots", "2"]);
  });
  afterAll(async () => {
    await mesh?.remove();
    execFileSync("umount", ["--lazy", disk]);
  });

  test("a build whose outputs are larger than it succeeds, and what it cannot keep is elsewhere", async () => {
    const [first, second] = mesh.hosts;
    const count = 24;
    const targets = Array.from({ length: count }, (_, at) => {
      const command = `sleep 0.2; head -c 4000000 /dev/urandom > made-${at}`;
      return `target t${at}:\n    command: ${command}\n    outputs: [made-${at}]\n`;
    });
    const folder = place.workspace({ Builderfile: targets.join("\n") });
    const args = ["build", "//...", `--remote=${first?.address}`];
    const built = await mesh.client(folder, "bldr", args);
    expect([built.code, built.stderr], `${first?.said()}${second?.said()}`).toEqual([0, ""]);
    for (let at = 0; at < count; at += 1) {
      expect(statSync(join(folder, `made-${at}`)).size).toBe(4_000_000);
    }
    expect(second?.isRunning).toBe(true);
  });
});
