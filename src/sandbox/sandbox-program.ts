// The programs of native/ on this machine: as shipped, copied, or compiled on first use.

import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { accessSync, constants, existsSync, readdirSync, readFileSync } from "node:fs";
import { chmod, copyFile, mkdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { MeshError } from "../core/error.ts";

const nativeFolder = fileURLToPath(new URL("../../native", import.meta.url));

/** Where to find the program, and for which machine. */
export interface ProgramOptions {
  /** Folder that may keep a copy or a compiled program for later starts. */
  readonly stateFolder: string;
  /** Node's name of the processor: `x64`, `arm64`, … */
  readonly arch: string;
  /** Which: the sandbox unless given. The audit's sources are in a folder of their own. */
  readonly program?: "sandbox" | "audit";
  /** Folder with the sources and `prebuilt/`; the installed one unless given. */
  readonly nativeFolder?: string;
  /** The C compiler to call where nothing was shipped; `cc` unless given. */
  readonly compiler?: string;
}

/**
 * The path of an executable program. The shipped one is used in place; where the checkout
 * lost its executable bit, a copy is. Other processors compile it once per version of the sources.
 * FAILED_PRECONDITION where that is impossible.
 */
export async function findSandboxProgram(options: ProgramOptions): Promise<string> {
  const folder = options.nativeFolder ?? nativeFolder;
  const program = options.program ?? "sandbox";
  const name = `builder-${program}`;
  const shipped = join(folder, "prebuilt", `linux-${options.arch}`, name);
  if (isExecutable(shipped)) return shipped;
  const sourceFolder = program === "sandbox" ? folder : join(folder, program);
  const sources = readdirSync(sourceFolder).filter((file) => /\.[ch]$/.test(file));
  const own = () => sources.sort().map((file) => join(sourceFolder, file));
  const parts = existsSync(shipped) ? [shipped] : own();
  const kept = join(options.stateFolder, `${name}-${options.arch}-${versionOf(parts)}`);
  if (isExecutable(kept)) return kept;
  await mkdir(options.stateFolder, { recursive: true, mode: 0o700 });
  const unfinished = `${kept}.${process.pid}`;
  try {
    if (existsSync(shipped)) await copyFile(shipped, unfinished);
    else await compile(program, options.compiler ?? "cc", parts, unfinished);
    await chmod(unfinished, 0o755);
    await rename(unfinished, kept);
  } finally {
    await rm(unfinished, { force: true });
  }
  return kept;
}

async function compile(
  program: "sandbox" | "audit",
  compiler: string,
  parts: readonly string[],
  output: string,
): Promise<void> {
  const sources = parts.filter((path) => path.endsWith(".c"));
  const flags = ["-std=gnu11", "-Os", "-D_GNU_SOURCE", "-o", output];
  try {
    await promisify(execFile)(compiler, [...flags, ...sources], { timeout: 120_000 });
  } catch (cause) {
    const otherwise =
      program === "sandbox"
        ? ", or start with --sandbox=none to run actions without isolation"
        : "";
    throw new MeshError(
      "FAILED_PRECONDITION",
      `The ${program} for this processor could not be compiled with ${compiler}. Install a C ` +
        `compiler (Debian, Ubuntu: apt install gcc libc6-dev)${otherwise}.`,
      { cause },
    );
  }
}

function versionOf(paths: readonly string[]): string {
  const hash = createHash("sha256");
  for (const path of paths) hash.update(readFileSync(path));
  return hash.digest("hex").slice(0, 16);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
