// The core of one node: routes inputs to the machines that decide and adds up what they want. A
// node is its own neighbour: what the ledger and the slots of one node tell each other is
// delivered here, so that a single process is a whole mesh.

import type { PeerId } from "./action.ts";
import { assert } from "./assert.ts";
import { Council, type CouncilOptions } from "./council.ts";
import type { InvocationView } from "./entries.ts";
import { Ledger, type LedgerOptions, ledgerDefaults } from "./ledger.ts";
import type { Effect, Input, Machine } from "./machine.ts";
import type { MemberView } from "./membership.ts";
import type { Message } from "./message.ts";
import { Pool, type PoolOptions, poolDefaults } from "./pool.ts";
import type { Rng } from "./rng.ts";
import type { WorkerView } from "./roster.ts";
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
  readonly poolProperties?: WorkerProfile["properties"];
  /** Its part in the mesh; a node without knows nobody and tells nobody. */
  readonly membership?: CouncilOptions;
}

/** Invariant: machines answer each other in few rounds; more means that two of them are looping. */
const localMessagesMax = 1_000_000;

/**
 * All decisions of one node behind one `handle`. Feed it a `wake` first: `wakeAtMs` starts at 0.
 */
export class NodeCore implements Machine {
  readonly #self: PeerId;
  readonly #hasSlots: boolean;
  readonly #serves: boolean;
  readonly #workStealing: boolean;
  readonly #ledger: Ledger;
  readonly #slots: Slots;
  readonly #pool: Pool;
  readonly #council: Council | undefined;
  #isStarted = false;
  #isDraining = false;
  #hasDrained = false;

  constructor(options: NodeOptions, rng: Rng) {
    this.#self = options.self;
    this.#hasSlots = options.slots > 0;
    this.#serves = options.serves ?? false;
    this.#workStealing = options.workStealing ?? false;
    const { self } = options;
    const stealingOn = () => this.workStealing;
    const ledger = { ...ledgerDefaults, ...options.ledger };
    const expected = (options.pool?.workersMin ?? 0) > 0 ? options.poolProperties : undefined;
    this.#ledger = new Ledger({ self, rng: rng.fork("ledger"), stealingOn, expected }, ledger);
    const home = options.home ?? (this.#serves ? self : "");
    const pending = () => (this.#serves ? this.#ledger.surplus : 0);
    const surroundings = { self, rng: rng.fork("slots"), stealingOn, pending };
    const slots = { ...slotDefaults, ...options.worker };
    this.#slots = new Slots({ ...options, home }, slots, surroundings);
    this.#pool = new Pool({ workersMin: 0, workersMax: 0, ...poolDefaults, ...options.pool });
    const { membership } = options;
    if (membership) this.#council = new Council({ ...options, rng }, membership);
  }

  /** Actions accepted here that no worker runs yet. */
  get pending(): number {
    return this.#ledger.pending;
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
    if (!this.#isStarted && this.#hasSlots) inputs.push({ kind: "linked", peer: this.#self });
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

  /** Splits what the machines want into work for outside and messages for this very node. */
  #collect(wanted: readonly Effect[], effects: Effect[], inputs: Input[]): void {
    for (const effect of wanted) {
      if (effect.kind === "send" && effect.to === this.#self) {
        inputs.push({ kind: "message", from: this.#self, message: effect.message });
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
        return [this.#ledger, this.#slots, this.#council].flatMap(
          (machine) => machine?.handle(input, nowMs) ?? [],
        );
      case "message":
        return this.#receivers(input.message).flatMap((machine) => machine.handle(input, nowMs));
      case "submit":
      case "abandon":
        return this.#ledger.handle(input, nowMs);
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
        return this.#pool.handle(input, nowMs);
      case "drain":
        this.#isDraining = true;
        return [
          ...this.#ledger.handle(input, nowMs),
          ...(this.#council?.handle(input, nowMs) ?? []),
        ];
    }
  }

  get #machines(): readonly Machine[] {
    const work = [this.#ledger, this.#slots, this.#pool];
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
        return this.#hasSlots ? [this.#ledger, this.#slots] : [this.#ledger];
      case "members":
      case "probe":
      case "probed":
      case "lease":
        return this.#council ? [this.#council] : [];
      default:
        return [this.#ledger];
    }
  }

  /** Workers leave when the last accepted action ended: they are who finishes it. */
  #leave(nowMs: number): readonly Effect[] {
    const isDue = this.#isDraining && !this.#hasDrained;
    if (!isDue || this.#ledger.pending + this.#ledger.executing > 0) return [];
    this.#hasDrained = true;
    const drain: Input = { kind: "drain" };
    return [...this.#slots.handle(drain, nowMs), ...this.#pool.handle(drain, nowMs)];
  }
}
