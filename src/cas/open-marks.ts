// Tells whether the machine went down while the index was in use. The index is written without
// waiting for the disk, which is ten times faster and safe when processes die, but not when power
// does: then it is not to be trusted, and everything in it can be had again.
//
// Each process that has the index open leaves a mark, and takes it away once what it wrote is on
// disk.

import * as fs from "node:fs";
import { join } from "node:path";
import { currentHolder, holderLives } from "./holder.ts";

/** The mark of this process. */
export interface OpenMark {
  /** True where a process had the index open when the machine went down. */
  readonly wasInterrupted: boolean;
  /** What this process wrote is safe: call it when the index is closed. */
  remove(): void;
}

let marks = 0;
/** Begins the name of a mark that is being written. */
const unfinished = ".";

/**
 * Marks the index as open in `folder`, which is there. Call it before opening; `dataFile` is what
 * is to be safe.
 */
export function markOpen(folder: string, dataFile: string): OpenMark {
  const wasInterrupted = sweepMarks(folder, dataFile);
  marks += 1;
  const own = join(folder, currentHolder(marks));
  // Renamed into place: a mark without its text would look like one of another boot.
  const draft = join(folder, `${unfinished}${currentHolder(marks)}`);
  fs.writeFileSync(draft, bootId(), { flush: true });
  fs.renameSync(draft, own);
  syncFile(folder);
  return {
    wasInterrupted,
    remove: () => {
      syncFile(dataFile);
      fs.rmSync(own, { force: true });
      // Those of processes that were killed meanwhile go, too: perhaps nobody comes after us.
      sweepMarks(folder, dataFile);
    },
  };
}

/** Removes marks of processes that are gone; true where one was open when the machine went down. */
function sweepMarks(folder: string, dataFile: string): boolean {
  const boot = bootId();
  const found = fs.readdirSync(folder).map((name) => {
    const isDraft = name.startsWith(unfinished);
    const path = join(folder, name);
    const holder = isDraft ? name.slice(unfinished.length) : name;
    return { path, isDraft, lives: holderLives(holder), made: isDraft ? boot : readOr(path) };
  });
  // Processes of this boot that were killed: the kernel has what they wrote, the disk perhaps not.
  const over = found.filter(({ made, lives }) => made !== boot || !lives);
  if (over.some(({ isDraft }) => !isDraft)) syncFile(dataFile);
  for (const { path } of over) fs.rmSync(path, { force: true });
  return found.some(({ made }) => made !== "" && made !== boot);
}

/** Changes with every start of the machine (proc(5), random/boot_id). */
function bootId(): string {
  return readOr("/proc/sys/kernel/random/boot_id") || "one";
}

function syncFile(path: string): void {
  if (!fs.existsSync(path)) return;
  const fd = fs.openSync(path, "r");
  try {
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
}

function readOr(path: string): string {
  try {
    return fs.readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
