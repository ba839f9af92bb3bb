// Thousands of actions on a real node whose workers are killed in the middle of many of them, and
// what is left of it all: `npm run bench -- hermetic-soak [--actions N] [--seed N] [--user UID]`.
// It happens in a small world (hermetic-world.ts): process ids, mounts, shared memory and cgroups
// of its own, so that everything in it counts and nothing of other programs does. Linux, as root.

import { spawn, spawnSync } from "node:child_process";
import { chownSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeOwnCgroups, removeCgroups } from "./own-cgroups.ts";

/** What to do in the small world. */
export interface HermeticSoak {
  readonly actions: number;
  /** Of the dice that choose the actions, and those in whose middle their worker is killed. */
  readonly seed: number;
  /** Actions of a hundred whose worker is killed. */
  readonly killsPercent: number;
  /** The user of the node. */
  readonly user: number;
}

/** How it went. */
export interface HermeticReport {
  readonly actions: number;
  /** Worker processes that got SIGKILL while they ran an action that was chosen for it. */
  readonly kills: number;
  /** Actions that were chosen and ended before they were found. */
  readonly missed: number;
  /** Actions that did not end as their script says, with what they said. */
  readonly wrong: readonly string[];
  /** What was left when all actions had ended, or was gone; empty where all is as it was. */
  readonly left: readonly string[];
  readonly seconds: number;
  /** Open descriptors of the serving node at the start and at the end. */
  readonly descriptors: readonly [number, number];
}

/** What the small world is told. */
export interface WorldOrder extends HermeticSoak {
  readonly folder: string;
  /** Version 1 cgroups to live in, so that those of its actions are below them. */
  readonly cgroups: readonly string[];
}

const spaces = ["--mount", "--pid", "--ipc", "--fork", "--kill-child", "--mount-proc"];
// Its shell is the first process of the world, which reaps orphans. Named network namespaces are
// mounts that go everywhere when somebody outside removes them.
const enter =
  "umount -l -R /run/netns 2> /dev/null; " +
  'mount -t tmpfs -o mode=1777 none /dev/shm && "$@"; exit $?';

/** Why there can be no such world here; undefined where there can. */
export function worldMissing(): string | undefined {
  if (process.platform !== "linux" || process.getuid?.() !== 0) return "it wants root on Linux";
  const tried = spawnSync("unshare", [...spaces, "/bin/sh", "-c", enter, "sh", "true"]);
  if (tried.error !== undefined) return "unshare of util-linux is not installed";
  return tried.status === 0 ? undefined : `namespaces are not permitted: ${tried.stderr}`;
}

/** Runs it to its end. Throws where the world itself did not come to one. */
export async function hermeticSoak(soak: HermeticSoak): Promise<HermeticReport> {
  const folder = mkdtempSync(join(tmpdir(), "builder-soak-"));
  chownSync(folder, soak.user, soak.user);
  const cgroups = makeOwnCgroups(`soak-${process.pid}-${soak.user}`);
  try {
    const said = await runWorld({ ...soak, folder, cgroups });
    return JSON.parse(said) as HermeticReport;
  } finally {
    await removeCgroups(cgroups);
    rmSync(folder, { recursive: true, force: true });
  }
}

function runWorld(order: WorldOrder): Promise<string> {
  const world = join(import.meta.dirname, "hermetic-world.ts");
  const program = ["/bin/sh", "-c", enter, "sh", process.execPath, world, JSON.stringify(order)];
  const child = spawn("unshare", [...spaces, ...program], { stdio: ["ignore", "pipe", "inherit"] });
  let said = "";
  child.stdout.on("data", (chunk: Buffer) => {
    said += chunk.toString();
  });
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => {
      if (code === 0) resolve(said);
      else reject(new Error(`the small world ended with ${code}`));
    });
  });
}
