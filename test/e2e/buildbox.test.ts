// The clients of buildbox, which build makefiles (recc) and scripts (trexe) remotely.

import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { nodeInTree, runInTree, whyNoTree } from "../support/client-tree.ts";
import { createPlace, type Place, type SpawnedNode, startNode } from "../support/programs.ts";

const reason = whyNoTree();
if (reason !== undefined) process.stderr.write(`SKIPPED buildbox's tests: ${reason}\n`);

describe.skipIf(reason !== undefined)("buildbox", () => {
  let place: Place;
  let node: SpawnedNode;
  let folder: string;

  beforeAll(async () => {
    place = createPlace();
    node = await startNode(place, ["--workers-min", "2"], nodeInTree(place.folder));
    folder = place.example("remote-execution");
    writeFileSync(join(folder, "hello.c"), "int main(void) { return 0; }\n");
  });
  afterAll(async () => {
    await node.stop();
    place.remove();
  });

  const recc = (...command: readonly string[]) =>
    runInTree(place, folder, "/usr/bin/recc", command, {
      RECC_SERVER: `http://${node.address}`,
      RECC_PROJECT_ROOT: folder,
      RECC_REMOTE_PLATFORM_OSFamily: "linux",
      RECC_VERBOSE: "1",
    });
  const trexe = (...args: readonly string[]) => {
    const to = [`--remote=http://${node.address}`, "--platform-properties=OSFamily=linux"];
    return runInTree(place, folder, "/usr/bin/trexe", [...to, "--env=PATH=/usr/bin:/bin", ...args]);
  };
  /** Starts an action and returns the name of its operation. */
  const begin = async (...command: readonly string[]) => {
    const begun = await trexe("--no-wait", `--salt=${Math.random()}`, "--", ...command);
    return begun.stdout.trim();
  };

  test("recc compiles remotely, and from the cache the second time", async () => {
    const compile = ["c++", "-std=c++17", "-c", "src/math.cpp", "-o", "math.o"];
    const first = await recc(...compile);
    expect(first.stderr).toMatch(/Remote execution finished with exit code 0/);
    expect(first.code).toBe(0);
    const again = await recc(...compile);
    expect(again.stderr).toMatch(/Action Cache hit/);
    expect(statSync(join(folder, "math.o")).size).toBeGreaterThan(0);
  });

  test("recc shows the compiler's own words and exit code", async () => {
    writeFileSync(join(folder, "broken.cpp"), "int main() { return nothing; }\n");
    const done = await recc("c++", "-c", "broken.cpp", "-o", "broken.o");
    expect(done.stderr).toMatch(/nothing.? was not declared in this scope/);
    expect(done.code).toBe(1);
  });

  test("trexe gets outputs, and can show all of a result as JSON", async () => {
    const input = ["--input-path=hello.c", "--output-path=hello", "--d=out"];
    const shown = ["--action-result-json=result.json"];
    const done = await trexe(...input, ...shown, "--", "/usr/bin/gcc", "hello.c", "-o", "hello");
    expect(done.code).toBe(0);
    expect(statSync(join(folder, "out/hello")).mode & 0o111).not.toBe(0);
    const result = JSON.parse(readFileSync(join(folder, "result.json"), "utf8"));
    expect(result.outputFiles).toMatchObject([{ path: "hello", isExecutable: true }]);
    const [report] = result.executionMetadata.auxiliaryMetadata;
    expect(report.value.isolation).toMatch(/^namespaces/);
  });

  test("trexe hears of a time-out", async () => {
    const done = await trexe("--exec-timeout=1", "--", "/bin/sleep", "30");
    expect(done.stderr).toMatch(/4: execution timeout exceeded/);
    expect(done.code).toBe(1);
  });

  test("trexe comes back to an action that runs, and cancels another", async () => {
    const operation = await begin("/bin/sh", "-c", "sleep 1; echo done");
    expect((await trexe(`--operation=${operation}`, "--wait", "--d=later")).code).toBe(0);
    const endless = await begin("/bin/sleep", "300");
    expect((await trexe(`--operation=${endless}`, "--cancel")).code).toBe(0);
    const cancelled = await trexe(`--operation=${endless}`, "--wait", "--d=never");
    expect(cancelled.stderr).toMatch(/cancel/i);
    expect(cancelled.code).not.toBe(0);
  });
});
