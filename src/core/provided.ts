// The machines that a provider starts for the mesh, kept by its coordinator. What exists is the
// provider's to say: who becomes the coordinator lists the machines before it starts any, and takes
// over what it finds. A launch is named by a token that is on disk before the provider hears of it,
// so that asking again, after whatever went wrong, starts nothing twice.
//
// The life of a machine: asked → booting → ready → draining → leaving → ending. It is ended where
// it does not become a member in time, or is a member no more. A machine whose drain is not over is
// kept where it is wanted again. Invariant: one that runs an action is not told to leave.

import type { PeerId } from "./action.ts";
import type { Failure } from "./error.ts";
import type { Effect } from "./machine.ts";
import { Outbox } from "./outbox.ts";
import type {
  BegunLaunch,
  ListedMachine,
  ProvidedOptions,
  ProviderInput,
} from "./provided-options.ts";
import type { WorkerView } from "./roster.ts";
import type { Market, ScaledMachine } from "./scaling.ts";

/** What it sees of the mesh. */
export interface ProvidedView {
  readonly workers: readonly WorkerView[];
  /** The other serving nodes, by peer and name. */
  readonly hosts: readonly { readonly peer: PeerId; readonly name: string }[];
}

type Phase = "asked" | "booting" | "ready" | "draining" | "leaving" | "ending";

interface Provided {
  readonly token: string;
  readonly market: Market;
  readonly launchedAtMs: number;
  /** The provider's name of it; undefined until told. */
  id: string | undefined;
  phase: Phase;
  phaseAtMs: number;
  /** When it was last a member, or listed; where it never was, when it was launched. */
  memberAtMs: number;
  listedAtMs: number;
  peer: PeerId | undefined;
  slots: number;
  busySlots: number;
  idleSinceMs: number | undefined;
  isAsked: boolean;
}

/** Keeps provided machines. Everything waits while this node does not lead. */
export class ProvidedMachines {
  readonly #options: ProvidedOptions;
  #begun: readonly BegunLaunch[];
  readonly #byToken = new Map<string, Provided>();
  readonly #out = new Outbox();
  #term: number | undefined;
  #isListed = false;
  #listAtMs = Number.POSITIVE_INFINITY;
  #nextNumber = 0;
  #failures = 0;
  #blockedUntilMs = 0;
  #blockedWhy: string | undefined;
  #slotsSeen: number | undefined;

  /** `begun`: launches that an earlier run of this node wrote down and never saw the end of. */
  constructor(options: ProvidedOptions, begun: readonly BegunLaunch[]) {
    this.#options = options;
    this.#begun = begun;
  }

  /** Slots of a machine that would be launched. */
  get slotsPerMachine(): number {
    return this.#slotsSeen ?? this.#options.slotsExpected;
  }

  /** When something is due. */
  get wakeAtMs(): number {
    if (this.#term === undefined) return Number.POSITIVE_INFINITY;
    let wakeAtMs = this.#listAtMs;
    for (const machine of this.#byToken.values()) {
      wakeAtMs = Math.min(wakeAtMs, this.#dueAtMs(machine));
    }
    return wakeAtMs;
  }

  /** Why nothing can be launched now; undefined where something can. */
  blockedWhy(nowMs: number): string | undefined {
    if (this.#term === undefined) return "another node coordinates";
    if (!this.#isListed) return this.#blockedWhy ?? "the provider is asked what runs already";
    return nowMs < this.#blockedUntilMs ? this.#blockedWhy : undefined;
  }

  /** The machines that count, sorted by id; those that leave are gone already. */
  get machines(): ScaledMachine[] {
    const counted = [...this.#byToken.values()].filter(
      ({ phase, isAsked }) => phase !== "leaving" && phase !== "ending" && !isAsked,
    );
    return counted
      .map(({ token, market, phase, slots, busySlots, launchedAtMs, idleSinceMs }) => ({
        ...{ id: token, market, slots, busySlots, launchedAtMs, idleSinceMs },
        state: phase === "ready" || phase === "draining" ? phase : ("booting" as const),
      }))
      .sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  /** All of them, those that leave too: what `max` counts. */
  get size(): number {
    return this.#byToken.size;
  }

  /** True while one of them is on its way out. */
  get isEnding(): boolean {
    return [...this.#byToken.values()].some(({ phase, isAsked }) => {
      return phase === "leaving" || phase === "ending" || isAsked;
    });
  }

  /** The same with the workers that somebody else keeps. */
  machinesAmong(workers: readonly WorkerView[]): ScaledMachine[] {
    const peers = new Set([...this.#byToken.values()].map(({ peer }) => peer));
    const others = workers.filter(({ home }) => !peers.has(home)).map(owned);
    return [...others, ...this.machines].sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  /** True where it keeps a machine of that name. */
  has(token: string): boolean {
    return this.#byToken.has(token);
  }

  /** Looks at the mesh, and does what is due. `term` is undefined while this node does not lead. */
  look(view: ProvidedView, term: number | undefined, nowMs: number): readonly Effect[] {
    if (term !== this.#term) this.#lead(term, nowMs);
    if (this.#term === undefined) return this.#out.take();
    const peerByName = new Map(view.hosts.map(({ name, peer }) => [name, peer]));
    const workersByHome = new Map<PeerId, WorkerView[]>();
    for (const worker of view.workers) {
      const others = workersByHome.get(worker.home);
      if (others === undefined) workersByHome.set(worker.home, [worker]);
      else others.push(worker);
    }
    for (const machine of this.#byToken.values()) {
      machine.peer = peerByName.get(machine.token);
      this.#observe(machine, workersByHome.get(machine.peer ?? "") ?? [], nowMs);
    }
    for (const machine of [...this.#byToken.values()]) this.#step(machine, nowMs);
    if (this.#listAtMs <= nowMs) {
      this.#listAtMs = nowMs + this.#options.listMs;
      this.#out.push({ kind: "list" });
    }
    return this.#out.take();
  }

  /** Begins launches, as many as may be; `max` bounds what exists. */
  launch(count: number, market: Market, max: number, nowMs: number): readonly Effect[] {
    if (this.blockedWhy(nowMs) !== undefined) return [];
    const room = Math.min(count, this.#options.launchesAtOnce, max - this.size);
    for (let n = 0; n < room; n += 1) {
      this.#nextNumber = Math.max(this.#nextNumber + 1, Math.trunc(nowMs));
      const token = `${this.#options.tag}-${this.#term}-${this.#nextNumber.toString(36)}`;
      this.#ask({ token, market }, nowMs);
    }
    return this.#out.take();
  }

  /** Begins a drain; its workers take nothing new from now on. */
  pause(token: string, nowMs: number, isAsked = false): readonly Effect[] {
    const machine = this.#byToken.get(token);
    if (machine === undefined) return [];
    if (machine.phase === "ready" || (isAsked && machine.phase === "draining")) {
      machine.isAsked = isAsked;
      this.#enter(machine, "draining", nowMs);
      this.#tell(machine, "pause");
      this.#out.note({ name: "machine-draining", machine: token });
    } else if (machine.phase === "booting" || machine.phase === "asked") {
      this.#end(machine, "it is not wanted any more", nowMs);
    }
    return this.#out.take();
  }

  /** Keeps a machine whose drain is not over. */
  resume(token: string, nowMs: number): readonly Effect[] {
    const machine = this.#byToken.get(token);
    if (machine?.phase === "draining") this.#keep(machine, nowMs);
    return this.#out.take();
  }

  /** Takes what the provider said. */
  handle(input: ProviderInput, nowMs: number): readonly Effect[] {
    if (this.#term === undefined) return [];
    switch (input.kind) {
      case "provided":
        this.#provided(input.token, input.id, nowMs);
        break;
      case "unprovided":
        this.#unprovided(input.token, input.failure, nowMs);
        break;
      case "listed":
        this.#listed(input.machines, nowMs);
        break;
      case "unlisted":
        if (!this.#isListed) this.#blockedWhy = input.failure.message;
        this.#listAtMs = Math.min(this.#listAtMs, nowMs + this.#options.backoffMs);
    }
    return this.#out.take();
  }

  /** A new coordinator knows nothing but what the provider and the mesh tell. */
  #lead(term: number | undefined, nowMs: number): void {
    this.#term = term;
    this.#byToken.clear();
    this.#isListed = false;
    this.#blockedWhy = undefined;
    this.#blockedUntilMs = 0;
    this.#failures = 0;
    this.#listAtMs = term === undefined ? Number.POSITIVE_INFINITY : nowMs;
  }

  #ask({ token, market }: BegunLaunch, nowMs: number): void {
    this.#byToken.set(token, {
      ...{ token, market, launchedAtMs: nowMs, phaseAtMs: nowMs, memberAtMs: nowMs },
      ...{ id: undefined, phase: "asked", listedAtMs: nowMs, peer: undefined, isAsked: false },
      ...{ slots: this.slotsPerMachine, busySlots: 0, idleSinceMs: undefined },
    });
    this.#out.push({ kind: "provide", token, market });
    this.#out.note({ name: "machine-launched", machine: token, market });
  }

  #provided(token: string, id: string, nowMs: number): void {
    const machine = this.#byToken.get(token);
    if (machine === undefined) return;
    machine.id = id;
    machine.listedAtMs = nowMs;
    if (machine.phase === "asked") this.#enter(machine, "booting", nowMs);
    // It was given up before the provider answered.
    if (machine.phase === "ending") this.#out.push({ kind: "dismiss", ids: [id] });
  }

  #unprovided(token: string, failure: Failure, nowMs: number): void {
    const machine = this.#byToken.get(token);
    if (machine?.id !== undefined || machine === undefined) return;
    // Whether a call that was not answered started something, its token tells when asked again.
    const isOpen = failure.code === "UNAVAILABLE" || failure.code === "DEADLINE_EXCEEDED";
    if (!isOpen) this.#byToken.delete(token);
    this.#out.note({ name: "machine-failed", machine: token, why: failure.message });
    this.#backOff(failure.message, nowMs);
  }

  #backOff(why: string, nowMs: number): void {
    const { backoffMs, backoffMsMax } = this.#options;
    const waitMs = Math.min(backoffMsMax, backoffMs * 2 ** Math.min(this.#failures, 20));
    this.#failures += 1;
    this.#blockedUntilMs = nowMs + waitMs;
    this.#blockedWhy = why;
  }

  #listed(machines: readonly ListedMachine[], nowMs: number): void {
    for (const { token, id, market, state, launchedAtMs } of machines) {
      const known = this.#byToken.get(token);
      const isAlive = state === "starting" || state === "running";
      if (known !== undefined) {
        known.id ??= id;
        if (isAlive) known.listedAtMs = nowMs;
        else if (known.phase !== "asked") this.#forget(known);
        if (isAlive && known.phase === "asked") this.#enter(known, "booting", nowMs);
        if (isAlive && known.phase === "ending") this.#out.push({ kind: "dismiss", ids: [id] });
      } else if (isAlive) {
        // The provider's clock may be wrong; a machine is given the time to boot once at least.
        const sinceMs = Math.min(launchedAtMs, nowMs);
        this.#byToken.set(token, {
          ...{ token, market, id, launchedAtMs: sinceMs, phaseAtMs: nowMs, memberAtMs: nowMs },
          ...{ phase: "booting", listedAtMs: nowMs, peer: undefined, isAsked: false },
          ...{ slots: this.slotsPerMachine, busySlots: 0, idleSinceMs: undefined },
        });
      }
    }
    if (this.#isListed) return;
    this.#isListed = true;
    this.#blockedWhy = undefined;
    for (const launch of this.#begun)
      if (!this.#byToken.has(launch.token)) this.#ask(launch, nowMs);
    this.#begun = [];
  }

  #observe(machine: Provided, own: readonly WorkerView[], nowMs: number): void {
    if (machine.peer === undefined || own.length === 0) {
      machine.busySlots = 0;
      return;
    }
    machine.memberAtMs = nowMs;
    machine.slots = own.reduce((sum, { slots }) => sum + slots, 0);
    machine.busySlots = own.reduce((sum, { busy }) => sum + busy, 0);
    const idleSince = own.map(({ idleSinceMs }) => idleSinceMs ?? Number.POSITIVE_INFINITY);
    const idleSinceMs = Math.max(...idleSince);
    machine.idleSinceMs = Number.isFinite(idleSinceMs) ? idleSinceMs : undefined;
    this.#slotsSeen = machine.slots;
  }

  /** When `#step` has something to do for a machine if nothing else happens. */
  #dueAtMs({ phase, phaseAtMs, launchedAtMs, memberAtMs, listedAtMs, isAsked }: Provided): number {
    const { pauseMs, askedPauseMs, askAgainMs, bootMsMax, lostMs } = this.#options;
    switch (phase) {
      case "asked":
        return phaseAtMs + askAgainMs;
      case "booting":
        return Math.max(launchedAtMs + bootMsMax, phaseAtMs + 1);
      case "ready":
        return memberAtMs + lostMs;
      case "draining":
        return phaseAtMs + (isAsked ? askedPauseMs : pauseMs);
      case "leaving":
        return phaseAtMs + this.#options.leaveMsMax;
      case "ending":
        return listedAtMs + this.#options.unlistedMs;
    }
  }

  #step(machine: Provided, nowMs: number): void {
    const { token, phase, peer } = machine;
    const isMember = machine.memberAtMs === nowMs;
    const isDue = this.#dueAtMs(machine) <= nowMs;
    if ((phase === "asked" || phase === "booting") && isMember && peer !== undefined) {
      this.#enter(machine, "ready", nowMs);
      this.#failures = 0;
      const bootMs = nowMs - machine.launchedAtMs;
      this.#out.note({ name: "machine-ready", machine: token, bootMs });
      return;
    }
    if (phase === "draining" && machine.busySlots > 0) {
      // It got something to do before it heard that it should not.
      if (!machine.isAsked) this.#keep(machine, nowMs);
      else machine.phaseAtMs = nowMs;
      return;
    }
    if (phase === "leaving" && !isMember) this.#end(machine, undefined, nowMs);
    if (!isDue) return;
    if (phase === "asked") {
      machine.phaseAtMs = nowMs;
      this.#out.push({ kind: "provide", token, market: machine.market });
    } else if (phase === "booting") {
      const why = `it did not join within ${Math.round(this.#options.bootMsMax / 1000)} s`;
      this.#end(machine, why, nowMs);
      this.#backOff(`A machine was started and did not join (${token}).`, nowMs);
    } else if (phase === "ready") this.#end(machine, "it left the mesh", nowMs);
    else if (phase === "draining") {
      this.#enter(machine, "leaving", nowMs);
      this.#tell(machine, "leave");
    } else if (phase === "leaving") this.#end(machine, undefined, nowMs);
    else this.#forget(machine);
  }

  #enter(machine: Provided, phase: Phase, nowMs: number): void {
    machine.phase = phase;
    machine.phaseAtMs = nowMs;
  }

  #keep(machine: Provided, nowMs: number): void {
    machine.isAsked = false;
    this.#enter(machine, "ready", nowMs);
    this.#tell(machine, "resume");
    this.#out.note({ name: "machine-kept", machine: machine.token });
  }

  #tell({ peer }: Provided, phase: "pause" | "resume" | "leave"): void {
    if (peer !== undefined) this.#out.send(peer, { kind: "drain", worker: "", phase });
  }

  /** Has a machine ended; it is remembered until the provider lists it no more. */
  #end(machine: Provided, why: string | undefined, nowMs: number): void {
    this.#enter(machine, "ending", nowMs);
    machine.listedAtMs = nowMs;
    if (why !== undefined) this.#out.note({ name: "machine-failed", machine: machine.token, why });
    if (machine.id !== undefined) this.#out.push({ kind: "dismiss", ids: [machine.id] });
  }

  #forget({ token, phase }: Provided): void {
    this.#byToken.delete(token);
    if (phase !== "ending") {
      this.#out.note({ name: "machine-failed", machine: token, why: "the provider ended it" });
    }
    this.#out.note({ name: "machine-ended", machine: token });
  }
}

/** A worker that somebody else keeps, as a machine that stays. */
function owned({ peer, slots, busy: busySlots }: WorkerView): ScaledMachine {
  return {
    ...{ id: peer, state: "owned", market: "on-demand", launchedAtMs: 0 },
    ...{ idleSinceMs: undefined, slots, busySlots },
  };
}
