// Stock Bazel lets a node download what its workspace names.

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { appendFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type OriginServer, startOrigin } from "../support/origin-server.ts";
import {
  createPlace,
  debianBazel,
  type Place,
  run,
  type SpawnedNode,
  startNode,
} from "../support/programs.ts";

const installed = existsSync(debianBazel);
if (!installed) {
  process.stderr.write(`SKIPPED: no ${debianBazel} here (apt install bazel-bootstrap)\n`);
}

let place: Place;
let origin: OriginServer;
let node: SpawnedNode;
let workspace: string;

function bazel(...args: string[]) {
  const home = `--output_user_root=${join(place.folder, "bazel")}`;
  return run(place, workspace, debianBazel, [home, ...args]);
}

/** Builds through the node's downloader alone; Bazel's own cache of downloads is left out. */
function build(target: string) {
  const to = `grpc://${node.address}`;
  return bazel(
    "build",
    target,
    `--remote_cache=${to}`,
    `--experimental_remote_downloader=${to}`,
    "--repository_cache=",
  );
}

/** A name in the workspace for the server's `path`, with the checksum of `content`. */
function declareFile(name: string, path: string, content: Buffer): void {
  const sha256 = createHash("sha256").update(content).digest("hex");
  const urls = `["${origin.url}/none", "${origin.url}${path}"]`;
  const rule = `http_file(name = "${name}", urls = ${urls}, sha256 = "${sha256}")\n`;
  appendFileSync(join(workspace, "WORKSPACE"), rule);
}

describe.skipIf(!installed)("stock Bazel", () => {
  const text = Buffer.from("fetched by the node\n");

  beforeAll(async () => {
    place = createPlace();
    origin = await startOrigin();
    node = await startNode(place, ["--workers-min", "0", "--fetch-allow", `${origin.url}/`]);
    workspace = place.example("bazel");
    const loads = ["http_archive", "http_file"].map((name) => `"${name}"`).join(", ");
    appendFileSync(
      join(workspace, "WORKSPACE"),
      `\nload("@bazel_tools//tools/build_defs/repo:http.bzl", ${loads})\n`,
    );
    declareFile("right", "/file.txt", text);
    declareFile("wrong", "/file.txt", Buffer.from("something else"));
    appendFileSync(
      join(workspace, "WORKSPACE"),
      `http_file(name = "unchecked", urls = ["https://not-allowed.invalid/x"])\n`,
    );
    const source = join(place.folder, "source");
    mkdirSync(join(source, "lib"), { recursive: true });
    writeFileSync(join(source, "lib/inside.txt"), "inside an archive\n");
    const archive = join(place.folder, "lib.tar.gz");
    execFileSync("tar", ["-C", source, "-czf", archive, "lib"]);
    const packed = readFileSync(archive);
    const sha256 = createHash("sha256").update(packed).digest("hex");
    appendFileSync(
      join(workspace, "WORKSPACE"),
      `http_archive(name = "lib", urls = ["${origin.url}/lib.tar.gz"], sha256 = "${sha256}",
         strip_prefix = "lib", build_file_content = 'exports_files(["inside.txt"])')\n`,
    );
    origin.answer("/file.txt", text);
    origin.answer("/lib.tar.gz", packed);
    mkdirSync(join(workspace, "fetched"));
    const rules = [
      ["right", "@right//file"],
      ["wrong", "@wrong//file"],
      ["unchecked", "@unchecked//file"],
      ["archive", "@lib//:inside.txt"],
    ].map(
      ([name, from]) =>
        `genrule(name = "${name}", srcs = ["${from}"], outs = ["${name}.txt"], cmd = "cp $< $@")\n`,
    );
    writeFileSync(join(workspace, "fetched/BUILD"), rules.join(""));
  });
  beforeEach(() => {
    origin.requests.splice(0);
  });
  afterAll(async () => {
    await bazel("shutdown");
    await node.stop();
    origin.close();
    execFileSync("chmod", ["-R", "u+w", join(place.folder, "bazel")]);
    place.remove();
  });

  test("gets a file and an archive through the node, which asks the origin itself", async () => {
    const done = await build("//fetched:right");
    expect(done.stderr).toMatch(/completed successfully/);
    expect(readFileSync(join(workspace, "bazel-bin/fetched/right.txt"))).toEqual(text);
    const unpacked = await build("//fetched:archive");
    expect(unpacked.code).toBe(0);
    const inside = readFileSync(join(workspace, "bazel-bin/fetched/archive.txt"), "utf8");
    expect(inside).toBe("inside an archive\n");
    expect(origin.requests.map(({ url }) => url)).toEqual(["/none", "/file.txt", "/lib.tar.gz"]);
    const agents = origin.requests.map(({ headers }) => headers["user-agent"]);
    expect([...new Set(agents)]).toEqual(["builder"]);
  });

  test("gets them again in a new place without the origin", async () => {
    await bazel("clean", "--expunge");
    const done = await build("//fetched:right");
    expect(done.code).toBe(0);
    expect(origin.requests).toEqual([]);
  });

  // This version does not look at the answer's status: what it must not do is go on.
  test.each(["wrong", "unchecked"])("fails where nothing right can be had (%s)", async (name) => {
    const done = await build(`//fetched:${name}`);
    expect(done.code).toBe(1);
    expect(done.stderr).toMatch(new RegExp(`no such package '@${name}//file'`));
  });
});
