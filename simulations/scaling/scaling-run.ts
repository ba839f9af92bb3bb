// One policy in one world: builds ask for actions, actions wait for slots, machines come and go as
// the policy wants. Slots and queues are simulated, messages are not; a day takes a second.
//
// The policy is the very code of the mesh and sees only what a coordinator sees.

import { createRng, type Rng } from "../../src/core/rng.ts";
import type {
  Market,
  ScalingDecision,
  ScalingDemand,
  ScalingPolicy,
} from "../../src/core/scaling.ts";
import { BuildProgress } from "./build-progress.ts";
import { EventHeap } from "./event-heap.ts";
import { MachinePark } from "./machine-park.ts";
import { Measures, type ScalingResult } from "./measures.ts";
import type { Contender, Interruption, ScalingScenario } from "./scaling-scenario.ts";
import { FairWaiting, FifoWaiting, RankedWaiting, type Waiting } from "./waiting.ts";
import { chainsMs } from "./workload.ts";

const build = 0;
const submit = 1;
const end = 2;
const ready = 3;
const tick = 4;
const strike = 5;
const notice = 6;
const gone = 7;

/** Codes of events: the kind, and what it is about times 8. */
const kinds = 8;

/** Rows of machines there can be at once; a machine in an event is number × this + row. */
const rowsMax = 65_536;

/** An action that was lost so often with its machine has failed, as in the ledger. */
const attemptsMax = 5;

/** At a notice, actions with at most this much less to run than the notice is long run on. */
const noticeSpareMs = 30_000;

/** Plays a contender in a world; the same scenario and seed give the same result. */
export function runScaling(scenario: ScalingScenario, contender: Contender): ScalingResult {
  return new ScalingRun(scenario, contender).play();
}

class ScalingRun {
  readonly #scenario: ScalingScenario;
  readonly #contender: Contender;
  readonly #policy: ScalingPolicy;
  readonly #events = new EventHeap();
  readonly #park = new MachinePark();
  readonly #builds: BuildProgress;
  readonly #waiting: Waiting;
  readonly #measures: Measures;
  readonly #bootDice: Rng;
  readonly #placeDice: Rng;
  readonly #strikeDice: Rng;
  /** Runs under way: of which action, on which row, since when; −1: the run was taken away. */
  #runAction = new Int32Array(1024);
  #runRow = new Int32Array(1024);
  #runSinceMs = new Float64Array(1024);
  readonly #freeRuns: number[] = [];
  #runs = 0;
  readonly #attempts = new Map<number, number>();
  /** Rows whose end was announced by the provider: no policy can keep them. */
  readonly #doomed = new Set<number>();
  #lastDrainMs = Number.NEGATIVE_INFINITY;
  #nowMs = 0;

  constructor(scenario: ScalingScenario, contender: Contender) {
    const dice = createRng(scenario.seed).fork("world");
    this.#scenario = scenario;
    this.#contender = contender;
    this.#policy = contender.create(scenario);
    this.#bootDice = dice.fork("boot");
    this.#placeDice = dice.fork("place");
    this.#strikeDice = dice.fork("strike");
    this.#builds = new BuildProgress(scenario.workload, scenario.sizesKnown, dice.fork("sizes"));
    this.#waiting = waitingOf(scenario, this.#builds.running);
    this.#measures = new Measures(scenario);
  }

  play(): ScalingResult {
    const { workload, owned, bounds, interruptions } = this.#scenario;
    for (const slots of owned) this.#arrive("on-demand", slots, true);
    for (let at = 0; at < Math.min(bounds.min, bounds.max); at += 1) {
      const isBase = !bounds.spot || at < bounds.onDemandBase;
      this.#arrive(isBase ? "on-demand" : "spot", bounds.slotsPerMachine, false);
    }
    this.#events.push(0, tick);
    for (const [at, { atMs }] of interruptions.entries())
      this.#events.push(atMs, strike + at * kinds);
    // One build is in the heap at a time: the next is pushed when it begins.
    if (workload.builds[0] !== undefined) this.#events.push(workload.builds[0].atMs, build);
    for (;;) {
      const atMs = this.#events.pop();
      if (Number.isNaN(atMs)) break;
      this.#nowMs = atMs;
      this.#measures.events += 1;
      this.#handle(this.#events.code);
    }
    return this.#measures.result(this.#contender.name, this.#builds, this.#park, this.#nowMs);
  }

  #handle(code: number): void {
    const kind = code % kinds;
    const what = (code - kind) / kinds;
    if (kind === end) this.#end(what);
    else if (kind === submit) this.#submit(what);
    else if (kind === build) this.#begin(what);
    else if (kind === tick) this.#tick();
    else if (kind === ready) {
      const row = what % rowsMax;
      if (this.#park.ready(row, Math.floor(what / rowsMax), this.#nowMs)) this.#dispatch();
    } else if (kind === gone) this.#leave(what);
    else if (kind === notice) this.#notice(what);
    else this.#strike(this.#scenario.interruptions[what]);
  }

  #begin(index: number): void {
    const next = this.#scenario.workload.builds[index + 1];
    if (next !== undefined) this.#events.push(next.atMs, build + (index + 1) * kinds);
    this.#builds.begin(index, this.#nowMs);
    this.#submit(index);
    if (this.#contender.actsOnBuilds) this.#decide();
  }

  #submit(index: number): void {
    for (;;) {
      const action = this.#builds.submit(index, this.#nowMs);
      if (action < 0) break;
      this.#waiting.push(action, index);
    }
    this.#dispatch();
  }

  #dispatch(): void {
    const { placement, dispatchMs } = this.#scenario;
    while (this.#waiting.size > 0 && this.#park.openMachines > 0) {
      const from = placement === "pack" ? 0 : this.#placeDice.below(this.#park.rows);
      const row = this.#park.openFrom(from);
      const action = this.#waiting.pop();
      const index = this.#builds.buildOf(action);
      const runMs = this.#builds.start(action, index);
      this.#park.begin(row);
      const run = this.#newRun(action, row);
      this.#measures.started(action, row, this.#nowMs, this.#builds.waitedMs(action, this.#nowMs));
      this.#events.push(this.#nowMs + dispatchMs + runMs, end + run * kinds);
    }
  }

  #newRun(action: number, row: number): number {
    const run = this.#freeRuns.pop() ?? this.#runs++;
    if (run === this.#runAction.length) {
      this.#runAction = grown(this.#runAction, new Int32Array(run * 2));
      this.#runRow = grown(this.#runRow, new Int32Array(run * 2));
      this.#runSinceMs = grown(this.#runSinceMs, new Float64Array(run * 2));
    }
    this.#runAction[run] = action;
    this.#runRow[run] = row;
    this.#runSinceMs[run] = this.#nowMs;
    return run;
  }

  #end(run: number): void {
    const action = this.#runAction[run] as number;
    this.#freeRuns.push(run);
    if (action < 0) return;
    this.#runAction[run] = -1;
    this.#park.end(
      this.#runRow[run] as number,
      this.#nowMs - (this.#runSinceMs[run] as number),
      this.#nowMs,
    );
    const index = this.#builds.buildOf(action);
    this.#builds.finish(action, index, this.#nowMs);
    const { roundTripMs } = this.#scenario;
    if (roundTripMs === 0) this.#submit(index);
    else {
      this.#events.push(this.#nowMs + roundTripMs, submit + index * kinds);
      this.#dispatch();
    }
  }

  #tick(): void {
    const { durationMs } = this.#scenario;
    this.#decide();
    this.#measures.sample(this.#nowMs, this.#waiting.size, this.#park);
    const isOver = this.#builds.isDone && this.#nowMs >= durationMs;
    if (!isOver) this.#events.push(this.#nowMs + this.#contender.tickMs, tick);
    else this.#events.clear();
  }

  #decide(): void {
    const demand: ScalingDemand = {
      ...this.#builds.demand(this.#waiting.size),
      machines: this.#park.seen(this.#doomed),
    };
    const decision = this.#policy.decide(demand, this.#scenario.bounds, this.#nowMs);
    this.#measures.decided(decision, this.#nowMs);
    this.#apply(decision);
  }

  #apply({ launch, drain, keep }: ScalingDecision): void {
    for (const id of keep) this.#park.keep(this.#park.rowOf(id));
    for (const id of drain) {
      const row = this.#park.rowOf(id);
      if (this.#park.busyOf(row) > 0) this.#measures.busyKilled += 1;
      if (!this.#park.drain(row)) continue;
      this.#lastDrainMs = this.#nowMs;
      this.#measures.drains += 1;
      this.#later(this.#scenario.drainMs, gone, row);
    }
    const launched = launch["on-demand"] + launch.spot;
    const { slotsPerMachine } = this.#scenario.bounds;
    for (let at = 0; at < launched; at += 1) {
      const market = at < launch["on-demand"] ? "on-demand" : "spot";
      const row = this.#park.launch(market, slotsPerMachine, false, this.#nowMs);
      const { minMs, maxMs } = this.#scenario.boot;
      this.#later(minMs + this.#bootDice.below(maxMs - minMs + 1), ready, row);
    }
    if (launched > 0) {
      this.#measures.grew(this.#nowMs - this.#lastDrainMs);
      this.#lastDrainMs = Number.NEGATIVE_INFINITY;
    }
    if (keep.length > 0) this.#dispatch();
  }

  /** A machine that is there from the begin. */
  #arrive(market: Market, slots: number, isOwned: boolean): void {
    const row = this.#park.launch(market, slots, isOwned, 0);
    this.#park.ready(row, this.#park.numberOf(row), 0);
  }

  #later(inMs: number, kind: number, row: number): void {
    const what = this.#park.numberOf(row) * rowsMax + row;
    this.#events.push(this.#nowMs + inMs, kind + what * kinds);
  }

  /** The row of an event, where its machine is still that one. */
  #rowOf(what: number): number | undefined {
    const row = what % rowsMax;
    return this.#park.numberOf(row) === Math.floor(what / rowsMax) ? row : undefined;
  }

  #leave(what: number): void {
    const row = this.#rowOf(what);
    if (row === undefined) return;
    const isDoomed = this.#doomed.has(row);
    // A cancelled drain leaves its event behind; so does a machine that was drained once more.
    if (!isDoomed && (this.#park.stateOf(row) !== "draining" || this.#park.busyOf(row) > 0)) return;
    if (isDoomed) this.#takeAway(row, 0);
    this.#doomed.delete(row);
    this.#park.remove(
      row,
      isDoomed ? "interrupted" : "drained",
      this.#scenario.billedMsMin,
      this.#nowMs,
    );
    if (isDoomed) this.#dispatch();
  }

  #strike(interruption: Interruption | undefined): void {
    if (interruption === undefined) return;
    const rows = this.#park.living("spot");
    let left = Math.round(rows.length * interruption.share);
    while (left > 0 && rows.length > 0) {
      const [row = 0] = rows.splice(this.#strikeDice.below(rows.length), 1);
      this.#later(this.#strikeDice.below(interruption.withinMs + 1), notice, row);
      left -= 1;
    }
  }

  /** The provider says that it takes a machine back. */
  #notice(what: number): void {
    const row = this.#rowOf(what);
    if (row === undefined || this.#park.stateOf(row) === "draining") return;
    const noticeMs = Math.max(0, ...this.#scenario.interruptions.map((one) => one.noticeMs));
    this.#measures.interrupted += 1;
    this.#doomed.add(row);
    this.#park.drain(row);
    this.#takeAway(row, Math.max(0, noticeMs - noticeSpareMs));
    this.#later(noticeMs, gone, row);
    this.#dispatch();
  }

  /** Actions of a row that would run for longer than `restMsMax` more are waiting again. */
  #takeAway(row: number, restMsMax: number): void {
    const { dispatchMs } = this.#scenario;
    for (let run = 0; run < this.#runs; run += 1) {
      const action = this.#runAction[run] as number;
      if (action < 0 || this.#runRow[run] !== row) continue;
      const ranMs = this.#nowMs - (this.#runSinceMs[run] as number);
      const restMs = dispatchMs + this.#builds.runMs(action) - ranMs;
      if (restMs <= restMsMax) continue;
      this.#runAction[run] = -1;
      this.#park.end(row, ranMs, this.#nowMs);
      this.#measures.repeatedMs += ranMs;
      const attempts = (this.#attempts.get(action) ?? 0) + 1;
      this.#attempts.set(action, attempts);
      if (attempts >= attemptsMax) this.#measures.failed += 1;
      const index = this.#builds.buildOf(action);
      this.#builds.takeBack(action, index, this.#nowMs);
      this.#waiting.push(action, index);
    }
  }
}

function waitingOf({ order, workload }: ScalingScenario, running: Int32Array): Waiting {
  if (order === "fair") return new FairWaiting(running);
  if (order === "fifo") return new FifoWaiting();
  if (order === "recorded") return new RankedWaiting(new Uint8Array(workload.kinds.length));
  return new RankedWaiting(order === "longest" ? workload.durationsMs : chainsMs(workload));
}

function grown<T extends Int32Array | Float64Array>(from: T, to: T): T {
  to.set(from as never);
  return to;
}
