// Everything that can be played, by name: builds on workers that fail, and meshes of hosts.

import { type MeshScenario, runMesh } from "./mesh-scenario.ts";
import { runScenario, type Scenario } from "./scenario.ts";
import { firstLight, firstLightSmall } from "./scenarios/first-light.ts";
import { flakyLinks } from "./scenarios/flaky-links.ts";
import { leaderDies, leaderFrozen } from "./scenarios/mesh-leader.ts";
import { oneWayCut, partitionHeals } from "./scenarios/mesh-parts.ts";
import { idleMesh, thousandHosts } from "./scenarios/mesh-quiet.ts";
import { churn, rollingRestart } from "./scenarios/mesh-restarts.ts";
import { steal, stealInTrouble } from "./scenarios/steal.ts";

/** What one run showed, whatever was played. */
export interface Outcome {
  readonly hash: string;
  /** Figures for people. */
  readonly summary: string;
  readonly failures: readonly string[];
}

/** A scenario that can be played for any seed. */
export interface Play {
  readonly name: string;
  /** True for one that takes a fraction of a second and is played for many seeds. */
  readonly isSmall: boolean;
  play(seed: number, onTrace?: (line: string) => void): Outcome;
}

/** All of them. */
export const plays: readonly Play[] = [
  build(firstLight, false),
  build(firstLightSmall, true),
  build(flakyLinks, true),
  build(steal, false),
  build(stealInTrouble, false),
  mesh(leaderDies, true),
  mesh(leaderFrozen, true),
  mesh(partitionHeals, true),
  mesh(oneWayCut, true),
  mesh(rollingRestart, true),
  mesh(churn, true),
  mesh(idleMesh, false),
  mesh(thousandHosts, false),
];

/** Those for many seeds: seed 1 plays the first, seed 2 the second, and so on in turn. */
export const smallPlays: readonly Play[] = plays.filter(({ isSmall }) => isSmall);

/** The small scenario whose turn a seed is. */
export function playOfSeed(seed: number): Play | undefined {
  return smallPlays[seed % smallPlays.length];
}

function build(scenario: Scenario, isSmall: boolean): Play {
  return {
    name: scenario.name,
    isSmall,
    play: (seed, onTrace) => {
      const report = runScenario(scenario, seed, onTrace ? { onTrace } : {});
      const ratio = Math.round((report.makespanMs * 1000) / report.lowerBoundMs);
      const times = `${Math.floor(ratio / 1000)}.${`${ratio % 1000}`.padStart(3, "0")}`;
      const summary = [
        `makespan ${report.makespanMs} ms = ${times} x lower bound`,
        `${report.duplicates} duplicates`,
        `idle at most ${report.longestIdleMs} ms`,
        `${report.messages} messages`,
        ...(report.stealing
          ? [
              `all busy after ${report.stealing.spreadMs} ms`,
              `${report.stealing.idlePerMille} of 1000 ms idle beside work`,
            ]
          : []),
      ].join(", ");
      return { hash: report.hash, summary, failures: report.failures };
    },
  };
}

function mesh(scenario: MeshScenario, isSmall: boolean): Play {
  return {
    name: scenario.name,
    isSmall,
    play: (seed, onTrace) => {
      const report = runMesh(scenario, seed, onTrace ? { onTrace } : {});
      const summary = [
        `hand-over ${report.handOverMs} ms`,
        `one mind after ${report.convergeMs} ms`,
        `${report.rate.mean} B/s a node, at most ${report.rate.most}`,
        `${report.messages} messages`,
      ].join(", ");
      return { hash: report.hash, summary, failures: report.failures };
    },
  };
}
