// The worker machines: they run actions, some slowly; they crash, come back, and stop for a while.

import {
  type ActionRequest,
  type Outcome,
  type PeerId,
  type Token,
  tokenKey,
} from "../src/core/action.ts";
import type { Digest } from "../src/core/digest.ts";
import type { Machine } from "../src/core/machine.ts";
import type { Rng } from "../src/core/rng.ts";
import type { World } from "./world.ts";

/** The machines and what goes wrong with them. */
export interface MachineRoomOptions {
  readonly workers: number;
  readonly slots: number;
  /** Workers that are killed once and start again. */
  readonly crashes: number;
  /** Workers that stop for a while without ending. */
  readonly freezes: number;
  /** Links between a worker and an ingress that are cut for a while. */
  readonly cuts: number;
  /** Workers that take three times as long. */
  readonly slow: number;
  /** All of it happens before this time in ms. */
  readonly troubleMsMax: number;
}

/** Silence after which a link counts as dead, as `src/mesh` does it, in ms. */
const silenceMs = 10_000;

/** One run of an action on a worker, for those who count. */
export interface Run {
  readonly peer: PeerId;
  readonly token: Token;
  readonly request: ActionRequest;
  /** True where the worker found the result of an earlier run in the cache. */
  readonly isCached: boolean;
}

/** The digest of what an action answers: a function of the action, as in a real build. */
export function responseOf(action: Digest): Digest {
  return { ...action, hash: [...action.hash].reverse().join("") };
}

/** Worker machines in a world. */
export class MachineRoom {
  readonly workers: readonly PeerId[];
  readonly runs: Run[] = [];
  readonly #world: World;
  readonly #rng: Rng;
  readonly #options: MachineRoomOptions;
  readonly #ingresses: readonly PeerId[];
  readonly #durationMsByAction: ReadonlyMap<string, number>;
  readonly #create: (peer: PeerId) => Machine;
  readonly #runningByWorker = new Map<PeerId, Map<string, Token>>();
  readonly #slow: ReadonlySet<PeerId>;
  readonly #finished = new Set<string>();

  constructor(
    deps: {
      readonly world: World;
      readonly rng: Rng;
      readonly ingresses: readonly PeerId[];
      readonly durationMsByAction: ReadonlyMap<string, number>;
      readonly create: (peer: PeerId) => Machine;
    },
    options: MachineRoomOptions,
  ) {
    this.#world = deps.world;
    this.#rng = deps.rng;
    this.#options = options;
    this.#ingresses = deps.ingresses;
    this.#durationMsByAction = deps.durationMsByAction;
    this.#create = deps.create;
    this.workers = Array.from({ length: options.workers }, (_, i) => `w${i + 1}`);
    this.#slow = new Set(this.#some(options.slow));
    deps.world.observe({
      onEffect: (peer, effect) => {
        if (effect.kind === "execute") this.#execute(peer, effect.token, effect.request);
        if (effect.kind === "cancel") this.#end(peer, effect.token, cancelled);
      },
    });
  }

  /** Actions that run on a worker now. */
  running(peer: PeerId): number {
    return this.#runningByWorker.get(peer)?.size ?? 0;
  }

  /** Starts all machines and plans the trouble. */
  open(): void {
    for (const peer of this.workers) this.#start(peer);
    for (const peer of this.#some(this.#options.crashes)) this.#planCrash(peer);
    for (const peer of this.#some(this.#options.freezes)) this.#planFreeze(peer);
    for (const peer of this.#some(this.#options.cuts)) this.#planCut(peer);
  }

  #start(peer: PeerId): void {
    this.#runningByWorker.set(peer, new Map());
    this.#world.start(peer, this.#create(peer));
    for (const ingress of this.#ingresses) {
      this.#world.after(20 + this.#rng.below(200), () => this.#link(peer, ingress));
    }
  }

  #link(peer: PeerId, ingress: PeerId): void {
    if (!this.#world.network.isCut(peer, ingress)) this.#world.link(peer, ingress);
  }

  #execute(peer: PeerId, token: Token, request: ActionRequest): void {
    const { action } = request;
    const isCached = this.#finished.has(action.hash);
    this.runs.push({ peer, token, request, isCached });
    const slowness = this.#slow.has(peer) ? 3 : 1;
    const runMs = (this.#durationMsByAction.get(action.hash) ?? 1) * slowness;
    const running = this.#runningByWorker.get(peer);
    running?.set(tokenKey(token), token);
    this.#world.after(isCached ? 5 : runMs, () => {
      // A crash in between emptied the table: that run is gone.
      if (running?.get(tokenKey(token)) !== token) return;
      this.#finished.add(action.hash);
      const response = responseOf(action);
      this.#end(peer, token, { kind: "result", response, exitCode: 0, runMs });
    });
  }

  #end(peer: PeerId, token: Token, outcome: Outcome): void {
    const isRunning = this.#runningByWorker.get(peer)?.delete(tokenKey(token));
    if (!isRunning) return;
    this.#world.after(1, () => this.#world.tell(peer, { kind: "executed", token, outcome }));
  }

  #planCrash(peer: PeerId): void {
    this.#atSomeTime(() => {
      this.#runningByWorker.set(peer, new Map());
      this.#world.kill(peer, 1 + this.#rng.below(20));
      this.#world.after(1_000 + this.#rng.below(15_000), () => this.#start(peer));
    });
  }

  #planFreeze(peer: PeerId): void {
    this.#atSomeTime(() => {
      const frozenMs = 500 + this.#rng.below(2 * silenceMs);
      this.#world.freeze(peer);
      if (frozenMs > silenceMs) {
        this.#world.after(silenceMs, () => {
          for (const ingress of this.#ingresses) this.#world.unlink(ingress, peer);
        });
      }
      this.#world.after(frozenMs, () => {
        this.#world.thaw(peer);
        for (const ingress of this.#ingresses) {
          this.#world.after(100, () => this.#link(peer, ingress));
        }
      });
    });
  }

  #planCut(peer: PeerId): void {
    const ingress = this.#ingresses[this.#rng.below(this.#ingresses.length)] ?? "";
    this.#atSomeTime(() => {
      const cutMs = 500 + this.#rng.below(2 * silenceMs);
      this.#world.network.cut(peer, ingress, true);
      this.#world.trace(`${peer} and ${ingress} are cut off`);
      if (cutMs > silenceMs) {
        this.#world.after(silenceMs, () => this.#world.unlink(ingress, peer));
      }
      this.#world.after(cutMs, () => {
        this.#world.network.cut(peer, ingress, false);
        this.#world.after(100, () => this.#link(peer, ingress));
      });
    });
  }

  #atSomeTime(happen: () => void): void {
    this.#world.at(500 + this.#rng.below(this.#options.troubleMsMax), happen);
  }

  #some(count: number): readonly PeerId[] {
    const rest = [...this.workers];
    const chosen: PeerId[] = [];
    while (chosen.length < count && rest.length > 0) {
      chosen.push(...rest.splice(this.#rng.below(rest.length), 1));
    }
    return chosen;
  }
}

const cancelled: Outcome = {
  kind: "fault",
  failure: { code: "CANCELLED", message: "The action was cancelled." },
};
