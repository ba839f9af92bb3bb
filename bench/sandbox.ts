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
const isolate =
  "--ro-bind /usr /usr --symlink usr/bin /bin --symlink usr/lib /lib --symlink usr/lib64 /lib64 " +
  "--ro-bind /etc /etc --bind /tmp /work --proc /proc --dev /dev --tmpfs /tmp --chdir /work " +
  "--unshare-all --die-with-parent";

/** Other sandboxes, as Debian installs them: name, program, and words before the command. */
const others: readonly (readonly [string, string, readonly string[]])[] = [
  ["bubblewrap", "/usr/bin/bwrap", isolate.split(" ")],
  // Bazel's own (bazel-bootstrap): -N is a network of its own, -H a host name.
  [
    "linux-sandbox",
    `/usr/libexec/${process.arch === "x64" ? "x86_64" : "aarch64"}-linux-gnu/bazel/linux-sandbox`,
    ["-W", "/tmp", "-N", "-H", "--"],
  ],
];

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
  const present = others.filter(([, path]) => existsSync(path));
  const timesByName = new Map<string, number[]>();
  const time = async (name: string, work: () => Promise<unknown>) => {
    timesByName.set(name, [...(timesByName.get(name) ?? []), await timed(work)]);
  };
  for (let at = 0; at < many; at += 1) {
    await time("bare", () => bare.run(runIn(folder, "bare")));
    await time("ours", () => sandbox.run(runIn(folder, "ours")));
    for (const [name, path, words] of present) {
      await time(name, async () => spawnSync(path, [...words, program], { stdio: "ignore" }));
    }
  }
  const { ours = [], ...beside } = Object.fromEntries(timesByName);
  return {
    what: `${program} in the sandbox (${sandbox.isolation}), warm`,
    figure: spread(ours),
    beside: Object.entries(beside)
      .map(([name, times]) => `${name}: ${spread(times)}`)
      .join(", "),
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
  const roots: Digest[] = [];
  for (let tree = 0; tree < treesOfEach; tree += 1) {
    roots.push(await storeTree(store, files, String(tree)));
  }
  // What was only just written is written to the disk while the actions run.
  spawnSync("sync");
  const firsts: Ran[] = [];
  const later: Ran[] = [];
  for (const [tree, root] of roots.entries()) {
    for (let at = 0; at <= Math.ceil(count / treesOfEach); at += 1) {
      const action = await storeAction(store, root, `${tree} ${files} ${at}`);
      (at === 0 ? firsts : later).push(await run(execute, action));
    }
  }
  const whole = firsts.map(({ ms }) => ms);
  const laying = median(firsts.map(({ setUpMs }) => setUpMs)).toFixed(0);
  const list = whole.map((ms) => ms.toFixed(0)).join(" ");
  return {
    what: `an action of ${program} with ${files.toLocaleString("en")} input files, from digest to result`,
    figure: `first ${median(whole).toFixed(0)} ms, its inputs ${laying} (${list}), then ${spread(later.map(({ ms }) => ms))}`,
    beside: "-",
  };
}

interface Ran {
  /** From digest to stored result. */
  readonly ms: number;
  /** Of it, reading the input tree and laying it out; whole ms. */
  readonly setUpMs: number;
}

async function run(execute: Executor, action: Digest): Promise<Ran> {
  const startMs = performance.now();
  const outcome = await execute(
    {
      ...{ action, instance: "", priority: 0, user: "u", invocation: "i", kind: "k" },
      ...{ inputRoot: action, properties: {}, mayMerge: true, skipCacheLookup: false },
    },
    { signal: new AbortController().signal },
  );
  if (outcome.kind === "fault") throw new Error(outcome.failure.message);
  if (outcome.exitCode !== 0) throw new Error(`exit code ${outcome.exitCode}`);
  return { ms: performance.now() - startMs, setUpMs: outcome.spans?.setUpMs ?? Number.NaN };
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
