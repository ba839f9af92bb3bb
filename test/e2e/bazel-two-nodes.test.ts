// Bazel takes one address. Where that is a name with an address for each node, a build survives the
// loss of the node that it uses.

import { existsSync, readFileSync, realpathSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { bazel7Settings, inTree, nodeInTree, whyNoTree } from "../support/client-tree.ts";
import { eventually } from "../support/eventually.ts";
import {
  createPlace,
  debianBazel,
  type Place,
  root,
  run,
  type SpawnedNode,
  startNode,
} from "../support/programs.ts";

const bubblewrap = "/usr/bin/bwrap";
const canNameHosts = process.getuid?.() === 0 && existsSync(bubblewrap);
const reasons = {
  debian: existsSync(debianBazel) && canNameHosts ? undefined : "no bazel, or no bwrap as root",
  tree: whyNoTree(),
};
for (const [which, reason] of Object.entries(reasons)) {
  if (reason !== undefined) process.stderr.write(`SKIPPED two nodes (${which}): ${reason}\n`);
}

let place: Place;
let nodes: SpawnedNode[] = [];
beforeAll(() => {
  place = createPlace();
  const names = ["127.0.0.1 localhost", "127.0.0.1 builders", "127.0.0.2 builders"];
  writeFileSync(join(place.folder, "hosts"), `${names.join("\n")}\n`);
});
afterEach(async () => {
  for (const node of nodes) node.process.kill("SIGKILL");
  nodes = [];
});
afterAll(async () => {
  await run(place, place.folder, "chmod", ["-R", "u+w", place.folder]);
  place.remove();
});

/** Eight files that take a second each, and one from all of them. */
function workspace(settings: string): string {
  const names = Array.from({ length: 8 }, (_, i) => `g${i}`);
  const rules = names.map(
    (name) => `genrule(name="${name}", outs=["${name}.txt"], cmd="sleep 1; echo ${name} > $@")`,
  );
  const all = `genrule(name="all", srcs=${JSON.stringify(names)}, outs=["all.txt"], cmd="cat $(SRCS) > $@")`;
  const folder = place.example("bazel");
  writeFileSync(join(folder, "BUILD"), [...rules, all, ""].join("\n"));
  const file = join(folder, ".bazelrc");
  writeFileSync(file, `${readFileSync(file, "utf8")}\n${settings}`);
  return folder;
}

async function survives(within: readonly string[], around: readonly string[], settings: string) {
  const first = await startNode(place, [], within);
  const port = first.address.split(":").at(-1);
  const second = await startNode(place, ["--coordinator", `127.0.0.2:${port}`], within);
  nodes = [first, second];
  const folder = workspace(settings);
  const hosts = ["--bind", join(place.folder, "hosts"), "/etc/hosts", "--chdir", folder];
  const [program = "", ...rest] = around;
  const bazel = (...args: readonly string[]) => {
    const home = `--output_user_root=${join(place.folder, "bazel")}`;
    return run(place, folder, program, [...rest, ...hosts, "/usr/bin/bazel", home, ...args]);
  };
  const remote = `--remote_executor=grpc://builders:${port}`;
  const building = bazel("build", "--config=remote", "--jobs=2", remote, "//:all");
  const ask = (node: SpawnedNode) =>
    run(place, folder, "builder", ["remote", "status", "--coordinator", node.address, "--json"]);
  const endedAt = async (node: SpawnedNode) => JSON.parse((await ask(node)).stdout).actions.ended;
  const used = await eventually(
    "a node has done some of it",
    async () => {
      for (const node of nodes) if ((await endedAt(node)) >= 2) return node;
      return undefined;
    },
    120_000,
  );
  used.process.kill("SIGKILL");
  const built = await building;
  expect(built.code, built.stderr).toBe(0);
  const all = readFileSync(join(folder, "bazel-bin/all.txt"), "utf8");
  expect(all.trim().split("\n")).toHaveLength(8);
  const other = used === first ? second : first;
  expect(await endedAt(other)).toBeGreaterThan(0);
  expect((await ask(used)).code, "it is really dead").not.toBe(0);
  await bazel("shutdown");
}

describe.skipIf(reasons.debian !== undefined)("Debian's Bazel", () => {
  test("goes on at the other address of a name", async () => {
    await survives([], [bubblewrap, "--dev-bind", "/", "/"], "");
  });
});

describe.skipIf(reasons.tree !== undefined)("Bazel 7", () => {
  test("goes on at the other address of a name", async () => {
    // Where the packages are linked to, too: a node needs them.
    const shown = [place.folder, realpathSync(join(root, "node_modules"))];
    await survives(nodeInTree(...shown), inTree(...shown), bazel7Settings);
  });
});
