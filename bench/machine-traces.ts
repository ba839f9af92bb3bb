// What a program can leave behind on a machine: processes, namespaces, mounts, cgroups, shared
// memory, files. Looked at before and after, and compared by name.

import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { allProcesses } from "../test/support/programs.ts";

/** Where to look for what is not the whole machine's. */
export interface TracePlaces {
  /** Cgroups of which every one below counts. */
  readonly cgroups: readonly string[];
  /** Folders of which everything below counts, but for what is below one of `except`. */
  readonly folders: readonly string[];
  readonly except: readonly string[];
}

/** A line for each thing found, which names it and says what it is. */
export function findTraces({ cgroups, folders, except }: TracePlaces): Set<string> {
  const traces = new Set<string>();
  for (const { pid, command } of allProcesses()) {
    traces.add(`process ${pid}: ${command}`);
    const space = linkOr(`/proc/${pid}/ns/mnt`);
    for (const line of linesOf(`/proc/${pid}/mountinfo`)) traces.add(`mount in ${space}: ${line}`);
    for (const kind of namesOr(`/proc/${pid}/ns`)) {
      traces.add(`namespace ${linkOr(`/proc/${pid}/ns/${kind}`)}`);
    }
  }
  for (const kind of ["msg", "sem", "shm"]) {
    for (const line of linesOf(`/proc/sysvipc/${kind}`)) traces.add(`System V ${kind}: ${line}`);
  }
  for (const folder of ["/dev/shm", "/dev/mqueue"]) {
    for (const name of namesOr(folder)) traces.add(`POSIX ${join(folder, name)}`);
  }
  for (const top of cgroups) {
    for (const path of pathsBelow(top, [], true)) traces.add(`cgroup ${path}`);
  }
  for (const top of folders) {
    for (const path of pathsBelow(top, except, false)) traces.add(`file ${path}`);
  }
  return traces;
}

/** What one has and the other does not, in words. */
export function differencesOf(before: ReadonlySet<string>, after: ReadonlySet<string>): string[] {
  const left = [...after].filter((trace) => !before.has(trace)).map((trace) => `left: ${trace}`);
  const gone = [...before].filter((trace) => !after.has(trace)).map((trace) => `gone: ${trace}`);
  return [...left, ...gone];
}

function pathsBelow(top: string, except: readonly string[], onlyFolders: boolean): string[] {
  const found: string[] = [];
  const rest = [top];
  for (let folder = rest.pop(); folder !== undefined; folder = rest.pop()) {
    for (const entry of entriesOr(folder)) {
      const path = join(folder, entry.name);
      if (except.includes(path)) continue;
      if (entry.isDirectory()) rest.push(path);
      if (entry.isDirectory() || !onlyFolders) found.push(path);
    }
  }
  return found;
}

function entriesOr(folder: string) {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch {
    return [];
  }
}

function namesOr(folder: string): string[] {
  return entriesOr(folder).map(({ name }) => name);
}

function linesOf(path: string): string[] {
  try {
    return readFileSync(path, "utf8").trim().split("\n");
  } catch {
    return [];
  }
}

function linkOr(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "?";
  }
}
