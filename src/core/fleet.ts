// How many machines there are, decided in one place: counts what waits and what there is, asks the
// policy, and has it done. The truth is counted anew each time, every few seconds and at once when
// a build begins or what waits doubles; no counter of events is kept that could go wrong.
//
// The machines are this host's own worker processes, which every serving node keeps for itself, or
// those of a provider, which the coordinator alone keeps for the whole mesh.

import type { PeerId } from "./action.ts";
import type { InvocationView } from "./entries.ts";
import type { Failure } from "./error.ts";
import { fixedSize } from "./fixed-size.ts";
import { type FleetCost, FleetCosts } from "./fleet-costs.ts";
import type { Effect, Input, Machine } from "./machine.ts";
import type { Load } from "./message.ts";
import type { Pool } from "./pool.ts";
import type { ProvidedMachines } from "./provided.ts";
import type { WorkerView } from "./roster.ts";
import type {
  HeldBack,
  Market,
  ScaledMachine,
  ScalingDecision,
  ScalingDemand,
  ScalingPolicy,
} from "./scaling.ts";
import type { RecordedDecision } from "./scaling-record.ts";
import type { ScalingSettings } from "./scaling-settings.ts";

/** What a fleet is told at the start. */
export interface FleetOptions extends ScalingSettings {
  readonly policy: ScalingPolicy;
  /** Slots of each of this host's worker processes. */
  readonly slotsPerWorker: number;
}

/** What a fleet sees of its node. */
export interface FleetView {
  readonly self: PeerId;
  readonly name: string;
  /** Actions accepted here that no worker runs yet, and their expected work in ms of one slot. */
  readonly pending: number;
  readonly pendingMs: number;
  readonly invocations: readonly InvocationView[];
  readonly workers: readonly WorkerView[];
  readonly hosts: readonly { readonly peer: PeerId; readonly name: string }[];
  readonly leader: PeerId | undefined;
  /** The term in which this node may scale the mesh; undefined while it may not. */
  readonly scalingTerm: number | undefined;
}

/** How a fleet stands, for people. */
export interface FleetStanding {
  readonly settings: ScalingSettings;
  /** The last decision, what it was made from, and when; undefined before the first. */
  readonly decided: RecordedDecision | undefined;
  readonly cost: FleetCost;
  /** True where the machines are a provider's. */
  readonly isProvided: boolean;
}

/** A decision is made at least every so many ms while autoscaling is not off. */
export const tickMs = 10_000;
/** What waits is looked at again after so many ms where it doubled. */
const actAgainMs = 250;
/** While machines come or go they are looked at every so many ms. */
const lookMs = 1_000;
const never = Number.POSITIVE_INFINITY;

/** The machine that keeps a fleet at its size. */
export class Fleet implements Machine {
  readonly #view: FleetView;
  readonly #pool: Pool;
  readonly #provided: ProvidedMachines | undefined;
  readonly #policy: ScalingPolicy;
  readonly #slotsPerWorker: number;
  readonly #costs = new FleetCosts();
  readonly #loadByHost = new Map<PeerId, Load>();
  #settings: ScalingSettings;
  #decided: RecordedDecision | undefined;
  #decideAtMs = 0;
  #decidedAtMs = Number.NEGATIVE_INFINITY;
  #pendingSeen = 0;
  #invocationsSeen: ReadonlySet<string> = new Set();
  #lookAtMs = never;
  #term: number | undefined;
  #isStopped = false;

  constructor(
    deps: {
      readonly view: FleetView;
      readonly pool: Pool;
      readonly provided: ProvidedMachines | undefined;
    },
    options: FleetOptions,
  ) {
    this.#view = deps.view;
    this.#pool = deps.pool;
    this.#provided = deps.provided;
    this.#policy = options.policy;
    this.#slotsPerWorker = options.slotsPerWorker;
    this.#settings = { mode: options.mode, bounds: options.bounds };
  }

  /** How it stands. */
  get standing(): FleetStanding {
    const isProvided = this.#provided !== undefined;
    const [settings, decided] = [this.#settings, this.#decided];
    return { settings, decided, cost: this.#costs.today, isProvided };
  }

  /** Why nobody can be drained, or kept, by that name; undefined where somebody can. */
  whyNoDrain(node: string, cancel: boolean): Failure | undefined {
    const { name, hosts, leader, self } = this.#view;
    const [host, worker] = splitName(node);
    const isOwn = worker !== "" && (host === "" || host === name);
    if (node === name || this.#provided?.has(node)) return undefined;
    if (isOwn && this.#pool.has(worker)) {
      if (!cancel || this.#pool.isPaused(worker)) return undefined;
      return {
        code: "FAILED_PRECONDITION",
        message: `${node} does not drain, or is ending already.`,
      };
    }
    if (isOwn || !hosts.some((other) => other.name === (worker === "" ? node : host))) {
      const message =
        `Nobody here is called ${JSON.stringify(node.slice(0, 80))}: \`builder remote status\` ` +
        "lists workers, `builder mesh members` lists hosts.";
      return { code: "NOT_FOUND", message };
    }
    if (leader === self) return undefined;
    const coordinator = hosts.find(({ peer }) => peer === leader)?.name ?? "there is none now";
    const message = `${node} is of another host: ask the coordinator to drain it (${coordinator}).`;
    return { code: "FAILED_PRECONDITION", message };
  }

  get wakeAtMs(): number {
    if (this.#isStopped) return never;
    // Whether this node leads is decided elsewhere, and is to be noticed at once.
    if (this.#provided !== undefined && this.#view.scalingTerm !== this.#term) return 0;
    const providedAtMs = this.#provided?.wakeAtMs ?? never;
    return Math.min(this.#pool.wakeAtMs, providedAtMs, this.#decideAtMs, this.#lookAtMs);
  }

  handle(input: Input, nowMs: number): readonly Effect[] {
    const effects = [...this.#take(input, nowMs)];
    if (this.#isStopped) return effects;
    effects.push(...this.#lead(nowMs));
    if (input.kind === "wake" && (this.#lookAtMs <= nowMs || this.#isProvidedDue(nowMs))) {
      effects.push(...this.#look(nowMs));
    }
    if (this.#decideAtMs <= nowMs) effects.push(...this.#decide(nowMs));
    return effects;
  }

  #take(input: Input, nowMs: number): readonly Effect[] {
    switch (input.kind) {
      case "wake":
      case "launched":
      case "terminated":
        return this.#pool.handle(input, nowMs);
      case "drain":
        this.#isStopped = true;
        return this.#pool.handle(input, nowMs);
      case "scaling":
        this.#settings = input.settings;
        this.#decideAtMs = nowMs;
        return [];
      case "submit":
        this.#notice(`${input.request.user}/${input.request.invocation}`, nowMs);
        return [];
      case "message":
        if (input.message.kind === "drain") return this.#obey(input.from, input.message, nowMs);
        if (input.message.kind === "load" && input.message.serves) {
          this.#loadByHost.set(input.from, input.message);
        }
        return [];
      case "unlinked":
        this.#loadByHost.delete(input.peer);
        return [];
      case "ask-drain":
        return this.#drain(input.node, input.cancel, nowMs);
      case "provided":
      case "unprovided":
      case "listed":
      case "unlisted":
        this.#decideAtMs = Math.min(this.#decideAtMs, this.#decidedAtMs + lookMs);
        return this.#provided?.handle(input, nowMs) ?? [];
      default:
        return [];
    }
  }

  /** A build began, or twice as much waits as at the last decision: that is worth another one. */
  #notice(invocation: string, nowMs: number): void {
    if (this.#settings.mode === "off") return;
    const isNew = !this.#invocationsSeen.has(invocation);
    const isMore = this.#view.pending > 2 * this.#pendingSeen;
    if (!isNew && !isMore) return;
    this.#decideAtMs = Math.min(
      this.#decideAtMs,
      Math.max(nowMs, this.#decidedAtMs + (isNew ? 0 : actAgainMs)),
    );
  }

  /** Notices that this node leads the mesh from now on, or does no longer. */
  #lead(nowMs: number): readonly Effect[] {
    const term = this.#view.scalingTerm;
    if (this.#provided === undefined || term === this.#term) return [];
    this.#term = term;
    this.#decideAtMs = nowMs;
    return this.#look(nowMs);
  }

  #isProvidedDue(nowMs: number): boolean {
    return (this.#provided?.wakeAtMs ?? never) <= nowMs;
  }

  /** `workers` are those of the view, which are counted anew each time that they are read. */
  #look(nowMs: number, workers = this.#view.workers): readonly Effect[] {
    if (this.#provided === undefined) return [];
    const { hosts } = this.#view;
    const effects = this.#provided.look({ workers, hosts }, this.#term, nowMs);
    const isMoving = this.#provided.machines.some(({ state }) => state !== "ready");
    this.#lookAtMs = isMoving || this.#provided.isEnding ? nowMs + lookMs : never;
    return effects;
  }

  #decide(nowMs: number): readonly Effect[] {
    const { workers } = this.#view;
    const effects: Effect[] = [...this.#look(nowMs, workers)];
    if (!this.#mayAct && this.#view.leader !== this.#view.self) {
      this.#decideAtMs = never;
      return effects;
    }
    const machines = this.#machinesOf(workers);
    this.#costs.look(machines, nowMs);
    const { invocations } = this.#view;
    const demand = this.#demand(machines, invocations);
    const bounds = { ...this.#settings.bounds, slotsPerMachine: this.#slotsPerMachine };
    const { mode } = this.#settings;
    const policy = mode === "off" ? fixedSize : this.#policy;
    const wished = policy.decide(demand, bounds, nowMs);
    const acted = mode === "advise" ? fixedSize.decide(demand, bounds, nowMs) : wished;
    const decision = { ...wished, heldBack: this.#heldBack(wished, nowMs) ?? wished.heldBack };
    const decided: RecordedDecision = {
      ...{ record: "decision", atMs: nowMs, policy: policy.name, mode },
      ...{ demand, bounds, decision },
    };
    if (this.#isNews(decision)) {
      effects.push({ kind: "note", note: { name: "scaling-decided", decided } });
    }
    this.#remember(decided, invocations, nowMs);
    if (this.#mayAct) effects.push(...this.#act(acted, machines.length, bounds.max, nowMs));
    return effects;
  }

  #remember(
    decided: RecordedDecision,
    invocations: readonly InvocationView[],
    nowMs: number,
  ): void {
    const { decision, demand } = decided;
    this.#decided = decided;
    this.#decidedAtMs = nowMs;
    this.#pendingSeen = this.#view.pending;
    this.#invocationsSeen = new Set(
      invocations.map(({ user, invocation }) => `${user}/${invocation}`),
    );
    const supply = demand.machines.filter(({ state }) => state !== "draining").length;
    const isSettled = this.#settings.mode === "off" && supply === decision.target;
    const nextMs = Math.max(lookMs, Math.min(tickMs, decision.next?.inMs ?? tickMs));
    this.#decideAtMs = isSettled || !this.#mayAct ? never : nowMs + nextMs;
  }

  /** A provider's machines are the coordinator's business. */
  get #mayAct(): boolean {
    return this.#provided === undefined || this.#term !== undefined;
  }

  get #slotsPerMachine(): number {
    return this.#provided?.slotsPerMachine ?? this.#slotsPerWorker;
  }

  /** The machines that count, sorted by id. */
  get machines(): readonly ScaledMachine[] {
    return this.#machinesOf(this.#view.workers);
  }

  #machinesOf(workers: readonly WorkerView[]): readonly ScaledMachine[] {
    const own = () => this.#pool.machines(workers, this.#view.self, this.#slotsPerWorker);
    return this.#provided?.machinesAmong(workers) ?? own();
  }

  #demand(
    machines: readonly ScaledMachine[],
    invocations: readonly InvocationView[],
  ): ScalingDemand {
    const { pending, pendingMs } = this.#view;
    const others = this.#provided === undefined ? [] : [...this.#loadByHost.values()];
    return {
      queued: others.reduce((sum, load) => sum + load.pending, pending),
      queuedWorkMs: others.reduce((sum, load) => sum + load.pendingMs, pendingMs),
      invocations: invocations.map((of) => {
        return { parallelism: of.pending + of.executing, remainingMs: of.pendingMs };
      }),
      machines,
    };
  }

  /** What keeps this node from doing what the policy wants, where that is not the policy itself. */
  #heldBack({ launch }: ScalingDecision, nowMs: number): HeldBack | undefined {
    if (this.#settings.mode === "advise") {
      return { by: "advise", why: "advise starts and ends nothing" };
    }
    if (this.#provided === undefined) return undefined;
    if (this.#term === undefined && this.#view.leader === this.#view.self) {
      return { by: "cut-off", why: "this node hears nobody else of its mesh" };
    }
    const why = this.#provided.blockedWhy(nowMs);
    const isWanted = launch["on-demand"] + launch.spot > 0;
    return isWanted && why !== undefined ? { by: "provider", why } : undefined;
  }

  /** True for a decision that does something, or that says something else than the last. */
  #isNews(decision: ScalingDecision): boolean {
    const last = this.#decided?.decision;
    const { launch, drain, keep, heldBack } = decision;
    const isStuck =
      heldBack !== undefined && ["advise", "provider", "cut-off"].includes(heldBack.by);
    const changes = launch["on-demand"] + launch.spot + drain.length + keep.length;
    if (changes > 0 && !isStuck) return true;
    if (this.#settings.mode === "off") return false;
    return last?.target !== decision.target || last.heldBack?.by !== decision.heldBack?.by;
  }

  #act(decision: ScalingDecision, count: number, max: number, nowMs: number): readonly Effect[] {
    const { launch, drain, keep } = decision;
    const provided = this.#provided;
    if (provided === undefined) {
      return [
        ...keep.flatMap((id) => this.#pool.resume(id)),
        ...drain.flatMap((id) => this.#pool.pause(id, nowMs)),
        ...this.#pool.launch(launch["on-demand"] + launch.spot, max, nowMs),
      ];
    }
    const room = max - count + provided.machines.length;
    const markets: Market[] = ["on-demand", "spot"];
    const effects = [
      ...keep.flatMap((id) => provided.resume(id, nowMs)),
      ...drain.flatMap((id) => provided.pause(id, nowMs)),
      ...markets.flatMap((market) => provided.launch(launch[market], market, room, nowMs)),
    ];
    if (effects.length > 0) this.#lookAtMs = nowMs + lookMs;
    return effects;
  }

  /** The coordinator's word about this host's workers. */
  #obey(
    from: PeerId,
    { worker, phase }: { worker: string; phase: "pause" | "resume" | "leave" },
    nowMs: number,
  ): readonly Effect[] {
    if (from !== this.#view.leader) return [];
    if (phase === "leave") return [{ kind: "depart" }];
    if (worker === "") return this.#pool.hold(phase === "pause");
    return phase === "pause" ? this.#pool.pause(worker, nowMs, true) : this.#pool.resume(worker);
  }

  /** What somebody asks for goes to whose workers it is about. */
  #drain(node: string, cancel: boolean, nowMs: number): readonly Effect[] {
    this.#decideAtMs = Math.min(this.#decideAtMs, nowMs + lookMs);
    const { name, hosts } = this.#view;
    if (node === name) return this.#pool.hold(!cancel);
    const [host = "", worker = ""] = splitName(node);
    if (worker !== "" && (host === "" || host === name)) {
      return cancel ? this.#pool.resume(worker) : this.#pool.pause(worker, nowMs, true);
    }
    if (this.#provided?.has(node)) {
      return cancel ? this.#provided.resume(node, nowMs) : this.#provided.pause(node, nowMs, true);
    }
    const peer = hosts.find((other) => other.name === (worker === "" ? node : host))?.peer;
    if (peer === undefined) return [];
    const phase = cancel ? "resume" : "pause";
    return [{ kind: "send", to: peer, message: { kind: "drain", worker, phase } }];
  }
}

/** `desk/worker-3` → `desk`, `worker-3`; a host's name alone has no second part. */
function splitName(node: string): readonly [host: string, worker: string] {
  const [, host = "", worker = ""] = /^(?:(.*)\/)?(worker-\d{1,7})$/.exec(node) ?? [];
  return [host, worker];
}
