// What isolation costs an action: the same command bare, in bubblewrap where that is installed,
// and in our sandbox; then whole actions, from their digest to their stored result, by the size of
// their input tree.

import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { buildTree, type TreeEntry } from "../src/cas/merkle.ts";
import { openStore, type Store } from "../src/cas/open-store.ts";
import type { Digest } from "../src/core/digest.ts";
import { defaultLimits } from "../src/node/limits.ts";
import { BareSandbox } from "../src/sandbox/bare-sandbox.ts";
import { chooseSandbox } from "../src/sandbox/choose-sandbox.ts";
import type { Sandbox, SandboxRun } from "../src/sandbox/sandbox.ts";
import {
  Action,
  Command,
} from "../src/wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import { toWireDigest } from "../src/wire/reapi.ts";
import { readActionLimits } from "../src/worker/action-limits.ts";
import { createExecutor, type Executor } from "../src/worker/executor.ts";
import { createLaidRoots } from "../src/worker/laid-roots.ts";
import { createScratchPool } from "../src/worker/scratch.ts";
import { median, percentile, type Row } from "./table.ts";

const program = "/bin/true";
const bubblewrap = "/usr/bin/bwrap";
const isolate =
  "--ro-bind /usr /usr --symlink usr/bin /bin --symlink usr/lib /lib --symlink usr/lib64 /lib64 " +
  "--ro-bind /etc /etc --bind /tmp /work --proc /proc --dev /dev --tmpfs /tmp --chdir /work " +
  "--unshare-all --die-with-parent";

/** Measures on a store of its own in `folder`. */
export async function* benchSandbox(folder: string, runs: number): AsyncGenerator<Row> {
  const store = openStore({ now: Date.now }, { folder: join(folder, "store"), bytesMax: 4e9 });
  const scratch = join(folder, "store/scratch");
  mkdirSync(scratch);
  const pool = createScratchPool(scratch);
  const laidRoots = createLaidRoots(scratch, { now: Date.now });
  const sandbox = await chooseSandbox({ want: "auto", stateFolder: folder });
  const many = runs * 15;
  try {
    yield await spawnRow(folder, sandbox, many);
    const execute = createExecutor(
      {
        ...{ store: store.blobs, actionCache: store.actions, sandbox, scratch: pool, laidRoots },
        now: Date.now,
      },
      { worker: "bench", limits: defaultLimits(1), messageBytesMax: 4 << 20 },
    );
    yield await actionRow(store, execute, 100, many);
    yield await actionRow(store, execute, 2_000, runs);
    yield await actionRow(store, execute, 10_000, runs);
  } finally {
    await pool.close();
    await laidRoots.close();
    await store.close();
  }
}

async function spawnRow(folder: string, sandbox: Sandbox, many: number): Promise<Row> {
  const bare = new BareSandbox();
  const times = { ours: [] as number[], bare: [] as number[], bubblewrap: [] as number[] };
  const hasBubblewrap = existsSync(bubblewrap);
  for (let at = 0; at < many; at += 1) {
    times.bare.push(await timed(() => bare.run(runIn(folder, "bare"))));
    times.ours.push(await timed(() => sandbox.run(runIn(folder, "ours"))));
    if (!hasBubblewrap) continue;
    const args = [...isolate.split(" "), program];
    times.bubblewrap.push(
      await timed(async () => spawnSync(bubblewrap, args, { stdio: "ignore" })),
    );
  }
  const beside = hasBubblewrap ? `, bubblewrap: ${spread(times.bubblewrap)}` : "";
  return {
    what: `${program} in the sandbox (${sandbox.isolation}), warm`,
    figure: spread(times.ours),
    beside: `bare: ${spread(times.bare)}${beside}`,
  };
}

function runIn(folder: string, name: string): SandboxRun {
  const execRoot = join(folder, name);
  mkdirSync(execRoot, { recursive: true });
  const properties = new Map<string, string>();
  return {
    ...{ execRoot, scratch: execRoot, workingDirectory: "", argv: [program], env: {} },
    ...{ stdoutPath: `${execRoot}.out`, stderrPath: `${execRoot}.err` },
    ...readActionLimits(properties, undefined, defaultLimits(1)),
  };
}

/** Trees that have no file in common. */
const treesOfEach = 9;

/** Actions on input trees of so many files: the first one on each tree, and those after it. */
async function actionRow(
  store: Store,
  execute: Executor,
  files: number,
  count: number,
): Promise<Row> {
  const firsts: number[] = [];
  const later: number[] = [];
  for (let tree = 0; tree < treesOfEach; tree += 1) {
    const root = await storeTree(store, files, String(tree));
    for (let at = 0; at <= count / treesOfEach; at += 1) {
      const action = await storeAction(store, root, `${tree} ${files} ${at}`);
      const took = await timed(() => run(execute, action));
      (at === 0 ? firsts : later).push(took);
    }
  }
  const list = firsts.map((ms) => ms.toFixed(0)).join(" ");
  return {
    what: `an action of ${program} with ${files.toLocaleString("en")} input files, from digest to result`,
    figure: `first ${median(firsts).toFixed(0)} ms (${list}), then ${spread(later)}`,
    beside: "-",
  };
}

async function run(execute: Executor, action: Digest): Promise<void> {
  const outcome = await execute(
    {
      ...{ action, instance: "", priority: 0, user: "u", invocation: "i", kind: "k" },
      ...{ inputRoot: action, properties: {}, mayMerge: true, skipCacheLookup: false },
    },
    { signal: new AbortController().signal },
  );
  if (outcome.kind === "fault") throw new Error(outcome.failure.message);
  if (outcome.exitCode !== 0) throw new Error(`exit code ${outcome.exitCode}`);
}

/** Sources of some 6 KB, twenty to a folder: as headers of a large C++ project lie. */
async function storeTree(store: Store, files: number, salt: string): Promise<Digest> {
  const entries: TreeEntry[] = [];
  for (let at = 0; at < files; at += 1) {
    const bytes = Buffer.alloc(6000, `${salt} ${files} ${at} `);
    const digest = await store.blobs.put(bytes, "sha256");
    const folder = Math.floor(at / 20);
    if (at % 20 === 0) entries.push({ kind: "directory", path: `folder${folder}` });
    entries.push({ kind: "file", path: `folder${folder}/${at}.h`, digest, executable: false });
  }
  const tree = await buildTree(entries, "sha256");
  for (const { bytes } of tree.bytesByKey.values()) await store.blobs.put(bytes, "sha256");
  return tree.root;
}

async function storeAction(store: Store, root: Digest, salt: string): Promise<Digest> {
  const command = Command.encode(Command.fromPartial({ arguments: [program] })).finish();
  const action = Action.fromPartial({
    commandDigest: toWireDigest(await store.blobs.put(command, "sha256")),
    inputRootDigest: toWireDigest(root),
    salt: Buffer.from(salt),
  });
  return store.blobs.put(Action.encode(action).finish(), "sha256");
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const startMs = performance.now();
  await work();
  return performance.now() - startMs;
}

function spread(values: readonly number[]): string {
  const late = percentile(values, 0.99);
  return `${median(values).toFixed(1)} ms (99 of 100 within ${late.toFixed(1)})`;
}
