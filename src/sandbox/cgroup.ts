// Where on this machine an action's cgroup can be made: version 2 where its controllers are ours to
// use, else version 1, else nowhere. Found once per process; the sandbox program does the rest.
// https://docs.kernel.org/admin-guide/cgroup-v2.html (delegation, "no internal processes")

import {
  accessSync,
  constants,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";

/** A folder in which cgroups of actions are made, and what it is for. */
export interface CgroupPlace {
  /** `2` is version 2; the others are version 1's memory, CPU and process hierarchies. */
  readonly hierarchy: "2" | "memory" | "cpu" | "pids";
  readonly parent: string;
}

/** A mounted cgroup file system, from /proc/self/mountinfo. */
export interface CgroupMount {
  readonly version: 1 | 2;
  /** Version 1 controllers of the hierarchy; empty for version 2. */
  readonly controllers: readonly string[];
  /** The part of the hierarchy that is mounted; `/` outside containers. */
  readonly root: string;
  readonly folder: string;
}

/** Reads the cgroup mounts out of the text of /proc/self/mountinfo (proc(5)). */
export function parseCgroupMounts(mountinfo: string): CgroupMount[] {
  return mountinfo.split("\n").flatMap((line): CgroupMount[] => {
    const [before = "", after = ""] = line.split(" - ");
    const [, , , root, folder] = before.split(" ");
    const [type, , options = ""] = after.split(" ");
    if (root === undefined || folder === undefined) return [];
    if (type === "cgroup2") return [{ version: 2, controllers: [], root, folder }];
    if (type !== "cgroup") return [];
    return [{ version: 1, controllers: options.split(","), root, folder }];
  });
}

/**
 * The folder of this process in a hierarchy, from the text of /proc/self/cgroup (cgroups(7)).
 * Undefined where the process lives outside of what is mounted.
 */
export function ownCgroup(membership: string, mount: CgroupMount): string | undefined {
  for (const line of membership.split("\n")) {
    const match = /^\d+:([^:]*):(\/.*)$/.exec(line);
    const names = match?.[1]?.split(",") ?? [];
    const path = match?.[2];
    if (path === undefined || path.startsWith("/..")) continue;
    const same =
      mount.version === 2
        ? names.join() === ""
        : names.some((name) => name !== "" && mount.controllers.includes(name));
    if (!same) continue;
    const root = mount.root === "/" ? "" : mount.root;
    if (path !== root && !path.startsWith(`${root}/`)) return undefined;
    return join(mount.folder, path.slice(root.length));
  }
  return undefined;
}

/** Finds where cgroups with limits on memory and processes can be made; empty if nowhere. */
export function findCgroupPlaces(): CgroupPlace[] {
  const mounts = parseCgroupMounts(readOr("/proc/self/mountinfo"));
  const membership = readOr("/proc/self/cgroup");
  for (const mount of mounts.filter(({ version }) => version === 2)) {
    const own = ownCgroup(membership, mount);
    const parent = own === undefined ? undefined : findDelegatedParent(mount.folder, own);
    if (parent !== undefined) return [{ hierarchy: "2", parent }];
  }
  const places = (["memory", "pids", "cpu"] as const).flatMap((hierarchy) => {
    const mount = mounts.find(({ controllers }) => controllers.includes(hierarchy));
    const parent = mount === undefined ? undefined : ownCgroup(membership, mount);
    return parent !== undefined && canMakeIn(parent) ? [{ hierarchy, parent }] : [];
  });
  const found = places.map(({ hierarchy }) => hierarchy);
  return found.includes("memory") && found.includes("pids") ? places : [];
}

/**
 * The nearest folder from `own` up to `top` whose children have memory and process limits. Prefers
 * one that is so already; else asks the kernel to make one so, which it refuses for folders that
 * hold processes themselves. A service that was delegated, and a container, are given just such a
 * folder with us in it: where there is no other we move to one below it, with all that is there.
 * CPU quotas are taken where they can be had.
 */
export function findDelegatedParent(top: string, own: string): string | undefined {
  const chain: string[] = [];
  for (let at = own; at === top || at.startsWith(`${top}/`); at = dirname(at)) chain.push(at);
  const usable = chain.filter((folder) => canMakeIn(folder));
  const ready =
    usable.find(givesLimits) ??
    usable.find(enableLimits) ??
    usable.find((folder) => folder === own && offersLimits(folder) && enableVacated(folder));
  if (ready === undefined) return undefined;
  for (const folder of chain.slice(chain.indexOf(ready)).reverse()) enable(folder, "+cpu");
  return ready;
}

/**
 * Removes cgroups of actions whose supervisor was killed together with everything else. Their names
 * carry the supervisor's process id and start time. One that is in use is busy and stays.
 */
export function sweepCgroups(places: readonly CgroupPlace[]): void {
  for (const { parent } of places) {
    for (const name of listOr(parent)) {
      const owner = /^builder-(\d+)-(\d+)$/.exec(name);
      if (!owner || startTime(owner[1] ?? "") === owner[2]) continue;
      attempt(() => rmdirSync(join(parent, name)));
    }
  }
}

/** Start time of a process in clock ticks since boot: field 22 of its stat file (proc(5)). */
export function startTime(pid: string): string | undefined {
  const stat = readOr(`/proc/${pid}/stat`);
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
}

function givesLimits(folder: string): boolean {
  return listsLimits(join(folder, "cgroup.subtree_control"));
}

function offersLimits(folder: string): boolean {
  return listsLimits(join(folder, "cgroup.controllers"));
}

function listsLimits(file: string): boolean {
  const controllers = readOr(file).trim().split(" ");
  return controllers.includes("memory") && controllers.includes("pids");
}

/** Bound: what starts while the folder is emptied is moved by the next round. */
const vacatingRounds = 10;

function enableVacated(folder: string): boolean {
  const below = join(folder, "builder-node");
  attempt(() => mkdirSync(below));
  for (let round = 0; round < vacatingRounds; round += 1) {
    for (const pid of readOr(join(folder, "cgroup.procs")).trim().split("\n")) {
      // One that has ended meanwhile cannot be moved, and need not.
      attempt(() => writeFileSync(join(below, "cgroup.procs"), pid));
    }
    if (enableLimits(folder)) return true;
  }
  return false;
}

function enableLimits(folder: string): boolean {
  return enable(folder, "+memory +pids") && givesLimits(folder);
}

function enable(folder: string, controllers: string): boolean {
  return attempt(() => writeFileSync(join(folder, "cgroup.subtree_control"), controllers));
}

/** Moving processes below a folder needs its cgroup.procs; making one there shows the rest. */
function canMakeIn(parent: string): boolean {
  const trial = join(parent, `builder-${process.pid}-0`);
  return (
    attempt(() => accessSync(join(parent, "cgroup.procs"), constants.W_OK)) &&
    attempt(() => mkdirSync(trial)) &&
    attempt(() => rmdirSync(trial))
  );
}

function attempt(action: () => void): boolean {
  try {
    action();
    return true;
  } catch {
    return false;
  }
}

function readOr(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

function listOr(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
