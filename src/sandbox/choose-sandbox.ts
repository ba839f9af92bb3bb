// Which sandbox this machine gets. Isolation is never given up in silence: where it cannot be had,
// the node says so and does not start, unless its user asked for none.

import { mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { failureOf, MeshError } from "../core/error.ts";
import { BareSandbox } from "./bare-sandbox.ts";
import { findCgroupPlaces, sweepCgroups } from "./cgroup.ts";
import { DarwinSandbox } from "./darwin-sandbox.ts";
import { LinuxSandbox } from "./linux-sandbox.ts";
import type { Sandbox, SandboxLimits } from "./sandbox.ts";
import { findSandboxProgram } from "./sandbox-program.ts";
import { WindowsSandbox, windowsProgram } from "./windows-sandbox.ts";

/** What the user asked for, and where the sandbox may keep things. */
export interface SandboxChoice {
  /** `auto`: the best isolation here, or a refusal. `none`: no isolation. */
  readonly want: "auto" | "none";
  /** Folder for a compiled program and for the trial run; made if missing. */
  readonly stateFolder: string;
}

/**
 * The user and group of actions on a host whose node runs as root: an id that owns nothing, as it
 * lies in the gap between systemd's dynamic users and `nobody` (https://systemd.io/UIDS-GIDS).
 */
export const actionHostId = 65530;

/**
 * Chooses a sandbox and runs a command in it once, so that a machine without isolation is refused
 * at start-up and not at the first action. Also sweeps cgroups that a killed node left.
 * FAILED_PRECONDITION, with the remedy, where `auto` finds nothing.
 */
export async function chooseSandbox(choice: SandboxChoice): Promise<Sandbox> {
  if (choice.want === "none") return new BareSandbox();
  const { stateFolder } = choice;
  if (process.platform !== "linux") return chooseElsewhere(process.platform, stateFolder);
  const program = await findSandboxProgram({ stateFolder, arch: process.arch });
  const hostId = await chooseHostId();
  const cgroups = findCgroupPlaces();
  sweepCgroups(cgroups);
  if (cgroups.length > 0) {
    const limited = new LinuxSandbox({ program, hostId, cgroups });
    // What looked delegated may still be refused; limits then come from rlimits and measuring.
    if ((await tryOut(limited, stateFolder)) === undefined) return limited;
  }
  const sandbox = new LinuxSandbox({ program, hostId, cgroups: [] });
  const failure = await tryOut(sandbox, stateFolder);
  if (failure === undefined) return sandbox;
  const { message } = failureOf(failure);
  throw new MeshError("FAILED_PRECONDITION", message, { cause: failure });
}

/** The sandbox of another system, tried out: there is no second best. */
async function chooseElsewhere(system: string, stateFolder: string): Promise<Sandbox> {
  const without = "start with --sandbox=none to run actions without isolation";
  if (system === "darwin") {
    return triedOut(new DarwinSandbox(), stateFolder, ["/usr/bin/true"]);
  }
  if (system === "win32") {
    const systemRoot = process.env["SystemRoot"] ?? "C:\\Windows";
    const sandbox = new WindowsSandbox({ command: [windowsProgram], systemRoot });
    return triedOut(sandbox, stateFolder, [`${systemRoot}\\System32\\cmd.exe`, "/c", "exit 0"]);
  }
  throw new MeshError(
    "FAILED_PRECONDITION",
    `There is no sandbox for ${system}. Run workers on Linux, macOS or Windows, or ${without}.`,
  );

  async function triedOut(
    sandbox: Sandbox,
    folder: string,
    argv: readonly [string, ...string[]],
  ): Promise<Sandbox> {
    const failure = await tryOut(sandbox, folder, argv);
    if (failure === undefined) return sandbox;
    const message = `The sandbox of this system does not work: ${failureOf(failure).message}`;
    throw new MeshError("FAILED_PRECONDITION", `${message} Correct that, or ${without}.`);
  }
}

/** True where `id` exists in this process's user namespace, by the text of its uid_map. */
export function mapsId(uidMap: string, id: number): boolean {
  return uidMap.split("\n").some((line) => {
    const [first = Number.NaN, , count = 0] = line.trim().split(/\s+/).map(Number);
    return id >= first && id < first + count;
  });
}

async function chooseHostId(): Promise<number> {
  if (process.geteuid?.() !== 0) return 0;
  const [users, groups] = await Promise.all([
    readFile("/proc/self/uid_map", "utf8"),
    readFile("/proc/self/gid_map", "utf8"),
  ]);
  // Root of a small namespace has only itself to give.
  return mapsId(users, actionHostId) && mapsId(groups, actionHostId) ? actionHostId : 0;
}

/** Small, but enough for a command that does nothing. */
const trialLimits: SandboxLimits = {
  ...{ wallMs: 10_000, memoryBytes: 64 << 20, cpus: 1, pids: 16, openFiles: 256 },
  ...{ fileBytes: 1 << 20, logBytes: 1 << 20, outputBytes: 1 << 20, outputFiles: 16 },
  ...{ tmpBytes: 1 << 20, tmpFiles: 16 },
};

/** What went wrong; of commands other than Linux's also an exit code that is not 0. */
async function tryOut(
  sandbox: Sandbox,
  stateFolder: string,
  argv: readonly [string, ...string[]] = ["/bin/true"],
): Promise<unknown> {
  await mkdir(stateFolder, { recursive: true, mode: 0o700 });
  const scratch = await mkdtemp(join(stateFolder, "sandbox-trial-"));
  try {
    await mkdir(join(scratch, "root"));
    // On Linux any exit code will do: that the command was reached is what counts.
    const { exitCode } = await sandbox.run({
      scratch,
      execRoot: join(scratch, "root"),
      workingDirectory: "",
      argv,
      env: {},
      stdoutPath: join(scratch, "stdout"),
      stderrPath: join(scratch, "stderr"),
      network: false,
      limits: trialLimits,
    });
    const isFine = exitCode === 0 || sandbox instanceof LinuxSandbox;
    return isFine ? undefined : new Error(`${argv[0]} ended with exit code ${exitCode}.`);
  } catch (error) {
    return error;
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}
