// What `serve` does for the owner of its machine, and how builds find it, as the programs run.

import { readFileSync } from "node:fs";
import { getPriority } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { createPlace, type Place, run, startNode } from "../support/programs.ts";

let place: Place;
beforeAll(() => {
  place = createPlace();
});
afterAll(() => place.remove());

const builderfile = (command: string) =>
  `target it:\n    command: ${command}\n    outputs: [it.out]\n    cache: false\n`;

test.each([
  { flags: [], nice: 10 },
  { flags: ["--nice", "3"], nice: 3 },
  { flags: ["--nice", "0"], nice: 0 },
])("actions are as nice as $flags says, and the node itself is not", async ({ flags, nice }) => {
  const node = await startNode(place, ["--workers-min", "1", ...flags]);
  try {
    const folder = place.workspace({ Builderfile: builderfile("nice > it.out") });
    const built = await run(place, folder, "bldr", ["build", `--remote=${node.address}`]);
    expect(built.code, built.stderr).toBe(0);
    const here = getPriority();
    expect(Number(readFileSync(join(folder, "it.out"), "utf8"))).toBe(Math.max(here, nice));
    expect(getPriority(node.process.pid ?? 0)).toBe(here);
    expect(getPriority(node.workers()[0] ?? 0)).toBe(Math.max(here, nice));
  } finally {
    await node.stop();
  }
});

test("what is held back is said once, with the reason", async () => {
  const flags = ["--workers-min", "2", "--slots", "2", "--max-cpu", "0.5"];
  const node = await startNode(place, flags);
  try {
    const line = /Using 1 of 4 slots on this machine: actions may use 0\.5 of \d+ cores?\./g;
    await eventually("it is said", () => line.test(node.said()));
    expect(node.said().match(line)).toHaveLength(1);
  } finally {
    await node.stop();
  }
});

test("--remote finds the node of this machine's store, the last one used, or says what it tried", async () => {
  const store = join(place.folder, "node-store");
  const folder = place.workspace({ Builderfile: builderfile("echo hello > it.out") });
  const build = (...flags: string[]) => run(place, folder, "bldr", ["build", ...flags]);
  const node = await startNode(place, ["--workers-min", "1"]);
  const using = `Using remote execution (coordinator: ${node.address})`;
  const file = join(store, `mesh/nodes/${node.process.pid}.json`);
  expect(JSON.parse(readFileSync(file, "utf8"))).toMatchObject({
    address: node.address,
    process: expect.stringMatching(new RegExp(`^${node.process.pid} `)),
  });
  expect((await build("--remote", "--store", store)).stdout).toContain(using);
  const elsewhere = join(place.folder, "another-store");
  expect(readFileSync(join(place.folder, "cache/builder/last-node"), "utf8")).toBe(
    `${node.address}\n`,
  );
  const wanted = { BUILDER_REMOTE: "127.0.0.1:9" };
  const other = await run(place, folder, "bldr", ["build", "--remote", "--store", store], wanted);
  expect(other.stderr).toMatch(/Cannot reach a builder node at 127\.0\.0\.1:9/);
  const last = await build("--remote", "--store", elsewhere);
  // Unless this machine has a node where they usually are, or its network has one.
  expect(last.stdout).toContain("Using remote execution (coordinator: ");
  await node.stop();
  expect(() => readFileSync(file)).toThrow(/ENOENT/);
  const none = await build("--remote", "--store", elsewhere);
  if (none.stdout.includes("Using remote execution")) return;
  expect(none.stderr).toMatch(/No builder node was found \(BUILDER_REMOTE is not set; .*used last/);
  expect(none.code).toBe(3);
});
