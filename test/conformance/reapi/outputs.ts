// Outputs: every form that REAPI has, as every generation of clients asks for it.

import {
  type ActionResult,
  type Directory,
  Directory as DirectoryMessage,
  type OutputDirectory,
  Tree,
} from "../../../src/wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import { executeToEnd, putAction, ran } from "./actions.ts";
import type { Case } from "./case.ts";
import { blobOf, fetchBlob, missingOf } from "./content.ts";
import { check, nameOfCode, present, Skipped, same, sameBytes } from "./expectations.ts";
import type { Target } from "./target.ts";

const needs = ["execution"] as const;

const folderScript = "mkdir -p d/sub d/none; echo x > d/x; echo y > d/sub/y; ln -s x d/l";

async function treeOf(target: Target, directory: OutputDirectory | undefined): Promise<Tree> {
  const digest = present(directory?.treeDigest, "OutputDirectory.tree_digest");
  return Tree.decode(await fetchBlob(target, digest));
}

const only = <T>(list: readonly T[]): T | undefined => list[0];

const symlinksOf = (result: ActionResult) =>
  result.outputSymlinks.map(({ path, target }) => `${path} -> ${target}`);

function checkSorted(directory: Directory): void {
  for (const nodes of [directory.files, directory.directories, directory.symlinks]) {
    const names = nodes.map(({ name }) => Buffer.from(name));
    const sorted = names.toSorted(Buffer.compare);
    same(names.map(String), sorted.map(String), "the order of the names");
    same(new Set(names.map(String)).size, names.length, "the number of different names");
  }
}

/** Files and links. */
const fileCases: readonly Case[] = [
  {
    name: "output files come with content and executable bit",
    client: "every client",
    rule: "REAPI: ActionResult.output_files",
    needs,
    run: async (target) => {
      const run = "echo plain > a; echo run > b; chmod +x b; : > empty";
      const { result } = await ran(target, { run, command: { outputPaths: ["a", "b", "empty"] } });
      const seen = result.outputFiles.map(({ path, isExecutable }) => `${path} ${isExecutable}`);
      same(seen.sort(), ["a false", "b true", "empty false"], "the output files");
      const plain = result.outputFiles.find(({ path }) => path === "a");
      same((await fetchBlob(target, plain?.digest)).toString(), "plain\n", "the content of a");
    },
  },
  {
    name: "outputs that were not made are left out",
    client: "every client",
    rule: "REAPI: a missing output is no error",
    needs,
    run: async (target) => {
      const command = { outputPaths: ["made", "not/made", "neither"] };
      const { result } = await ran(target, { run: "echo > made", command });
      const paths = result.outputFiles.map(({ path }) => path);
      same(paths, ["made"], "the output files");
      same(result.outputDirectories.length, 0, "the number of output folders");
    },
  },
  {
    name: "the parent folders of outputs are there before the action runs",
    client: "every client",
    rule: "REAPI: the worker creates the parents of every output",
    needs,
    run: async (target) => {
      const inputs = { folders: { w: { files: { f: "" } } } };
      const command = { workingDirectory: "w", outputPaths: ["p/q/r.txt", "../s/t"] };
      const run = "echo 1 > p/q/r.txt; echo 2 > ../s/t";
      const { result } = await ran(target, { run, inputs, command });
      const paths = result.outputFiles.map(({ path }) => path).sort();
      same(paths, ["../s/t", "p/q/r.txt"], "the output files");
    },
  },
  {
    name: "output_paths wins over the older lists",
    client: "remote-apis-sdks",
    rule: "REAPI 2.1: output_files and output_directories are ignored beside output_paths",
    needs,
    run: async (target) => {
      const command = { outputPaths: ["new"], outputFiles: ["old"], outputDirectories: ["dir"] };
      const { result } = await ran(target, {
        run: "echo > new; echo > old; mkdir -p dir",
        command,
      });
      same(
        result.outputFiles.map(({ path }) => path),
        ["new"],
        "the output files",
      );
      same(result.outputDirectories.length, 0, "the number of output folders");
    },
  },
  {
    name: "output_files and output_directories still work",
    client: "Please",
    rule: "REAPI 2.0: low_api_version 2.0 promises them",
    needs,
    run: async (target) => {
      const command = { outputFiles: ["f", "sub/g"], outputDirectories: ["d"] };
      const run = `${folderScript}; echo f > f; echo g > sub/g`;
      const { result } = await ran(target, { run, command });
      const paths = result.outputFiles.map(({ path }) => path).sort();
      same(paths, ["f", "sub/g"], "the output files");
      const tree = await treeOf(target, only(result.outputDirectories));
      same(tree.root?.files[0]?.name, "x", "the file in the folder");
    },
  },
  {
    name: "an output file that is a folder is FAILED_PRECONDITION",
    client: "every client",
    rule: "REAPI: an output of the wrong type",
    needs,
    run: async (target) => {
      const command = { outputFiles: ["f"] };
      const action = await putAction(target, { run: "mkdir f", command });
      const { code } = await executeToEnd(target, action);
      same(nameOfCode(code), "FAILED_PRECONDITION", "the status");
    },
  },
  {
    name: "symlinks stay symlinks, dangling and absolute ones too",
    client: "BuildStream/recc",
    rule: "REAPI: outputs are not dereferenced; symlink_absolute_path_strategy",
    needs,
    run: async (target) => {
      const absolute = target.capabilities.cacheCapabilities?.symlinkAbsolutePathStrategy === 2;
      const run = `echo x > x; ln -s x l; ln -s gone g; ${absolute ? "ln -s /usr a" : ""}`;
      const { result } = await ran(target, { run, command: { outputPaths: ["l", "g", "a"] } });
      const expected = [...(absolute ? ["a -> /usr"] : []), "g -> gone", "l -> x"];
      same(symlinksOf(result).sort(), expected, "output_symlinks");
    },
  },
  {
    name: "symlinks are in output_symlinks, for clients that read nothing else",
    client: "Buck2",
    rule: "Buck2 reads only output_symlinks",
    needs,
    run: async (target) => {
      const { result } = await ran(target, { run: "ln -s x l", command: { outputPaths: ["l"] } });
      same(symlinksOf(result), ["l -> x"], "output_symlinks");
    },
  },
  {
    name: "symlinks asked for as 2.0 does are in the 2.0 lists too",
    client: "Please",
    rule: "REAPI 2.0: output_file_symlinks, output_directory_symlinks",
    needs,
    run: async (target) => {
      const command = { outputFiles: ["f"], outputDirectories: ["d"] };
      const run = "echo > x; ln -s x f; mkdir y; ln -s y d";
      const { result } = await ran(target, { run, command });
      const files = result.outputFileSymlinks.map(({ path }) => path);
      const folders = result.outputDirectorySymlinks.map(({ path }) => path);
      same([files, folders], [["f"], ["d"]], "output_file_symlinks, output_directory_symlinks");
    },
  },
  {
    name: "node properties that are advertised come with the outputs that ask for them",
    client: "BuildStream/recc",
    rule: "REAPI: Command.output_node_properties, supported_node_properties",
    needs,
    run: async (target) => {
      const served = target.capabilities.executionCapabilities?.supportedNodeProperties ?? [];
      if (served.length === 0) throw new Skipped("no node properties are advertised");
      const command = { outputPaths: ["f"], outputNodeProperties: served };
      const { result } = await ran(target, { run: "echo > f", command });
      present(only(result.outputFiles)?.nodeProperties, "OutputFile.node_properties");
    },
  },
  {
    name: "an output of 6 MiB can be read",
    client: "every client",
    rule: "REAPI: outputs over the batch limit are read by ByteStream",
    needs,
    run: async (target) => {
      const run = "head -c 6291456 /dev/zero > big";
      const { result } = await ran(target, { run, command: { outputPaths: ["big"] } });
      const bytes = await fetchBlob(target, only(result.outputFiles)?.digest);
      sameBytes(bytes, Buffer.alloc(6 << 20), "the output");
    },
  },
];

/** Folders. */
const folderCases: readonly Case[] = [
  {
    name: "an output folder is a Tree, whole and sorted",
    client: "Buck2",
    rule: "Buck2 fails without OutputDirectory.tree_digest",
    needs,
    run: async (target) => {
      const { result } = await ran(target, { run: folderScript, command: { outputPaths: ["d"] } });
      same(only(result.outputDirectories)?.path, "d", "the path");
      const { root, children } = await treeOf(target, only(result.outputDirectories));
      const { files = [], directories = [], symlinks = [] } = root ?? {};
      const names = [files, directories, symlinks].map((nodes) => nodes.map(({ name }) => name));
      same(names, [["x"], ["none", "sub"], ["l"]], "the names in the folder");
      await checkChildren(present(root, "Tree.root"), children);
      same((await fetchBlob(target, files[0]?.digest)).toString(), "x\n", "the content of d/x");
    },
  },
  {
    name: "a Tree is said to be topologically sorted only when it is",
    client: "every client",
    rule: "REAPI: OutputDirectory.is_topologically_sorted",
    needs,
    run: async (target) => {
      const run = "mkdir -p d/a/b d/c/b d/z; echo 1 > d/a/b/f; echo 2 > d/c/b/f";
      const { result } = await ran(target, { run, command: { outputPaths: ["d"] } });
      const directory = only(result.outputDirectories);
      const tree = await treeOf(target, directory);
      if (directory?.isTopologicallySorted !== true) throw new Skipped("it is not said");
      const seen = new Set<string>();
      for (const folder of [present(tree.root, "Tree.root"), ...tree.children]) {
        for (const { digest } of folder.directories) {
          check(!seen.has(digest?.hash ?? ""), "a folder comes before one that names it");
        }
        seen.add((await blobOf(DirectoryMessage.encode(folder).finish())).digest.hash);
      }
    },
  },
  {
    name: "equal output folders have one Tree",
    client: "every client",
    rule: "REAPI: equal outputs have equal digests",
    needs,
    run: async (target) => {
      const command = { outputPaths: ["d"] };
      const runs = ["mkdir d; echo 1 > d/a; echo 2 > d/b", "mkdir d; echo 2 > d/b; echo 1 > d/a"];
      const [a, b] = [
        await ran(target, { run: runs[0] ?? "", command }),
        await ran(target, { run: runs[1] ?? "", command }),
      ];
      const digests = [a, b].map(({ result }) => only(result.outputDirectories)?.treeDigest);
      same(digests[1], digests[0], "the second tree_digest");
    },
  },
  {
    name: "DIRECTORY_ONLY brings the root's digest, with its folders stored",
    client: "BuildStream/recc",
    rule: "REAPI: output_directory_format; a server may send a Tree instead",
    needs,
    run: async (target) => {
      const command = { outputPaths: ["d"], outputDirectoryFormat: 1 as const };
      const { result } = await ran(target, { run: folderScript, command });
      await checkDirectories(target, only(result.outputDirectories), false);
    },
  },
  {
    name: "TREE_AND_DIRECTORY brings both",
    client: "BuildStream/recc",
    rule: "REAPI: output_directory_format",
    needs,
    run: async (target) => {
      const command = { outputPaths: ["d"], outputDirectoryFormat: 2 as const };
      const { result } = await ran(target, { run: folderScript, command });
      const directory = only(result.outputDirectories);
      await treeOf(target, directory);
      await checkDirectories(target, directory, true);
    },
  },
  {
    name: "the whole working directory can be an output",
    client: "every client",
    rule: "REAPI: the empty output path",
    needs,
    run: async (target) => {
      const inputs = { files: { input: "in\n" } };
      const command = { outputDirectories: [""] };
      const { result } = await ran(target, { run: "echo > made", inputs, command });
      const tree = await treeOf(target, only(result.outputDirectories));
      const names = tree.root?.files.map(({ name }) => name);
      same(names, ["input", "made"], "the files in the folder");
    },
  },
];

async function checkChildren(root: Directory, children: readonly Directory[]): Promise<void> {
  const byHash = new Map<string, Directory>();
  for (const child of children) {
    byHash.set((await blobOf(DirectoryMessage.encode(child).finish())).digest.hash, child);
  }
  const rest = [root];
  for (let folder = rest.pop(); folder !== undefined; folder = rest.pop()) {
    checkSorted(folder);
    for (const { name, digest } of folder.directories) {
      const child = byHash.get(digest?.hash ?? "");
      rest.push(present(child, `the child that is ${name}`));
    }
  }
}

async function checkDirectories(
  target: Target,
  directory: OutputDirectory | undefined,
  strict: boolean,
): Promise<void> {
  const digest = directory?.rootDirectoryDigest;
  if (digest === undefined && !strict) {
    await treeOf(target, directory);
    throw new Skipped("a Tree is sent instead");
  }
  const root = DirectoryMessage.decode(await fetchBlob(target, digest));
  same(root.files[0]?.name, "x", "the file of the root");
  const inner = root.directories.map((node) => present(node.digest, `the digest of ${node.name}`));
  same(await missingOf(target, inner), [], "the missing folders");
}

/** Cases of outputs. */
export const outputCases: readonly Case[] = [...fileCases, ...folderCases];
