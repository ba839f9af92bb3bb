// The machines of a mesh: hosts that serve, each with workers, and what goes wrong with them. It
// performs dials as `src/mesh` does, and closes a link where nothing was heard for a while.

import type { PeerId } from "../src/core/action.ts";
import type { Machine } from "../src/core/machine.ts";
import type { MemberRecord } from "../src/core/message.ts";
import { NodeCore } from "../src/core/node.ts";
import type { Rng } from "../src/core/rng.ts";
import type { World } from "./world.ts";

/** Silence after which a link counts as dead, as `src/mesh` does it, in ms. */
const silenceMs = 10_000;

/** A dial into the void fails after so many ms. */
const voidMs = 5_000;

/** A closed port, or a link's end, shows after so many ms. */
const noticeMs = 20;

/** How many machines there are. */
export interface MeshSize {
  readonly hosts: number;
  readonly workersPerHost: number;
  /** Clocks are up to so many ms ahead. */
  readonly clocksAheadMsMax: number;
  /** True where every host knows all others from its last run. */
  readonly isRemembered?: boolean;
  /** True where idle workers take work of other hosts. */
  readonly isStealing?: boolean;
}

/** Replaces a core by a broken one, for tests of the checkers. */
export type Tamper = (peer: PeerId, core: Machine) => Machine;

interface Process {
  readonly core: NodeCore;
  readonly aheadMs: number;
  /** Counts the lives under one name. */
  readonly life: number;
}

/** The hosts and workers of one mesh in a world. */
export class MeshRoom {
  readonly hosts: readonly PeerId[];
  readonly #world: World;
  readonly #rng: Rng;
  readonly #size: MeshSize;
  readonly #tamper: Tamper;
  readonly #processByPeer = new Map<PeerId, Process>();
  /** Times that one way between two nodes was cut. */
  readonly #cuts = new Map<string, number>();
  #lives = 0;

  constructor(
    deps: { readonly world: World; readonly rng: Rng; readonly tamper?: Tamper | undefined },
    size: MeshSize,
  ) {
    this.#world = deps.world;
    this.#rng = deps.rng.fork("mesh");
    this.#tamper = deps.tamper ?? ((_peer, core) => core);
    this.#size = size;
    this.hosts = Array.from({ length: size.hosts }, (_, i) => `h${i + 1}`);
    deps.world.observe({
      onEffect: (peer, effect) => {
        if (effect.kind === "dial") this.#dial(peer, effect.peer);
      },
    });
  }

  /** Hosts whose process runs and is not stopped. */
  get upHosts(): readonly PeerId[] {
    return this.hosts.filter((host) => this.#world.isUp(host));
  }

  /** Hosts and workers whose process runs and is not stopped. */
  get up(): readonly PeerId[] {
    return [...this.#processByPeer.keys()].filter((peer) => this.#world.isUp(peer));
  }

  core(peer: PeerId): NodeCore | undefined {
    return this.#processByPeer.get(peer)?.core;
  }

  /** The one that most running hosts follow; undefined where they follow nobody. */
  get leader(): PeerId | undefined {
    const votes = new Map<PeerId, number>();
    for (const host of this.upHosts) {
      const leader = this.core(host)?.leader;
      if (leader !== undefined) votes.set(leader, (votes.get(leader) ?? 0) + 1);
    }
    return [...votes].sort((a, b) => b[1] - a[1])[0]?.[0];
  }

  /** Starts all hosts within a second; each knows the first from an invitation, or all. */
  open(): void {
    const known = this.#size.isRemembered ? this.hosts.map(hint) : undefined;
    for (const host of this.hosts) {
      this.#world.after(this.#rng.below(1_000), () => this.start(host, known));
    }
  }

  /** Starts a host and its workers; `known` is what it remembers, by default the first host. */
  start(host: PeerId, known: readonly MemberRecord[] | undefined): void {
    const [first = "", second = ""] = this.hosts;
    this.#startOne(host, host, known ?? [hint(host === first ? second : first)]);
    for (let i = 1; i <= this.#size.workersPerHost; i += 1) {
      this.#startOne(`${host}w${i}`, host, [hint(host)]);
    }
  }

  /** Kills a host with its workers; after `downMs` it starts, with or without its memory. */
  crash(host: PeerId, downMs: number, hasMemory: boolean): void {
    if (!this.#world.isUp(host)) return;
    const known = hasMemory ? this.#memoryOf(host) : undefined;
    for (const peer of [host, ...this.#workersOf(host)]) {
      this.#world.kill(peer, 1 + this.#rng.below(noticeMs));
      this.#processByPeer.delete(peer);
    }
    this.#world.after(downMs, () => this.start(host, known));
  }

  /** Lets a host say goodbye before it ends and starts again. */
  restart(host: PeerId, downMs: number): void {
    if (!this.#world.isUp(host)) return;
    this.#world.tell(host, { kind: "drain" });
    this.#world.after(500, () => this.crash(host, downMs, true));
  }

  /** Stops a process for a while, as a closed lid does. */
  freeze(peer: PeerId, frozenMs: number): void {
    const process = this.#processByPeer.get(peer);
    if (process === undefined || !this.#world.isUp(peer)) return;
    const isSame = () => this.#processByPeer.get(peer) === process;
    this.#world.freeze(peer);
    this.#world.after(silenceMs, () => {
      if (!isSame() || this.#world.isUp(peer)) return;
      for (const other of this.#world.linksOf(peer)) this.#world.unlink(other, peer);
    });
    this.#world.after(frozenMs, () => {
      if (isSame()) this.#world.thaw(peer);
    });
  }

  /** Cuts what the hosts `from` say off from `to`, for a while; workers share their host's wire. */
  cut(from: readonly PeerId[], to: readonly PeerId[], cutMs: number): void {
    this.#world.trace(`${from.join(" ")} are not heard by ${to.join(" ")}`);
    const [sources, targets] = [from, to].map((hosts) =>
      hosts.flatMap((host) => [host, ...this.#workersOf(host)]),
    );
    for (const source of sources ?? []) {
      for (const target of targets ?? []) this.#cutWay(source, target, cutMs);
    }
  }

  /** Cuts two groups off from each other, both ways. */
  part(one: readonly PeerId[], other: readonly PeerId[], cutMs: number): void {
    this.cut(one, other, cutMs);
    this.cut(other, one, cutMs);
  }

  #cutWay(from: PeerId, to: PeerId, cutMs: number): void {
    const { network } = this.#world;
    const key = `${from}>${to}`;
    const count = (this.#cuts.get(key) ?? 0) + 1;
    this.#cuts.set(key, count);
    const isSame = () => this.#cuts.get(key) === count;
    network.cutWay(from, to, true);
    this.#world.after(silenceMs, () => {
      if (!isSame() || !network.isCut(from, to)) return;
      this.#world.unlinkEnd(to, from);
      if (network.isCut(to, from)) return;
      this.#world.after(noticeMs, () => this.#world.unlinkEnd(from, to));
    });
    this.#world.after(cutMs, () => {
      if (isSame()) network.cutWay(from, to, false);
    });
  }

  #startOne(peer: PeerId, home: PeerId, known: readonly MemberRecord[]): void {
    if (this.#processByPeer.has(peer)) return;
    this.#lives += 1;
    const serves = peer === home;
    const profile = { self: peer, name: peer, slots: serves ? 0 : 2, serves, home };
    const abilities = { properties: {}, isolation: "simulated" };
    const rng = this.#rng.fork(`${peer} ${this.#lives}`);
    const workStealing = { on: this.#size.isStealing ?? false, version: 1 };
    const membership = { serves, known, workStealing };
    const core = new NodeCore({ ...profile, ...abilities, membership }, rng);
    const aheadMs = this.#rng.below(this.#size.clocksAheadMsMax + 1);
    this.#processByPeer.set(peer, { core, aheadMs, life: this.#lives });
    this.#world.start(peer, this.#tamper(peer, core), aheadMs);
    if (serves) this.#world.tell(peer, { kind: "addresses", addresses: [`/sim/${peer}`] });
  }

  /** A dial takes a round trip; both ways must be open. */
  #dial(from: PeerId, to: PeerId): void {
    const { network } = this.#world;
    const process = this.#processByPeer.get(from);
    const isVoid = network.isCut(from, to) || network.isCut(to, from) || this.#isStopped(to);
    this.#world.after(isVoid ? voidMs : noticeMs + this.#rng.below(noticeMs), () => {
      if (process === undefined || this.#processByPeer.get(from) !== process) return;
      const isOpen = !network.isCut(from, to) && !network.isCut(to, from);
      if (!isVoid && isOpen && this.#world.isUp(to) && this.#world.isUp(from)) {
        // A new connection takes the place of one whose other end is gone.
        if (!this.#world.hasLinkEnd(from, to)) this.#world.unlinkEnd(to, from);
        this.#world.link(from, to);
      } else this.#world.tell(from, { kind: "undialled", peer: to });
    });
  }

  #isStopped(peer: PeerId): boolean {
    return this.#processByPeer.has(peer) && !this.#world.isUp(peer);
  }

  #workersOf(host: PeerId): readonly PeerId[] {
    return Array.from({ length: this.#size.workersPerHost }, (_, i) => `${host}w${i + 1}`);
  }

  #memoryOf(host: PeerId): readonly MemberRecord[] {
    return (this.core(host)?.members ?? []).map(({ peer }) => hint(peer));
  }
}

/** What an invitation or a memory tells of a host: where it was. */
function hint(peer: PeerId): MemberRecord {
  const addresses = [`/sim/${peer}`];
  return { peer, name: peer, addresses, incarnation: 0, version: 0, left: false };
}
