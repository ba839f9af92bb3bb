// Blobs that a node loses while a build needs them: outputs of an earlier action, which the client
// never had. The node has them made again, and the client sees nothing of it.

import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { appendFileSync, existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { bazel7Settings, runInTree, whyNoTree } from "../support/client-tree.ts";
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
let node: SpawnedNode;
beforeAll(async () => {
  place = createPlace();
  node = await startNode(place, ["--workers-min", "1", "--slots", "4"]);
});
afterAll(async () => {
  await node.stop();
  place.remove();
});

/** What `seq 1 N` says: large enough for a file of its own in the store. */
const seq = (to: number) => `${Array.from({ length: to }, (_, at) => at + 1).join("\n")}\n`;
const made = seq(5000);

/** `first` makes what `last` wants, which waits for `slow` besides. */
function workspace(salt: string): string {
  const target = (name: string, command: string, deps: string) =>
    `target ${name}:\n    command: ${command}\n    inputs: [in]\n    outputs: [${name}.out]\n${deps}`;
  const file = [
    target("first", "cat in > /dev/null; seq 1 5000 > first.out", ""),
    target("slow", "sleep 3; cat in > slow.out", ""),
    target("last", "cat in first.out slow.out > last.out", "    deps: [first, slow]\n"),
  ];
  return place.workspace({ Builderfile: file.join("\n"), in: `${salt}\n` });
}

/** Begins a build, loses what `first` made once that is done, and waits for the end. */
async function buildAndLose(folder: string, flags: readonly string[], lose: () => void) {
  const args = ["build", "last", "--json", `--remote=${node.address}`, ...flags];
  const child: ChildProcess = spawn(join(root, "cli/bin/bldr"), args, {
    cwd: folder,
    env: place.env,
  });
  let said = "";
  const read = (chunk: Buffer) => {
    said += chunk.toString();
  };
  child.stdout?.on("data", read);
  child.stderr?.on("data", read);
  const ended = new Promise<number | null>((resolve) => child.once("exit", resolve));
  await eventually("first is made", () => /"kind":"action","id":"\/\/:first/.test(said), 60_000);
  lose();
  return { code: await ended, said };
}

/** Actions that this file's node ran again so far. */
let remade = 0;

/** Where the store keeps a blob with these bytes. */
function blobPath(text: string): string {
  const hash = createHash("sha256").update(text).digest("hex");
  const folder = join(place.folder, "node-store/blobs/sha256", hash.slice(0, 2));
  return join(folder, `${hash}-${text.length}`);
}

test.each(["top", "none"])(
  "what a later action needs is made again (--download=%s)",
  async (download) => {
    const folder = workspace(download);
    const { code, said } = await buildAndLose(folder, [`--download=${download}`], () =>
      rmSync(blobPath(made)),
    );
    expect(code, said).toBe(0);
    const runs = said.match(/"kind":"action","id":"[^\n]*"how":"ran"/g);
    expect(runs, said).toHaveLength(3);
    remade += 1;
    expect(node.said().match(/Action \S+ runs again/g), node.said()).toHaveLength(remade);
    expect(node.said().match(/What action \S+ made is there again/g)).toHaveLength(remade);
    if (download === "none") return;
    expect(readFileSync(join(folder, "last.out"), "utf8")).toBe(
      `${download}\n${made}${download}\n`,
    );
  },
);

const reason = whyNoTree();
if (reason !== undefined) process.stderr.write(`SKIPPED Bazel 7's lost blobs: ${reason}\n`);

test.skipIf(reason !== undefined)(
  "Bazel 7, which never had it, builds on without a retry of its own",
  async () => {
    const folder = place.example("bazel");
    appendFileSync(join(folder, ".bazelrc"), bazel7Settings);
    const rule = (name: string, rest: string) =>
      `genrule(name = "${name}", outs = ["${name}.out"], ${rest})\n`;
    const file = [
      rule("first", 'cmd = "seq 1 6000 > $@"'),
      rule("slow", 'cmd = "sleep 6; date > $@"'),
      rule("last", 'srcs = ["first.out", "slow.out"], cmd = "cat $(SRCS) > $@"'),
    ];
    writeFileSync(join(folder, "BUILD"), file.join(""));
    const port = node.address.split(":").at(-1);
    const home = `--output_user_root=${join(place.folder, "bazel")}`;
    const bazel = (...args: string[]) =>
      runInTree(place, folder, "/usr/bin/bazel", [home, ...args]);
    const executor = ["--config=remote", `--remote_executor=grpc://127.0.0.1:${port}`];
    const retries = "--experimental_remote_cache_eviction_retries=0";
    const lost = blobPath(seq(6000));
    try {
      const flags = [...executor, "--remote_download_minimal", retries];
      const building = bazel("build", "//:last", ...flags);
      await eventually("first is made", () => existsSync(lost), 240_000);
      rmSync(lost);
      const built = await building;
      expect(built.code, built.stderr).toBe(0);
      expect(built.stderr).not.toContain("Missing digest");
      expect(built.stderr).not.toContain("retrying");
      remade += 1;
      expect(node.said().match(/Action \S+ runs again/g), node.said()).toHaveLength(remade);
    } finally {
      await bazel("shutdown");
      await run(place, place.folder, "chmod", ["-R", "u+w", join(place.folder, "bazel")]);
    }
  },
);
