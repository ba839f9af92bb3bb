// Figures as a table of medians: `npm run bench -- build|client|mesh|mesh-blobs|reapi|sandbox|
// audit|hermetic-soak|simulate|validate|soak|status|dashboard|telemetry [--runs N]`. The yardstick
// of each row stands beside it and is measured in the same run, in turn: a noisy machine harms both
// alike.

import { execFileSync } from "node:child_process";
import { appendFileSync, cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { benchAudit } from "./audit.ts";
import { benchClient, clientParts } from "./client.ts";
import { benchDashboard } from "./dashboard.ts";
import { benchFullStore } from "./full-store.ts";
import { hermeticSoak, worldMissing } from "./hermetic-soak.ts";
import { benchMesh } from "./mesh.ts";
import { benchMeshBlobs } from "./mesh-blobs.ts";
import { benchNeighbours } from "./neighbours.ts";
import { residentMiB, startOwnNode } from "./own-node.ts";
import { benchReapi } from "./reapi.ts";
import { benchSandbox } from "./sandbox.ts";
import { benchSimulate } from "./simulate.ts";
import { soak } from "./soak.ts";
import { benchStatus } from "./status.ts";
import { median, printTable, type Row } from "./table.ts";
import { benchTelemetry } from "./telemetry.ts";
import { benchValidate } from "./validate.ts";

const root = resolve(import.meta.dirname, "..");
const runs = Number(option("--runs")) || 7;
const folder = mkdtempSync(join(tmpdir(), "builder-bench-"));
const env = { ...process.env, XDG_CACHE_HOME: join(folder, "cache") };
const bin = (name: string) => join(root, "cli/bin", name);

function option(name: string): string | undefined {
  const at = process.argv.indexOf(name);
  return at < 0 ? undefined : process.argv[at + 1];
}

function timeMs(program: string, args: readonly string[], cwd: string): number {
  const startMs = performance.now();
  execFileSync(program, [...args], { cwd, env, stdio: "pipe" });
  return performance.now() - startMs;
}

function example(): string {
  const to = mkdtempSync(join(folder, "example-"));
  cpSync(join(root, "examples/remote-execution"), to, { recursive: true });
  return to;
}

/** The no-change build beside the bare start of Node. */
function noChange(): Row {
  const cwd = example();
  const node = join(root, "node_modules/node/bin/node");
  execFileSync(bin("bldr"), ["build", "cpp_project"], { cwd, env, stdio: "pipe" });
  // Sources must have settled for two seconds before a build trusts their looks.
  execFileSync("sleep", ["3"]);
  execFileSync(bin("bldr"), ["build", "cpp_project"], { cwd, env, stdio: "pipe" });
  const ours: number[] = [];
  const bare: number[] = [];
  for (let run = 0; run < runs; run += 1) {
    ours.push(timeMs(bin("bldr"), ["build", "cpp_project"], cwd));
    bare.push(timeMs(node, ["-e", "0"], cwd));
  }
  return {
    what: "no-change bldr build, whole process",
    figure: `${median(ours).toFixed(0)} ms`,
    beside: `node -e 0: ${median(bare).toFixed(0)} ms`,
  };
}

/** The whole example, cold and from the cache, beside plain compiler calls. */
function exampleBuilds(address: string): Row[] {
  const cold: number[] = [];
  const cached: number[] = [];
  const plain: number[] = [];
  const few = Math.max(3, Math.floor(runs / 2));
  for (let run = 0; run < few; run += 1) {
    const cwd = example();
    for (const name of ["src/main.cpp", "src/math.cpp"]) {
      appendFileSync(join(cwd, name), `// run ${run}\n`);
    }
    cold.push(timeMs(bin("bldr"), ["build", "cpp_project", `--remote=${address}`], cwd));
    const again = mkdtempSync(join(folder, "again-"));
    cpSync(cwd, again, { recursive: true });
    rmSync(join(again, ".builder"), { recursive: true });
    rmSync(join(again, "build"), { recursive: true });
    cached.push(timeMs(bin("bldr"), ["build", "cpp_project", `--remote=${address}`], again));
    const args = ["-std=c++17", "-O2", "src/main.cpp", "src/math.cpp", "-o", join(cwd, "plain")];
    plain.push(timeMs("c++", args, cwd));
  }
  const beside = `c++ alone: ${median(plain).toFixed(0)} ms`;
  return [
    { what: "the example, cold, 2 workers", figure: `${median(cold).toFixed(0)} ms`, beside },
    {
      what: "the example, cached, new checkout",
      figure: `${median(cached).toFixed(0)} ms`,
      beside,
    },
  ];
}

/** How the build client feels: whole processes, as people start them. */
async function* benchBuild(): AsyncGenerator<Row> {
  yield noChange();
  const node = await startOwnNode(folder, env);
  try {
    yield* exampleBuilds(node.address);
  } finally {
    await node.stop();
  }
}

async function* benchOwnReapi(): AsyncGenerator<Row> {
  const given = option("--address");
  if (given !== undefined) {
    yield* benchReapi({ address: given, pid: undefined, runs, residentMiB });
    return;
  }
  const node = await startOwnNode(folder, env);
  try {
    yield* benchReapi({ address: node.address, pid: node.pid, runs, residentMiB });
  } finally {
    await node.stop();
  }
  rmSync(join(folder, "store"), { recursive: true });
  yield* benchFullStore(folder, env);
}

async function* benchSoak(): AsyncGenerator<Row> {
  const node = await startOwnNode(folder, env, ["--store-max", "4GiB"]);
  try {
    const workers = node.workers().map((pid, at) => [`worker-${at + 1}`, pid] as const);
    const pidByName = new Map<string, number>([["node", node.pid], ...workers]);
    await soak({ address: node.address, minutes: Number(option("--minutes") ?? 60), pidByName });
  } finally {
    await node.stop();
  }
}

async function* benchOwnClient(): AsyncGenerator<Row> {
  const only = option("--only");
  if (only !== undefined && clientParts[only] === undefined) {
    throw new Error(`There is no part ${only}. Choose ${Object.keys(clientParts).join(", ")}.`);
  }
  const quick = process.argv.includes("--quick");
  yield* benchClient({ folder, env, runs, quick }, only);
}

async function* benchIsolation(): AsyncGenerator<Row> {
  if (option("--only") !== "neighbours") yield* benchSandbox(folder, runs);
  yield* benchNeighbours(folder, runs);
}

async function* benchHermeticSoak(): AsyncGenerator<Row> {
  const missing = worldMissing();
  if (missing !== undefined) throw new Error(`There can be no small world here: ${missing}.`);
  const count = (name: string, usual: number) => Number(option(name) ?? usual);
  const user = count("--user", 0);
  const [actions, seed] = [count("--actions", 10_000), count("--seed", 1)];
  const report = await hermeticSoak({ actions, seed, killsPercent: 5, user });
  const { kills, missed, wrong, left, seconds, descriptors } = report;
  const [before, after] = descriptors;
  yield {
    what: `${actions} actions of a node of user ${user}, workers killed in the middle`,
    figure: `${kills} deaths (${missed} came too late), ${wrong.length} wrong, ${left.length} left`,
    beside: `${seconds} s; descriptors of the node: ${before} before, ${after} after`,
  };
  const troubles = [...wrong, ...left];
  if (troubles.length > 0) throw new Error(troubles.slice(0, troublesShownMax).join("\n"));
}

function benchOwnMesh(): AsyncGenerator<Row> {
  const count = (name: string) => Number(option(name)) || undefined;
  return benchMesh({
    only: option("--only"),
    trace: option("--trace"),
    every: count("--every"),
    stretch: count("--stretch"),
    runs: count("--runs") ?? 3,
  });
}

const troublesShownMax = 100;
const benches = {
  build: benchBuild,
  client: benchOwnClient,
  mesh: benchOwnMesh,
  "hermetic-soak": benchHermeticSoak,
  "mesh-blobs": () => benchMeshBlobs(folder, runs),
  reapi: benchOwnReapi,
  audit: () => benchAudit(folder, runs),
  sandbox: benchIsolation,
  simulate: () => benchSimulate(folder),
  soak: benchSoak,
  status: () => benchStatus(runs),
  dashboard: () => benchDashboard(runs),
  validate: () => {
    const trace = join(root, "simulations/traces/webrtc-build.json.gz");
    return benchValidate({ folder, env, workers: Number(option("--workers")) || 16, trace });
  },
  telemetry: () => benchTelemetry(folder, env, runs),
};

try {
  const wanted = process.argv[2];
  const bench = Object.entries(benches).find(([name]) => name === (wanted ?? "build"))?.[1];
  if (bench === undefined) {
    process.stderr.write(
      `There is no bench ${wanted}. Choose ${Object.keys(benches).join(", ")}.\n`,
    );
    process.exitCode = 2;
  } else await printTable(bench());
} finally {
  rmSync(folder, { recursive: true, force: true });
}
