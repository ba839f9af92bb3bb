// An executor without node or sandbox: actions run in a folder that holds exactly their input tree,
// results live in memory. It counts, can lose blobs, and tells how many actions ran at once.

import { spawn } from "node:child_process";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { ActionExecutor, ExecutedAction } from "../../src/build/executor.ts";
import type { PreparedAction } from "../../src/build/prepared-action.ts";
import { MemoryBlobStore } from "../../src/cas/memory-blob-store.ts";
import { buildTree, readTree, type TreeEntry, treeOf } from "../../src/cas/merkle.ts";
import { type Digest, digestKey } from "../../src/core/digest.ts";
import { MeshError } from "../../src/core/error.ts";
import {
  Action,
  ActionResult,
  Command,
} from "../../src/wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import { fromWireDigest, toTimestamp, toWireDigest } from "../../src/wire/reapi.ts";

/** An executor that tests can look into. */
export interface DirectExecutor extends ActionExecutor {
  /** Ids of the actions that ran, in the order they began. */
  readonly ran: string[];
  /** Calls of any kind: zero means that nothing would have gone over a network. */
  calls(): number;
  mostAtOnce(): number;
  /** Loses every blob that is not an input of the client, and every result. */
  forget(): void;
}

const bytesMax = 1 << 28;

export function createDirectExecutor(worker = "direct"): DirectExecutor {
  let store = new MemoryBlobStore();
  let results = new Map<string, ActionResult>();
  const ran: string[] = [];
  const counts = { calls: 0, now: 0, most: 0 };

  async function upload(action: PreparedAction): Promise<number> {
    let bytes = 0;
    for (const blob of action.blobByKey.values()) {
      if ((await store.missing([blob.digest])).length === 0) continue;
      const content = "bytes" in blob ? blob.bytes : readFileSync(blob.file);
      const digest = await store.put(content, "sha256");
      if (digest.hash !== blob.digest.hash) throw new Error("a blob under a wrong name");
      bytes += content.length;
    }
    return bytes;
  }

  async function executeAction(build: PreparedAction, signal: AbortSignal): Promise<ActionResult> {
    const action = Action.decode(await store.get(build.digest, bytesMax));
    const commandDigest = fromWireDigest(action.commandDigest, "sha256", "command");
    const command = Command.decode(await store.get(commandDigest, bytesMax));
    const root = mkdtempSync(join(tmpdir(), "direct-"));
    try {
      await lay(store, fromWireDigest(action.inputRootDigest, "sha256", "root"), root);
      ran.push(build.build.id);
      const ended = await runCommand(root, command, action.timeout?.seconds ?? 60, signal);
      return await collect(store, root, command, ended, worker);
    } finally {
      rmSync(root, { recursive: true, force: true });
    }
  }

  return {
    ran,
    calls: () => counts.calls,
    mostAtOnce: () => counts.most,
    forget: () => {
      store = new MemoryBlobStore();
      results = new Map();
    },
    execute: async (action, { signal, events }): Promise<ExecutedAction> => {
      counts.calls += 1;
      counts.now += 1;
      counts.most = Math.max(counts.most, counts.now);
      try {
        events.uploaded(await upload(action));
        const key = digestKey(action.digest);
        const hit = action.build.cache ? results.get(key) : undefined;
        const result = hit ?? (await executeAction(action, signal));
        if (result.exitCode === 0 && action.build.cache) results.set(key, result);
        return { result, cached: hit !== undefined, failure: undefined, message: "" };
      } finally {
        counts.now -= 1;
      }
    },
    get: (digest) => {
      counts.calls += 1;
      return store.get(digest, bytesMax);
    },
    download: async (digest, path, { executable }) => {
      counts.calls += 1;
      const bytes = await store.get(digest, bytesMax);
      mkdirSync(dirname(path), { recursive: true });
      rmSync(path, { force: true });
      writeFileSync(path, bytes);
      chmodSync(path, executable ? 0o755 : 0o644);
    },
    close: async () => {},
  };
}

async function lay(store: MemoryBlobStore, digest: Digest, root: string): Promise<void> {
  const missing: Digest[] = [];
  for (const entry of await readTree(store, digest)) {
    const path = join(root, entry.path);
    mkdirSync(entry.kind === "directory" ? path : dirname(path), { recursive: true });
    if (entry.kind !== "file") continue;
    if ((await store.missing([entry.digest])).length > 0) missing.push(entry.digest);
    else {
      writeFileSync(path, await store.get(entry.digest, bytesMax));
      chmodSync(path, entry.executable ? 0o755 : 0o644);
    }
  }
  if (missing.length === 0) return;
  throw new MeshError("FAILED_PRECONDITION", "Inputs are missing.", { missing });
}

interface Ended {
  readonly exitCode: number;
  readonly stdout: Buffer;
  readonly stderr: Buffer;
}

function runCommand(
  root: string,
  command: Command,
  seconds: number,
  signal: AbortSignal,
): Promise<Ended> {
  const cwd = join(root, command.workingDirectory);
  mkdirSync(cwd, { recursive: true });
  for (const path of command.outputPaths) {
    mkdirSync(dirname(join(cwd, path)), { recursive: true });
  }
  const env = Object.fromEntries(command.environmentVariables.map((v) => [v.name, v.value]));
  const [program = "", ...args] = command.arguments;
  const path = program.startsWith("/") || !program.includes("/") ? program : join(cwd, program);
  return new Promise((resolve, reject) => {
    const child = spawn(path, args, { cwd, env, timeout: seconds * 1000, signal });
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    child.stdout.on("data", (chunk: Buffer) => stdout.push(chunk));
    child.stderr.on("data", (chunk: Buffer) => stderr.push(chunk));
    child.once("error", (error) => {
      const lost = "code" in error && error.code === "ENOENT";
      if (lost) resolve({ exitCode: 127, stdout: Buffer.of(), stderr: Buffer.of() });
      else reject(new MeshError("CANCELLED", error.message));
    });
    child.once("close", (code) =>
      resolve({
        exitCode: code ?? 137,
        stdout: Buffer.concat(stdout),
        stderr: Buffer.concat(stderr),
      }),
    );
  });
}

async function collect(
  store: MemoryBlobStore,
  root: string,
  command: Command,
  { exitCode, stdout, stderr }: Ended,
  worker: string,
): Promise<ActionResult> {
  const result = ActionResult.fromPartial({
    exitCode,
    stdoutRaw: stdout,
    stderrRaw: stderr,
    executionMetadata: { worker, workerCompletedTimestamp: toTimestamp(Date.now()) },
  });
  for (const path of command.outputPaths) {
    const host = join(root, command.workingDirectory, path);
    const stat = statSync(host, { throwIfNoEntry: false });
    if (stat?.isFile()) {
      const digest = toWireDigest(await store.put(readFileSync(host), "sha256"));
      const isExecutable = (stat.mode & 0o100) !== 0;
      const contents = new Uint8Array();
      result.outputFiles.push({ path, digest, isExecutable, contents, nodeProperties: undefined });
    } else if (stat?.isDirectory()) {
      const tree = await store.put(
        treeOf(await buildTree(await filesBelow(store, host), "sha256")),
        "sha256",
      );
      const treeDigest = toWireDigest(tree);
      const rest = { isTopologicallySorted: false, rootDirectoryDigest: undefined };
      result.outputDirectories.push({ path, treeDigest, ...rest });
    }
  }
  return result;
}

async function filesBelow(store: MemoryBlobStore, folder: string): Promise<TreeEntry[]> {
  const entries: TreeEntry[] = [];
  for (const name of readdirSync(folder, { recursive: true, encoding: "utf8" }).sort()) {
    const stat = statSync(join(folder, name));
    if (!stat.isFile()) continue;
    const digest = await store.put(readFileSync(join(folder, name)), "sha256");
    entries.push({ kind: "file", path: name, digest, executable: (stat.mode & 0o100) !== 0 });
  }
  return entries;
}
