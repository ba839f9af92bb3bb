// How many of its slots a host gives away now: the machine belongs to somebody who may need it.
// Gives way at once, takes back slowly: slots open again only after the reason against them has
// been gone for a while, so that a noisy reading cannot make them flap.

/** What the owner of a machine wants. */
export interface MannersOptions {
  /** Slots of all workers of this host. */
  readonly slots: number;
  /** Without mains: run nothing, half of the slots, or everything. */
  readonly onBattery: Restraint;
  /** While the processor slows itself down because it is hot. */
  readonly whenHot: Restraint;
  /** Run only while nobody has used the machine for `idleSpanMs`. */
  readonly whenIdle: boolean;
  /** Cores that actions may keep busy, those that other programs keep busy not counted. */
  readonly cpusMax: number | undefined;
  /** Bytes of memory that actions may use in all; each slot has an equal share. */
  readonly memoryBytesMax: number | undefined;
}

/** `pause` is no slot, `slow` half of them and at least one, `run` all. */
export type Restraint = "pause" | "slow" | "run";

/** How the machine is. Undefined or `unknown` where it does not tell. */
export interface MachineState {
  readonly power: "mains" | "battery" | "unknown";
  readonly isHot: boolean | undefined;
  /** Ms since somebody typed, clicked or logged in; Infinity where nobody can have. */
  readonly idleMs: number | undefined;
  readonly cores: number;
  /** Cores that programs other than actions keep busy, such as 1.5. */
  readonly otherCpus: number | undefined;
  /** Memory that can still be had without swapping. */
  readonly memoryFreeBytes: number | undefined;
  /** Actions that run on this host now: what they use is no longer free. */
  readonly running: number;
}

/** How many slots may be filled, and why not more. */
export interface Allowance {
  /** 0 to `slots`. */
  readonly slots: number;
  /** The end of a sentence about the machine: `it runs on battery`; "" where nothing is against. */
  readonly reason: string;
}

/** For so long in ms nobody may have used the machine before `whenIdle` lets actions run. */
export const idleSpanMs = 300_000;
/** Slots open again in ms after the reason against them has gone. */
export const settleMs = 30_000;

/** What one reading alone would allow: the strictest of all wishes. */
export function allowanceFor(state: MachineState, options: MannersOptions): Allowance {
  const all = { slots: options.slots, reason: "" };
  const wishes = [
    onBattery(state, options),
    whenHot(state, options),
    whenIdle(state, options),
    besideOthers(state, options),
    withinMemory(state, options),
  ];
  return wishes.reduce<Allowance>(
    (least, wish) => (wish !== undefined && wish.slots < least.slots ? wish : least),
    all,
  );
}

function onBattery({ power }: MachineState, { slots, onBattery: how }: MannersOptions) {
  if (power !== "battery") return undefined;
  return { slots: restrained(slots, how), reason: "it runs on battery" };
}

function whenHot({ isHot }: MachineState, { slots, whenHot: how }: MannersOptions) {
  if (isHot !== true) return undefined;
  return { slots: restrained(slots, how), reason: "its processor is too hot" };
}

/** Who asks for it does not want to be disturbed: where nothing tells, nothing runs. */
function whenIdle({ idleMs }: MachineState, { whenIdle: wanted }: MannersOptions) {
  if (!wanted) return undefined;
  if (idleMs === undefined) {
    return { slots: 0, reason: "nothing here tells whether somebody uses it" };
  }
  return idleMs >= idleSpanMs ? undefined : { slots: 0, reason: "somebody uses it" };
}

/** One slot is worth one core; almost a whole core counts as one. */
function besideOthers({ cores, otherCpus = 0 }: MachineState, { cpusMax, slots }: MannersOptions) {
  if (cpusMax === undefined) return undefined;
  const left = Math.max(0, cores - otherCpus);
  if (left >= cpusMax) {
    const most = Math.max(1, Math.floor(cpusMax));
    return {
      slots: Math.min(slots, most),
      reason: `actions may use ${shown(cpusMax)} of ${cores} cores`,
    };
  }
  const reason = `other programs leave ${shown(left)} of ${cores} cores`;
  return { slots: Math.min(slots, Math.floor(left + 0.25)), reason };
}

function withinMemory(
  { memoryFreeBytes, running }: MachineState,
  { memoryBytesMax, slots }: MannersOptions,
) {
  if (memoryBytesMax === undefined || memoryFreeBytes === undefined) return undefined;
  const share = Math.max(1, memoryBytesMax / Math.max(1, slots));
  const more = Math.floor(Math.max(0, memoryFreeBytes) / share);
  const mib = Math.floor(memoryFreeBytes / 2 ** 20);
  return { slots: Math.min(slots, running + more), reason: `${mib} MiB of memory are free` };
}

function restrained(slots: number, how: Restraint): number {
  if (how === "run") return slots;
  return how === "pause" ? 0 : Math.min(slots, Math.max(1, Math.floor(slots / 2)));
}

function shown(cores: number): string {
  return cores.toFixed(1).replace(/\.0$/, "");
}

/** Remembers what is allowed between readings. */
export class Manners {
  readonly #options: MannersOptions;
  #allowed: Allowance | undefined;
  /** Since when every reading allowed more than is allowed, and the least of what they allowed. */
  #more: { readonly sinceMs: number; readonly least: Allowance } | undefined;

  constructor(options: MannersOptions) {
    this.#options = options;
  }

  /** Takes a reading. The first one counts as it is. */
  decide(state: MachineState, nowMs: number): Allowance {
    const wish = allowanceFor(state, this.#options);
    const allowed = this.#allowed;
    if (allowed === undefined || wish.slots < allowed.slots) return this.#set(wish);
    if (wish.slots === allowed.slots) return this.#set(wish);
    const { sinceMs, least } = this.#more ?? { sinceMs: nowMs, least: wish };
    this.#more = { sinceMs, least: wish.slots < least.slots ? wish : least };
    // A clock that was set back must not keep slots closed for long.
    if (nowMs < sinceMs) this.#more = undefined;
    if (nowMs - sinceMs < settleMs) return allowed;
    return this.#set(this.#more?.least ?? wish);
  }

  #set(allowance: Allowance): Allowance {
    this.#allowed = allowance;
    this.#more = undefined;
    return allowance;
  }
}

/** The part of `slots` that worker `index` (from 0) of `count` equal ones has. */
export function shareOf(slots: number, index: number, count: number): number {
  return Math.max(0, Math.floor((slots + count - 1 - (index % count)) / count));
}
