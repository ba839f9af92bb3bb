// Bazel tells a node of its builds: --bes_backend.

import { appendFileSync, existsSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bazel7Settings, nodeInTree, runInTree, whyNoTree } from "../support/client-tree.ts";
import {
  createPlace,
  debianBazel,
  type Ended,
  type Place,
  run,
  type SpawnedNode,
  startNode,
} from "../support/programs.ts";

const invocation = "0f5e5a34-3df1-4c4e-9a51-5a4f0f3b7c11";

const kinds = [
  { name: "Debian's Bazel", isNew: false, why: existsSync(debianBazel) ? undefined : "no bazel" },
  { name: "Bazel 7", isNew: true, why: whyNoTree() },
];

for (const { name, isNew, why } of kinds) {
  if (why !== undefined) process.stderr.write(`SKIPPED events of ${name}: ${why}\n`);
  describe.skipIf(why !== undefined)(name, () => {
    let place: Place;
    let node: SpawnedNode;
    let workspace: string;

    function bazel(command: string, ...args: readonly string[]): Promise<Ended> {
      const all = [`--output_user_root=${join(place.folder, "bazel")}`, command, ...args];
      return isNew
        ? runInTree(place, workspace, "/usr/bin/bazel", all)
        : run(place, workspace, debianBazel, all);
    }

    beforeAll(async () => {
      place = createPlace();
      workspace = place.example("bazel");
      if (isNew) appendFileSync(join(workspace, ".bazelrc"), bazel7Settings);
      const within = isNew ? nodeInTree(place.folder) : [];
      node = await startNode(place, ["--workers-min", "1"], within);
    });
    afterAll(async () => {
      await bazel("shutdown");
      await node.stop();
      await run(place, place.folder, "chmod", ["-R", "u+w", place.folder]);
      place.remove();
    });

    const show = (...args: string[]) =>
      run(place, place.folder, "builder", [
        ...["remote", "invocations", ...args, "--coordinator", node.address],
      ]);

    test("a build with a test and a failure is shown with what failed and what was printed", async () => {
      const address = node.address.replace(/^.*:/, "127.0.0.1:");
      const done = await bazel(
        ...(["test", "//hello:greeting_test", "//hello:failing", "--keep_going"] as const),
        ...["--config=remote", `--remote_executor=grpc://${address}`],
        ...[`--bes_backend=grpc://${address}`, `--invocation_id=${invocation}`],
      );
      expect(done.stderr).not.toMatch(/Build Event.*(fail|error)/i);
      expect(done.code).toBe(1);
      const list = await show();
      expect(list.stdout).toMatch(/^0f5e5a34 +test +BUILD_FAILURE \(1\)/m);
      const report = await show("0f5e");
      expect(report.stdout).toContain("//hello:failing Genrule, exit code");
      expect(report.stdout).toContain("Failed targets:\n  //hello:failing");
      expect(report.stdout).toMatch(/actions +\d+ run/);
      const { stdout } = await show(invocation, "--json");
      expect(JSON.parse(stdout)).toMatchObject({
        summary: { id: invocation, targets: 2, targetsFailed: 1, tests: 1, testsFailed: 0 },
        tests: [{ label: "//hello:greeting_test", status: "PASSED" }],
        output: expect.stringContaining("this cannot work"),
        isCut: false,
      });
    });

    test("no command line and no environment comes along", async () => {
      const { stdout } = await show(invocation, "--json");
      expect(stdout).not.toMatch(/--keep_going|remote_executor/);
    });

    test("what is not there is said", async () => {
      const none = await show("nothing-like-this");
      expect(none.stderr).toContain("No invocation's id begins with");
      expect(none.code).toBe(2);
    });
  });
}
