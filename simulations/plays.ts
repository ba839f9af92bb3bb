// Everything that can be played, by name: builds on workers that fail, and meshes of hosts.

import { type MeshScenario, runMesh } from "./mesh-scenario.ts";
import { runScenario, type Scenario } from "./scenario.ts";
import { firstLight, firstLightSmall } from "./scenarios/first-light.ts";
import { flakyLinks } from "./scenarios/flaky-links.ts";
import { meshBuild } from "./scenarios/mesh-build.ts";
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

/** How long a play takes. */
export type Size = "small" | "large" | "huge";

/** A scenario that can be played for any seed. */
export interface Play {
  readonly name: string;
  /** `small` takes a fraction of a second, `large` seconds, `huge` minutes. */
  readonly size: Size;
  play(seed: number, onTrace?: (line: string) => void): Outcome;
}

/** All of them. */
export const plays: readonly Play[] = [
  build(firstLight, "large"),
  build(firstLightSmall, "small"),
  build(flakyLinks, "small"),
  build(steal, "large"),
  build(stealInTrouble, "large"),
  mesh(leaderDies, "small"),
  mesh(leaderFrozen, "small"),
  mesh(partitionHeals, "small"),
  mesh(oneWayCut, "small"),
  mesh(rollingRestart, "small"),
  mesh(churn, "small"),
  mesh(meshBuild, "small"),
  mesh(idleMesh, "large"),
  mesh(thousandHosts, "huge"),
];

/** Those for many seeds: seed 1 plays the first, seed 2 the second, and so on in turn. */
export const smallPlays: readonly Play[] = plays.filter(({ size }) => size === "small");

/** The small scenario whose turn a seed is. */
export function playOfSeed(seed: number): Play | undefined {
  return smallPlays[seed % smallPlays.length];
}

function build(scenario: Scenario, size: Size): Play {
  return {
    name: scenario.name,
    size,
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

function mesh(scenario: MeshScenario, size: Size): Play {
  return {
    name: scenario.name,
    size,
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
