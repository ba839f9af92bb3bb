// Builds that are stopped, or whose node is, at the worst moment: an end with a reason, never a
// hang, and the next build is right.

import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createPlace, type Place, root, run, startNode } from "../support/programs.ts";

let place: Place;
let count = 0;
beforeAll(() => {
  place = createPlace();
});
afterAll(() => place.remove());

const builderfile =
  "target quick:\n    command: |\n        cat in > quick.out\n    inputs: [in]\n    outputs: [quick.out]\n" +
  "target slow:\n    command: |\n        sleep 3\n        cat quick.out in > slow.out\n" +
  "    inputs: [in]\n    outputs: [slow.out]\n    deps: [quick]\n";

/** A workspace of its own for each test: what others built is not known. */
function workspace(): string {
  count += 1;
  const folder = join(place.folder, `ws${count}`);
  mkdirSync(folder);
  writeFileSync(join(folder, "Builderfile"), builderfile);
  writeFileSync(join(folder, "in"), `${count}\n`);
  return folder;
}

/** A build that is under way: `quick` is done and `slow` has begun. */
async function begun(folder: string, args: readonly string[]) {
  const child: ChildProcess = spawn(join(root, "cli/bin/bldr"), ["build", "--json", ...args], {
    cwd: folder,
    env: place.env,
  });
  let said = "";
  const ended = new Promise<number | null>((resolve) => child.once("exit", resolve));
  await new Promise<void>((resolve, reject) => {
    const read = (chunk: Buffer) => {
      said += chunk.toString();
      if (said.includes('"started","id":"//:slow Custom"')) resolve();
    };
    child.stdout?.on("data", read);
    child.stderr?.on("data", read);
    ended.then((code) => reject(new Error(`it ended early (${code}): ${said}`)), reject);
  });
  return { child, ended, said: () => said };
}

function right(folder: string): void {
  const text = readFileSync(join(folder, "in"), "utf8");
  expect(readFileSync(join(folder, "slow.out"), "utf8")).toBe(text + text);
}

describe("a node that is killed in mid-build", () => {
  test("and stays away ends the build with a reason and nothing half made", async () => {
    const node = await startNode(place);
    const folder = workspace();
    const build = await begun(folder, [`--remote=${node.address}`]);
    node.process.kill("SIGKILL");
    const code = await build.ended;
    expect([1, 2, 3]).toContain(code);
    expect(build.said()).toMatch(/127\.0\.0\.1|node/);
    expect(existsSync(join(folder, "slow.out"))).toBe(false);
    expect((await run(place, folder, "bldr", ["build"])).code).toBe(0);
    right(folder);
  });

  test("and comes back at the same port goes on with the build", async () => {
    const node = await startNode(place);
    const folder = workspace();
    const build = await begun(folder, [`--remote=${node.address}`]);
    node.process.kill("SIGKILL");
    const again = await startNode(place, ["--coordinator", node.address]);
    try {
      expect(await build.ended, build.said()).toBe(0);
      right(folder);
    } finally {
      await again.stop();
    }
  });
});

describe("a build that is stopped", () => {
  test.each(["SIGINT", "SIGTERM", "SIGKILL"] as const)(
    "by %s leaves a tree from which the next one is right",
    async (signal) => {
      const folder = workspace();
      const build = await begun(folder, []);
      build.child.kill(signal);
      expect(await build.ended).not.toBe(0);
      expect(existsSync(join(folder, "slow.out"))).toBe(false);
      writeFileSync(join(folder, "in"), `${signal}\n`);
      const next = await run(place, folder, "bldr", ["build"]);
      expect(next.code, next.stderr).toBe(0);
      right(folder);
    },
  );
});

describe("two programs that build one tree at once", () => {
  test.each([
    { what: "the same target", targets: ["slow", "slow"] },
    { what: "different targets", targets: ["quick", "slow"] },
  ])("$what: both succeed and nothing is wrong after", async ({ targets }) => {
    const folder = workspace();
    for (let round = 0; round < 2; round += 1) {
      writeFileSync(join(folder, "in"), `${targets.join(" ")} ${round}\n`);
      const both = targets.map((name) => run(place, folder, "bldr", ["build", name]));
      for (const ended of await Promise.all(both)) expect(ended.code, ended.stderr).toBe(0);
      right(folder);
      const after = await run(place, folder, "bldr", ["build", "--json"]);
      expect(after.code).toBe(0);
      expect(after.stdout).not.toContain('"how":"ran"');
    }
  });
});
