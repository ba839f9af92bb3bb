// How long a node is held up by a scaling decision: the truth counted anew from its ledger and its
// machines, the policy, and what comes of it.

import { Autoscaler } from "../src/core/autoscaler.ts";
import { Fleet, type FleetView, tickMs } from "../src/core/fleet.ts";
import { Ledger, ledgerDefaults } from "../src/core/ledger.ts";
import { Pool, poolDefaults } from "../src/core/pool.ts";
import { ProvidedMachines } from "../src/core/provided.ts";
import { providedDefaults } from "../src/core/provided-options.ts";
import { createRng } from "../src/core/rng.ts";
import { scalingDefaults } from "../src/core/scaling-settings.ts";
import { median, percentile, type Row } from "./table.ts";

const machines = 1_000;
const queued = 10_000;
const slots = 4;
const decisions = 300;

/** 10,000 actions of 100 builds wait, 1,000 machines of a provider with a worker each. */
export function fleetDecisions(): Row {
  const ledger = fullLedger();
  const name = (at: number) => `mesh-1-${String(at).padStart(4, "0")}`;
  const hosts = Array.from({ length: machines }, (_, at) => ({
    peer: `host-${at}`,
    name: name(at),
  }));
  const view: FleetView = {
    ...{ self: "host-0", name: "desk", hosts, leader: "host-0", scalingTerm: 1 },
    get pending() {
      return ledger.pending;
    },
    get pendingMs() {
      return ledger.pendingMs;
    },
    get invocations() {
      return ledger.invocations;
    },
    get workers() {
      return ledger.workers;
    },
  };
  const pool = new Pool({ ...poolDefaults, workersMin: 0, workersMax: 0 });
  const provided = new ProvidedMachines({ ...providedDefaults, tag: "mesh" }, []);
  const bounds = { ...scalingDefaults, min: 0, max: 2_000 };
  const options = { mode: "on", bounds, policy: new Autoscaler(), slotsPerWorker: 1 } as const;
  const fleet = new Fleet({ view, pool, provided }, options);
  const listed = hosts.map((_, at) => ({
    ...{ token: name(at), market: "spot", id: `i-${at}`, state: "running", launchedAtMs: 0 },
  })) as never[];
  fleet.handle({ kind: "wake" }, 0);
  fleet.handle({ kind: "listed", machines: listed }, 1);
  const tookMs: number[] = [];
  for (let at = 1; at <= decisions; at += 1) {
    const before = process.cpuUsage();
    fleet.handle({ kind: "wake" }, at * tickMs);
    const { user, system } = process.cpuUsage(before);
    tookMs.push((user + system) / 1000);
  }
  return {
    what: "the same with the count of what waits and what there is, processor time",
    figure: `${median(tookMs).toFixed(2)} ms (p95 ${percentile(tookMs, 0.95).toFixed(2)} ms)`,
    beside: "wanted: 5 ms",
  };
}

/** A ledger whose workers are all busy. */
function fullLedger(): Ledger {
  const deps = { self: "host-0", rng: createRng(1), stealingOn: () => true };
  const ledger = new Ledger(deps, ledgerDefaults);
  for (let at = 0; at < machines; at += 1) {
    const from = `worker-${at}`;
    ledger.handle({ kind: "linked", peer: from }, 0);
    const load = { name: `${from}/worker-1`, slots, free: 0, queued: 0, draining: false };
    const rest = { isolation: "namespaces", properties: {}, home: `host-${at}`, serves: false };
    const report = {
      kind: "load" as const,
      ...load,
      ...rest,
      busy: slots,
      pending: 0,
      pendingMs: 0,
    };
    ledger.handle({ kind: "message", from, message: report }, 0);
  }
  for (let seq = 0; seq < queued; seq += 1) {
    const hash = seq.toString(16).padStart(64, "0");
    const digest = { fn: "sha256" as const, hash, sizeBytes: 1 };
    const request = {
      ...{ action: digest, inputRoot: digest, instance: "", priority: 0, user: `user-${seq % 7}` },
      ...{ invocation: `6d849ad9-75c5-4b63-8d2c-00000000${1000 + (seq % 100)}`, properties: {} },
      ...{ kind: `//target:${seq} CppCompile`, mayMerge: true, skipCacheLookup: false },
    };
    ledger.handle({ kind: "submit", operation: `operation-${seq}`, request }, 0);
  }
  return ledger;
}
