// The machines of a simulated mesh: launched, booting, ready, draining, gone; what they cost.
//
// A machine has a row while it exists. Rows are used again; numbers never.

import type { Market, ScaledMachine } from "../../src/core/scaling.ts";

/** One machine's life, for charts and bills. */
export interface MachineLife {
  readonly number: number;
  readonly market: Market;
  readonly isOwned: boolean;
  readonly launchedAtMs: number;
  readyAtMs: number | undefined;
  goneAtMs: number | undefined;
  /** `drained` by the policy, `interrupted` by the provider; undefined: it outlived the run. */
  end: "drained" | "interrupted" | undefined;
  /** Slot time that it worked, in ms; of interrupted actions too. */
  busyMs: number;
}

interface Row {
  readonly life: MachineLife;
  readonly id: string;
  readonly slots: number;
  state: ScaledMachine["state"];
  busySlots: number;
  idleSinceMs: number | undefined;
}

/** Lives that are kept for charts. */
const livesMax = 20_000;

/** The machines. */
export class MachinePark {
  readonly lives: MachineLife[] = [];
  readonly #rows: (Row | undefined)[] = [];
  readonly #free: number[] = [];
  /** Rows that can take an action, one bit each. */
  #open = new Int32Array(32);
  #openCount = 0;
  #numbers = 0;
  #readySlots = 0;
  #busySlots = 0;
  #busyMachineMs = 0;
  #machineMs = 0;
  #spotMs = 0;

  /** Slots that can run something now, draining ones left out. */
  get readySlots(): number {
    return this.#readySlots;
  }

  get busySlots(): number {
    return this.#busySlots;
  }

  get launches(): number {
    return this.#numbers;
  }

  get openMachines(): number {
    return this.#openCount;
  }

  count(state: ScaledMachine["state"]): number {
    let count = 0;
    for (const row of this.#rows) if (row?.state === state) count += 1;
    return count;
  }

  /** Adds a machine; returns its row. */
  launch(market: Market, slots: number, isOwned: boolean, nowMs: number): number {
    const number = ++this.#numbers;
    const life: MachineLife = {
      ...{ number, market, isOwned, launchedAtMs: nowMs, readyAtMs: undefined },
      ...{ goneAtMs: undefined, end: undefined, busyMs: 0 },
    };
    if (this.lives.length < livesMax) this.lives.push(life);
    const row = this.#free.pop() ?? this.#rows.length;
    if (row >= this.#open.length * 32) {
      const open = new Int32Array(this.#open.length * 2);
      open.set(this.#open);
      this.#open = open;
    }
    const id = `m${`${number}`.padStart(7, "0")}`;
    const idle = { busySlots: 0, idleSinceMs: undefined };
    this.#rows[row] = { life, id, slots, state: "booting", ...idle };
    return row;
  }

  /** A booting machine can work. False where it is gone or ready already. */
  ready(row: number, number: number, nowMs: number): boolean {
    const machine = this.#rows[row];
    if (machine?.life.number !== number || machine.state !== "booting") return false;
    machine.state = machine.life.isOwned ? "owned" : "ready";
    machine.life.readyAtMs = nowMs;
    machine.idleSinceMs = nowMs;
    this.#readySlots += machine.slots;
    this.#setOpen(row, true);
    return true;
  }

  /** The lowest row with a free slot from `from` on, around; -1 where there is none. */
  openFrom(from: number): number {
    if (this.#openCount === 0) return -1;
    const open = this.#open;
    const start = from >> 5;
    let word = (open[start] as number) & (-1 << (from & 31));
    let index = start;
    for (let tried = 0; word === 0 && tried <= open.length; tried += 1) {
      index = index + 1 === open.length ? 0 : index + 1;
      word = open[index] as number;
    }
    return word === 0 ? -1 : index * 32 + (31 - Math.clz32(word & -word));
  }

  /** Rows there ever were at once. */
  get rows(): number {
    return this.#rows.length;
  }

  begin(row: number): void {
    const machine = this.#row(row);
    machine.busySlots += 1;
    machine.idleSinceMs = undefined;
    this.#busySlots += 1;
    if (machine.busySlots >= machine.slots) this.#setOpen(row, false);
  }

  /** A run ended after `busyMs`. */
  end(row: number, busyMs: number, nowMs: number): void {
    const machine = this.#row(row);
    machine.busySlots -= 1;
    machine.life.busyMs += busyMs;
    this.#busyMachineMs += busyMs;
    this.#busySlots -= 1;
    if (machine.busySlots === 0) machine.idleSinceMs = nowMs;
    if (machine.state === "ready" || machine.state === "owned") this.#setOpen(row, true);
  }

  /** Takes no more work. False where it was not there to be drained. */
  drain(row: number): boolean {
    const machine = this.#rows[row];
    if (machine?.state !== "ready") return false;
    machine.state = "draining";
    this.#readySlots -= machine.slots;
    this.#setOpen(row, false);
    return true;
  }

  /** Takes work again. */
  keep(row: number): boolean {
    const machine = this.#rows[row];
    if (machine?.state !== "draining") return false;
    machine.state = "ready";
    this.#readySlots += machine.slots;
    this.#setOpen(row, machine.busySlots < machine.slots);
    return true;
  }

  /** Ends a machine's life; the caller has taken its runs away. */
  remove(row: number, end: "drained" | "interrupted", billedMsMin: number, nowMs: number): void {
    const machine = this.#row(row);
    if (machine.state === "ready") this.drain(row);
    machine.life.goneAtMs = nowMs;
    machine.life.end = end;
    this.#bill(machine.life, billedMsMin, nowMs);
    this.#rows[row] = undefined;
    this.#free.push(row);
  }

  rowOf(id: string): number {
    return this.#rows.findIndex((row) => row?.id === id);
  }

  /** Rows of machines of a market that are booting or ready, in order. */
  living(market: Market): number[] {
    return [...this.#rows.keys()].filter((at) => {
      const row = this.#rows[at];
      return row?.life.market === market && !row.life.isOwned && row.state !== "draining";
    });
  }

  numberOf(row: number): number {
    return this.#rows[row]?.life.number ?? 0;
  }

  stateOf(row: number): ScaledMachine["state"] | undefined {
    return this.#rows[row]?.state;
  }

  busyOf(row: number): number {
    return this.#rows[row]?.busySlots ?? 0;
  }

  /** What a policy sees of them, sorted by id. */
  seen(hidden: ReadonlySet<number>): ScaledMachine[] {
    const machines: ScaledMachine[] = [];
    for (const [at, row] of this.#rows.entries()) {
      if (row === undefined || hidden.has(at)) continue;
      const { id, state, slots, busySlots, idleSinceMs, life } = row;
      const { market, launchedAtMs } = life;
      const busy = { slots, busySlots, idleSinceMs };
      machines.push({ id, state, market, launchedAtMs, ...busy });
    }
    return machines.sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  /** Machine time until now in ms, as billed, owned machines left out; of it on spot; and busy. */
  times(billedMsMin: number, nowMs: number) {
    let machineMs = this.#machineMs;
    let spotMs = this.#spotMs;
    for (const row of this.#rows) {
      if (row === undefined || row.life.isOwned) continue;
      const ms = Math.max(billedMsMin, nowMs - row.life.launchedAtMs);
      machineMs += ms;
      if (row.life.market === "spot") spotMs += ms;
    }
    return { machineMs, spotMs, busyMs: this.#busyMachineMs };
  }

  #bill({ isOwned, launchedAtMs, market }: MachineLife, billedMsMin: number, nowMs: number): void {
    if (isOwned) return;
    const ms = Math.max(billedMsMin, nowMs - launchedAtMs);
    this.#machineMs += ms;
    if (market === "spot") this.#spotMs += ms;
  }

  #setOpen(row: number, isOpen: boolean): void {
    const bit = 1 << (row & 31);
    const word = this.#open[row >> 5] as number;
    if (((word & bit) !== 0) === isOpen) return;
    this.#open[row >> 5] = word ^ bit;
    this.#openCount += isOpen ? 1 : -1;
  }

  #row(row: number): Row {
    return this.#rows[row] as Row;
  }
}
