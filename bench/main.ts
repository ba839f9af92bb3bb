// First figures, as a table of medians: `npm run bench [-- --runs N]`. The yardstick of each row
// stands beside it and is measured in the same run, in turn, so that a noisy machine harms both
// alike.

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { appendFileSync, cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { executeNoOps } from "./no-op-actions.ts";

const root = resolve(import.meta.dirname, "..");
const runs = Number(process.argv[process.argv.indexOf("--runs") + 1]) || 7;
const folder = mkdtempSync(join(tmpdir(), "builder-bench-"));
const env = { ...process.env, XDG_CACHE_HOME: join(folder, "cache") };
const bin = (name: string) => join(root, "cli/bin", name);

interface Row {
  readonly what: string;
  readonly figure: string;
  readonly beside: string;
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
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

async function startNode(): Promise<{ node: ChildProcess; address: string }> {
  const args = ["serve", "--remote", "--coordinator", "127.0.0.1:0", "--workers-min", "2"];
  const own = ["--slots", "1", "--store", join(folder, "store")];
  const node = spawn(bin("builder"), [...args, ...own], { env });
  let said = "";
  const address = await new Promise<string>((ready) => {
    node.stdout.on("data", (chunk: Buffer) => {
      said += chunk.toString();
      const found = /Coordinator: (\S+)/.exec(said)?.[1];
      if (found !== undefined && said.includes("service ready")) ready(found);
    });
  });
  return { node, address };
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

try {
  const rows: Row[] = [noChange()];
  const { node, address } = await startNode();
  try {
    rows.push(...exampleBuilds(address));
    const perSecond: number[] = [];
    for (let run = 0; run < 3; run += 1) perSecond.push(await executeNoOps(address, 300));
    const spawns: number[] = [];
    for (let run = 0; run < 50; run += 1) spawns.push(timeMs("/bin/true", [], folder));
    rows.push({
      what: "no-op actions through Execute, 2 slots",
      figure: `${median(perSecond).toFixed(0)} actions/s`,
      beside: `bare spawn: ${median(spawns).toFixed(1)} ms`,
    });
  } finally {
    node.kill("SIGINT");
    await new Promise((ended) => node.once("exit", ended));
  }
  process.stdout.write("| What | Median | Beside it |\n|---|---|---|\n");
  for (const { what, figure, beside } of rows) {
    process.stdout.write(`| ${what} | ${figure} | ${beside} |\n`);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
