import { expect, test } from "vitest";
import { decodeDirectory } from "../../src/cas/directory-message.ts";
import * as reapi from "../../src/wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import { WorkerFixture } from "./worker-fixture.ts";

const worker = new WorkerFixture();
const outputPaths = (...paths: string[]) => ({ outputPaths: paths });
const { DIRECTORY_ONLY, TREE_AND_DIRECTORY, TREE_ONLY } = reapi.Command_OutputDirectoryFormat;

test.each([TREE_ONLY, DIRECTORY_ONLY, TREE_AND_DIRECTORY])(
  "format %i: the Tree is always there, the Directory blobs where they are asked for",
  async (outputDirectoryFormat) => {
    const { result } = await worker.run({
      script: "mkdir -p d/a/x d/b/x d/c; echo 1 > d/a/x/f; echo 1 > d/b/x/f; ln -s a d/l",
      command: { ...outputPaths("d"), outputDirectoryFormat },
    });
    const [found] = result!.outputDirectories;
    const tree = reapi.Tree.decode(await worker.bytes(found?.treeDigest));
    // Every folder once: d/a and d/b are one, and so are their x.
    expect(tree.children).toHaveLength(3);
    expect(found?.isTopologicallySorted).toBe(true);
    const named = new Set<string>();
    for (const folder of [tree.root!, ...tree.children]) {
      const { hash } = await worker.putDirectory(folder);
      expect(named.size === 0 || named.has(hash)).toBe(true);
      for (const { digest } of folder.directories) named.add(digest!.hash);
    }
    if (outputDirectoryFormat === TREE_ONLY) {
      expect(found?.rootDirectoryDigest).toBeUndefined();
    } else {
      const root = decodeDirectory(await worker.bytes(found?.rootDirectoryDigest), "");
      expect(root).toEqual(tree.root);
      for (const { digest, name } of root.directories) {
        decodeDirectory(await worker.bytes(digest), name);
      }
    }
  },
);

test("asked for, times and modes come with files, folders and symlinks", async () => {
  const { result } = await worker.run({
    script: `mkdir -p d/e; echo > d/f; ln -s f d/l; chmod 640 d/f; chmod 711 d/e
      touch -h -d @1234567890.123456789 d/f d/l d/e; touch -d @5.5 d; cp -p d/f f`,
    command: { ...outputPaths("d", "f"), outputNodeProperties: ["mtime", "unix_mode"] },
  });
  const mtime = { seconds: 1234567890, nanos: 123456789 };
  const file = result?.outputFiles[0]?.nodeProperties;
  expect(file).toMatchObject({ mtime, unixMode: 0o640 });
  const tree = reapi.Tree.decode(await worker.bytes(result?.outputDirectories[0]?.treeDigest));
  expect(tree.root?.nodeProperties).toMatchObject({ mtime: { seconds: 5, nanos: 5e8 } });
  expect(tree.root?.files[0]?.nodeProperties).toMatchObject({ mtime, unixMode: 0o640 });
  expect(tree.root?.symlinks[0]?.nodeProperties).toMatchObject({ mtime });
  expect(tree.children[0]?.nodeProperties).toMatchObject({ mtime, unixMode: 0o711 });
});

test("node properties that nobody knows are refused by name", async () => {
  const command = { outputNodeProperties: ["mtime", "owner"] };
  const { status } = await worker.run({ command });
  expect(status).toMatchObject({ code: 3, message: expect.stringMatching(/"owner"/) });
});

test("outputs may overlap, be named twice, and be spelt in several ways", async () => {
  const { result } = await worker.run({
    script: "mkdir -p a/b/c; echo x > a/b/f; echo y > a/b/c/g; ln -s b a/l",
    command: outputPaths("a/b/f", "a/b", "a", "./a/b/", "a/b/f", "a/b/c/g", "a/l", "a/none"),
  });
  expect(result?.outputFiles.map(({ path }) => path)).toEqual(["a/b/f", "a/b/c/g"]);
  expect(await worker.text(result?.outputFiles[1]?.digest)).toBe("y\n");
  expect(result?.outputSymlinks).toMatchObject([{ path: "a/l", target: "b" }]);
  const trees = result!.outputDirectories;
  expect(trees.map(({ path }) => path)).toEqual(["a/b", "a", "./a/b/"]);
  const inner = ["directory c", "file c/g", "file f"];
  expect(await worker.treeOf(trees[0])).toEqual(inner);
  expect(await worker.treeOf(trees[2])).toEqual(inner);
  expect(await worker.treeOf(trees[1])).toContain("file b/c/g");
});

test.each(["", "."])("the output path %j is the whole working directory", async (path) => {
  const f = await worker.put(Buffer.from("f"));
  const w = await worker.putDirectory({ files: [{ name: "f", digest: f }] });
  const { result } = await worker.run({
    script: "echo > made; echo > ../outside",
    root: { directories: [{ name: "w", digest: w }] },
    command: { ...outputPaths(path, "made"), workingDirectory: "w" },
  });
  expect(result?.outputDirectories.map((found) => found.path)).toEqual([path]);
  expect(await worker.treeOf(result?.outputDirectories[0])).toEqual(["file f", "file made"]);
  expect(result?.outputFiles.map((found) => found.path)).toEqual(["made"]);
});

test("clients of 2.0 get symlinks in their lists besides; output_paths hides those", async () => {
  const script = "ln -s gone f; ln -s /etc d";
  const old = { outputFiles: ["f"], outputDirectories: ["d"] };
  const { result } = await worker.run({ script, command: old });
  expect(result?.outputFileSymlinks).toMatchObject([{ path: "f", target: "gone" }]);
  expect(result?.outputDirectorySymlinks).toMatchObject([{ path: "d", target: "/etc" }]);
  expect(result?.outputSymlinks).toHaveLength(2);
  const now = await worker.run({ script, command: { ...old, ...outputPaths("f") } });
  expect(now.result?.outputSymlinks).toHaveLength(1);
  expect(now.result?.outputFileSymlinks).toEqual([]);
});

test.each([
  ["mkdir f", { outputFiles: ["f"] }, /"f" is a directory and was declared as a file/],
  ["echo > d", { outputDirectories: ["d"] }, /"d" is a file and was declared as a directory/],
  ["mkfifo p", outputPaths("p"), /"p" is a named pipe/],
  ["mkdir d; mkfifo d/p", outputPaths("d"), /"d" holds a named pipe \("p"\)/],
  [
    `mkdir d; python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("d/s")'`,
    outputPaths("d"),
    /"d" holds a socket \("s"\)/,
  ],
  [`mkdir d; : > "$(printf 'd/caf\\351')"`, outputPaths("d"), /not UTF-8/],
  [`ln -s "$(printf '\\377')" l`, outputPaths("l"), /not UTF-8/],
  [
    "i=0; mkdir d; cd d; while [ $i -lt 300 ]; do mkdir a && cd a; i=$((i+1)); done",
    outputPaths("d"),
    /nests over 256 folders deep/,
  ],
  [
    `n=$(printf %0200d 1); i=0; mkdir d; cd d
     while [ $i -lt 30 ]; do mkdir $n && cd -P ./$n; i=$((i+1)); done; echo > f`,
    outputPaths("d"),
    /"d" holds a path of over \d+ characters/,
  ],
])("what a result cannot hold is said, and the rest is kept: %s", async (script, paths, words) => {
  const { result, status } = await worker.run({
    script: `{ ${script}; } && echo said`,
    command: paths,
  });
  expect(status).toMatchObject({ code: 9, message: expect.stringMatching(words) });
  expect(await worker.text(result?.stdoutDigest)).toBe("said\n");
});

test("a command's own failure comes before its spoilt outputs, which the message tells", async () => {
  const given = { script: "mkfifo p; echo why >&2; exit 3", command: outputPaths("p") };
  const { result, status, message } = await worker.run(given);
  expect(status).toBeUndefined();
  expect(result?.exitCode).toBe(3);
  expect(message).toMatch(/"p" is a named pipe/);
});

test("names with U+FFFD that are UTF-8 are names like others", async () => {
  const { result } = await worker.run({
    script: "mkdir d; echo > d/\ufffd",
    command: outputPaths("d"),
  });
  expect(await worker.treeOf(result?.outputDirectories[0])).toEqual(["file \ufffd"]);
});

test("outputs in folders that the action closed are found", async () => {
  const { result } = await worker.run({
    script: "mkdir -p a/b; echo x > a/b/f; chmod 000 a/b/f a/b a",
    command: outputPaths("a/b/f", "a"),
  });
  expect(result?.outputFiles).toHaveLength(1);
  expect(await worker.treeOf(result?.outputDirectories[0])).toEqual(["directory b", "file b/f"]);
});

test("hard links of one file are two outputs", async () => {
  const { result } = await worker.run({
    script: "seq 9999 > a; ln a b; mkdir d; ln a d/c",
    command: outputPaths("a", "b", "d"),
  });
  const [a, b] = result!.outputFiles;
  expect(a?.digest).toEqual(b?.digest);
  expect(await worker.text(a?.digest)).toMatch(/^1\n2\n/);
});

test("an input that is an output too can be replaced and written in place, the blob stays", async () => {
  const bytes = Buffer.alloc(20_000, "input\n");
  const digest = await worker.put(bytes);
  const { result, message } = await worker.run({
    script: "echo more >> a && rm b && echo new > b && cat c > d && chmod 600 a",
    root: { files: ["a", "b", "c"].map((name) => ({ name, digest })) },
    command: outputPaths("a", "b", "c", "d"),
  });
  expect([result?.exitCode, message]).toEqual([0, ""]);
  const texts = await Promise.all(result!.outputFiles.map((file) => worker.text(file.digest)));
  expect(texts).toEqual([`${bytes}more\n`, "new\n", `${bytes}`, `${bytes}`]);
  expect(await worker.text(digest)).toBe(`${bytes}`);
});

test("20,000 files in a folder are collected", { timeout: 60_000 }, async () => {
  const { result } = await worker.run({
    script: "mkdir d; cd d; seq 20000 | split -l 1 -a 5",
    command: outputPaths("d"),
  });
  expect(result?.exitCode).toBe(0);
  expect(await worker.treeOf(result?.outputDirectories[0])).toHaveLength(20_000);
});
