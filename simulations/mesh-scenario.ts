// A mesh scenario: hosts, a network, and trouble; `runMesh` plays it for one seed. After the
// trouble the network calms down, and everybody must come to one mind in time.

import type { PeerId } from "../src/core/action.ts";
import { createRng, type Rng } from "../src/core/rng.ts";
import {
  ByteRates,
  checkHandOver,
  checkOneLeader,
  disagreements,
  isOfOneMind,
} from "./mesh-checkers.ts";
import { MeshRoom, type MeshSize, type Tamper } from "./mesh-room.ts";
import { Network, type NetworkOptions } from "./network.ts";
import { World } from "./world.ts";

/** What the trouble of a scenario may use. */
export interface Stage {
  readonly world: World;
  readonly room: MeshRoom;
  readonly rng: Rng;
  readonly handOver: ReturnType<typeof checkHandOver>;
  readonly rates: ByteRates;
  /** Adds a failure. */
  complain(sentence: string): void;
}

/** One situation for a mesh to survive. */
export interface MeshScenario {
  readonly name: string;
  readonly size: MeshSize;
  readonly network: NetworkOptions;
  /** The trouble begins once the mesh came together; so many ms later the network behaves. */
  readonly troubleMs: number;
  /** From then on it may take so many ms until all are of one mind. */
  readonly convergeMsMax: number;
  /** Plans what happens within `troubleMs` from now. */
  trouble(stage: Stage): void;
}

/** What one run showed. */
export interface MeshReport {
  readonly hash: string;
  readonly messages: number;
  /** Longest hand-over in ms; 0 where none was measured. */
  readonly handOverMs: number;
  /** From the calm until all were of one mind, in ms. */
  readonly convergeMs: number;
  /** What nodes sent in bytes a second, from the calm on. */
  readonly rate: { readonly mean: number; readonly most: number };
  readonly failures: readonly string[];
}

/** Two leaders linked with each other may both lead for so many ms. */
const bothLeadMsMax = 10_000;

/** All hosts started and the first dials are over after so many ms. */
const settleMs = 5_000;

/** How long the mesh is watched after it came to one mind, in ms: it must stay so. */
const watchMs = 20_000;

/** Plays a mesh scenario for one seed. */
export function runMesh(
  scenario: MeshScenario,
  seed: number,
  options: { readonly tamper?: Tamper; readonly onTrace?: (line: string) => void } = {},
): MeshReport {
  const rng = createRng(seed);
  const network = new Network(scenario.network, rng.fork("network"));
  const world = new World(network, options.onTrace);
  const room = new MeshRoom({ world, rng, tamper: options.tamper }, scenario.size);
  const failures: string[] = [];
  const complain = (sentence: string) => failures.push(sentence);
  const handOver = checkHandOver(world, room);
  const oneLeader = checkOneLeader(world, room, bothLeadMsMax);
  const rates = new ByteRates(world);
  room.open();
  world.run(settleMs);
  converge(world, room, scenario.convergeMsMax);
  failures.push(...disagreements(room, 3).map((sentence) => `before the trouble: ${sentence}`));
  const calmAtMs = world.nowMs + scenario.troubleMs;
  scenario.trouble({ world, room, rng: rng.fork("trouble"), handOver, rates, complain });
  world.run(calmAtMs);
  network.calm();
  rates.start();
  const convergeMs = converge(world, room, scenario.convergeMsMax);
  if (convergeMs > scenario.convergeMsMax) failures.push(...disagreements(room, 3));
  world.run(calmAtMs + convergeMs + watchMs);
  failures.push(...disagreements(room, 3).map((sentence) => `at the end: ${sentence}`));
  return {
    hash: world.hash.read(),
    messages: network.sent,
    handOverMs: handOver.longestMs,
    convergeMs,
    rate: rates.read(room.up),
    failures: [...failures, ...oneLeader.failures(), ...handOver.failures()],
  };
}

/** Ms until everybody is of one mind; more than `msMax` where that takes longer. */
function converge(world: World, room: MeshRoom, msMax: number): number {
  const startMs = world.nowMs;
  let tookMs = 0;
  for (; !isOfOneMind(room) && tookMs <= msMax; tookMs += 100) world.run(startMs + tookMs + 100);
  return tookMs;
}

/** Some of the hosts, at random: at least one, and not all. */
export function someHosts(room: MeshRoom, rng: Rng): readonly PeerId[] {
  const rest = [...room.hosts];
  const count = 1 + rng.below(rest.length - 1);
  return Array.from({ length: count }, () => rest.splice(rng.below(rest.length), 1)[0] ?? "");
}
