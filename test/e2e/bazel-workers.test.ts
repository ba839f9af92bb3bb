// A compiler that stays, as Bazel asks a node for it.

import { appendFileSync, copyFileSync, existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bazel7Settings, runInTree, whyNoTree } from "../support/client-tree.ts";
import { createPlace, type Place, run, type SpawnedNode, startNode } from "../support/programs.ts";

const hasPython = existsSync("/usr/bin/python3");
const reason = hasPython ? whyNoTree() : "there is no /usr/bin/python3";
if (reason !== undefined) process.stderr.write(`SKIPPED Bazel's workers: ${reason}\n`);

const rule = `
def _impl(ctx):
    out = ctx.actions.declare_file(ctx.label.name + ".txt")
    args = ctx.actions.args()
    args.add_all(["do", ctx.file.src, out])
    args.use_param_file("@%s", use_always = True)
    args.set_param_file_format("multiline")
    ctx.actions.run(
        executable = "/usr/bin/python3",
        arguments = [ctx.file._compiler.path, args],
        inputs = [ctx.file.src],
        tools = [ctx.file._compiler],
        outputs = [out],
        mnemonic = "Slow",
        execution_requirements = {"supports-workers": "1"},
    )
    return [DefaultInfo(files = depset([out]))]

slow = rule(
    implementation = _impl,
    attrs = {
        "src": attr.label(allow_single_file = True),
        "_compiler": attr.label(default = "//:compiler.py", allow_single_file = True),
    },
)
`;
const names = ["a", "b", "c", "d"];

let place: Place;
let node: SpawnedNode;
let workspace: string;

function bazel(...args: readonly string[]) {
  const home = `--output_user_root=${join(place.folder, "bazel")}`;
  return runInTree(place, workspace, "/usr/bin/bazel", [home, ...args]);
}

describe.skipIf(reason !== undefined)("Bazel", () => {
  beforeAll(async () => {
    place = createPlace();
    workspace = place.example("bazel");
    appendFileSync(join(workspace, ".bazelrc"), bazel7Settings);
    const folder = join(workspace, "slow");
    mkdirSync(folder);
    const compiler = new URL("../integration/slow-compiler.py", import.meta.url);
    copyFileSync(compiler, join(folder, "compiler.py"));
    writeFileSync(join(folder, "slow.bzl"), rule.replaceAll("//:compiler", "//slow:compiler"));
    const targets = names.map((name) => `slow(name = "${name}", src = "${name}.in")\n`);
    const head = 'load(":slow.bzl", "slow")\nexports_files(["compiler.py"])\n';
    writeFileSync(join(folder, "BUILD"), head + targets.join(""));
    for (const name of names) writeFileSync(join(folder, `${name}.in`), `text ${name}`);
    const flags = ["--workers-min", "1", "--slots", "1", "--persistent-workers", "1"];
    node = await startNode(place, flags);
  });
  afterAll(async () => {
    await bazel("shutdown");
    await node.stop();
    await run(place, place.folder, "chmod", ["-R", "u+w", join(place.folder, "bazel")]);
    place.remove();
  });

  test("has one process do all that it can do", async () => {
    const port = node.address.split(":").at(-1);
    const done = await bazel(
      ...["build", "//slow/...", "--config=remote", "--spawn_strategy=remote"],
      ...["--experimental_remote_mark_tool_inputs", "--remote_download_outputs=all"],
      `--remote_executor=grpc://127.0.0.1:${port}`,
    );
    expect(done.code, done.stderr).toBe(0);
    // The compiler counts what it is asked, and says so for each action.
    const counts = [...done.stderr.matchAll(/^request (\d+) in/gm)].map(([, count]) => count);
    expect(counts.sort(), done.stderr).toEqual(["1", "2", "3", "4"]);
    for (const name of names) {
      const path = join(workspace, "bazel-bin/slow", `${name}.txt`);
      expect((await run(place, workspace, "cat", [path])).stdout).toBe(
        `TEXT ${name.toUpperCase()}`,
      );
    }
  });
});
