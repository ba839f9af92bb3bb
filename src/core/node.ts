// The core of one node: routes inputs to the machines that decide and adds up what they want. A
// node is its own neighbour: what the ledger and the slots of one node tell each other is
// delivered here, so that a single process is a whole mesh.

import type { PeerId } from "./action.ts";
import { assert } from "./assert.ts";
import { Council, type CouncilOptions } from "./council.ts";
import type { InvocationView } from "./entries.ts";
import type { Failure } from "./error.ts";
import { fixedSize } from "./fixed-size.ts";
import { Fleet, type FleetOptions, type FleetStanding, type FleetView } from "./fleet.ts";
import { Ledger, type LedgerOptions, ledgerDefaults } from "./ledger.ts";
import type { Effect, Input, Machine } from "./machine.ts";
import type { MemberView } from "./membership.ts";
import type { Message } from "./message.ts";
import { Pool, type PoolOptions, poolDefaults } from "./pool.ts";
import { ProvidedMachines } from "./provided.ts";
import { type BegunLaunch, type ProvidedOptions, providedDefaults } from "./provided-options.ts";
import { Remaking } from "./remaking.ts";
import type { Rng } from "./rng.ts";
import type { WorkerView } from "./roster.ts";
import type { ScaledMachine } from "./scaling.ts";
import { scalingDefaults } from "./scaling-settings.ts";
import { type SlotOptions, Slots, slotDefaults, type WorkerProfile } from "./slots.ts";

/** Who a node is and what it does. Values left out are the modules' defaults. */
export interface NodeOptions extends WorkerProfile {
  /** This node's peer id. */
  readonly self: PeerId;
  /** Times and bounds as an ingress. */
  readonly ledger?: Partial<LedgerOptions>;
  /** Times and bounds as a worker. */
  readonly worker?: Partial<SlotOptions>;
  /** Whether idle workers take work from other hosts, for a node that no mesh tells. */
  readonly workStealing?: boolean;
  /** Worker processes to keep; none when left out. */
  readonly pool?: Pick<PoolOptions, "workersMin" | "workersMax"> & Partial<PoolOptions>;
  /** What those worker processes have, platform property name → accepted values. */
  readonly poolProperties?: () => WorkerProfile["properties"];
  /** How its size is decided; as the pool says when left out. */
  readonly fleet?: FleetOptions;
  /** Machines of a provider, which this node keeps while it coordinates. */
  readonly provided?: Pick<ProvidedOptions, "tag"> &
    Partial<ProvidedOptions> & { readonly begun: readonly BegunLaunch[] };
  /** Its part in the mesh; a node without knows nobody and tells nobody. */
  readonly membership?: CouncilOptions;
}

/** Invariant: machines answer each other in few rounds; more means that two of them are looping. */
const localMessagesMax = 1_000_000;

/**
 * All decisions of one node behind one `handle`. Feed it a `wake` first: `wakeAtMs` starts at 0.
 */
export class NodeCore implements Machine {
  /** This node's peer id. */
  readonly self: PeerId;
  readonly #hasSlots: boolean;
  readonly #serves: boolean;
  readonly #workStealing: boolean;
  readonly #ledger: Ledger;
  /** Stands before the ledger: what is for it goes here. */
  readonly #remaking: Remaking;
  readonly #slots: Slots;
  readonly #pool: Pool;
  readonly #fleet: Fleet;
  readonly #council: Council | undefined;
  #isStarted = false;
  #isDraining = false;
  #hasDrained = false;

  constructor(options: NodeOptions, rng: Rng) {
    this.self = options.self;
    this.#hasSlots = options.slots > 0;
    this.#serves = options.serves ?? false;
    this.#workStealing = options.workStealing ?? false;
    const { self } = options;
    const stealingOn = () => this.workStealing;
    const ledger = { ...ledgerDefaults, ...options.ledger };
    const expected = options.poolProperties;
    this.#ledger = new Ledger({ self, rng: rng.fork("ledger"), stealingOn, expected }, ledger);
    this.#remaking = new Remaking(this.#ledger);
    const home = options.home ?? (this.#serves ? self : "");
    const pending = () => (this.#serves ? this.#ledger.surplus : 0);
    const pendingMs = () => {
      const { surplus, pendingMs: sumMs } = this.#ledger;
      const all = Math.max(1, this.#ledger.pending);
      return this.#serves ? Math.round((sumMs * Math.min(surplus, all)) / all) : 0;
    };
    const surroundings = { self, rng: rng.fork("slots"), stealingOn, pending, pendingMs };
    const slots = { ...slotDefaults, ...options.worker };
    this.#slots = new Slots({ ...options, home }, slots, surroundings);
    const pool = { workersMin: 0, workersMax: 0, ...poolDefaults, ...options.pool };
    this.#pool = new Pool(pool);
    this.#fleet = this.#createFleet(options, pool);
    const { membership, provided } = options;
    const voting = membership && { ...membership, machineTag: provided?.tag };
    if (voting) this.#council = new Council({ ...options, rng }, voting);
  }

  /** Actions accepted here that no worker runs yet. */
  get pending(): number {
    return this.#ledger.pending + this.#remaking.waiting;
  }

  /** Actions accepted here that a worker runs. */
  get executing(): number {
    return this.#ledger.executing;
  }

  /** Unfinished actions accepted here by whose they are, the most first, at most 100 lines. */
  get invocations(): readonly InvocationView[] {
    return this.#ledger.invocations;
  }

  /** The toolchain of most workers that take work from here; empty where none has one. */
  get houseToolchain(): string {
    return this.#ledger.houseToolchain;
  }

  /** Actions accepted here that ended with a result, since the start. */
  get completed(): number {
    return this.#ledger.completed;
  }

  /** False where none of these blobs can be made again for this client. */
  knowsMaker(...asked: Parameters<Remaking["knowsMaker"]>): boolean {
    return this.#remaking.knowsMaker(...asked);
  }

  /** Attempts that run on this node's own slots. */
  get running(): number {
    return this.#slots.running;
  }

  /** Linked workers, sorted by peer; this node too where it has slots. */
  get workers(): readonly WorkerView[] {
    return this.#ledger.workers;
  }

  /** Worker processes of the pool that exist, starting ones included. */
  get processes(): number {
    return this.#pool.processes;
  }

  /** Slots of the pool whose workers take nothing new for now. */
  get paused(): ReadonlySet<number> {
    return this.#pool.paused;
  }

  /** The machines that scaling counts, sorted by id. */
  get machines(): readonly ScaledMachine[] {
    return this.#fleet.machines;
  }

  /** How many machines are wanted and why. */
  get scaling(): FleetStanding {
    return this.#fleet.standing;
  }

  /** Why nobody can be drained, or kept, by that name. */
  whyNoDrain(node: string, cancel: boolean): Failure | undefined {
    return this.#fleet.whyNoDrain(node, cancel);
  }

  /** The other serving nodes of the mesh, sorted by peer. */
  get members(): readonly MemberView[] {
    return this.#council?.membership.members ?? [];
  }

  /** Serving nodes that are not dead, sorted; this one among them where it serves and stays. */
  get liveHosts(): readonly PeerId[] {
    return this.#council?.membership.liveHosts ?? [];
  }

  /** The coordinator as far as this node knows; undefined for a mere worker. */
  get leader(): PeerId | undefined {
    return this.#council?.election?.leader;
  }

  /** The highest term heard of; 0 for a mere worker. */
  get term(): number {
    return this.#council?.election?.term ?? 0;
  }

  /** True for a coordinator that is not cut off from the mesh. */
  get mayScale(): boolean {
    return this.#council?.election?.mayScale ?? false;
  }

  /** True where idle workers take work of other hosts. */
  get workStealing(): boolean {
    return this.#council?.membership.workStealing ?? this.#workStealing;
  }

  get draining(): boolean {
    return this.#isDraining;
  }

  /** True once a draining node has nothing left to finish and may stop. */
  get drained(): boolean {
    return this.#hasDrained && this.#slots.isIdle && this.#pool.processes === 0;
  }

  get wakeAtMs(): number {
    if (!this.#isStarted) return 0;
    return Math.min(...this.#machines.map(({ wakeAtMs }) => wakeAtMs));
  }

  handle(input: Input, nowMs: number): readonly Effect[] {
    const inputs: Input[] = [];
    if (!this.#isStarted && this.#hasSlots) inputs.push({ kind: "linked", peer: this.self });
    this.#isStarted = true;
    inputs.push(input);
    const effects: Effect[] = [];
    for (let next = 0; next < inputs.length; next += 1) {
      assert(next < localMessagesMax, "the machines of a node do not loop");
      const current = inputs[next];
      if (current !== undefined) this.#collect(this.#route(current, nowMs), effects, inputs);
      if (this.#serves) this.#collect(this.#slots.report(nowMs), effects, inputs);
      if (next + 1 === inputs.length) this.#collect(this.#leave(nowMs), effects, inputs);
    }
    return effects;
  }

  #createFleet({ fleet, provided, name }: NodeOptions, pool: PoolOptions): Fleet {
    const kept =
      provided && new ProvidedMachines({ ...providedDefaults, ...provided }, provided.begun);
    const bounds = { ...scalingDefaults, min: pool.workersMin, max: pool.workersMax };
    const fixed: FleetOptions = { mode: "off", bounds, policy: fixedSize, slotsPerWorker: 1 };
    return new Fleet(
      { view: this.#fleetView(name), pool: this.#pool, provided: kept },
      fleet ?? fixed,
    );
  }

  /** What scaling may look at, as it is each time it looks. */
  #fleetView(name: string): FleetView {
    const core = this;
    return {
      self: this.self,
      name,
      get pending() {
        return core.#ledger.pending;
      },
      get pendingMs() {
        return core.#ledger.pendingMs;
      },
      get invocations() {
        return core.#ledger.invocations;
      },
      get workers() {
        return core.#ledger.workers;
      },
      get hosts() {
        return core.members;
      },
      get leader() {
        return core.leader;
      },
      get scalingTerm() {
        return core.mayScale ? core.term : undefined;
      },
    };
  }

  /** Splits what the machines want into work for outside and messages for this very node. */
  #collect(wanted: readonly Effect[], effects: Effect[], inputs: Input[]): void {
    for (const effect of wanted) {
      if (effect.kind === "send" && effect.to === this.self) {
        inputs.push({ kind: "message", from: this.self, message: effect.message });
      } else effects.push(effect);
    }
  }

  #route(input: Input, nowMs: number): readonly Effect[] {
    switch (input.kind) {
      case "wake":
        return this.#machines.flatMap((machine) =>
          machine.wakeAtMs <= nowMs ? machine.handle(input, nowMs) : [],
        );
      case "linked":
      case "unlinked":
        return [this.#remaking, this.#slots, this.#council, this.#fleet].flatMap(
          (machine) => machine?.handle(input, nowMs) ?? [],
        );
      case "message":
        return this.#receivers(input.message).flatMap((machine) => machine.handle(input, nowMs));
      case "submit":
        return [...this.#remaking.handle(input, nowMs), ...this.#fleet.handle(input, nowMs)];
      case "abandon":
      case "told":
      case "wanted":
      case "examined":
      case "prepared":
      case "unprepared":
        return this.#remaking.handle(input, nowMs);
      case "executed":
      case "allow":
      case "noticed":
        return this.#slots.handle(input, nowMs);
      case "addresses":
      case "undialled":
      case "revoked":
        return this.#council?.handle(input, nowMs) ?? [];
      case "launched":
      case "terminated":
      case "scaling":
      case "ask-drain":
      case "provided":
      case "unprovided":
      case "listed":
      case "unlisted":
        return this.#fleet.handle(input, nowMs);
      case "drain":
        this.#isDraining = true;
        return [
          ...this.#remaking.handle(input, nowMs),
          ...(this.#council?.handle(input, nowMs) ?? []),
        ];
    }
  }

  get #machines(): readonly Machine[] {
    const work = [this.#remaking, this.#slots, this.#fleet];
    return this.#council ? [...work, this.#council] : work;
  }

  #receivers({ kind }: Message): readonly Machine[] {
    switch (kind) {
      case "offer":
      case "bound":
      case "gone":
      case "cancel":
      case "granted":
        return [this.#slots];
      case "load":
        return [this.#remaking, ...(this.#hasSlots ? [this.#slots] : []), this.#fleet];
      case "drain":
        return [this.#fleet];
      case "members":
      case "probe":
      case "probed":
      case "lease":
        return this.#council ? [this.#council] : [];
      default:
        return [this.#remaking];
    }
  }

  /** Workers leave when the last accepted action ended: they are who finishes it. */
  #leave(nowMs: number): readonly Effect[] {
    const isDue = this.#isDraining && !this.#hasDrained;
    if (!isDue || this.pending + this.#ledger.executing > 0) return [];
    this.#hasDrained = true;
    const drain: Input = { kind: "drain" };
    return [...this.#slots.handle(drain, nowMs), ...this.#fleet.handle(drain, nowMs)];
  }
}
