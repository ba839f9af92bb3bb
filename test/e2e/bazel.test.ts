import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  createPlace,
  debianBazel,
  type Ended,
  type Place,
  run,
  type SpawnedNode,
  startNode,
} from "../support/programs.ts";

// Stock Bazel, as Debian packages it (bazel-bootstrap), against our port.
const installed = existsSync(debianBazel);
if (!installed)
  process.stderr.write("SKIPPED Bazel's tests: no bazel here (apt install bazel-bootstrap)\n");

let place: Place;
let node: SpawnedNode;
let workspace: string;

function bazel(...args: string[]): Promise<Ended> {
  const [command = "", ...rest] = args;
  const to = rest.some((arg) => arg.startsWith("--config=cache"))
    ? [`--remote_cache=grpc://${node.address}`]
    : [`--remote_executor=grpc://${node.address}`];
  const where = ["build", "test"].includes(command) ? to : [];
  const home = `--output_user_root=${join(place.folder, "bazel")}`;
  return run(place, workspace, debianBazel, [home, command, ...rest, ...where]);
}

describe.skipIf(!installed)("stock Bazel", () => {
  beforeAll(async () => {
    place = createPlace();
    node = await startNode(place, ["--workers-min", "2"]);
    workspace = place.example("bazel");
  });
  afterAll(async () => {
    await bazel("shutdown");
    await node.stop();
    execFileSync("chmod", ["-R", "u+w", join(place.folder, "bazel")]);
    place.remove();
  });

  test("builds and tests with 50 jobs", async () => {
    const done = await bazel("test", "//...", "--config=remote", "--jobs=50");
    expect(done.stdout).toMatch(/greeting_test\s+PASSED/);
    expect(done.stderr).toMatch(/\d+ remote\./);
    expect(done.code).toBe(0);
  });

  test("gets everything from the cache after clean", async () => {
    await bazel("clean");
    const done = await bazel("build", "//...", "--config=remote");
    expect(done.stderr).toMatch(/8 remote cache hit/);
    expect(readFileSync(join(workspace, "bazel-bin/hello/shout.txt"), "utf8")).toContain("MANY");
  });

  test("shows a failing action's own words and exit code", async () => {
    const done = await bazel("build", "//hello:failing", "--config=remote");
    expect(done.stderr).toMatch(/\(Exit 3\)/);
    expect(done.stderr.match(/^this cannot work$/gm)).toHaveLength(1);
    expect(done.code).toBe(1);
  });

  test("sees a test that takes too long as a time-out", async () => {
    const done = await bazel("test", "//hello:slow_test", "--test_timeout=2", "--config=remote");
    expect(done.stdout).toMatch(/slow_test\s+TIMEOUT/);
    expect(done.code).toBe(3);
  });

  test("builds without the bytes", async () => {
    await bazel("clean");
    const done = await bazel("build", "//...", "--config=remote", "--remote_download_minimal");
    expect(done.stderr).toMatch(/remote cache hit/);
    expect(done.code).toBe(0);
  });

  test("uses it as a cache only", async () => {
    await bazel("clean");
    const filled = await bazel("build", "//...", "--config=cache", "--define=only=cache");
    expect(filled.code).toBe(0);
    await bazel("clean");
    const hit = await bazel("build", "//...", "--config=cache", "--define=only=cache");
    expect(hit.stderr).toMatch(/\d+ remote cache hit/);
    expect(hit.stderr).not.toMatch(/processes: .*(linux-sandbox|local)/);
  });
});
