// A worker's manners towards its machine: looks at it every few seconds and says how many slots may
// be filled. What is right is decided in src/core/manners.ts; here are the clock and the looking.

import { constants, getPriority, setPriority } from "node:os";
import { Manners, type MannersOptions, shareOf } from "../core/manners.ts";
import type { Level, Log } from "../telemetry/logger.ts";
import type { MachineReader } from "./machine-state.ts";

/** What `builder serve` and `builder join` are told of it. */
export interface MannersConfig extends Omit<MannersOptions, "slots"> {
  /** Niceness of workers and of what they run, 0 to 19. */
  readonly nice: number;
}

/** What one worker of a host is told: all of them see the same machine, each has its share. */
export interface WorkerManners extends MannersConfig {
  /** Slots of all workers of the host. */
  readonly slots: number;
  /** Which of the workers, from 0, and how many there are. */
  readonly index: number;
  readonly count: number;
  /** One worker says for all of them what has changed. */
  readonly logLevel: Level;
}

/** Nice enough for an editor not to stutter. */
export const defaultManners: MannersConfig = {
  onBattery: "slow",
  whenHot: "run",
  whenIdle: false,
  cpusMax: undefined,
  memoryBytesMax: undefined,
  nice: 10,
};

/** The machine is looked at every so many ms. */
export const lookMs = 5_000;

/** What a watch works with. */
export interface MannersDeps {
  readonly log: Log;
  readonly now: () => number;
  readonly reader: MachineReader;
  /** Actions of this worker that run now. */
  readonly running: () => number;
  /** Called when the number changes; a worker starts with all of its own slots. */
  readonly onAllow: (slots: number) => void;
}

/** A machine that is watched. */
export interface MannersWatch {
  /** Looks now. */
  look(): void;
  stop(): void;
}

/** Looks at once and then every `everyMs`; not at all where nothing could be against running. */
export function watchMachine(
  { log, now, reader, running, onAllow }: MannersDeps,
  config: WorkerManners,
  everyMs = lookMs,
): MannersWatch {
  const { slots, index, count } = config;
  const manners = new Manners(config);
  let allowed = slots;
  let own = shareOf(slots, index, count);

  function look(): void {
    const nowMs = now();
    // The other workers of this host run about as much as this one does.
    const state = { ...reader.read(nowMs), running: running() * count };
    const next = manners.decide(state, nowMs);
    if (next.slots !== allowed) log("info", describeAllowance(next, slots));
    allowed = next.slots;
    const share = shareOf(next.slots, index, count);
    if (share !== own) onAllow(share);
    own = share;
  }

  if (!canRestrain(config)) return { look: () => undefined, stop: () => undefined };
  look();
  const timer = setInterval(look, everyMs).unref();
  return { look, stop: () => clearInterval(timer) };
}

function canRestrain({ onBattery, whenHot, whenIdle, cpusMax, memoryBytesMax }: MannersConfig) {
  const isBound = cpusMax !== undefined || memoryBytesMax !== undefined;
  return onBattery !== "run" || whenHot !== "run" || whenIdle || isBound;
}

function describeAllowance(
  allowed: { readonly slots: number; readonly reason: string },
  slots: number,
): string {
  if (allowed.slots === slots) return `Running actions in all ${slots} slots again.`;
  const how =
    allowed.slots === 0 ? "Running no actions" : `Using ${allowed.slots} of ${slots} slots`;
  return `${how} on this machine: ${allowed.reason}.`;
}

/** Makes this process and what it starts give way to others; never less than it does already. */
export function beNice(nice: number, log: Log): void {
  try {
    if (nice > getPriority()) setPriority(Math.min(nice, constants.priority.PRIORITY_LOW));
  } catch (error) {
    log("warn", `Actions run at ordinary priority: it cannot be lowered (${String(error)}).`);
  }
}
