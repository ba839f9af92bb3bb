// What a node lets actions have, by its flag, as its users meet it.

import { afterAll, beforeAll, expect, test } from "vitest";
import { createPlace, type Place, run, type SpawnedNode, startNode } from "../support/programs.ts";

let place: Place;
let node: SpawnedNode;
beforeAll(async () => {
  place = createPlace();
  const flags = [
    "--workers-min",
    "1",
    "--action-limits",
    "max_memory=64MiB,max_log=1KiB,network=off",
  ];
  node = await startNode(place, flags);
});
afterAll(async () => {
  await node.stop();
  place.remove();
});

function build(command: string, hermetic: string) {
  const folder = place.workspace({
    Builderfile: `target a:\n    command: ${command}\n    outputs: [out]\n    hermetic:${hermetic}\n`,
  });
  return run(place, folder, "bldr", ["build", `--remote=${node.address}`, "--json"]);
}

function actionOf(stdout: string): Record<string, unknown> {
  const events: Record<string, unknown>[] = stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  return events.find(({ kind }) => kind === "action") ?? {};
}

test("who asks a node for more than --action-limits allows is told both figures", async () => {
  const refused = await build("touch out", "\n        max_memory: 1GiB");
  expect(refused.code).toBe(1);
  expect(`${refused.stdout}${refused.stderr}`).toContain(
    "asks for max_memory 1 GiB, and this worker gives at most 64 MiB (--action-limits)",
  );
});

test("the network is nobody's where the owner says so", async () => {
  const refused = await build("touch out", "\n        network: true");
  expect(refused.code).toBe(1);
  expect(`${refused.stdout}${refused.stderr}`).toMatch(
    /hermetic\.network.*--action-limits network=off/,
  );
});

test("who joins a mesh keeps its network, unless it says otherwise", async () => {
  const limits = async (...flags: string[]) => {
    const printed = await run(place, place.folder, "builder", [...flags, "--print-config"]);
    return JSON.parse(printed.stdout).actionLimits;
  };
  expect(await limits("join")).toEqual({ network: false });
  const asked = ["--action-limits", "max_cpu=2,network=on"];
  expect(await limits("join", ...asked)).toEqual({ cpus: 2, network: true });
  expect(await limits("serve", "--remote")).toEqual({});
  // A machine that a cloud started for the mesh is the mesh's.
  expect(await limits("join", "--boot-join-within", "1m")).toEqual({});
});

test("who asks for nothing gets no more, and events tell what was used", async () => {
  const loud = actionOf((await build("seq 1000; touch out", " true")).stdout);
  expect(loud).toMatchObject({ failure: expect.stringMatching(/^Killed: log limit 1 KiB\./) });
  const fine = actionOf((await build("seq 10; touch out", "\n        max_memory: 64MiB")).stdout);
  expect(fine).toMatchObject({ exitCode: 0, failure: "" });
  expect(fine["usage"]).toMatchObject({
    memoryPeakBytes: expect.any(Number),
    io: { readBytes: expect.any(Number), waits: expect.any(Number) },
  });
});

test("a list that makes no sense is refused with what would", async () => {
  const refused = await run(place, place.folder, "builder", [
    ...["serve", "--remote", "--action-limits", "memory=8GiB"],
  ]);
  expect(refused.code).toBe(2);
  expect(refused.stderr).toMatch(/no limit "memory".*max_memory/);
});
