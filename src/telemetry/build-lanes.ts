// The picture of a build: lanes of workers with bars of actions, as many as can be told apart.

import type { Placed } from "./build-times.ts";

/** One action, or neighbours too short to be told apart, whose phases are sums. */
export interface Bar {
  readonly fromMs: number;
  readonly toMs: number;
  readonly waitMs: number;
  readonly fetchMs: number;
  readonly setUpMs: number;
  readonly runMs: number;
  readonly storeMs: number;
  readonly actions: number;
  /** Of the longest. */
  readonly kind: string;
  readonly failed: boolean;
  readonly stolen: boolean;
  readonly running: boolean;
  readonly onPath: boolean;
}

/** A row of bars that do not lie over each other. */
export interface Lane {
  /** Empty below the first lane of a worker. */
  readonly worker: string;
  readonly bars: readonly Bar[];
}

/** Bounds of a picture. */
export interface LaneBounds {
  /** How many points wide it is at most. */
  readonly points: number;
  readonly lanesMax: number;
  readonly barsMax: number;
}

/** The defaults: a wide screen, and what a browser draws at once. */
export const laneDefaults: LaneBounds = { points: 1000, lanesMax: 60, barsMax: 2000 };

/** Draws `all`, which last `wallMs`, in the order of `placed`; `path` is the chain among them. */
export function drawLanes(
  all: readonly Placed[],
  path: readonly Placed[],
  wallMs: number,
  bounds: LaneBounds = laneDefaults,
): { readonly path: Lane; readonly lanes: readonly Lane[]; readonly lanesLeftOut: number } {
  const onPath = new Set(path);
  const rows = rowsOf(all);
  const shown = rows.slice(0, bounds.lanesMax);
  // Coarser until it is few enough, which it is at one bar a lane.
  for (let pointMs = Math.max(1, wallMs) / bounds.points; ; pointMs *= 2) {
    const draw = (row: readonly Placed[]) => barsOf(row, onPath, pointMs);
    const chain = draw(path);
    const lanes = shown.map(({ worker, row }) => ({ worker, bars: draw(row) }));
    const count = lanes.reduce((sum, { bars }) => sum + bars.length, chain.length);
    if (count > bounds.barsMax && pointMs <= wallMs) continue;
    return {
      path: { worker: "", bars: chain },
      ...{ lanes, lanesLeftOut: rows.length - shown.length },
    };
  }
}

interface Row {
  readonly worker: string;
  readonly row: readonly Placed[];
}

/** Of each worker as many rows as it had actions at once. */
function rowsOf(all: readonly Placed[]): Row[] {
  const rowsByWorker = new Map<string, Placed[][]>();
  for (const one of all.toSorted((a, b) => a.fromMs - b.fromMs || a.toMs - b.toMs)) {
    const rows = rowsByWorker.get(one.of.worker) ?? [];
    rowsByWorker.set(one.of.worker, rows);
    const free = rows.find((row) => (row.at(-1)?.toMs ?? 0) <= one.fromMs);
    if (free === undefined) rows.push([one]);
    else free.push(one);
  }
  return [...rowsByWorker]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([worker, rows]) => rows.map((row, at) => ({ worker: at === 0 ? worker : "", row })));
}

/** The bars of a row, with neighbours joined that are, and are apart, less than a point. */
function barsOf(row: readonly Placed[], onPath: ReadonlySet<Placed>, pointMs: number): Bar[] {
  const bars: Bar[] = [];
  // Of the bar that was made last: all in it are short, and how long the longest is.
  let [short, longestMs] = [false, 0];
  for (const one of row) {
    const bar = barOf(one, onPath.has(one));
    const lengthMs = bar.toMs - bar.fromMs;
    const last = bars.at(-1);
    if (last !== undefined && short && lengthMs < pointMs && bar.fromMs - last.toMs < pointMs) {
      bars[bars.length - 1] = joined(last, bar, lengthMs > longestMs);
      longestMs = Math.max(longestMs, lengthMs);
      continue;
    }
    bars.push(bar);
    [short, longestMs] = [lengthMs < pointMs, lengthMs];
  }
  return bars;
}

function barOf({ of, fromMs, toMs }: Placed, onPath: boolean): Bar {
  const { waitMs, fetchMs, setUpMs, runMs, storeMs, kind, stolen } = of;
  return {
    ...{ fromMs, toMs, waitMs, fetchMs, setUpMs, runMs, storeMs, actions: 1, kind, stolen, onPath },
    ...{ failed: of.state === "failed", running: of.state === "running" },
  };
}

function joined(a: Bar, b: Bar, isLonger: boolean): Bar {
  return {
    ...{ fromMs: a.fromMs, toMs: b.toMs, waitMs: a.waitMs },
    fetchMs: a.fetchMs + b.fetchMs,
    setUpMs: a.setUpMs + b.setUpMs,
    runMs: a.runMs + b.runMs,
    storeMs: a.storeMs + b.storeMs,
    actions: a.actions + b.actions,
    kind: isLonger ? b.kind : a.kind,
    failed: a.failed || b.failed,
    stolen: a.stolen || b.stolen,
    running: a.running || b.running,
    onPath: a.onPath || b.onPath,
  };
}
