// What an ingress knows of the workers linked to it: what they last told, and what it gave them.

import type { PeerId } from "./action.ts";
import { Conduct } from "./conduct.ts";
import type { Load } from "./message.ts";

/** A linked worker as people may see it. */
export interface WorkerView {
  readonly peer: PeerId;
  readonly name: string;
  readonly slots: number;
  readonly free: number;
  /** Reservations it holds, those of other ingresses included. */
  readonly queued: number;
  readonly draining: boolean;
  readonly isolation: string;
  /** The serving node of its host; "" for one of no host. */
  readonly home: PeerId;
  /** Platform properties it satisfies, name → accepted values. */
  readonly properties: Readonly<Record<string, readonly string[]>>;
  /** Slots that run an action or ask for one. */
  readonly busy: number;
  /** Since when none of its slots was busy, as far as was told; undefined while one is. */
  readonly idleSinceMs: number | undefined;
}

/** A linked worker with what this ingress gave it, by sequence number. */
export interface RosterWorker {
  readonly peer: PeerId;
  load: Load;
  readonly reserved: Set<number>;
  readonly bound: Set<number>;
  idleSinceMs: number | undefined;
}

/** Linked peers and, once they reported slots, the workers among them. */
export class Roster {
  /** How they behaved; longer than they are linked. */
  readonly conduct = new Conduct();
  readonly #self: PeerId;
  readonly #stealingOn: () => boolean;
  readonly #heardAtMsByPeer = new Map<PeerId, number>();
  readonly #workerByPeer = new Map<PeerId, RosterWorker>();
  #workers: readonly RosterWorker[] = [];
  #isStealing = false;
  #version = 0;

  /** `stealingOn` tells whether workers of other hosts may take work from here. */
  constructor(deps: { readonly self: PeerId; readonly stealingOn: () => boolean }) {
    this.#self = deps.self;
    this.#stealingOn = deps.stealingOn;
  }

  /** Changes whenever the answer to "who can run this?" may have changed. */
  get version(): number {
    return this.#version + this.conduct.version;
  }

  /** All workers, sorted by peer, so that every random pick has one order to pick from. */
  get workers(): readonly RosterWorker[] {
    return this.#workers;
  }

  /** The workers that take work from here: they do not drain and are not closed to this host. */
  get usable(): readonly RosterWorker[] {
    return this.#workers.filter((worker) => this.isUsable(worker));
  }

  /** The workers of other hosts that would take work if work stealing were on. */
  get withheld(): readonly RosterWorker[] {
    if (this.#isStealing) return [];
    return this.#workers.filter((worker) => !worker.load.draining && !this.isHome(worker));
  }

  /** Brings what depends on time or on the mesh up to date; before anything is decided. */
  refresh(nowMs: number): void {
    this.conduct.expire(nowMs);
    const isStealing = this.#stealingOn();
    if (isStealing === this.#isStealing) return;
    this.#isStealing = isStealing;
    this.#version += 1;
  }

  /** True for a worker of this host, and for one that is of no host. */
  isHome({ peer, load }: RosterWorker): boolean {
    return peer === this.#self || load.home === this.#self || load.home === "";
  }

  isUsable(worker: RosterWorker): boolean {
    return !worker.load.draining && (this.#isStealing || this.isHome(worker));
  }

  isLinked(peer: PeerId): boolean {
    return this.#heardAtMsByPeer.has(peer);
  }

  worker(peer: PeerId): RosterWorker | undefined {
    return this.#workerByPeer.get(peer);
  }

  link(peer: PeerId, nowMs: number): void {
    this.#heardAtMsByPeer.set(peer, nowMs);
  }

  /** Forgets a peer and returns the worker that it was. */
  unlink(peer: PeerId): RosterWorker | undefined {
    this.#heardAtMsByPeer.delete(peer);
    const worker = this.#workerByPeer.get(peer);
    if (this.#workerByPeer.delete(peer)) this.#sort();
    return worker;
  }

  /** Remembers that a linked peer lives; false for one that is not linked. */
  hear(peer: PeerId, nowMs: number): boolean {
    if (!this.isLinked(peer)) return false;
    this.#heardAtMsByPeer.set(peer, nowMs);
    return true;
  }

  /** True where nothing came from a peer for `silenceMs`: frozen, or about to be unlinked. */
  isSilent(peer: PeerId, silenceMs: number, nowMs: number): boolean {
    return nowMs - (this.#heardAtMsByPeer.get(peer) ?? nowMs) >= silenceMs;
  }

  /** Takes a load report of a linked peer and returns what it replaces. */
  report(peer: PeerId, load: Load, nowMs: number): Load | undefined {
    const worker = this.#workerByPeer.get(peer);
    const idleSinceMs = load.busy > 0 ? undefined : (worker?.idleSinceMs ?? nowMs);
    if (worker === undefined) {
      if (load.slots < 1) return undefined;
      const own = { reserved: new Set<number>(), bound: new Set<number>() };
      this.#workerByPeer.set(peer, { peer, load, idleSinceMs, ...own });
      this.#sort();
      return undefined;
    }
    const previous = worker.load;
    // Who leaves does not come back on the same link: one that says so is not believed.
    if (previous.draining && !load.draining) return previous;
    worker.load = load;
    worker.idleSinceMs = idleSinceMs;
    const changed =
      load.draining !== previous.draining ||
      load.slots !== previous.slots ||
      load.home !== previous.home;
    if (changed || !sameProperties(load.properties, previous.properties)) this.#version += 1;
    return previous;
  }

  #sort(): void {
    this.#version += 1;
    this.#workers = [...this.#workerByPeer.values()].sort((a, b) => (a.peer < b.peer ? -1 : 1));
  }
}

/** Slots that are free as far as this ingress knows: by the worker's word and by its own book. */
export function freeSlots(worker: RosterWorker): number {
  return Math.max(0, Math.min(worker.load.free, worker.load.slots - worker.bound.size));
}

/** What a worker's platform properties are read from. */
export type Offering = Pick<Load, "properties">;

/** True where the worker has every property with exactly the wanted value. */
export function satisfies(load: Offering, properties: Readonly<Record<string, string>>): boolean {
  return Object.entries(properties).every(([name, value]) => offered(load, name).includes(value));
}

/** The values of one property that a worker accepts. */
export function offered(load: Offering, name: string): readonly string[] {
  return Object.hasOwn(load.properties, name) ? (load.properties[name] ?? []) : [];
}

function sameProperties(a: Load["properties"], b: Load["properties"]): boolean {
  if (a === b) return true;
  const names = Object.keys(a);
  if (names.length !== Object.keys(b).length) return false;
  return names.every((name) => {
    const values = Object.hasOwn(b, name) ? b[name] : undefined;
    return values?.join("\0") === a[name]?.join("\0");
  });
}
