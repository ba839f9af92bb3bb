// Exec roots that are used again: whatever an action does to its own, the next one finds its inputs
// exactly, and nothing else. Where the tests run as root its files are links, else they are copies.

import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Digest } from "../../src/wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import { createLaidRoots, type LaidRoots } from "../../src/worker/laid-roots.ts";
import { WorkerFixture } from "./worker-fixture.ts";

const worker = new WorkerFixture();

interface Changes {
  /** Text of `d3/f1`. */
  readonly text?: string;
  /** `d4` is a file instead of a folder. */
  readonly fileForFolder?: boolean;
  /** One more folder with a link and a program in it. */
  readonly more?: boolean;
}

/** Ten folders of ten files. */
async function tree(changes: Changes = {}): Promise<Digest> {
  const directories: { name: string; digest: Digest }[] = [];
  const files: { name: string; digest: Digest }[] = [];
  for (let folder = 0; folder < 10; folder += 1) {
    const inside: { name: string; digest: Digest }[] = [];
    for (let at = 0; at < 10; at += 1) {
      const isChanged = folder === 3 && at === 1 && changes.text !== undefined;
      const text = isChanged ? changes.text : `text ${folder} ${at} `.repeat(500 * (at % 2) + 1);
      inside.push({ name: `f${at}`, digest: await worker.put(Buffer.from(text ?? "")) });
    }
    const name = `d${folder}`;
    if (folder === 4 && changes.fileForFolder) {
      files.push({ name, digest: await worker.put(Buffer.from("a file")) });
    } else directories.push({ name, digest: await worker.putDirectory({ files: inside }) });
  }
  if (changes.more) {
    const tool = { name: "tool", digest: await worker.put(Buffer.from("#!/bin/sh\n")) };
    const inside = {
      files: [{ ...tool, isExecutable: true }],
      symlinks: [{ name: "link", target: "tool" }],
    };
    directories.push({ name: "more", digest: await worker.putDirectory(inside) });
  }
  return worker.putDirectory({ directories, files });
}

/** Every name with its kind, mode, owner and size, and all contents. */
const look =
  "find . -printf '%y %p %m %U %l\\n' | sort; find . -type f | sort | xargs cat | cksum; " +
  "find . -type f | sort | xargs -n 1 basename | cksum; getfacl -R . 2>/dev/null";

let salt = 0;
async function run(root: Digest, script: string, outputPaths: string[] = []): Promise<string> {
  salt += 1;
  const given = {
    script,
    command: { outputPaths },
    action: { inputRootDigest: root, salt: Buffer.from(`${salt}`) },
  };
  const { result } = await worker.run(given);
  return worker.text(result?.stdoutDigest);
}

async function freshLook(root: Digest): Promise<string> {
  const kept = worker.laidRoots;
  worker.laidRoots = undefined;
  const seen = await run(root, look);
  worker.laidRoots = kept;
  return seen;
}

describe("exec roots used again", () => {
  let laidRoots: LaidRoots;
  beforeEach(() => {
    laidRoots = createLaidRoots(worker.scratch, { now: Date.now });
    worker.laidRoots = laidRoots;
  });
  afterEach(() => laidRoots.close());

  test("the next action on the same tree gets the same folders", async () => {
    const root = await tree();
    const first = await run(root, "stat -c %i d1 d9; echo made > d5/out", ["d5/out"]);
    expect(await run(root, "stat -c %i d1 d9")).toBe(first);
    expect(await run(root, look)).toBe(await freshLook(root));
  });

  test.each([
    ["adds files", "echo x > d2/new; mkdir -p d2/a/b; touch top"],
    [
      "writes to inputs",
      "chmod u+w d2/f1 d3/f3; echo x >> d2/f1; printf y | dd of=d3/f3 conv=notrunc",
    ],
    ["changes how inputs look", "chmod 777 d2/f1; touch -d 2001-01-01 d3/f1; true"],
    [
      "writes and hides it",
      "touch -r d2/f1 /tmp/t; chmod u+w d2/f1; echo z > d2/f1; touch -r /tmp/t d2/f1; true",
    ],
    ["deletes", "rm d2/f1; rm -r d6"],
    ["replaces a file by an equal one of its own", "cp d2/f1 x; mv -f x d2/f1"],
    ["swaps two inputs", "mv d2/f1 x; mv d2/f3 d2/f1; mv x d2/f3"],
    ["swaps two folders", "mv d2 x; mv d3 d2; mv x d3"],
    ["moves a folder into another", "mv d2 d3/d2"],
    ["replaces a folder by a link", "mv d2 .d2; ln -s d3 d2"],
    ["replaces a folder by a copy", "cp -r d2 x; rm -r d2; mv x d2"],
    ["takes rights away", "chmod 0 d2 d7; chmod 700 ."],
    ["gives rights and attributes", "chmod 1777 d3; setfattr -n user.x -v y d3; true"],
    ["hides what it did", "touch -r d2 /tmp/t; echo x > d2/new; touch -r /tmp/t d2"],
    ["undoes what it did", "mv d2/f1 d2/x; echo bad > d2/f1; rm d2/f1; mv d2/x d2/f1"],
    ["makes links to inputs", "ln d2/f1 d3/link; ln -s f1 d2/soft; true"],
    ["makes names that are no text", "touch \"$(printf 'd2/\\377\\376')\"; mkfifo d2/p"],
    ["deletes everything", "rm -rf ./* .[!.]*"],
  ])("an action that %s leaves nothing of that", async (_, script) => {
    const root = await tree();
    const fresh = await freshLook(root);
    await run(root, script);
    expect(await run(root, look)).toBe(fresh);
    expect(await run(root, look)).toBe(fresh);
  });

  test("a similar tree is made of it, whatever differs", async () => {
    const roots = [
      await tree(),
      await tree({ text: "other" }),
      await tree({ fileForFolder: true, more: true }),
      await tree({ more: true, text: "third" }),
    ];
    const fresh: string[] = [];
    for (const root of roots) fresh.push(await freshLook(root));
    const inodes = new Set<string>();
    for (const at of [0, 1, 2, 3, 1, 0, 2, 0]) {
      const root = roots[at];
      if (root === undefined) throw new Error("no such tree");
      inodes.add(await run(root, "stat -c %i d1; echo out > d1x; echo out > d8/x", ["d8/x"]));
      expect(await run(root, look)).toBe(fresh[at]);
    }
    expect(inodes.size).toBe(1);
  });

  test("folders that only outputs were in are gone, and are there where they are wanted", async () => {
    const root = await tree();
    const fresh = await freshLook(root);
    await run(root, "echo 1 > out/deep/a", ["out/deep/a"]);
    expect(await run(root, look)).toBe(fresh);
    expect(await run(root, "ls -A out out/deep", ["out/deep/b", "out/c"])).toBe(
      "out:\ndeep\n\nout/deep:\n",
    );
  });

  test("an input that an action may write in place is its own copy, and not kept", async () => {
    const root = await tree();
    const fresh = await freshLook(root);
    await run(root, "true");
    expect(await run(root, "echo more >> d2/f1; tail -n 1 d2/f1", ["d2/f1"])).toContain("more");
    expect(await run(root, look)).toBe(fresh);
  });

  test("what waits has a bound, and goes in the end", async () => {
    const { readdirSync } = await import("node:fs");
    const kept = () => readdirSync(worker.scratch).filter((name) => name.includes(".laid-"));
    for (let at = 0; at < 3; at += 1) await run(await tree({ text: `${at}` }), "true");
    expect(kept()).toHaveLength(1);
    await laidRoots.close();
    expect(kept()).toHaveLength(0);
  });
});
