import { existsSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { BareSandbox } from "../../src/sandbox/bare-sandbox.ts";
import type { Digest } from "../../src/wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import { missingDigests } from "../../src/wire/status.ts";
import { WorkerFixture } from "./worker-fixture.ts";

const worker = new WorkerFixture();
const big = Buffer.alloc(20_000, "input\n");

async function stdout(given: Parameters<WorkerFixture["run"]>[0]): Promise<string[]> {
  const { result, message, status } = await worker.run(given);
  expect([result?.exitCode, message, status]).toEqual([0, "", undefined]);
  return (await worker.text(result?.stdoutDigest)).trim().split("\n");
}

test("modes and times of files, folders and symlinks are as the tree says", async () => {
  const digest = await worker.put(big);
  const mtime = { seconds: 1_000_000_000, nanos: 0 };
  const inner = await worker.putDirectory({
    files: [{ name: "g", digest }],
    nodeProperties: { mtime, unixMode: 0o750 },
  });
  const seen = await stdout({
    script: "stat -c '%n %a %Y' a b c d l; cat d/g | wc -c; test -O a && cat a | wc -c",
    root: {
      files: [
        { name: "a", digest, nodeProperties: { mtime, unixMode: 0o600 } },
        { name: "b", digest, isExecutable: true, nodeProperties: { mtime } },
        { name: "c", digest, nodeProperties: { unixMode: 0o4755 } },
      ],
      directories: [{ name: "d", digest: inner }],
      symlinks: [{ name: "l", target: "gone", nodeProperties: { mtime } }],
    },
  });
  expect(seen).toEqual([
    "a 600 1000000000",
    "b 555 1000000000",
    expect.stringMatching(/^c 755 /),
    "d 750 1000000000",
    "l 777 1000000000",
    "20000",
    "20000",
  ]);
  // The same blob elsewhere is untouched: those were copies.
  const root = { files: [{ name: "a", digest }] };
  expect(await stdout({ script: "stat -c %a a", root })).toEqual(["444"]);
});

test("an input with a time may still be replaced, and the blob stays", async () => {
  const digest = await worker.put(big);
  const nodeProperties = { mtime: { seconds: 5, nanos: 0 }, unixMode: 0o666 };
  await stdout({
    script: "echo evil >> a; touch a",
    root: { files: [{ name: "a", digest, nodeProperties }] },
  });
  expect(await worker.text(digest)).toBe(`${big}`);
});

test("everything that is missing is named at once: folders, and files beside them", async () => {
  const lost = (digit: string): Digest => ({ hash: digit.repeat(64), sizeBytes: 7 });
  const here = await worker.putDirectory({
    files: [{ name: "f", digest: lost("1") }],
    directories: [{ name: "deep", digest: lost("2") }],
  });
  const { status } = await worker.run({
    root: {
      files: [{ name: "g", digest: lost("3") }],
      directories: [
        { name: "d", digest: lost("4") },
        { name: "here", digest: here },
      ],
    },
  });
  expect(status?.code).toBe(9);
  const named = missingDigests(status!).map(({ hash }) => hash[0]);
  expect(named.sort()).toEqual(["1", "2", "3", "4"]);
});

test("unsorted folders are refused by their path", async () => {
  const digest = await worker.put(big);
  const files = ["b", "a"].map((name) => ({ name, digest }));
  const below = await worker.putDirectory({ files });
  const { status } = await worker.run({ root: { directories: [{ name: "d", digest: below }] } });
  expect(status).toMatchObject({
    code: 3,
    message: expect.stringMatching(/"d" is not sorted.*"b"/),
  });
});

test("names that are not UTF-8 are refused, where no other file could be meant", async () => {
  const bytes = Buffer.from("\x1a\x08\x0a\x03caf\x12\x01t", "latin1");
  const odd = Buffer.from(bytes.map((byte, at) => (at === 6 ? 0xe9 : byte)));
  expect((await worker.run({ root: bytes })).status).toBeUndefined();
  expect((await worker.run({ root: odd })).status).toMatchObject({ code: 3 });
});

test("paths longer than any file system takes are the action's fault", async () => {
  let below = await worker.putDirectory({});
  for (let depth = 0; depth < 25; depth += 1) {
    below = await worker.putDirectory({ directories: [{ name: "x".repeat(200), digest: below }] });
  }
  const { status } = await worker.run({ root: { directories: [{ name: "d", digest: below }] } });
  expect(status).toMatchObject({ code: 3, message: expect.stringMatching(/too long/) });
});

test("parents of outputs are never made through a symlink of the inputs", async () => {
  const outside = join(worker.folder, "outside");
  const root = { symlinks: [{ name: "l", target: worker.folder }] };
  for (const command of [{ outputPaths: ["l/outside/f"] }, { workingDirectory: "l/outside" }]) {
    await worker.run({ root, command });
    expect(existsSync(outside)).toBe(false);
  }
});

test("a parent of an output that is a file among the inputs is refused by name", async () => {
  const root = { files: [{ name: "a", digest: await worker.put(big) }] };
  const { status } = await worker.run({ root, command: { outputPaths: ["a/b/c"] } });
  expect(status).toMatchObject({
    code: 3,
    message: expect.stringMatching(/"a\/b" cannot be made/),
  });
});

test("without a sandbox, as whatever user, writing to an input leaves the blob alone", async () => {
  const { sandbox } = worker;
  worker.sandbox = new BareSandbox();
  try {
    const digest = await worker.put(big);
    const root = {
      files: ["a", "b"].map((name) => ({ name, digest, isExecutable: name === "b" })),
    };
    await worker.run({ root, script: "chmod u+w a b; echo evil >> a; echo evil >> b" });
    expect(await worker.text(digest)).toBe(`${big}`);
    expect(await stdout({ root, script: "cat a b | wc -c" })).toEqual(["40000"]);
  } finally {
    worker.sandbox = sandbox;
  }
});

test("10,000 inputs in one folder are there", { timeout: 60_000 }, async () => {
  const digest = await worker.put(Buffer.from("small"));
  const files = Array.from({ length: 10_000 }, (_, at) => ({ name: `${at + 10_000}`, digest }));
  expect(await stdout({ script: "ls | wc -l", root: { files } })).toEqual(["10000"]);
});
