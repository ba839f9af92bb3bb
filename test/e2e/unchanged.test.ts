// A request that was answered before, asked again though nothing changed.

import { spawn } from "node:child_process";
import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createPlace, type Place, root, run } from "../support/programs.ts";

let place: Place;
beforeAll(() => {
  place = createPlace();
});
afterAll(() => place.remove());

const workspace = () =>
  place.workspace({ Builderfile: "target t:\n    type: test\n    command: test 1 = 1\n" });

test("is answered with the same lines, and as JSON with the same events", async () => {
  const folder = workspace();
  for (const args of [["test"], ["test", "--json"]]) {
    await run(place, folder, "bldr", args);
    const second = await run(place, folder, "bldr", args);
    const third = await run(place, folder, "bldr", args);
    const timeless = (text: string) => text.replaceAll(/"ms":\d+|\d+ms|stored [^)]*/g, "");
    expect(third).toMatchObject({ code: 0, stderr: "" });
    expect(timeless(third.stdout)).toBe(timeless(second.stdout).replace(/.*"planned".*\n/, ""));
  }
});

test("writes its report of tests again", async () => {
  const folder = workspace();
  for (let round = 0; round < 3; round += 1) {
    const ended = await run(place, folder, "bldr", ["test", "--junit", "report.xml"]);
    expect(ended.code).toBe(0);
    expect(existsSync(join(folder, "report.xml")), `round ${round}`).toBe(true);
    rmSync(join(folder, "report.xml"));
  }
});

test("waits for changes again with --watch, and does not build over and over", async () => {
  const folder = workspace();
  for (let round = 0; round < 2; round += 1) {
    const child = spawn(join(root, "cli/bin/bldr"), ["test", "--watch"], {
      cwd: folder,
      env: place.env,
    });
    const ended = new Promise((resolve) => child.once("close", resolve));
    let said = "";
    child.stdout.on("data", (text: Buffer) => {
      said += text.toString();
      if (said.includes("Waiting for changes")) child.kill("SIGINT");
    });
    expect(await ended).toBe(0);
    expect(said.match(/Build completed/g)).toHaveLength(1);
  }
});
