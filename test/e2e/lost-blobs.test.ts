// Blobs that a node loses while a build needs them: outputs of an earlier action, which the client
// never had. Whoever made them runs again, and nobody sees more of it than a count.

import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { createPlace, type Place, root, type SpawnedNode, startNode } from "../support/programs.ts";

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

/** What `first` makes: large enough for a file of its own in the store. */
const made = `${Array.from({ length: 5000 }, (_, at) => at + 1).join("\n")}\n`;

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

function loseFile(): void {
  const hash = createHash("sha256").update(made).digest("hex");
  const folder = join(place.folder, "node-store/blobs/sha256", hash.slice(0, 2));
  rmSync(join(folder, `${hash}-${made.length}`));
}

test.each(["top", "none"])(
  "what a later action needs is made again (--download=%s)",
  async (download) => {
    const folder = workspace(download);
    const { code, said } = await buildAndLose(folder, [`--download=${download}`], loseFile);
    expect(code, said).toBe(0);
    // It ran twice in truth: its result was not taken from the cache, which still had it.
    expect(
      said.match(/"kind":"action","id":"\/\/:first Custom"[^\n]*"how":"ran"/g),
      said,
    ).toHaveLength(2);
    if (download === "none") return;
    expect(readFileSync(join(folder, "last.out"), "utf8")).toBe(
      `${download}\n${made}${download}\n`,
    );
  },
);
