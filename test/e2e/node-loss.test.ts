// Builds that were given two nodes and lose one: by kill -9, by a freeze, by its owner's Ctrl-C, or
// from the beginning. They go on at the other one and their outputs are right.

import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import {
  createPlace,
  type Place,
  root,
  run,
  type SpawnedNode,
  startNode,
} from "../support/programs.ts";

let place: Place;
let count = 0;
beforeAll(() => {
  place = createPlace();
});
afterAll(() => place.remove());

/** `a` and `b`, then `c` from both; all of them take a while. */
function workspace(): string {
  count += 1;
  const target = (name: string, deps: string) =>
    `target ${name}:\n    command: |\n        sleep 1\n        cat in ${deps} > ${name}.out\n` +
    `    inputs: [in]\n    outputs: [${name}.out]\n`;
  const c = `${target("c", "a.out b.out")}    deps: [a, b]\n`;
  return place.workspace({
    Builderfile: `${target("a", "")}${target("b", "")}${c}`,
    in: `${process.pid} ${count}\n`,
  });
}

function right(folder: string): void {
  const text = readFileSync(join(folder, "in"), "utf8");
  expect(readFileSync(join(folder, "c.out"), "utf8")).toBe(text + text + text);
}

/** A build that has said `until`. */
async function begun(folder: string, nodes: string, until: string) {
  const args = ["build", "c", "--json", `--remote=${nodes}`];
  const child: ChildProcess = spawn(join(root, "cli/bin/bldr"), args, {
    cwd: folder,
    env: place.env,
  });
  let said = "";
  const ended = new Promise<number | null>((resolve) => child.once("exit", resolve));
  await new Promise<void>((resolve, reject) => {
    const read = (chunk: Buffer) => {
      said += chunk.toString();
      if (said.includes(until)) resolve();
    };
    child.stdout?.on("data", read);
    child.stderr?.on("data", read);
    ended.then((code) => reject(new Error(`it ended early (${code}): ${said}`)), reject);
  });
  return { ended, said: () => said };
}

const isStarted = '"kind":"started"';
const aIsDone = '"kind":"action"';

describe("with two nodes", () => {
  let first: SpawnedNode;
  let second: SpawnedNode;
  beforeEach(async () => {
    [first, second] = await Promise.all([startNode(place), startNode(place)]);
  });
  afterEach(async () => {
    first.process.kill("SIGKILL");
    await second.stop();
  });

  async function goesOn(until: string, lose: () => void, told = 1): Promise<number> {
    const folder = workspace();
    const build = await begun(folder, `${first.address},${second.address}`, until);
    const lostAtMs = performance.now();
    lose();
    expect(await build.ended, build.said()).toBe(0);
    right(folder);
    const line = `[WARN] ${first.address} is gone; going on at ${second.address}`;
    expect(build.said().split(line), build.said()).toHaveLength(told + 1);
    return performance.now() - lostAtMs;
  }

  test.each([
    { when: "while the first actions run", until: isStarted },
    { when: "between actions", until: aIsDone },
  ])("kill -9 of the first $when is one line, and the build succeeds", async ({ until }) => {
    await goesOn(until, () => first.process.kill("SIGKILL"));
  });

  test("one that freezes is left after seconds", async () => {
    const tookMs = await goesOn(isStarted, () => first.process.kill("SIGSTOP"));
    // Silence counts after 7 s, then the work itself, on a machine that has other things to do.
    expect(tookMs).toBeLessThan(60_000);
  });

  test("one that stops at once hands its work over", async () => {
    await goesOn(isStarted, () => {
      first.process.kill("SIGINT");
      setTimeout(() => first.process.kill("SIGINT"), 100);
    });
  });
});

test("a node that drains finishes what waits there too; the rest is done at the other", async () => {
  const [first, second] = await Promise.all([
    startNode(place, ["--workers-min", "1", "--slots", "1", "--log-level", "debug"]),
    startNode(place),
  ]);
  const folder = workspace();
  const nodes = `${first.address},${second.address}`;
  const build = await begun(folder, nodes, `${isStarted},"id":"//:b`);
  const countOf = async () => {
    const args = ["remote", "status", "--coordinator", first.address, "--json"];
    const { pending, executing } = JSON.parse((await run(place, folder, "builder", args)).stdout);
    return pending + executing;
  };
  await eventually("both are accepted", async () => (await countOf()) === 2);
  expect(await first.stop()).toBe(0);
  expect(await build.ended, build.said()).toBe(0);
  right(folder);
  expect(first.said().match(/Action \S+ ended in \d+ ms, exit 0/g), first.said()).toHaveLength(2);
  await second.stop();
});

test("a first node that is not there is passed over", async () => {
  const node = await startNode(place);
  try {
    const folder = workspace();
    const built = await run(place, folder, "bldr", [
      "build",
      "c",
      `--remote=127.0.0.1:9,${node.address}`,
    ]);
    expect(built.code, built.stderr).toBe(0);
    expect(built.stdout).toContain(`[WARN] 127.0.0.1:9 is gone; going on at ${node.address}\n`);
    right(folder);
  } finally {
    await node.stop();
  }
});

test("where all are away, that is an error which comes soon", async () => {
  const failed = await run(place, workspace(), "bldr", [
    "build",
    "c",
    "--remote=127.0.0.1:9,127.0.0.1:11",
  ]);
  expect(failed.code).toBe(3);
  expect(failed.stderr).toMatch(/Cannot reach a builder node at 127\.0\.0\.1:(9|11)/);
  expect(failed.stdout.match(/is gone; going on/g)).toHaveLength(2);
});

test("nodes that share no store: what was made at the lost one is made again", async () => {
  const stores = ["one", "two"].map((name) => join(place.folder, name));
  const [first, second] = await Promise.all(
    stores.map((store) => startNode(place, ["--store", store])),
  );
  try {
    const folder = workspace();
    const build = await begun(folder, `${first!.address},${second!.address}`, aIsDone);
    first!.process.kill("SIGKILL");
    expect(await build.ended, build.said()).toBe(0);
    right(folder);
  } finally {
    await second!.stop();
  }
});
