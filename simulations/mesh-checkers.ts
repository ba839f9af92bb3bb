// What must hold in a mesh: no lasting second leader, a new leader soon, one view of who is there,
// and silence where nothing happens.

import type { PeerId } from "../src/core/action.ts";
import type { Checker } from "./checkers.ts";
import type { MeshRoom } from "./mesh-room.ts";
import type { World } from "./world.ts";

/** How often the mesh is looked at, in ms. */
const lookMs = 250;

/** Two leaders that are linked with each other do not both last. */
export function checkOneLeader(world: World, room: MeshRoom, bothMsMax: number): Checker {
  const failures: string[] = [];
  const sinceMsByPair = new Map<string, number>();
  const look = () => {
    const leaders = room.upHosts.filter((host) => room.core(host)?.leader === host);
    const pairs = leaders.flatMap((a, at) =>
      leaders.slice(at + 1).flatMap((b) => (isTalking(world, a, b) ? [`${a} and ${b}`] : [])),
    );
    for (const pair of sinceMsByPair.keys()) {
      if (!pairs.includes(pair)) sinceMsByPair.delete(pair);
    }
    for (const pair of pairs) {
      const sinceMs = sinceMsByPair.get(pair) ?? world.nowMs;
      sinceMsByPair.set(pair, sinceMs);
      if (world.nowMs - sinceMs <= bothMsMax || failures.length > 0) continue;
      failures.push(`${pair} both lead for ${world.nowMs - sinceMs} ms at ${world.nowMs} ms`);
    }
    world.after(lookMs, look);
  };
  look();
  return { failures: () => failures };
}

function isTalking(world: World, a: PeerId, b: PeerId): boolean {
  const { network } = world;
  return world.isLinked(a, b) && !network.isCut(a, b) && !network.isCut(b, a);
}

/** Measures how long the mesh is without a coordinator after its own is gone. */
export function checkHandOver(world: World, room: MeshRoom) {
  const failures: string[] = [];
  let expected:
    | { readonly gone: PeerId; readonly sinceMs: number; readonly msMax: number }
    | undefined;
  let longestMs = 0;
  const judge = (tookMs: number, { gone, msMax }: { gone: PeerId; msMax: number }) => {
    longestMs = Math.max(longestMs, tookMs);
    if (tookMs > msMax) failures.push(`nobody took over from ${gone} for ${tookMs} ms`);
  };
  world.observe({
    onEffect: (peer, effect) => {
      const isTaken = effect.kind === "note" && effect.note.name === "lease-taken";
      if (!isTaken || expected === undefined || peer === expected.gone) return;
      judge(world.nowMs - expected.sinceMs, expected);
      expected = undefined;
    },
  });
  return {
    /** The coordinator is gone from now on: another must lead within `msMax`. */
    expect(gone: PeerId, msMax: number): void {
      expected = { gone, sinceMs: world.nowMs, msMax };
    },
    get longestMs() {
      return longestMs;
    },
    failures: () => {
      if (expected === undefined || failures.length > 0) return failures;
      return [`nobody took over from ${expected.gone}, ${room.upHosts.length} hosts are up`];
    },
  };
}

/** True where everybody who runs takes exactly the running hosts for alive, and follows one. */
export function isOfOneMind(room: MeshRoom): boolean {
  return disagreements(room, 1).length === 0;
}

/** Whose view differs from what is, in sentences; at most `countMax`. */
export function disagreements(room: MeshRoom, countMax: number): readonly string[] {
  const wrong: string[] = [];
  const hosts = [...room.upHosts].sort().join(" ");
  const { leader } = room;
  for (const peer of room.up) {
    if (wrong.length >= countMax) return wrong;
    const core = room.core(peer);
    const view = core?.liveHosts.join(" ");
    if (view !== hosts) wrong.push(`${peer} takes ${view} for alive, not ${hosts}`);
    const isHost = room.hosts.includes(peer);
    if (isHost && (core?.leader !== leader || leader === undefined)) {
      wrong.push(`${peer} follows ${core?.leader}, most follow ${leader}`);
    }
  }
  return wrong;
}

/** Bytes each node sends in a second, on average since `start`, by the estimate of `sizes.ts`. */
export class ByteRates {
  readonly #world: World;
  #startMs = 0;
  #startBytes = new Map<PeerId, number>();

  constructor(world: World) {
    this.#world = world;
  }

  start(): void {
    this.#startMs = this.#world.nowMs;
    this.#startBytes = new Map(this.#world.network.bytesBySender);
  }

  /** The mean and the most of the given nodes. */
  read(peers: readonly PeerId[]): { readonly mean: number; readonly most: number } {
    const seconds = (this.#world.nowMs - this.#startMs) / 1000;
    const rates = peers.map((peer) => {
      const bytes = this.#world.network.bytesBySender.get(peer) ?? 0;
      return (bytes - (this.#startBytes.get(peer) ?? 0)) / seconds;
    });
    const sum = rates.reduce((total, rate) => total + rate, 0);
    return { mean: Math.round(sum / rates.length), most: Math.round(Math.max(...rates)) };
  }
}
