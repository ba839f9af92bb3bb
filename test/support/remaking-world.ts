// A node and a store that loses blobs: actions take each other's outputs, in any graph without
// circles. A test decides what happens next; what the node asks for is answered in any order.

import type { ActionRequest, Token } from "../../src/core/action.ts";
import { type Digest, digestKey } from "../../src/core/digest.ts";
import type { Effect, Input, Stage } from "../../src/core/machine.ts";
import { NodeCore } from "../../src/core/node.ts";
import type { Note } from "../../src/core/note.ts";
import type { Maker, RemakingInput } from "../../src/core/remaking-options.ts";
import { createRng } from "../../src/core/rng.ts";
import { actionRequest, digestOf } from "./core-values.ts";

/** An action of the world, by its place in the list: it takes outputs of earlier ones. */
export interface WorldAction {
  readonly takes: readonly number[];
  /** Further blobs that it takes, which no action made. */
  readonly sources?: readonly string[];
  /** Makes something else each time. */
  readonly isRandom?: boolean;
}

type Found = Pick<Extract<RemakingInput, { kind: "examined" }>, "ending" | "made">;

/** The node and what surrounds it. */
export class RemakingWorld {
  readonly node: NodeCore;
  /** Last stages by operation, in the order in which they were told. */
  readonly ends = new Map<string, Stage[]>();
  /** How often each action ran to its end, by its place. */
  readonly runs: number[];
  readonly notes: Note[] = [];
  /** Wants that ended, and whether anything was made for them. */
  readonly settled = new Map<string, boolean>();
  readonly #actions: readonly WorldAction[];
  readonly #store = new Set<string>();
  readonly #foundByResponse = new Map<string, Found>();
  readonly #openOperations = new Map<string, ActionRequest>();
  #pending: (() => void)[] = [];
  nowMs = 0;

  constructor(actions: readonly WorldAction[]) {
    this.#actions = actions;
    this.runs = actions.map(() => 0);
    for (const { sources } of actions) for (const name of sources ?? []) this.send(name);
    const isolation = "none";
    const who = { self: "n", name: "n", slots: 50, properties: {}, isolation, serves: true };
    this.node = new NodeCore(who, createRng(1));
    this.tell({ kind: "wake" });
  }

  /** What action `at` makes when it is not random. */
  output(at: number): Digest {
    return digestOf(`output ${at}`);
  }

  submit(operation: string, at: number, changes: Partial<ActionRequest> = {}): void {
    const request = actionRequest(`action ${at}`, changes);
    this.#openOperations.set(operation, request);
    this.ends.set(operation, []);
    this.tell({ kind: "submit", operation, request });
  }

  abandon(operation: string): void {
    this.#openOperations.delete(operation);
    this.tell({ kind: "abandon", operation });
  }

  want(want: string, blobs: readonly Digest[]): void {
    const by = { user: "ann", invocation: "build", priority: 0 };
    this.tell({ kind: "wanted", want, by, blobs });
  }

  /** A client stores a blob that no action made. */
  send(name: string): void {
    this.#store.add(digestKey(digestOf(name)));
  }

  lose(blob: Digest): void {
    this.#store.delete(digestKey(blob));
  }

  has(blob: Digest): boolean {
    return this.#store.has(digestKey(blob));
  }

  /** Answers one of the things that the node waits for; false where there is none. */
  step(luck: number): boolean {
    const [next] = this.#pending.splice(luck % Math.max(1, this.#pending.length), 1);
    next?.();
    return next !== undefined;
  }

  /** Loses an answer of the store. */
  forget(luck: number): void {
    this.#pending.splice(luck % Math.max(1, this.#pending.length), 1);
  }

  pass(ms: number): void {
    this.nowMs += ms;
    if (this.node.wakeAtMs <= this.nowMs) this.tell({ kind: "wake" });
  }

  /** Answers everything until nothing is left to answer. */
  settle(): void {
    for (let round = 0; round < 100_000 && this.step(round * 7); round += 1);
  }

  tell(input: Input): void {
    for (const effect of this.node.handle(input, this.nowMs)) this.#see(effect);
  }

  #see(effect: Effect): void {
    switch (effect.kind) {
      case "execute":
        this.#later(() => this.#run(effect.token, effect.request));
        return;
      case "publish":
        for (const operation of effect.operations) this.#hear(operation, effect.stage);
        return;
      case "examine":
        this.#later(() => {
          const found = this.#foundByResponse.get(digestKey(effect.response));
          if (found === undefined) throw new Error("a response that nobody stored");
          const { operation, action } = effect;
          const lacks = found.ending === "lacked" ? this.#lacksOf(action) : [];
          const made = found.made.filter((blob) => this.has(blob));
          this.tell({ kind: "examined", operation, ...found, made, missing: lacks });
        });
        return;
      case "prepare":
        this.#later(() => {
          const { job, maker } = effect;
          const changes = { action: maker.action, instance: maker.instance, skipCacheLookup: true };
          const request = actionRequest("", changes);
          const missing = this.#lacksOf(maker.action);
          this.tell({ kind: "prepared", job, request, missing });
        });
        return;
      case "settled":
        if (this.settled.has(effect.want)) throw new Error(`${effect.want} is settled twice`);
        this.settled.set(effect.want, effect.made);
        return;
      case "note":
        this.notes.push(effect.note);
    }
  }

  #later(work: () => void): void {
    this.#pending.push(work);
  }

  #placeOf(action: Digest): number {
    return this.#actions.findIndex((_, at) => digestOf(`action ${at}`).hash === action.hash);
  }

  #lacksOf(action: Digest): Digest[] {
    const { takes, sources } = this.#actions[this.#placeOf(action)] ?? { takes: [] };
    const inputs = [...takes.map((at) => this.output(at)), ...(sources ?? []).map(digestOf)];
    return inputs.filter((blob) => !this.has(blob));
  }

  #run(token: Token, { action }: ActionRequest): void {
    const at = this.#placeOf(action);
    const lacks = this.#lacksOf(action).length > 0;
    const isOther = this.#actions[at]?.isRandom === true && (this.runs[at] ?? 0) > 0;
    const output = isOther ? digestOf(`output ${at} again`) : this.output(at);
    if (!lacks) {
      this.runs[at] = (this.runs[at] ?? 0) + 1;
      this.#store.add(digestKey(output));
    }
    const response = digestOf(`response ${this.#foundByResponse.size}`);
    this.#foundByResponse.set(digestKey(response), {
      ending: lacks ? "lacked" : "ran",
      made: lacks ? [] : [output],
    });
    const exitCode = lacks ? undefined : 0;
    const outcome = { kind: "result", response, exitCode, runMs: 5 } as const;
    this.tell({ kind: "executed", token, outcome });
  }

  #hear(operation: string, stage: Stage): void {
    if (stage.kind === "queued" || stage.kind === "executing") return;
    const request = this.#openOperations.get(operation);
    if (request === undefined) throw new Error(`${operation} is nobody's, or was given up`);
    this.ends.get(operation)?.push(stage);
    this.#openOperations.delete(operation);
    const isResult = stage.kind === "completed" && stage.outcome.kind === "result";
    if (!isResult || stage.outcome.exitCode !== 0) return;
    const { user, invocation, action, instance } = request;
    const made = this.#foundByResponse.get(digestKey(stage.outcome.response))?.made ?? [];
    const maker: Maker = { action, instance, toolchain: "" };
    this.tell({ kind: "told", by: { user, invocation }, maker, blobs: made });
  }
}
