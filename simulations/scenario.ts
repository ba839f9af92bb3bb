// A scenario puts a workload, faults and a budget together; `runScenario` plays it for one seed.
//
// A run has two halves, as in TigerBeetle's simulator. Safety: everything may go wrong and nothing
// may be wrong. Liveness: the network calms down, and what was asked must end, and then be quiet.

import type { PeerId } from "../src/core/action.ts";
import type { Machine } from "../src/core/machine.ts";
import { NodeCore } from "../src/core/node.ts";
import { createRng, type Rng } from "../src/core/rng.ts";
import { slotDefaults } from "../src/core/slots.ts";
import {
  checkDuplicates,
  checkNoIdleSlots,
  checkNothingLost,
  checkOneOwner,
  checkQuiet,
} from "./checkers.ts";
import { startClients } from "./clients.ts";
import { MachineRoom, type MachineRoomOptions } from "./machine-room.ts";
import { Network, type NetworkOptions } from "./network.ts";
import { checkIdleShare, checkSpread, type StealBudget } from "./steal-checkers.ts";
import { syntheticWorkload, type Workload, type WorkloadOptions } from "./workloads.ts";
import { World } from "./world.ts";

/** What a run may cost at most. */
export interface Budget {
  /** Longest makespan as a multiple of the lower bound, in per mille. */
  readonly makespanPerMilleMax: number;
  /** Actions that may run again although one run would do. */
  readonly duplicatesMax: number;
  /** Longest time in ms that a slot may idle beside waiting work. */
  readonly idleMsMax: number;
}

/** One situation to survive. */
export interface Scenario {
  readonly name: string;
  readonly ingresses: number;
  readonly workload: WorkloadOptions;
  readonly network: NetworkOptions;
  readonly machines: MachineRoomOptions;
  /** The network behaves from this time in ms on, at the latest once everything ended. */
  readonly calmMs: number;
  readonly budget: Budget;
  /**
   * Every ingress is a host with workers of its own, work stealing is on, and all is asked of the
   * first host. Undefined: workers are of no host.
   */
  readonly stealing?: StealBudget;
}

/** What one run showed. */
export interface Report {
  readonly hash: string;
  readonly makespanMs: number;
  /** No scheduler can be faster: all work over all slots, or the longest action. */
  readonly lowerBoundMs: number;
  readonly duplicates: number;
  readonly longestIdleMs: number;
  readonly messages: number;
  /** With work stealing: when every slot was busy, and how much slot time idled beside work. */
  readonly stealing?: { readonly spreadMs: number; readonly idlePerMille: number };
  readonly failures: readonly string[];
}

/** For tests of the checkers and for looking closely. */
export interface RunOptions {
  /** Replaces a core by a broken one. */
  readonly tamper?: (peer: PeerId, core: Machine) => Machine;
  readonly onTrace?: (line: string) => void;
}

/** How long the mesh may take to settle and is then listened to, in ms. */
const settleMs = 15_000;

/** Plays a scenario for one seed. */
export function runScenario(scenario: Scenario, seed: number, options: RunOptions = {}): Report {
  const rng = createRng(seed);
  const network = new Network(scenario.network, rng.fork("network"));
  const world = new World(network, options.onTrace);
  const workload = syntheticWorkload(scenario.workload, rng.fork("workload"));
  const { ingresses, cores, room } = build(scenario, world, workload, rng, options);
  const { slots } = scenario.machines;
  const { budget } = scenario;
  const pending = (ingress: PeerId) => cores.get(ingress)?.pending ?? 0;
  const duplicates = checkDuplicates(room, budget.duplicatesMax);
  const idle = checkNoIdleSlots(
    { world, room, ingresses, pending },
    { slots, idleMsMax: budget.idleMsMax },
  );
  const nothingLost = checkNothingLost(world, workload);
  const checkers = [nothingLost, checkOneOwner(world, room, slots), duplicates, idle];
  const { stealing } = scenario;
  const startMs = stealing?.submitAtMs ?? 0;
  const allPending = () => ingresses.reduce((sum, ingress) => sum + pending(ingress), 0);
  const watched = { world, room, slots, pending: allPending };
  const spread = stealing && checkSpread(watched, stealing);
  const share = stealing && checkIdleShare(watched, stealing);
  const clients = startClients(
    world,
    startingAt(startMs, workload),
    stealing ? ingresses.slice(0, 1) : ingresses,
  );
  const lowerBoundMs = lowerBound(workload, scenario.machines);
  const makespanMsMax = Math.ceil((lowerBoundMs * budget.makespanPerMilleMax) / 1000);
  room.open();
  world.at(scenario.calmMs, () => network.calm());
  world.run(startMs + makespanMsMax, () => clients.open === 0);
  const makespanMs = world.nowMs - startMs;
  network.calm();
  const failures = [...checkers, ...(spread && share ? [spread, share] : [])].flatMap((checker) =>
    checker.failures(),
  );
  const seen = spread && share && { spreadMs: spread.spreadMs, idlePerMille: share.idlePerMille };
  if (clients.open === 0) failures.push(...listen(world, scenario, world.nowMs));
  return {
    hash: world.hash.read(),
    makespanMs,
    lowerBoundMs,
    duplicates: duplicates.duplicates,
    longestIdleMs: idle.longestMs,
    messages: network.sent,
    ...(seen ? { stealing: seen } : {}),
    failures,
  };
}

function build(
  scenario: Scenario,
  world: World,
  workload: Workload,
  rng: Rng,
  { tamper = (_peer, core) => core }: RunOptions,
) {
  const cores = new Map<PeerId, NodeCore>();
  const create = (peer: PeerId, slots: number): Machine => {
    const properties = { OSFamily: ["linux"] };
    const node = { self: peer, name: peer, slots, properties, isolation: "simulated" };
    const core = new NodeCore({ ...node, ...roleIn(scenario, peer, slots) }, rng.fork(peer));
    cores.set(peer, core);
    return tamper(peer, core);
  };
  const ingresses = Array.from({ length: scenario.ingresses }, (_, i) => `n${i + 1}`);
  for (const peer of ingresses) world.start(peer, create(peer, 0));
  if (scenario.stealing) {
    for (const one of ingresses) for (const other of ingresses) linkHosts(world, one, other);
  }
  const room = new MachineRoom(
    {
      world,
      rng: rng.fork("machines"),
      ingresses,
      durationMsByAction: workload.durationMsByAction,
      create: (peer) => create(peer, scenario.machines.slots),
    },
    scenario.machines,
  );
  return { ingresses, cores, room };
}

/** Worker `w3` is of host `n3`, and so on around. */
function roleIn({ stealing, ingresses }: Scenario, peer: PeerId, slots: number) {
  if (stealing === undefined) return {};
  if (slots === 0) return { serves: true, workStealing: true };
  return { home: `n${((Number(peer.slice(1)) - 1) % ingresses) + 1}`, workStealing: true };
}

function linkHosts(world: World, one: PeerId, other: PeerId): void {
  if (one < other) world.link(one, other);
}

function startingAt(startMs: number, workload: Workload): Workload {
  const invocations = workload.invocations.map((invocation) => ({
    ...invocation,
    startMs: invocation.startMs + startMs,
  }));
  return { ...workload, invocations };
}

/** After the last answer: lets everything come to rest, then listens. */
function listen(world: World, scenario: Scenario, nowMs: number): readonly string[] {
  // Trouble that was planned but not needed still happens before it may be quiet.
  const quietMs = Math.max(nowMs, scenario.machines.troubleMsMax + 2 * settleMs) + 3 * settleMs;
  world.run(quietMs);
  const { ingresses, machines, stealing } = scenario;
  // Workers tell every ingress; hosts tell every worker and each other.
  const toWorkers = ingresses * machines.workers;
  const links = stealing ? 2 * toWorkers + ingresses * (ingresses - 1) : toWorkers;
  const quiet = checkQuiet(world, links, slotDefaults.loadMs);
  world.run(quietMs + 2 * settleMs);
  return quiet.failures();
}

function lowerBound(workload: Workload, { workers, slots }: MachineRoomOptions): number {
  const durations = [...workload.durationMsByAction.values()];
  const totalMs = durations.reduce((sum, durationMs) => sum + durationMs, 0);
  const longestMs = durations.reduce((longest, durationMs) => Math.max(longest, durationMs), 0);
  return Math.max(Math.ceil(totalMs / (workers * slots)), longestMs);
}
