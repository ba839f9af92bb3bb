// Who holds something in a store shared by processes: a name that is good for as long as its
// process lives, and no longer.

import { readFileSync } from "node:fs";

/** Names this process and its `n`th hold: `pid:start time:n`. */
export function currentHolder(n: number): string {
  return `${process.pid}:${startTimeOf(process.pid) ?? 0}:${n}`;
}

/** False once the process is gone, also where another one has its number now. */
export function holderLives(holder: string): boolean {
  const [pid, start] = holder.split(":");
  return String(startTimeOf(Number(pid)) ?? -1) === start;
}

/** Start time of a process in clock ticks since boot (field 22 of /proc/PID/stat). */
function startTimeOf(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19]);
  } catch {
    return undefined;
  }
}
