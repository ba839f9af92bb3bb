// A mesh of cores in a bag: fast-check decides which message arrives next, which is lost or copied,
// who dies and when time passes. Smaller and nastier than the simulator; failures shrink.

import fc from "fast-check";
import { expect, test } from "vitest";
import { type PeerId, type Token, tokenKey } from "../../../src/core/action.ts";
import type { Effect, Input } from "../../../src/core/machine.ts";
import type { Message } from "../../../src/core/message.ts";
import { NodeCore } from "../../../src/core/node.ts";
import { createRng } from "../../../src/core/rng.ts";
import { actionRequest, faultOf, resultOf } from "../../support/core-values.ts";

const slots = 2;
const workers = ["w1", "w2", "w3"];

interface Flying {
  readonly from: PeerId;
  readonly to: PeerId;
  readonly message: Message;
}

/** Holds every message until it is told what becomes of it. */
class Bag {
  readonly ends = new Map<string, number>();
  readonly bounds = new Map<string, PeerId>();
  readonly #cores = new Map<PeerId, NodeCore>();
  readonly #running = new Map<string, { readonly peer: PeerId; readonly token: Token }>();
  #flying: Flying[] = [];
  #nowMs = 0;
  #births = 0;

  constructor() {
    this.#start("n");
    for (const worker of workers) this.#start(worker);
  }

  get pending(): number {
    const ingress = this.#cores.get("n");
    return (ingress?.pending ?? 0) + (ingress?.executing ?? 0);
  }

  submit(operation: string, action: string): void {
    const request = actionRequest(action);
    this.ends.set(operation, 0);
    this.#tell("n", { kind: "submit", operation, request });
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
    const worker = workers[luck % workers.length]!;
    for (const [key, run] of this.#running) if (run.peer === worker) this.#running.delete(key);
    this.#tell("n", { kind: "unlinked", peer: worker });
    this.#start(worker);
  }

  /** From now on all goes well: everything must end within a bounded time. */
  settle(): void {
    for (let round = 0; round < 400 && this.pending > 0; round += 1) {
      for (let i = 0; i < 1_000 && this.#flying.length > 0; i += 1) this.move(0, "arrive");
      while (this.#running.size > 0) this.end(0, false);
      if (this.#flying.length === 0) this.pass(1_000);
    }
  }

  #start(peer: PeerId): void {
    const isWorker = peer !== "n";
    const properties = { OSFamily: ["linux"] };
    const options = { self: peer, name: peer, slots: isWorker ? slots : 0, properties };
    this.#births += 1;
    const core = new NodeCore({ ...options, isolation: "none" }, createRng(this.#births));
    this.#cores.set(peer, core);
    this.#tell(peer, { kind: "wake" });
    if (!isWorker) return;
    this.#tell("n", { kind: "linked", peer });
    this.#tell(peer, { kind: "linked", peer: "n" });
  }

  #tell(peer: PeerId, input: Input): void {
    const effects = this.#cores.get(peer)?.handle(input, this.#nowMs) ?? [];
    for (const effect of effects) this.#see(peer, effect);
    const { pending = 0, executing = 0 } = this.#cores.get("n") ?? {};
    expect(pending + executing).toBeLessThanOrEqual(this.ends.size);
  }

  #see(peer: PeerId, effect: Effect): void {
    if (effect.kind === "send") {
      const { to, message } = effect;
      this.#flying.push({ from: peer, to, message });
      if (message.kind !== "bound") return;
      const key = tokenKey(message.token);
      expect([key, this.bounds.get(key) ?? to]).toEqual([key, to]);
      this.bounds.set(key, to);
    }
    if (effect.kind === "execute") {
      const key = `${peer} ${tokenKey(effect.token)}`;
      expect([key, this.#running.has(key)]).toEqual([key, false]);
      this.#running.set(key, { peer, token: effect.token });
      const own = [...this.#running.values()].filter((run) => run.peer === peer);
      expect(own.length).toBeLessThanOrEqual(slots);
    }
    if (effect.kind === "publish") {
      for (const operation of effect.operations) this.#hear(operation, effect.stage.kind);
    }
  }

  #hear(operation: string, stage: string): void {
    const ends = this.ends.get(operation) ?? 0;
    expect([operation, stage, ends]).toEqual([operation, stage, 0]);
    if (stage === "completed" || stage === "failed") this.ends.set(operation, ends + 1);
  }
}

const luck = fc.nat(1_000);
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ act: fc.constant("submit" as const), luck }) },
  { weight: 30, arbitrary: fc.record({ act: fc.constant("arrive" as const), luck }) },
  { weight: 3, arbitrary: fc.record({ act: fc.constant("lose" as const), luck }) },
  { weight: 3, arbitrary: fc.record({ act: fc.constant("copy" as const), luck }) },
  { weight: 5, arbitrary: fc.record({ act: fc.constant("end" as const), luck }) },
  { weight: 1, arbitrary: fc.record({ act: fc.constant("fault" as const), luck }) },
  { weight: 3, arbitrary: fc.record({ act: fc.constant("pass" as const), luck }) },
  { weight: 1, arbitrary: fc.record({ act: fc.constant("restart" as const), luck }) },
);

test("whatever the network and the workers do, every operation ends exactly once", () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 30, maxLength: 300, size: "max" }), (steps) => {
      const bag = new Bag();
      for (const [number, { act, luck: chosen }] of steps.entries()) {
        if (act === "submit") bag.submit(`o${number}`, `a${chosen % 20}`);
        else if (act === "end" || act === "fault") bag.end(chosen, act === "fault");
        else if (act === "pass") bag.pass(chosen * 5);
        else if (act === "restart") bag.restart(chosen);
        else bag.move(chosen, act);
      }
      bag.settle();
      expect([...bag.ends].filter(([, ends]) => ends !== 1)).toEqual([]);
      expect(bag.pending).toBe(0);
    }),
    { numRuns: 300 },
  );
}, 60_000);
