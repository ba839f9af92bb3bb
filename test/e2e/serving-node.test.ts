import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import {
  allProcesses,
  createPlace,
  type Place,
  run,
  type SpawnedNode,
  startNode,
} from "../support/programs.ts";

let place: Place;
let node: SpawnedNode;

beforeAll(async () => {
  place = createPlace();
  node = await startNode(place, ["--workers-min", "2", "--workers-max", "20"]);
});
afterAll(async () => {
  await node.stop();
  place.remove();
});

const remote = () => `--remote=${node.address}`;

describe("the example of the handbook", () => {
  test("builds remotely, says where, and is a cache hit the second time", async () => {
    const example = place.example("remote-execution");
    const cold = await run(place, example, "bldr", ["build", "cpp_project", remote()]);
    expect(cold.stderr).toBe("");
    expect(cold.stdout).toMatch(
      new RegExp(
        [
          `^\\[INFO\\] Using remote execution \\(coordinator: ${node.address}\\)`,
          "\\[INFO\\] Uploading inputs\\.\\.\\. \\(\\d+ K?B\\)",
          "(\\[INFO\\] Executing on worker-[12] \\(hermetic: namespaces\\+(cgroup|rlimits)\\)\n?)+",
          "\\[INFO\\] Build completed in [\\d.]+m?s",
          "\\[INFO\\] Cache miss → stored for reuse\n$",
        ].join("\n?"),
      ),
    );
    const again = await run(place, example, "bldr", ["build", "cpp_project", remote()]);
    expect(again.stdout).toMatch(/\[INFO\] Cache hit: cpp_project \(stored .*\)\n/);
    expect(again.stdout).not.toMatch(/Executing/);
    expect((await run(place, example, join(example, "build/app"), [])).stdout).toContain("120");
  });

  test("another checkout of the same files is served from the cache", async () => {
    const example = place.example("remote-execution");
    const built = await run(place, example, "bldr", ["build", "cpp_project", remote()]);
    expect(built.stdout).toContain("Cache hit: cpp_project");
    expect(built.stdout).not.toContain("Executing");
  });

  test("tests pass, and status shows what happened", async () => {
    const example = place.example("remote-execution");
    const tested = await run(place, example, "bldr", ["test", remote()]);
    expect(tested.stdout).toMatch(/PASSED \/\/:test/);
    const args = ["remote", "status", "--coordinator", node.address];
    const status = await run(place, example, "builder", args);
    expect(status.stdout).toMatch(/Workers:\n {2}Total: 2\n/);
    const json = JSON.parse((await run(place, example, "builder", [...args, "--json"])).stdout);
    expect(json.workersMax).toBe(20);
    expect(json.actions.ended).toBeGreaterThanOrEqual(5);
    expect(json.actions.cacheHits).toBeGreaterThan(0);
  });

  test("--remote=local needs no node and leaves none behind", async () => {
    const example = place.example("remote-execution");
    const built = await run(place, example, "bldr", ["build", "cpp_project", "--remote=local"]);
    expect(built.stdout).toMatch(/Executing on worker-1/);
    expect(built.code).toBe(0);
  });
});

/** Cgroups that sandboxes made and whose maker is gone. */
function cgroupsOf(gone: readonly number[]): string[] {
  const base = "/sys/fs/cgroup";
  const folders = existsSync(base) ? readdirSync(base) : [];
  return folders
    .flatMap((name) => {
      const folder = join(base, name);
      return statSync(folder).isDirectory() ? readdirSync(folder) : [];
    })
    .filter((name) => /^builder-\d+/.test(name))
    .filter((name) => {
      const pid = Number(name.split("-")[1]);
      return gone.includes(pid) || !allProcesses().some((found) => found.pid === pid);
    });
}

/** A workspace whose actions take a while each. */
function slowWorkspace(name: string, actions: number, seconds: number): string {
  const folder = join(place.folder, name);
  mkdirSync(folder);
  const targets = Array.from({ length: actions }, (_, i) => {
    const command = `sleep ${seconds}; echo ${name} ${i} > out${i}`;
    return `target t${i}:\n    command: |\n        ${command}\n    outputs: [out${i}]\n`;
  });
  writeFileSync(join(folder, "Builderfile"), targets.join("\n"));
  return folder;
}

describe("when something dies", () => {
  test("killing a worker in mid-build does not fail the build, and it is replaced", async () => {
    const folder = slowWorkspace("killed-worker", 6, 1);
    const before = node.workers();
    const building = run(place, folder, "bldr", ["build", remote()]);
    const running = () => allProcesses().some(({ command }) => command.includes("killed-worker"));
    await eventually("actions run", running);
    process.kill(before[0]!, "SIGKILL");
    const built = await building;
    expect(built.stderr).toBe("");
    expect(built.code).toBe(0);
    expect(readdirSync(folder).filter((name) => name.startsWith("out"))).toHaveLength(6);
    await eventually("two workers again", () => {
      const now = node.workers();
      return now.length === 2 && !now.includes(before[0]!);
    });
  });

  test("a node that was held up for longer than links are silent keeps its workers", async () => {
    const workers = node.workers();
    node.process.kill("SIGSTOP");
    await new Promise((wake) => setTimeout(wake, 13_000));
    node.process.kill("SIGCONT");
    const folder = slowWorkspace("held-up", 2, 1);
    const built = await run(place, folder, "bldr", ["build", `--remote=${node.address}`]);
    expect(built.stderr).toBe("");
    expect(built.code).toBe(0);
    expect(node.workers()).toEqual(workers);
  });

  test("kill -9 of the node leaves no worker, no action, no cgroup and no scratch", async () => {
    const other = createPlace();
    const doomed = await startNode(other, ["--workers-min", "1", "--slots", "2"]);
    const folder = slowWorkspace("orphans", 2, 60);
    const building = run(place, folder, "bldr", ["build", `--remote=${doomed.address}`]);
    const mine = () => allProcesses().filter(({ command }) => command.includes("orphans"));
    await eventually("actions run", () => mine().length >= 2);
    const workers = doomed.workers();
    doomed.process.kill("SIGKILL");
    const lives = (pid: number) => allProcesses().some((found) => found.pid === pid);
    await eventually("the workers are gone", () => !workers.some(lives));
    await eventually("the actions are gone", () =>
      mine().every(({ command }) => command.includes("bldr")),
    );
    const scratch = join(other.folder, "node-store/scratch");
    await eventually("no scratch is left", () => readdirSync(scratch).length === 0);
    const temporary = () => readdirSync(join(other.folder, "tmp"));
    const isSocket = (name: string) => name.startsWith("builder-sandbox-");
    await eventually("no socket is left", () => !temporary().some(isSocket));
    await eventually("no cgroup is left", () => cgroupsOf(workers).length === 0);
    const failed = await building;
    expect(failed.code).not.toBe(0);
    expect(failed.stderr).toMatch(/Cannot reach a builder node/);
    other.remove();
  });
});

describe("what a user gets wrong", () => {
  test("a port in use is named", async () => {
    const taken = createServer().listen(0, "127.0.0.1");
    await new Promise((listening) => taken.once("listening", listening));
    const address = taken.address();
    const port = typeof address === "object" ? address?.port : 0;
    const args = ["serve", "--remote", "--coordinator", `127.0.0.1:${port}`];
    const failed = await run(place, place.folder, "builder", args);
    taken.close();
    expect(failed.stderr).toContain(`Port ${port} is in use`);
    expect(failed.code).toBe(3);
  });

  test("bad values say what is wanted", async () => {
    const serve = (...args: string[]) =>
      run(place, place.folder, "builder", ["serve", "--remote", ...args]);
    expect((await serve("--workers-min", "x")).stderr).toMatch(/whole number from 0 to 1000/);
    expect((await serve("--coordinator", "nowhere")).stderr).toMatch(/HOST:PORT/);
    expect((await serve("--store-max", "big")).stderr).toMatch(/512MiB/);
    const crossed = await serve("--workers-min", "3", "--workers-max", "2");
    expect(crossed.stderr).toMatch(/--workers-max 2 is below --workers-min 3/);
    expect((await serve("--work")).code).toBe(2);
  });

  test("--print-config prints the resolved values and starts nothing", async () => {
    const args = ["serve", "--remote", "--reapi", "9001", "--store-max", "1GiB", "--print-config"];
    const config = JSON.parse((await run(place, place.folder, "builder", args)).stdout);
    expect(config).toMatchObject({
      coordinator: { host: "127.0.0.1", port: 9000 },
      reapi: { host: "127.0.0.1", port: 9001 },
      storeBytesMax: 2 ** 30,
    });
  });

  test("a node that is not there is named, with the command that starts one", async () => {
    const example = place.example("remote-execution");
    const failed = await run(place, example, "bldr", ["build", "--remote=127.0.0.1:1"]);
    expect(failed.stderr).toMatch(/Cannot reach a builder node at 127.0.0.1:1.*builder serve/);
    expect(failed.code).toBe(3);
  });
});

test("Ctrl-C drains: what runs finishes, then everything is gone", async () => {
  const other = createPlace();
  const draining = await startNode(other, ["--workers-min", "1"]);
  const folder = slowWorkspace("drained", 1, 2);
  const building = run(place, folder, "bldr", ["build", `--remote=${draining.address}`]);
  const runs = () => allProcesses().some(({ command }) => command.includes("echo drained"));
  await eventually("the action runs", runs);
  const workers = draining.workers();
  expect(await draining.stop()).toBe(0);
  expect((await building).code).toBe(0);
  expect(existsSync(join(folder, "out0"))).toBe(true);
  expect(allProcesses().some(({ pid }) => workers.includes(pid))).toBe(false);
  other.remove();
});

test("a failing action is shown once and ran once, with --keep-going the rest is built", async () => {
  const example = place.example("remote-execution");
  appendFileSync(join(example, "lib/garnet.cpp"), "this is no C++;\n");
  const failed = await run(place, example, "bldr", ["build", "-k", remote()]);
  expect(failed.code).toBe(1);
  expect(failed.stderr.match(/lib\/garnet\.cpp:\d+:\d+: error/g)).toHaveLength(1);
  expect(failed.stderr).toMatch(
    /\/\/:parallel_build CppCompile lib\/garnet\.cpp failed: exit code 1/,
  );
  expect(existsSync(join(example, "build/app"))).toBe(true);
});
