import { describe, expect, test } from "vitest";
import type { Tamper } from "../../../simulations/mesh-room.ts";
import { type MeshScenario, runMesh } from "../../../simulations/mesh-scenario.ts";
import { playOfSeed, smallPlays } from "../../../simulations/plays.ts";
import { meshBuild } from "../../../simulations/scenarios/mesh-build.ts";
import { leaderDies, leaderFrozen } from "../../../simulations/scenarios/mesh-leader.ts";
import { partitionHeals } from "../../../simulations/scenarios/mesh-parts.ts";
import { calmNetwork, idleMesh } from "../../../simulations/scenarios/mesh-quiet.ts";
import type { Effect, Input, Machine } from "../../../src/core/machine.ts";

/** Seeds of every run of the tests, over all small scenarios in turn. */
const seedsOfTests = 200;

/** Tries seeds `from` to `to`; the failures by scenario and seed. */
function failuresOf(from: number, to: number): readonly unknown[] {
  const failed: unknown[] = [];
  for (let seed = from; seed <= to; seed += 1) {
    const scenario = playOfSeed(seed)!;
    const { failures } = scenario.play(seed);
    if (failures.length > 0) failed.push([scenario.name, seed, failures]);
  }
  return failed;
}

describe("many seeds", () => {
  // In quarters, so that the line of the runner says how far it is.
  const quarter = seedsOfTests / 4;
  for (let from = 1; from <= seedsOfTests; from += quarter) {
    const to = from + quarter - 1;
    test(`seeds ${from} to ${to} of all small scenarios`, { timeout: 120_000 }, () => {
      expect(failuresOf(from, to)).toEqual([]);
    });
  }

  test("a seed that nobody tried", () => {
    const seed = Math.trunc(Date.now() / 1000) % 2 ** 32;
    const { name } = playOfSeed(seed)!;
    console.log(`Fresh: node simulations/main.ts --scenario ${name} --seed ${seed}`);
    expect(failuresOf(seed, seed)).toEqual([]);
  });

  test("the same seed is the same run, and another is another", () => {
    for (const { name, play } of smallPlays) {
      const { hash } = play(7);
      expect([name, play(7).hash]).toEqual([name, hash]);
      expect(play(8).hash, name).not.toBe(hash);
    }
  });
});

test("an idle mesh of 16 hosts says little, and no more after a while", () => {
  const report = runMesh(idleMesh, 1);
  expect(report.failures).toEqual([]);
  expect(report.rate.most).toBeLessThan(1_024);
}, 60_000);

describe("the checkers notice", () => {
  /** A core that does not hear some inputs, or does not do some of what it should. */
  function broken(
    core: Machine,
    rules: { hears?: (input: Input) => boolean; does?: (effect: Effect) => boolean },
  ): Machine {
    const { hears = () => true, does = () => true } = rules;
    return {
      get wakeAtMs() {
        return core.wakeAtMs;
      },
      handle: (input, nowMs) => (hears(input) ? core.handle(input, nowMs).filter(does) : []),
    };
  }

  const isLease = (input: Input) => input.kind === "message" && input.message.kind === "lease";

  function found(scenario: MeshScenario, tamper: Tamper, seed = 1): string {
    const calm = { ...scenario, network: calmNetwork };
    expect(runMesh(calm, seed).failures, "undisturbed").toEqual([]);
    return runMesh(calm, seed, { tamper }).failures.join("\n");
  }

  test("a coordinator that does not yield", () => {
    const tamper: Tamper = (peer, core) =>
      peer.length === 2 ? broken(core, { hears: (input) => !isLease(input) }) : core;
    expect(found(partitionHeals, tamper)).toMatch(/h\d and h\d both lead for 10\d\d\d ms/);
  });

  test("followers that wait for a dead coordinator", () => {
    const tamper: Tamper = (_peer, core) => ({
      get wakeAtMs() {
        return core.wakeAtMs;
      },
      // That a link closed is not heard: only the lease runs out.
      handle: (input, nowMs) =>
        core.handle(input.kind === "unlinked" ? { kind: "wake" } : input, nowMs),
    });
    expect(found(leaderDies, tamper)).toMatch(/nobody took over from h\d for \d+ ms/);
  });

  test("a host that takes the dead for alive", () => {
    const tamper: Tamper = (peer, core) =>
      peer === "h2" ? broken(core, { hears: ({ kind }) => kind !== "unlinked" }) : core;
    const gone: MeshScenario = {
      ...leaderFrozen,
      trouble: ({ room }) => room.crash("h4", Number.MAX_SAFE_INTEGER / 2, false),
    };
    expect(found(gone, tamper)).toMatch(/h2 takes h1 h2 h3 h4 h5 for alive, not h1 h2 h3 h5/);
  });

  test("a host that does not dial those it heard of", () => {
    const tamper: Tamper = (_peer, core) =>
      broken(core, { does: (effect) => effect.kind !== "dial" || effect.peer === "h1" });
    expect(found(partitionHeals, tamper)).toMatch(
      /before the trouble: h5 follows h5, most follow h2/,
    );
  });

  test("workers that take nothing from other hosts, or do not tell of what they did", () => {
    const isSent = (effect: Effect, kind: string) =>
      effect.kind === "send" && effect.message.kind === kind;
    const idle: Tamper = (_peer, core) =>
      broken(core, { does: (effect) => !isSent(effect, "steal") && !isSent(effect, "lifeline") });
    expect(found(meshBuild, idle)).toMatch(/no worker of another host took anything from h1/);
    const mute: Tamper = (peer, core) =>
      peer.includes("w") ? broken(core, { does: (effect) => !isSent(effect, "done") }) : core;
    expect(found(meshBuild, mute)).toMatch(/o\d+ failed|never ended/);
  });

  test("a host that says ever more", () => {
    const chatty = (core: Machine): Machine => {
      let said = 0;
      return {
        get wakeAtMs() {
          return core.wakeAtMs;
        },
        handle: (input, nowMs) =>
          core.handle(input, nowMs).flatMap((effect) => {
            if (effect.kind !== "send" || effect.message.kind !== "lease") return [effect];
            said += 1;
            return Array.from({ length: 1 + Math.trunc(said / 50) }, () => effect);
          }),
      };
    };
    const tamper: Tamper = (peer, core) => (peer.includes("w") ? core : chatty(core));
    const few = { ...idleMesh, size: { ...idleMesh.size, hosts: 4 } };
    const { failures } = runMesh(few, 1, { tamper });
    expect(failures.join("\n")).toMatch(/bytes a second became \d+|an idle node sends/);
  }, 60_000);
});
