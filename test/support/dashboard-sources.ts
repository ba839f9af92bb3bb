// Figures of a mesh as large as wanted, for a dashboard without nodes: what they would tell.

import { createBuildEvents } from "../../src/ingress/build-events.ts";
import { profileOfParts } from "../../src/node/build-profile.ts";
import type { FeedSources } from "../../src/node/dashboard-feed.ts";
import type { CacheFigures } from "../../src/page/live.ts";
import {
  ActionLine,
  BuildPart,
  HostFigures,
  WorkerFigures,
} from "../../src/wire/gen/builder/node/v1/insight.ts";
import { Status } from "../../src/wire/gen/builder/node/v1/node.ts";

/** How large the mesh is. */
export interface MeshSize {
  readonly hosts: number;
  /** Unfinished actions; of those that are listed a thousand are told at most. */
  readonly actions: number;
}

const cacheFigures: CacheFigures = {
  ...{ storeBytes: 3 * 2 ** 30, storeBytesMax: 10 * 2 ** 30, here: 90, peer: 9, nowhere: 1 },
  ...{ copied: 40, single: 2 },
};

/**
 * What its nodes tell; every look is a little different, as in a mesh that works. `odd` ends the
 * name of everything.
 */
export function meshSources({ hosts, actions }: MeshSize, odd = "") {
  let looks = 0;
  const nameOf = (at: number) => `host-${String(at).padStart(3, "0")}${odd}`;
  const workerOf = (at: number, teller: number) =>
    WorkerFigures.fromPartial({
      ...{ peer: `worker-${at}`, name: `${nameOf(at)}/worker-1`, home: `peer-${at}`, slots: 8 },
      ...{ free: looks % 8, ended: 100 + at, stolen: teller === at ? 0 : looks },
      ...{ run: { p50Ms: 1000 + at, p95Ms: 2000 }, fetch: { p50Ms: 10, p95Ms: 20 } },
    });
  const hostOf = (at: number) =>
    HostFigures.fromPartial({
      ...{ peer: `peer-${at}`, name: nameOf(at), pending: at, executing: 8, ended: 100 + looks },
      ...{ cores: 8, loadPercent: 750, lagMs: 2 },
      // Each host knows the workers of all.
      workers: Array.from({ length: hosts }, (_, worker) => workerOf(worker, at)),
      links: Array.from({ length: hosts }, (_, to) => ({
        ...{ peer: `peer-${to}`, name: nameOf(to), rttMs: 1, rttWorstMs: 3, asked: 16, late: 0 },
      })).filter(({ peer }) => peer !== `peer-${at}`),
      beats: Array.from({ length: 120 }, () => ({
        ended: 5,
        lookups: 9,
        hits: 4,
        queued: 1,
        running: 8,
      })),
    });
  const lineOf = (at: number) =>
    ActionLine.fromPartial({
      ...{ action: `sha256:${at.toString(16).padStart(64, "0")}/142`, user: `ann${odd}` },
      ...{
        kind: `//app/of/some/folder:target_${at} ${odd}CppCompile`,
        invocation: `build-${at % 50}${odd}`,
      },
      ...{ state: at < hosts * 8 ? "running" : "queued", worker: `${nameOf(at % hosts)}/worker-1` },
      ...{ host: nameOf(at % 3), ageMs: 60_000 + looks, waitMs: 30_000, runMs: 30_000 },
      operation: `operation-${at}`,
    });
  const listed = Array.from({ length: Math.min(actions, 1000) }, (_, at) => lineOf(at));
  /** A build of as many actions as hosts remember, some of them too short to be seen. */
  const partOf = (invocation: string) =>
    BuildPart.fromPartial({
      invocation,
      actions: Array.from({ length: Math.min(actions, 10_000) }, (_, at) => ({
        ...{ action: at.toString(16).padStart(12, "0"), kind: `target_${at} ${odd}CppCompile` },
        ...{ worker: `${nameOf(at % hosts)}/worker-1`, state: at % 500 === 7 ? "failed" : "done" },
        ...{ ageMs: 3_600_000 - at * 300, endedMs: 3_600_000 - at * 300 - 40 - (at % 97) * 20 },
        ...{ waitMs: 5, fetchMs: 3, setUpMs: 2, runMs: 20 + (at % 97) * 20, storeMs: 4 },
      })),
    });
  const sources: FeedSources = {
    status: () => {
      looks += 1;
      return Status.fromPartial({
        ...{ version: "t", uptimeMs: looks * 1000, peer: "peer-0", leader: "peer-0" },
        ...{ pending: actions - hosts * 8, executing: hosts * 8, workStealing: true },
        workers: Array.from({ length: hosts }, (_, at) => ({
          ...{ peer: `worker-${at}`, name: `${nameOf(at)}/worker-1`, slots: 8, free: 0 },
        })),
        members: Array.from({ length: hosts }, (_, at) => ({
          ...{ peer: `peer-${at}`, name: nameOf(at), state: "alive" },
        })),
        actions: {
          ended: looks,
          succeeded: looks,
          runMs: looks * 1500,
          cacheHits: 1,
          cacheLookups: 2,
        },
      });
    },
    cache: () => cacheFigures,
    insight: {
      figures: async () => ({
        hosts: Array.from({ length: hosts }, (_, at) => hostOf(at)),
        troubles: [],
      }),
      actions: async ({ limit }) => ({
        actions: listed.slice(0, limit),
        ...{ total: actions, silent: [] },
      }),
      build: async ({ invocation }) => profileOfParts([partOf(invocation)], invocation, []),
      explain: async () => ({ action: lineOf(1), lines: [`It waits${odd}.`], differences: [] }),
      log: async () => ({
        lines: [{ seq: 1, ageMs: 5, level: "info", text: `secret line${odd}`, host: odd }],
        ...{ silent: [], refused: [] },
      }),
      cancel: async () => ({ operations: 0, silent: [] }),
    },
    invocations: { list: () => [] },
    ...{ now: Date.now, log: () => undefined },
  };
  const events = createBuildEvents();
  return { ...sources, invocations: events };
}
