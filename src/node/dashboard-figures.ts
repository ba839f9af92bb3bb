// Figures of the mesh as pages draw them: in a mesh of 200 hosts each tells of the workers of all,
// and every second of that whole would be megabytes.

import type { Steals } from "../page/live.ts";
import type { MeshFigures, WorkerFigures } from "../wire/gen/builder/node/v1/insight.ts";

/** Bounds of what is shown. */
export const figureBounds = {
  /** Links of more hosts than these are told only where they are bad. */
  linkedHosts: 60,
  /** Steals of the last so many ms count as of now. */
  stealsNowMs: 10_000,
  /** Pairs of hosts, those with the latest steals first: more arrows would hide each other. */
  stealPairs: 40,
};

/**
 * The same without what no view draws: each worker once, at its own host where that is known and
 * with what all hosts counted of it; no beats.
 */
export function inShort({ hosts, troubles }: MeshFigures): MeshFigures {
  const known = new Set(hosts.filter(({ silent }) => !silent).map(({ peer }) => peer));
  const workersByHost = new Map<string, WorkerFigures[]>();
  for (const { place, worker } of mergedWorkers({ hosts, troubles }, known)) {
    workersByHost.set(place, [...(workersByHost.get(place) ?? []), worker]);
  }
  return {
    troubles,
    hosts: hosts.map((host) => ({
      ...host,
      workers: workersByHost.get(host.peer) ?? [],
      links:
        hosts.length <= figureBounds.linkedHosts
          ? host.links.filter(({ peer }) => known.has(peer))
          : host.links.filter(({ late }) => late > 0),
      beats: [],
    })),
  };
}

interface Placed {
  readonly place: string;
  readonly worker: WorkerFigures;
  /** Actions that the host ended there which told its times. */
  readonly seen: number;
}

function mergedWorkers({ hosts }: MeshFigures, known: ReadonlySet<string>): Iterable<Placed> {
  const byPeer = new Map<string, Placed>();
  for (const { peer, workers } of hosts) {
    for (const told of workers) {
      const before = byPeer.get(told.peer);
      if (before === undefined) {
        const place = known.has(told.home) ? told.home : peer;
        byPeer.set(told.peer, { place, worker: told, seen: told.ended });
        continue;
      }
      // Its own host knows its load, who gave it most work its times, and all together the counts.
      const load = told.home === peer ? told : before.worker;
      const times = told.ended > before.seen ? told : before.worker;
      const { slots, free, queued, draining } = load;
      const counts = {
        ended: before.worker.ended + told.ended,
        stolen: before.worker.stolen + told.stolen,
        lost: before.worker.lost + told.lost,
      };
      const worker = { ...times, slots, free, queued, draining, ...counts };
      byPeer.set(told.peer, { ...before, worker, seen: Math.max(before.seen, told.ended) });
    }
  }
  return byPeer.values();
}

/** Counts who takes work from whom; each call is a look at figures. */
export function createStealWatch(now: () => number): (figures: MeshFigures) => readonly Steals[] {
  const looks: { readonly atMs: number; readonly totals: ReadonlyMap<string, number> }[] = [];
  return (figures) => {
    const pairs = stealsOf(figures);
    const atMs = now();
    while (looks[0] !== undefined && atMs - looks[0].atMs > figureBounds.stealsNowMs) looks.shift();
    const [earliest] = looks;
    looks.push({ atMs, totals: new Map(pairs.map((pair) => [keyOf(pair), pair.total])) });
    return pairs
      .map((pair) => {
        const before =
          earliest === undefined ? pair.total : (earliest.totals.get(keyOf(pair)) ?? 0);
        return { ...pair, now: Math.max(0, pair.total - before) };
      })
      .sort((a, b) => b.now - a.now || b.total - a.total)
      .slice(0, figureBounds.stealPairs);
  };
}

const keyOf = ({ from, to }: { readonly from: string; readonly to: string }) => `${from} ${to}`;

function stealsOf({ hosts }: MeshFigures): Omit<Steals, "now">[] {
  const pairs = new Map<string, { from: string; to: string; total: number }>();
  for (const { peer, workers } of hosts) {
    for (const { home, stolen } of workers) {
      if (stolen === 0 || home === peer) continue;
      const key = keyOf({ from: peer, to: home });
      const pair = pairs.get(key) ?? { from: peer, to: home, total: 0 };
      pair.total += stolen;
      pairs.set(key, pair);
    }
  }
  return [...pairs.values()];
}
