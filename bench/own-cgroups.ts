// Version 1 cgroups of a bench's own: all its actions together count as one beside other programs,
// and what of them is left can be told from what others left.

import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { findCgroupPlaces } from "../src/sandbox/cgroup.ts";
import { eventually } from "../test/support/eventually.ts";

/** How long dead processes may take to leave their cgroup, in ms. */
const leaveMs = 60_000;

/** Makes one in each hierarchy that limits actions; none with version 2 or without the right. */
export function makeOwnCgroups(name: string): string[] {
  const places = findCgroupPlaces().filter(({ hierarchy }) => hierarchy !== "2");
  const folders = places.map(({ parent }) => join(parent, name));
  for (const folder of folders) mkdirSync(folder);
  return folders;
}

/** Moves this process there; what it starts is there from the beginning. */
export function enterCgroups(folders: readonly string[]): void {
  for (const folder of folders) writeFileSync(join(folder, "cgroup.procs"), `${process.pid}`);
}

/** Moves all that is there back to the cgroups around them. */
export function leaveCgroups(folders: readonly string[]): void {
  for (const folder of folders) {
    const pids = readFileSync(join(folder, "cgroup.procs"), "utf8").split("\n").filter(Boolean);
    for (const pid of pids) writeFileSync(join(dirname(folder), "cgroup.procs"), pid);
  }
}

/** Removes them; throws where something is still in one after a while. */
export async function removeCgroups(folders: readonly string[]): Promise<void> {
  for (const folder of folders) await eventually(`${folder} is empty`, removed(folder), leaveMs);
}

function removed(folder: string): () => boolean {
  return () => {
    try {
      rmdirSync(folder);
      return true;
    } catch {
      return false;
    }
  };
}
