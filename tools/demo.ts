// The demo of the README: a serving node and two workers on loopback, the example built cold,
// changed, cached, tested, its status shown, everything stopped. Every line is printed by the real
// programs.

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { appendFileSync, cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const root = resolve(import.meta.dirname, "..");
const folder = mkdtempSync(join(tmpdir(), "builder-demo-"));
const workspace = join(folder, "remote-execution");
const bin = (name: string) => join(root, "cli/bin", name);

function say(text: string): void {
  process.stdout.write(`\n\u001b[1m── ${text}\u001b[0m\n`);
}

/** Runs a command in the example's copy and shows it as a user would type it. */
function run(name: string, ...args: string[]): void {
  process.stdout.write(`$ ${name} ${args.join(" ")}\n`);
  const program = name === "builder" || name === "bldr" ? bin(name) : name;
  const { status } = spawnSync(program, args, { cwd: workspace, stdio: "inherit" });
  if (status !== 0) throw new Error(`${name} ${args.join(" ")} ended with ${status}`);
}

/** Starts the node and waits until it says that it is ready. */
async function startNode(): Promise<{ node: ChildProcess; address: string }> {
  const args = ["serve", "--remote", "--coordinator", "127.0.0.1:0", "--workers-min", "2"];
  process.stdout.write(`$ builder ${args.join(" ")} &\n`);
  const store = ["--store", join(folder, "store")];
  const node = spawn(bin("builder"), [...args, ...store], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let said = "";
  const address = await new Promise<string>((ready, fail) => {
    node.on("exit", (code) => fail(new Error(`the node ended early (${code})`)));
    node.stdout?.on("data", (chunk: Buffer) => {
      process.stdout.write(chunk);
      said += chunk.toString();
      const found = /Coordinator: (\S+)/.exec(said)?.[1];
      if (found !== undefined && said.includes("service ready")) ready(found);
    });
  });
  return { node, address };
}

async function stopNode(node: ChildProcess): Promise<void> {
  const ended = new Promise((done) => node.once("exit", done));
  node.removeAllListeners("exit");
  node.once("exit", () => undefined);
  node.kill("SIGINT");
  await Promise.race([ended, new Promise((done) => node.once("close", done))]);
}

try {
  if (spawnSync("c++", ["--version"]).error) {
    throw new Error("the demo compiles C++; install a compiler first (Debian: apt install g++)");
  }
  cpSync(join(root, "examples/remote-execution"), workspace, { recursive: true });
  say("A node with two workers");
  const { node, address } = await startNode();
  try {
    say("Build everything: nothing is cached yet");
    run("bldr", "build", `--remote=${address}`);
    say("Build again: nothing changed");
    run("bldr", "build", "cpp_project", `--remote=${address}`);
    say("Change one file: only what depends on it runs");
    appendFileSync(join(workspace, "src/main.cpp"), "// changed by the demo\n");
    run("bldr", "build", "cpp_project", `--remote=${address}`);
    say("Forget everything on this side: the node still has the results");
    run("bldr", "clean");
    run("rm", "-r", "build", "bin");
    run("bldr", "build", `--remote=${address}`);
    run("./build/app");
    say("Test");
    run("bldr", "test", `--remote=${address}`);
    say("How the node is");
    run("builder", "remote", "status", "--coordinator", address);
  } finally {
    say("Stop (Ctrl-C)");
    await stopNode(node);
  }
} catch (error) {
  process.stderr.write(`[ERROR] ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
