// Where the client runs actions, and which outputs come to the workspace.

import { existsSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createPlace, type Place, run, type SpawnedNode, startNode } from "../support/programs.ts";

let place: Place;
let node: SpawnedNode;
beforeAll(async () => {
  place = createPlace();
  node = await startNode(place, ["--workers-min", "1"]);
});
afterAll(async () => {
  await node.stop();
  place.remove();
});

const app = {
  Builderfile:
    "target app:\n    type: executable\n    sources: [main.c]\n    deps: [low]\n" +
    "target low:\n    type: library\n    sources: [low.c]\n",
  "main.c": "int low(void);\nint main(void) { return low(); }\n",
  "low.c": "int low(void) { return 7; }\n",
};

const workspace = (files: Readonly<Record<string, string>>) => place.workspace(files);

const nobody = "127.0.0.1:9";

describe("a node that is away", () => {
  test("is an error with --remote, and nothing is built here instead", async () => {
    const folder = workspace(app);
    const failed = await run(place, folder, "bldr", ["build", `--remote=${nobody}`]);
    expect(failed.code).toBe(3);
    expect(failed.stderr).toMatch(/Cannot reach a builder node at 127\.0\.0\.1:9/);
    expect(existsSync(join(folder, "bin/app"))).toBe(false);
  });

  test("is one clear line with --remote=auto, and this machine builds", async () => {
    const folder = workspace({
      ...app,
      Builderspace: `workspace here:\n    remote: ${nobody}\n`,
    });
    const built = await run(place, folder, "bldr", ["build", "--remote=auto"]);
    expect(built).toMatchObject({ code: 0, stderr: "" });
    expect(built.stdout.match(/Building on this machine: .* is away/g)).toHaveLength(1);
    expect(built.stdout).toMatch(/Executing on local/);
    expect((await run(place, folder, join(folder, "bin/app"), [])).code).toBe(7);
  });
});

test("--remote without an address is the node of the Builderspace", async () => {
  const remote = `workspace here:\n    remote: ${node.address}\n`;
  const folder = workspace({ ...app, Builderspace: remote });
  const built = await run(place, folder, "bldr", ["build", "--remote"]);
  expect(built.stdout).toMatch(`Using remote execution (coordinator: ${node.address})`);
  expect(built.stdout).toMatch(/Executing on worker-1/);
});

test("a busy node is raced by idle slots here, and both results fit together", async () => {
  const slow = ["a", "b", "c", "d"].map(
    (name) =>
      `target ${name}:\n    command: sleep 2; echo ${name} > ${name}.out\n    outputs: [${name}.out]\n`,
  );
  const all =
    "target all:\n    command: cat a.out b.out c.out d.out > all.out\n" +
    "    deps: [a, b, c, d]\n    outputs: [all.out]\n";
  const folder = workspace({ Builderfile: [...slow, all].join("") });
  const args = ["build", "all", "--remote=auto", "--json"];
  const space = `workspace here:\n    remote: ${node.address}\n`;
  writeFileSync(join(folder, "Builderspace"), space);
  const built = await run(place, folder, "bldr", args);
  expect(built.code).toBe(0);
  const workers = [...built.stdout.matchAll(/"worker":"([^"]+)"/g)].map(([, worker]) => worker);
  expect(new Set(workers)).toEqual(new Set(["local", "worker-1"]));
  const shown = await run(place, folder, "cat", [join(folder, "all.out")]);
  expect(shown.stdout).toBe("a\nb\nc\nd\n");
});

test("a node with this machine's store is given inputs there, not through a socket", async () => {
  const folder = workspace(app);
  const store = join(place.folder, "node-store");
  const shared = ["build", "--json", `--remote=${node.address}`, "--store", store];
  const built = await run(place, folder, "bldr", shared);
  expect(built).toMatchObject({ code: 0, stderr: "" });
  expect((await run(place, folder, join(folder, "bin/app"), [])).code).toBe(7);
});

test("--download brings outputs of everything, of what was asked for, or none", async () => {
  const made = async (what: string) => {
    const folder = workspace(app);
    const built = await run(place, folder, "bldr", ["build", "app", `--download=${what}`]);
    expect(built.code).toBe(0);
    // What an unchanged build puts back is the same.
    rmSync(join(folder, "bin"), { recursive: true, force: true });
    await run(place, folder, "bldr", ["build", "app", `--download=${what}`]);
    return existsSync(join(folder, "bin")) ? readdirSync(join(folder, "bin")).sort() : [];
  };
  expect(await made("all")).toEqual(["app", "liblow.a"]);
  expect(await made("top")).toEqual(["app"]);
  expect(await made("none")).toEqual([]);
});
