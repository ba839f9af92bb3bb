// The programs as users run them: spawned, with folders of their own, stopped at the end.

import { type ChildProcess, execFile, spawn } from "node:child_process";
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

/** The checkout. */
export const root = new URL("../..", import.meta.url).pathname.replace(/\/$/, "");

/** How a program ended and what it said. */
export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A folder for one test file, with a cache home and a folder for temporary files of its own. */
export interface Place {
  readonly folder: string;
  readonly env: NodeJS.ProcessEnv;
  /** Copies an example of the checkout here. */
  example(name: string): string;
  /** A new folder with these files. */
  workspace(files: Readonly<Record<string, string>>): string;
  remove(): void;
}

export function createPlace(): Place {
  const folder = mkdtempSync(join(tmpdir(), "builder-test-"));
  const cache = join(folder, "cache");
  const temporary = join(folder, "tmp");
  mkdirSync(cache);
  mkdirSync(temporary);
  return {
    folder,
    env: {
      ...process.env,
      XDG_CACHE_HOME: cache,
      TMPDIR: temporary,
      CC: "cc",
      CXX: "c++",
    },
    example: (name) => {
      const to = mkdtempSync(join(folder, `${name}-`));
      cpSync(join(root, "examples", name), to, { recursive: true });
      return to;
    },
    workspace: (files) => {
      const to = mkdtempSync(join(folder, "ws-"));
      for (const [path, text] of Object.entries(files)) {
        mkdirSync(dirname(join(to, path)), { recursive: true });
        writeFileSync(join(to, path), text);
      }
      return to;
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** Runs `bldr`, `builder` or any program to its end. */
export function run(
  place: Place,
  cwd: string,
  program: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
): Promise<Ended> {
  const ours = program === "bldr" || program === "builder";
  const path = ours ? join(root, "cli/bin", program) : program;
  return new Promise((resolve) => {
    execFile(
      path,
      [...args],
      { cwd, env: { ...place.env, ...env }, maxBuffer: 64 << 20 },
      (error, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === "number" ? error.code : null;
        resolve({ code, stdout, stderr });
      },
    );
  });
}

/** Debian's Bazel (bazel-bootstrap); npm puts another one on the path of its scripts. */
export const debianBazel = "/usr/bin/bazel";

/** The last Bazel that npm has as a plain program, an optional dependency. */
export const npmBazel = join(root, "node_modules/@bazel/bazel-linux_x64/bazel-2.1.0-linux-x86_64");

/** A serving node in its own process. */
export interface SpawnedNode {
  readonly address: string;
  readonly process: ChildProcess;
  /** Flags by which `builder` asks this node as its owner. */
  readonly asOwner: readonly string[];
  said(): string;
  /** Ctrl-C, and wait for the end. */
  stop(): Promise<number | null>;
  /** Process ids of its worker processes. */
  workers(): number[];
}

/** Starts one. `within` is a program that runs another one in a place of its own, with its flags. */
export function startNode(
  place: Place,
  args: readonly string[] = [],
  within: readonly string[] = [],
): Promise<SpawnedNode> {
  const store = join(place.folder, "node-store");
  const base = ["serve", "--remote", "--coordinator", "127.0.0.1:0", "--store", store];
  return startServing(place, [...base, ...args], { within });
}

/** Starts `builder serve` or `builder join` with these words. */
export async function startServing(
  place: Place,
  words: readonly string[],
  how: { readonly within?: readonly string[]; readonly env?: NodeJS.ProcessEnv } = {},
): Promise<SpawnedNode> {
  const [program = "", ...rest] = [...(how.within ?? []), join(root, "cli/bin/builder"), ...words];
  const child = spawn(program, rest, { env: { ...place.env, ...how.env } });
  let said = "";
  const ended = new Promise<number | null>((resolve) => child.once("exit", resolve));
  const address = await new Promise<string>((ready, fail) => {
    const read = (chunk: Buffer) => {
      said += chunk.toString();
      const found = /Coordinator: (\S+)/.exec(said)?.[1];
      if (found !== undefined && said.includes("service ready")) ready(found);
    };
    child.stdout.on("data", read);
    child.stderr.on("data", read);
    ended.then((code) => fail(new Error(`the node ended early (${code}): ${said}`)), fail);
  });
  const at = words.indexOf("--store");
  const store = at < 0 ? [] : ["--store", words[at + 1] ?? ""];
  return {
    address,
    process: child,
    asOwner: ["--coordinator", address, ...store],
    said: () => said,
    stop: () => {
      child.kill("SIGINT");
      return ended;
    },
    workers: () => childrenOf(child.pid ?? -1),
  };
}

/** Process ids whose parent is `pid`. */
export function childrenOf(pid: number): number[] {
  return allProcesses()
    .filter(({ parent }) => parent === pid)
    .map((found) => found.pid);
}

/** Every process: id, parent, command line. */
export function allProcesses(): { pid: number; parent: number; command: string }[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const stat = readFileSync(`/proc/${name}/stat`, "utf8");
        const [state, parent] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
        if (state === "Z") return [];
        const command = readFileSync(`/proc/${name}/cmdline`, "utf8").replaceAll("\0", " ");
        return [{ pid: Number(name), parent: Number(parent), command }];
      } catch {
        return [];
      }
    });
}
