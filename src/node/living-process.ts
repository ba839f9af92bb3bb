// Processes as files name them for whoever comes later: by number and start, because numbers of
// processes come again.

import { readFileSync } from "node:fs";
import { isErrno } from "../cas/disk-files.ts";

/** What names a process that runs now, such as `4711 880123`. */
export function processMark(pid: number): string {
  return `${pid} ${startOf(pid)}`;
}

/** Whether the process of a mark still runs; false for text that is no mark. */
export function isLiving(mark: string): boolean {
  const [pid = "", start = ""] = mark.split(" ");
  if (!/^\d+$/.test(pid)) return false;
  try {
    process.kill(Number(pid), 0);
  } catch (error) {
    // It may belong to another user, whom we may not signal.
    if (!isErrno(error, "EPERM")) return false;
  }
  return startOf(Number(pid)) === start;
}

/** When a process started, in ticks since boot; empty where the system does not say. */
function startOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "";
  } catch {
    return "";
  }
}
