// An executor whose tools are functions over exactly the input tree of an action: no process, no
// folder, so that a thousand sequences of edits build in a minute.

import { hash } from "node:crypto";
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, posix } from "node:path";
import type { PreparedAction } from "../../src/build/prepared-action.ts";
import { buildTree, type TreeEntry, treeOf } from "../../src/cas/merkle.ts";
import type { Digest } from "../../src/core/digest.ts";
import { MeshError } from "../../src/core/error.ts";
import {
  Action,
  ActionResult,
  Command,
  Directory,
} from "../../src/wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import { fromWireDigest, toTimestamp, toWireDigest } from "../../src/wire/reapi.ts";
import type { DirectExecutor } from "./direct-executor.ts";
import { runTool, type ToolEnd } from "./model-tools.ts";

interface Seen {
  readonly digest: Digest;
  readonly executable: boolean;
}

interface InputTree {
  readonly files: Map<string, Seen>;
  readonly folders: Set<string>;
}

/** Blobs and results live as long as the executor, or until it is told to forget. */
export function createModelExecutor(): DirectExecutor {
  const blobs = new Map<string, Uint8Array>();
  const results = new Map<string, ActionResult>();
  const ran: string[] = [];
  let calls = 0;

  function put(bytes: Uint8Array): Digest {
    const digest: Digest = { fn: "sha256", hash: hash("sha256", bytes), sizeBytes: bytes.length };
    blobs.set(digest.hash, bytes);
    return digest;
  }

  function blob(name: string | undefined): Uint8Array {
    const bytes = blobs.get(name ?? "");
    if (bytes === undefined) throw new MeshError("NOT_FOUND", `There is no blob ${name}.`);
    return bytes;
  }

  /** As every node does, it refuses bytes that do not have the name they came under. */
  function upload({ blobByKey }: PreparedAction): void {
    for (const { digest, ...from } of blobByKey.values()) {
      if (blobs.has(digest.hash)) continue;
      const bytes = "bytes" in from ? from.bytes : readFileSync(from.file);
      if (hash("sha256", bytes) !== digest.hash) {
        throw new MeshError("INVALID_ARGUMENT", "A blob came under another's name.");
      }
      blobs.set(digest.hash, bytes);
    }
  }

  function lay(name: string | undefined, path: string, tree: InputTree): void {
    const folder = Directory.decode(blob(name));
    tree.folders.add(path);
    for (const file of folder.files) {
      const digest = fromWireDigest(file.digest, "sha256", file.name);
      tree.files.set(posix.join(path, file.name), { digest, executable: file.isExecutable });
    }
    for (const below of folder.directories) {
      lay(below.digest?.hash, posix.join(path, below.name), tree);
    }
  }

  function run({ digest, build }: PreparedAction): { command: Command; end: ToolEnd } {
    const action = Action.decode(blob(digest.hash));
    const command = Command.decode(blob(action.commandDigest?.hash));
    const tree: InputTree = { files: new Map(), folders: new Set() };
    lay(action.inputRootDigest?.hash, "", tree);
    const inputs = [...tree.files.values()].map((file) => file.digest);
    const missing = inputs.filter((input) => !blobs.has(input.hash));
    if (missing.length > 0) {
      throw new MeshError("FAILED_PRECONDITION", "Inputs are missing.", { missing });
    }
    ran.push(build.id);
    const env = Object.fromEntries(command.environmentVariables.map((v) => [v.name, v.value]));
    const { workingDirectory } = command;
    const end = runTool(
      { argv: command.arguments, env, workingDirectory },
      {
        folderExists: (path) => tree.folders.has(path),
        read: (path) => {
          const file = tree.files.get(path);
          return file && Buffer.from(blob(file.digest.hash)).toString();
        },
      },
    );
    return { command, end };
  }

  async function resultOf(command: Command, end: ToolEnd): Promise<ActionResult> {
    const result = ActionResult.fromPartial({
      exitCode: end.exitCode,
      stderrRaw: Buffer.from(end.stderr),
      executionMetadata: { workerCompletedTimestamp: toTimestamp(Date.now()) },
    });
    for (const path of command.outputPaths) {
      const whole = posix.join(command.workingDirectory, path);
      const file = end.made.get(whole);
      if (file !== undefined) {
        const digest = toWireDigest(put(Buffer.from(file.text)));
        const rest = { contents: new Uint8Array(), nodeProperties: undefined };
        result.outputFiles.push({ path, digest, isExecutable: file.executable, ...rest });
        continue;
      }
      const below: TreeEntry[] = [...end.made].flatMap(([name, { text, executable }]) =>
        name.startsWith(`${whole}/`)
          ? [
              {
                kind: "file",
                path: name.slice(whole.length + 1),
                digest: put(Buffer.from(text)),
                executable,
              },
            ]
          : [],
      );
      if (below.length === 0) continue;
      const treeDigest = toWireDigest(put(treeOf(await buildTree(below, "sha256"))));
      const rest = { isTopologicallySorted: false, rootDirectoryDigest: undefined };
      result.outputDirectories.push({ path, treeDigest, ...rest });
    }
    return result;
  }

  return {
    ran,
    calls: () => calls,
    mostAtOnce: () => 1,
    forget: () => {
      blobs.clear();
      results.clear();
    },
    execute: async (action) => {
      calls += 1;
      upload(action);
      const hit = action.build.cache ? results.get(action.digest.hash) : undefined;
      if (hit !== undefined) return { result: hit, cached: true, failure: undefined, message: "" };
      const { command, end } = run(action);
      const result = await resultOf(command, end);
      if (result.exitCode === 0 && action.build.cache) results.set(action.digest.hash, result);
      return { result, cached: false, failure: undefined, message: "" };
    },
    get: async (digest) => {
      calls += 1;
      return blob(digest.hash);
    },
    download: async (digest, path, { executable }) => {
      calls += 1;
      const bytes = blob(digest.hash);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(`${path}.draft`, bytes, { mode: executable ? 0o755 : 0o644 });
      renameSync(`${path}.draft`, path);
    },
    close: async () => {},
  };
}
