// How this machine is: power, heat, whether somebody uses it, what other programs take. Read from
// the kernel's files, which are imitated in tests; a file that is not there means "unknown".
//
// Actions run with a niceness above 0 (manners.ts), so the kernel itself tells what they use from
// what everything else uses: the `nice` column of /proc/stat.

import { execFile } from "node:child_process";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { availableParallelism, freemem } from "node:os";
import { join } from "node:path";
import type { MachineState } from "../core/manners.ts";

/** Reads the machine; what it compares with earlier readings is its own. */
export interface MachineReader {
  read(nowMs: number): Omit<MachineState, "running">;
}

/** Where from. */
export interface MachineReaderOptions {
  /** Folder that holds `sys`, `proc` and `dev`; `/` but in tests. */
  readonly root: string;
  readonly platform: NodeJS.Platform;
}

/** Creates a reader for this kind of machine. */
export function createMachineReader({ root, platform }: MachineReaderOptions): MachineReader {
  const cores = availableParallelism();
  if (platform === "darwin") return macReader(cores);
  const cpus = otherCpusReader(root, cores);
  const idle = idleReader(root);
  const heat = heatReader(root);
  return {
    read: (nowMs) => ({
      power: readPower(root),
      isHot: heat(),
      idleMs: idle(nowMs),
      cores,
      otherCpus: cpus(),
      memoryFreeBytes: readMemoryFree(root),
    }),
  };
}

/** Supplies of mice and the like (`scope` Device) say nothing about the machine. */
function readPower(root: string): MachineState["power"] {
  const base = join(root, "sys/class/power_supply");
  const supplies = namesIn(base)?.map((name) => join(base, name));
  if (supplies === undefined) return "unknown";
  const isMains = (folder: string) => text(folder, "type") !== "Battery";
  const known = supplies.filter((folder) => text(folder, "scope") !== "Device");
  if (known.some((folder) => isMains(folder) && text(folder, "online") === "1")) return "mains";
  const batteries = known.filter((folder) => !isMains(folder));
  const isDraining = batteries.some((folder) => text(folder, "status") === "Discharging");
  return isDraining ? "battery" : "mains";
}

/** Whether the processor has slowed itself down since the last reading. */
function heatReader(root: string): () => boolean | undefined {
  const folder = join(root, "sys/devices/system/cpu/cpu0/thermal_throttle");
  let before: number | undefined;
  return () => {
    const count = wholeNumber(text(folder, "package_throttle_count"));
    const isHot = count === undefined || before === undefined ? undefined : count > before;
    before = count;
    return isHot;
  };
}

/** What `/proc/stat` counts of all cores, in ticks. */
interface CpuTimes {
  readonly user: number;
  readonly nice: number;
  readonly system: number;
  readonly interrupts: number;
  readonly total: number;
}

/** Cores that programs of ordinary niceness keep busy; system time is shared out like user time. */
function otherCpusReader(root: string, cores: number): () => number | undefined {
  let before: CpuTimes | undefined;
  return () => {
    const [now, last] = [readCpuTimes(root), before];
    before = now;
    if (now === undefined || last === undefined || now.total <= last.total) return undefined;
    const [user, nice] = [Math.max(0, now.user - last.user), Math.max(0, now.nice - last.nice)];
    const system = Math.max(0, now.system - last.system);
    const part = user + nice === 0 ? 1 : user / (user + nice);
    const busy = user + system * part + Math.max(0, now.interrupts - last.interrupts);
    return Math.min(cores, (busy / (now.total - last.total)) * cores);
  };
}

function readCpuTimes(root: string): CpuTimes | undefined {
  const line = /^cpu +([\d ]+)$/m.exec(text(root, "proc/stat") ?? "")?.[1];
  if (line === undefined) return undefined;
  const [user = 0, nice = 0, system = 0, idle = 0, wait = 0, irq = 0, soft = 0, steal = 0] = line
    .split(" ")
    .map(Number);
  const interrupts = irq + soft + steal;
  return { user, nice, system, interrupts, total: user + nice + system + idle + wait + interrupts };
}

function readMemoryFree(root: string): number | undefined {
  const kib = /^MemAvailable: +(\d+) kB$/m.exec(text(root, "proc/meminfo") ?? "")?.[1];
  return kib === undefined ? undefined : Number(kib) * 1024;
}

/**
 * Ms since somebody typed at a terminal (which the kernel notes as its access time, as `w` shows
 * it), or since the counters of keyboards and mice last moved. They tell nothing before the second
 * reading, so the first counts as use.
 */
function idleReader(root: string): (nowMs: number) => number | undefined {
  let before: string | undefined;
  let movedAtMs: number | undefined;
  return (nowMs) => {
    const terminals = lastTyped(root);
    const counters = inputCounters(root);
    if (counters !== before && counters !== "") movedAtMs = nowMs;
    before = counters;
    if (terminals === undefined && movedAtMs === undefined) return undefined;
    const last = Math.max(terminals ?? Number.NEGATIVE_INFINITY, movedAtMs ?? -Infinity);
    return Math.max(0, nowMs - last);
  };
}

/** Unix ms of the last key at any terminal; -Infinity without terminals, undefined if unknown. */
function lastTyped(root: string): number | undefined {
  const folder = join(root, "dev/pts");
  const names = namesIn(folder);
  if (names === undefined) return undefined;
  const consoles = [1, 2, 3, 4, 5, 6, 7].map((n) => join(root, `dev/tty${n}`));
  const remote = names.filter((name) => /^\d+$/.test(name)).map((name) => join(folder, name));
  return Math.max(...[...remote, ...consoles].map(accessedAtMs));
}

function accessedAtMs(path: string): number {
  try {
    return statSync(path).atimeMs;
  } catch {
    return Number.NEGATIVE_INFINITY;
  }
}

/** Interrupts of built-in keyboards and touch pads, transfers of those at USB; "" where none. */
function inputCounters(root: string): string {
  const builtIn = (text(root, "proc/interrupts") ?? "")
    .split("\n")
    .filter((line) => /\b(i8042|i2c_hid|[A-Z]{3,4}[0-9A-F]{4}:\d\d)$/.test(line.trimEnd()))
    .map((line) => line.replaceAll(/\s+/g, " "));
  const base = join(root, "sys/bus/usb/devices");
  const devices = new Set(
    (namesIn(base) ?? [])
      .filter((name) => name.includes(":"))
      .filter((name) => text(base, `${name}/bInterfaceClass`) === "03")
      .filter((name) => /^0[12]$/.test(text(base, `${name}/bInterfaceProtocol`) ?? ""))
      .map((name) => name.slice(0, name.indexOf(":"))),
  );
  const attached = [...devices].map((name) => `${name}=${text(base, `${name}/urbnum`) ?? ""}`);
  return [...builtIn, ...attached].join("\n");
}

/** macOS tells by programs, which are asked in the background: a reading is one period old. */
function macReader(cores: number): MachineReader {
  const answers: { power: MachineState["power"]; idleMs: number | undefined } = {
    power: "unknown",
    idleMs: undefined,
  };
  const ask = (program: string, args: readonly string[], take: (said: string) => void) =>
    execFile(program, [...args], { timeout: 4_000, maxBuffer: 4 << 20 }, (error, said) =>
      take(error === null ? said : ""),
    ).unref();
  return {
    read: () => {
      ask("pmset", ["-g", "batt"], (said) => {
        answers.power = powerOfPmset(said);
      });
      ask("ioreg", ["-c", "IOHIDSystem", "-d", "4"], (said) => {
        answers.idleMs = idleOfIoreg(said);
      });
      const unknown = { isHot: undefined, otherCpus: undefined };
      return { ...answers, ...unknown, cores, memoryFreeBytes: freemem() };
    },
  };
}

/** What `pmset -g batt` says of the power. */
export function powerOfPmset(said: string): MachineState["power"] {
  const source = /drawing from '([^']+)'/.exec(said)?.[1];
  if (source === undefined) return "unknown";
  return source === "Battery Power" ? "battery" : "mains";
}

/** What `ioreg -c IOHIDSystem` says of the last key or click, in ms. */
export function idleOfIoreg(said: string): number | undefined {
  const nanoseconds = /"HIDIdleTime" = (\d+)/.exec(said)?.[1];
  return nanoseconds === undefined ? undefined : Number(nanoseconds) / 1e6;
}

function text(folder: string, path: string): string | undefined {
  try {
    return readFileSync(join(folder, path), "utf8").trim();
  } catch {
    return undefined;
  }
}

function namesIn(folder: string): string[] | undefined {
  try {
    return readdirSync(folder);
  } catch {
    return undefined;
  }
}

function wholeNumber(given: string | undefined): number | undefined {
  return given !== undefined && /^\d{1,15}$/.test(given) ? Number(given) : undefined;
}
