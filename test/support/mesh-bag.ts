// A mesh of cores in a bag: a test decides which message arrives next, which is lost or copied, who
// dies and when time passes. Smaller and nastier than the simulator; failures shrink.

import fc from "fast-check";
import { expect } from "vitest";
import { type PeerId, type Token, tokenKey } from "../../src/core/action.ts";
import type { Effect, Input } from "../../src/core/machine.ts";
import type { Message } from "../../src/core/message.ts";
import { NodeCore } from "../../src/core/node.ts";
import { createRng } from "../../src/core/rng.ts";
import { actionRequest, faultOf, resultOf } from "./core-values.ts";

/** Slots of every worker. */
const slots = 2;

/** Who is in the bag. */
export interface BagOptions {
  readonly hosts: readonly PeerId[];
  /** Worker → its host, "" for none. Every worker is linked to every host. */
  readonly homeByWorker: Readonly<Record<PeerId, PeerId>>;
  readonly workStealing: boolean;
}

interface Flying {
  readonly from: PeerId;
  readonly to: PeerId;
  readonly message: Message;
}

/** Holds every message until it is told what becomes of it. */
export class MeshBag {
  readonly ends = new Map<string, number>();
  readonly bounds = new Map<string, PeerId>();
  /** Messages sent, by kind. */
  readonly sent = new Map<string, number>();
  readonly #options: BagOptions;
  readonly #workers: readonly PeerId[];
  readonly #cores = new Map<PeerId, NodeCore>();
  readonly #running = new Map<string, { readonly peer: PeerId; readonly token: Token }>();
  #flying: Flying[] = [];
  #nowMs = 0;
  #births = 0;

  constructor(options: BagOptions) {
    this.#options = options;
    this.#workers = Object.keys(options.homeByWorker);
    for (const host of options.hosts) this.#start(host);
    for (const worker of this.#workers) this.#start(worker);
  }

  get pending(): number {
    const cores = this.#options.hosts.map((host) => this.#cores.get(host));
    return cores.reduce((sum, core) => sum + (core?.pending ?? 0) + (core?.executing ?? 0), 0);
  }

  submit(operation: string, action: string, luck = 0): void {
    const { hosts } = this.#options;
    const request = actionRequest(action);
    this.ends.set(operation, 0);
    this.#tell(hosts[luck % hosts.length]!, { kind: "submit", operation, request });
  }

  /** Lets the chosen message arrive, get lost, or arrive and stay to arrive again. */
  move(luck: number, fate: "arrive" | "lose" | "copy"): void {
    const flying = this.#flying[luck % Math.max(1, this.#flying.length)];
    if (flying === undefined) return;
    if (fate !== "copy") this.#flying.splice(this.#flying.indexOf(flying), 1);
    if (fate === "lose") return;
    this.#tell(flying.to, { kind: "message", from: flying.from, message: flying.message });
  }

  end(luck: number, isFault: boolean): void {
    const run = [...this.#running.values()][luck % Math.max(1, this.#running.size)];
    if (run === undefined) return;
    const outcome = isFault ? faultOf("broken") : resultOf("r");
    this.#running.delete(`${run.peer} ${tokenKey(run.token)}`);
    this.#tell(run.peer, { kind: "executed", token: run.token, outcome });
  }

  pass(ms: number): void {
    this.#nowMs += ms;
    for (const [peer, core] of this.#cores) {
      if (core.wakeAtMs <= this.#nowMs) this.#tell(peer, { kind: "wake" });
    }
  }

  /** Kills a worker and starts it again; messages of its former life still fly. */
  restart(luck: number): void {
    const worker = this.#workers[luck % this.#workers.length]!;
    for (const [key, run] of this.#running) if (run.peer === worker) this.#running.delete(key);
    for (const host of this.#options.hosts) this.#tell(host, { kind: "unlinked", peer: worker });
    this.#start(worker);
  }

  /** Lets a worker fill only some of its slots. */
  allow(luck: number): void {
    const worker = this.#workers[luck % this.#workers.length]!;
    this.#tell(worker, { kind: "allow", slots: luck % (slots + 1) });
  }

  /** From now on all goes well: everything must end within a bounded time. */
  settle(): void {
    for (const worker of this.#workers) this.#tell(worker, { kind: "allow", slots });
    for (let round = 0; round < 400 && this.pending > 0; round += 1) {
      for (let i = 0; i < 1_000 && this.#flying.length > 0; i += 1) this.move(0, "arrive");
      while (this.#running.size > 0) this.end(0, false);
      if (this.#flying.length === 0) this.pass(1_000);
    }
  }

  /** Plays steps that luck chose, then settles: every operation has ended exactly once. */
  play(steps: readonly Step[]): void {
    for (const [number, { act, luck: chosen }] of steps.entries()) {
      if (act === "submit") this.submit(`o${number}`, `a${chosen % 20}`, chosen);
      else if (act === "end" || act === "fault") this.end(chosen, act === "fault");
      else if (act === "pass") this.pass(chosen * 5);
      else if (act === "restart") this.restart(chosen);
      else if (act === "allow") this.allow(chosen);
      else this.move(chosen, act);
    }
    this.settle();
    expect([...this.ends].filter(([, ends]) => ends !== 1)).toEqual([]);
    expect(this.pending).toBe(0);
  }

  #start(peer: PeerId): void {
    const { homeByWorker, hosts, workStealing } = this.#options;
    const home = homeByWorker[peer];
    const isWorker = home !== undefined;
    const properties = { OSFamily: ["linux"] };
    const role = isWorker ? { slots, home } : { slots: 0, serves: true };
    const options = { self: peer, name: peer, properties, isolation: "none", workStealing };
    this.#births += 1;
    this.#cores.set(peer, new NodeCore({ ...options, ...role }, createRng(this.#births)));
    this.#tell(peer, { kind: "wake" });
    for (const host of hosts) {
      if (host === peer || !this.#cores.has(host)) continue;
      this.#tell(host, { kind: "linked", peer });
      this.#tell(peer, { kind: "linked", peer: host });
    }
  }

  #tell(peer: PeerId, input: Input): void {
    const effects = this.#cores.get(peer)?.handle(input, this.#nowMs) ?? [];
    for (const effect of effects) this.#see(peer, effect);
    expect(this.pending).toBeLessThanOrEqual(this.ends.size);
  }

  #see(peer: PeerId, effect: Effect): void {
    if (effect.kind === "send") {
      const { to, message } = effect;
      this.sent.set(message.kind, (this.sent.get(message.kind) ?? 0) + 1);
      this.#flying.push({ from: peer, to, message });
      if (message.kind !== "bound") return;
      const key = tokenKey(message.token);
      expect([key, this.bounds.get(key) ?? to]).toEqual([key, to]);
      this.bounds.set(key, to);
    }
    if (effect.kind === "execute") this.#run(peer, effect.token);
    if (effect.kind === "publish") {
      for (const operation of effect.operations) this.#hear(operation, effect.stage.kind);
    }
  }

  /** A worker never fills more than its slots, and an action runs twice only after a lost lease. */
  #run(peer: PeerId, token: Token): void {
    const key = `${peer} ${tokenKey(token)}`;
    const running = [...this.#running.values()];
    const rivals = running.filter(
      (run) => run.token.ingress === token.ingress && run.token.seq === token.seq,
    );
    expect(rivals.filter((run) => run.token.hop >= token.hop)).toEqual([]);
    this.#running.set(key, { peer, token });
    const own = running.filter((run) => run.peer === peer);
    expect(own.length).toBeLessThan(slots);
  }

  #hear(operation: string, stage: string): void {
    const ends = this.ends.get(operation) ?? 0;
    expect([operation, stage, ends]).toEqual([operation, stage, 0]);
    if (stage === "completed" || stage === "failed") this.ends.set(operation, ends + 1);
  }
}

/** One thing that happens in a bag; `luck` says to whom. */
export interface Step {
  readonly act:
    | "submit"
    | "arrive"
    | "lose"
    | "copy"
    | "end"
    | "fault"
    | "pass"
    | "restart"
    | "allow";
  readonly luck: number;
}

/** Any sequence of 30 to 300 steps. */
export function anySteps(): fc.Arbitrary<Step[]> {
  const luck = fc.nat(1_000);
  const one = (act: Step["act"], weight: number) => ({
    weight,
    arbitrary: fc.record({ act: fc.constant(act), luck }),
  });
  const step = fc.oneof(
    one("submit", 4),
    one("arrive", 30),
    one("lose", 3),
    one("copy", 3),
    one("end", 5),
    one("fault", 1),
    one("pass", 3),
    one("restart", 1),
    one("allow", 1),
  );
  return fc.array(step, { minLength: 30, maxLength: 300, size: "max" });
}
